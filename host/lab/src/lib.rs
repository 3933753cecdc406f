//! Simulated federations and load.
//!
//! [`world`] is a dozen clusters in real cloud regions; [`load`] makes their reports over time, from a seed.
//!
//! Invariant: everything follows from a seed. The simulators that judge policies are not here yet.

pub mod load;
pub mod plot;
pub mod world;
