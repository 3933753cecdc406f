//! Membership and replication machines: events in, commands out.
//!
//! Today: [`hlc`], the clock that orders events of several hosts. Gossip and replicated types are not here yet.

pub mod hlc;
