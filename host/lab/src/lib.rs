//! Simulated federations and load.
//!
//! [`world`] is a dozen clusters in real cloud regions; [`load`] makes their reports over time, from a seed; [`scaling`] judges what
//! sizes a group.
//!
//! Invariant: everything follows from a seed. The simulators for the other families are not here yet.

pub mod load;
pub mod scaling;
pub mod world;
