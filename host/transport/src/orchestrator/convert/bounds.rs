//! What a message may have: size and depth before it is parsed, lengths after.
//!
//! Invariant: whatever passes here can be passed on to any peer, which checks the same.

use std::sync::Arc;

use serde_json::Value;

use super::{DATA_BYTES_MAX, DecodeError, MESSAGE_BYTES_MAX, NESTING_MAX, TEXT_BYTES_MAX, WORD_BYTES_MAX};

/// What was read, or what was wrong with it.
pub(super) type Read<T> = Result<T, DecodeError>;

/// A field's value cannot be.
pub(super) fn wrong<T>(field: &'static str, problem: impl Into<String>) -> Read<T> {
    Err(DecodeError::Field { field, problem: problem.into() })
}

/// A whole message.
pub(super) fn bounded(text: &str) -> Read<()> {
    if text.len() > MESSAGE_BYTES_MAX {
        return Err(DecodeError::TooLarge(text.len()));
    }
    if depth(text) > NESTING_MAX { Err(DecodeError::TooDeep) } else { Ok(()) }
}

/// How deep brackets are nested outside of strings; no more than a bound on what a parser would do.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => depth += 1,
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// A text for people.
pub(crate) fn text(field: &'static str, text: String) -> Read<String> {
    within(field, text.len(), TEXT_BYTES_MAX).map(|()| text)
}

/// A short text.
pub(crate) fn word(field: &'static str, text: String) -> Read<String> {
    within(field, text.len(), WORD_BYTES_MAX).map(|()| text)
}

/// JSON that is carried for others. The envelope around it is at most three deep.
pub(crate) fn data(field: &'static str, value: &Value) -> Read<Arc<str>> {
    let text = value.to_string();
    together(field, text.len())?;
    if depth(&text) + 3 > NESTING_MAX { Err(DecodeError::TooDeep) } else { Ok(text.into()) }
}

/// Open fields of a message together, bytes.
pub(super) fn together(field: &'static str, bytes: usize) -> Read<()> {
    within(field, bytes, DATA_BYTES_MAX)
}

/// A share of work that is done.
pub(crate) fn percent(percent: Option<f32>) -> Read<Option<f32>> {
    match percent {
        Some(percent) if !(0.0..=100.0).contains(&percent) => wrong("progress", "use percent, 0 to 100"),
        percent => Ok(percent),
    }
}

fn within(field: &'static str, bytes: usize, most: usize) -> Read<()> {
    if bytes > most { wrong(field, format!("has {bytes} bytes, at most {most} are taken")) } else { Ok(()) }
}
