//! Simulated federations and load.
//!
//! [`world`] is a dozen clusters in real cloud regions; [`load`] makes their reports over time, from a seed; [`routing`]
//! judges routing policies.
//!
//! Invariant: everything follows from a seed.

pub mod load;
pub mod routing;
pub mod world;
