//! Names of things, as types: text enters through `parse` and nowhere else.
//!
//! Invariant: an id that exists is well formed (ASCII, bounded, no control characters), so it can stand in a
//! path, a log line or a page without escaping. Display names for people do not exist here.

use std::fmt;
use std::sync::Arc;

/// Longest id in bytes; a DNS name fits.
pub const ID_BYTES_MAX: usize = 253;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Nothing was given.
    #[error("{what} is empty")]
    Empty {
        /// Which kind of id.
        what: &'static str,
    },
    /// Longer than [`ID_BYTES_MAX`].
    #[error("{what} has {length} bytes, at most {ID_BYTES_MAX} are allowed")]
    TooLong {
        /// Which kind of id.
        what: &'static str,
        /// Bytes given.
        length: usize,
    },
    /// A character outside letters, digits and the few marks allowed.
    #[error("{what} `{text}` has the character {character:?}; allowed are letters, digits and {marks}")]
    BadCharacter {
        /// Which kind of id.
        what: &'static str,
        /// The text given, escaped.
        text: String,
        /// The first offending character.
        character: char,
        /// The marks allowed beside letters and digits.
        marks: &'static str,
    },
}

fn check(what: &'static str, marks: &'static str, text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty { what });
    }
    if text.len() > ID_BYTES_MAX {
        return Err(IdError::TooLong { what, length: text.len() });
    }
    match text.chars().find(|&c| !(c.is_ascii_alphanumeric() || marks.contains(c))) {
        None => Ok(()),
        Some(character) => {
            Err(IdError::BadCharacter { what, text: text.escape_debug().to_string(), character, marks })
        }
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $marks:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The only way in.
            ///
            /// # Errors
            /// [`IdError`] says what is wrong with the text.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                check($what, $marks, text).map(|()| Self(text.into()))
            }

            /// From a constant that is well formed.
            #[allow(dead_code, reason = "not every kind of id has constants")]
            pub(crate) fn well_formed(text: &'static str) -> Self {
                debug_assert!(Self::parse(text).is_ok(), "{text:?}");
                Self(text.into())
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

text_id!(
    /// A cluster or a node.
    MemberId, "member id", "._-:"
);
text_id!(
    /// An agent that is assigned to a member.
    AgentName, "agent name", "._-:/@"
);
text_id!(
    /// The name of a policy, as its author gave it.
    PolicyName, "policy name", "-"
);
text_id!(
    /// An orchestrator of the federation: this one or a peer.
    OrchestratorId, "orchestrator id", "._-:"
);
text_id!(
    /// A task that orchestrators delegate, as its origin named it.
    TaskId, "task id", "._-:/@#"
);
text_id!(
    /// A public key of the key set, as an operator calls it.
    KeyName, "key name", "._-"
);
text_id!(
    /// A label such as a region, a zone, a capability or a service.
    Label, "label", "._-:/"
);

/// SHA-256 of a component's bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Reads `sha256:<hex>` or plain hex.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        if hex.len() != 64 || !hex.is_ascii() {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// The first twelve hex digits, enough for people.
    #[must_use]
    pub fn short(&self) -> String {
        self.0.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Identifies one decision: the host's boot number and a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DecisionId {
    /// Which run of the host; grows with every start.
    pub boot: u32,
    /// Counts decisions within the run.
    pub sequence: u64,
}

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "d-{:x}-{:x}", self.boot, self.sequence)
    }
}

impl DecisionId {
    /// Reads what `Display` wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (boot, sequence) = text.strip_prefix("d-")?.split_once('-')?;
        Some(Self {
            boot: u32::from_str_radix(boot, 16).ok()?,
            sequence: u64::from_str_radix(sequence, 16).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_refuse_what_could_break_a_path_a_log_or_a_page() {
        for bad in ["", "a b", "a\nb", "<b>", "ä", "a\u{202e}b", &"x".repeat(254)] {
            assert!(MemberId::parse(bad).is_err(), "{bad:?}");
        }
        for good in ["node-1", "10.0.0.1:8151", "Host_7.example.com"] {
            assert_eq!(MemberId::parse(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn digests_and_decision_ids_round_trip() {
        let digest = Digest([0xab; 32]);
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        assert_eq!(Digest::parse("sha256:zz"), None);
        let id = DecisionId { boot: 3, sequence: 0xfeed };
        assert_eq!(DecisionId::parse(&id.to_string()), Some(id));
    }
}
