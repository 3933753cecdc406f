//! The document's JSON to core's words and back: the only place that knows both.
//!
//! Invariant: what is written can be read and is the same; what cannot be read says by a code and a text what is wrong, and
//! whose message it was. Size and depth are checked before parsing.

mod bounds;
mod read;
mod write;

use pilothouse_core::id::OrchestratorId;
use pilothouse_core::orchestrator::{Complaint, Message};

pub(crate) use bounds::{data, percent, text, word};
pub use read::decode;
pub use write::encode;

/// Largest message, bytes.
pub const MESSAGE_BYTES_MAX: usize = 256 << 10;
/// Deepest nesting of a message.
pub const NESTING_MAX: usize = 32;
/// Longest description of a task, and of an error, bytes.
const TEXT_BYTES_MAX: usize = 16 << 10;
/// Longest JSON that is carried for others (a result, the data of a broadcast, all open fields of a task together), bytes. With
/// this and the texts at their bounds a message still fits when it is passed on, even as JSON text inside JSON.
const DATA_BYTES_MAX: usize = 64 << 10;
/// Longest short text (kinds, statuses, topics, ids of callbacks), bytes.
const WORD_BYTES_MAX: usize = 256;
/// Most capabilities of a message.
const CAPABILITIES_MAX: usize = 64;

/// A message as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// What it says.
    pub message: Message,
    /// Whom it says it is from.
    pub from: OrchestratorId,
    /// Whom it says it is for; a broadcast may name anybody.
    pub to: String,
    /// Whether its payload was JSON text inside JSON; answers are then written the same way.
    pub nested: bool,
}

/// What is wrong with a message; a variant per kind of mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It has too many bytes.
    #[error("the message has {0} bytes, at most {MESSAGE_BYTES_MAX} are read")]
    TooLarge(usize),
    /// It is nested too deep.
    #[error("the message is nested deeper than {NESTING_MAX}")]
    TooDeep,
    /// It is not the text of a JSON object with the envelope's fields.
    #[error("the message is not as expected: {0}")]
    Envelope(String),
    /// Its type is not one of the five.
    #[error("`{0}` is not a type; use delegation, callback, broadcast, heartbeat or status")]
    UnknownType(String),
    /// Its payload is not what its type says.
    #[error("the payload is not as expected: {0}")]
    Payload(String),
    /// A field's value cannot be.
    #[error("`{field}`: {problem}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong and what would be right.
        problem: String,
    },
}

impl DecodeError {
    /// Its name on the wire.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge(_) => "too-large",
            Self::TooDeep => "too-deep",
            Self::Envelope(_) => "malformed",
            Self::UnknownType(_) => "unknown-type",
            Self::Payload(_) => "bad-payload",
            Self::Field { .. } => "bad-field",
        }
    }

    /// What the sender is told.
    #[must_use]
    pub fn complaint(&self, about: Option<String>) -> Complaint {
        Complaint { code: self.code().to_owned(), detail: self.to_string(), about }
    }
}

#[cfg(test)]
mod tests;
