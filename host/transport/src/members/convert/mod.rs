//! The wire's messages to [`super::message`] and back: the only place that knows both.
//!
//! Invariant: what is written can be read and is the same; what cannot be read names the field. Every message is taken apart
//! field by field, so a field that is added cannot be forgotten.

mod link;
mod order;
mod peer;
mod spec;
#[cfg(test)]
mod tests;

use pilothouse_core::id::{AgentName, Label, MemberId};
use pilothouse_core::member::Resources;
use pilothouse_proto::pilothouse as wire;
use prost::Message as _;

use super::message::Job;

pub use link::{from_member_in, from_member_out, to_member_in, to_member_out};
pub(crate) use peer::{
    call_in, call_out, replica_answer_in, replica_answer_out, replica_in, replica_out, transfer_answer_in,
    transfer_answer_out, transfer_in, transfer_out,
};

/// A job as bytes, for a member's disk.
#[must_use]
pub fn job_to_bytes(job: &Job) -> Vec<u8> {
    let mut bytes = job.version.to_le_bytes().to_vec();
    bytes.extend(spec::job_out(job).encode_to_vec());
    bytes
}

/// Reads what [`job_to_bytes`] wrote.
///
/// # Errors
/// [`Wrong`].
pub fn job_from_bytes(bytes: &[u8]) -> Result<Job, Wrong> {
    let (version, spec) = bytes.split_first_chunk().ok_or_else(|| wrong("job", "ends too early"))?;
    let spec = wire::WorkloadSpec::decode(spec).map_err(|error| wrong("job", error))?;
    spec::job_in(spec, u64::from_le_bytes(*version))
}

/// What is wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}`: {problem}")]
pub struct Wrong {
    /// Which field.
    pub field: &'static str,
    /// What is wrong, and what would be right.
    pub problem: String,
}

impl From<Wrong> for tonic::Status {
    fn from(wrong: Wrong) -> Self {
        Self::invalid_argument(wrong.to_string())
    }
}

fn wrong(field: &'static str, problem: impl ToString) -> Wrong {
    Wrong { field, problem: problem.to_string() }
}

fn needed<T>(field: &'static str, value: Option<T>) -> Result<T, Wrong> {
    value.ok_or_else(|| wrong(field, "is missing"))
}

fn workload(text: &str) -> Result<AgentName, Wrong> {
    AgentName::parse(text).map_err(|error| wrong("workload", error))
}

fn member(field: &'static str, text: &str) -> Result<MemberId, Wrong> {
    MemberId::parse(text).map_err(|error| wrong(field, error))
}

fn member_if_any(field: &'static str, text: &str) -> Result<Option<MemberId>, Wrong> {
    if text.is_empty() { Ok(None) } else { member(field, text).map(Some) }
}

fn label_if_any(field: &'static str, text: &str) -> Result<Option<Label>, Wrong> {
    if text.is_empty() {
        return Ok(None);
    }
    Label::parse(text).map(Some).map_err(|error| wrong(field, error))
}

fn bytes32(field: &'static str, bytes: &[u8]) -> Result<[u8; 32], Wrong> {
    bytes.try_into().map_err(|_| wrong(field, format!("has {} bytes instead of 32", bytes.len())))
}

fn text<T: ToString>(value: Option<&T>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

fn room_in(room: Option<wire::Room>) -> Resources {
    let wire::Room { cpu_millis, memory_mib, storage_mib, accelerator_millis } = room.unwrap_or_default();
    Resources { cpu_millis, memory_mib, storage_mib, accelerator_millis }
}

fn room_out(room: Resources) -> Option<wire::Room> {
    let Resources { cpu_millis, memory_mib, storage_mib, accelerator_millis } = room;
    Some(wire::Room { cpu_millis, memory_mib, storage_mib, accelerator_millis })
}
