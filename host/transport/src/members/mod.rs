//! Members: what they and their host say to each other ([`message`]), how it looks on the wire ([`convert`]).
//!
//! Invariant: state of workloads never goes through the host; members send it to each other.

pub mod convert;
pub mod message;
