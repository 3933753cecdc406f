//! Deltas as bytes, one record after the other, in the log of a second copy.
//!
//! Invariant: a record is read back whole or not at all, by its digest; what a kill left half written at the end is no record.

use super::table::Input;
use super::{Change, Delta, StateError, Version, digest};

/// Length of the payload, digest.
const HEAD_BYTES: usize = 4 + 32;

/// A part of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) version: Version,
    /// The version is complete with it.
    pub(super) last: bool,
    pub(super) delta: Delta,
}

/// The bytes of a record.
pub(super) fn encode(version: Version, last: bool, delta: &Delta) -> Vec<u8> {
    let mut out = vec![0; HEAD_BYTES];
    out.extend(version.epoch.to_le_bytes());
    out.extend(version.number.to_le_bytes());
    out.push(u8::from(last));
    let count =
        |out: &mut Vec<u8>, count: usize| out.extend(u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
    let text = |out: &mut Vec<u8>, text: &str| {
        out.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
        out.extend(text.as_bytes());
    };
    count(&mut out, delta.changes.len());
    for (path, change) in &delta.changes {
        text(&mut out, path);
        match change {
            Change::Removed => out.push(0),
            Change::Directory { mode } => {
                out.push(1);
                out.extend(mode.to_le_bytes());
            }
            Change::Link { target } => {
                out.push(2);
                text(&mut out, target);
            }
            Change::File { mode, offset, bytes, length } => {
                out.push(3);
                out.extend(mode.to_le_bytes());
                out.extend(offset.to_le_bytes());
                out.extend(length.to_le_bytes());
                count(&mut out, bytes.len());
                out.extend(bytes);
            }
        }
    }
    let payload = out.get(HEAD_BYTES..).unwrap_or_default();
    let head =
        u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes().into_iter().chain(digest(&[payload]));
    let head: Vec<u8> = head.collect();
    out.iter_mut().zip(head).for_each(|(out, byte)| *out = byte);
    out
}

/// The first record and its length; `None` = the log ends here.
pub(super) fn decode(log: &[u8]) -> Option<(Record, usize)> {
    let mut input = Input(log);
    let length = usize::try_from(input.u32().ok()?).ok()?;
    let wanted = input.take(32).ok()?;
    let payload = input.take(length).ok()?;
    if digest(&[payload]) != wanted {
        return None;
    }
    let record = fields(payload).ok()?;
    record.delta.check().ok()?;
    Some((record, HEAD_BYTES + length))
}

fn fields(payload: &[u8]) -> Result<Record, StateError> {
    let mut input = Input(payload);
    let version = Version { epoch: input.u64()?, number: input.u64()? };
    let [last] = input.array()?;
    let mut delta = Delta::default();
    for _ in 0..input.u32()? {
        let path = input.text()?;
        let [kind] = input.array()?;
        let change = match kind {
            0 => Change::Removed,
            1 => Change::Directory { mode: input.u32()? },
            2 => Change::Link { target: input.text()? },
            3 => {
                let (mode, offset, length) = (input.u32()?, input.u64()?, input.u64()?);
                let count = usize::try_from(input.u32()?).map_err(|_| StateError::Malformed("too long"))?;
                Change::File { mode, offset, bytes: input.take(count)?.to_vec(), length }
            }
            _ => return Err(StateError::Malformed("a change of an unknown kind")),
        };
        delta.changes.push((path, change));
    }
    Ok(Record { version, last: last != 0, delta })
}
