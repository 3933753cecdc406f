//! Membership and replication machines: events in, commands out.
//!
//! Today: [`hlc`], the clock that orders events of several hosts, and [`detection`], which judges who is there. Gossip
//! and replicated types are not here yet.

pub mod detection;
pub mod hlc;
