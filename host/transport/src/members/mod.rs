//! Members: what they and their host say to each other ([`message`]), how it looks on the wire ([`convert`]), how a member dials
//! ([`dial`]), and its own port ([`port`]).
//!
//! Invariant: state of workloads never goes through the host; members send it to each other. The host's half of the
//! service is not here yet, so nothing but tests uses these parts.

pub mod convert;
pub mod dial;
pub mod message;
pub mod port;
