//! Simulated federations and load.
//!
//! [`world`] is a dozen clusters in real cloud regions; [`load`] makes their reports over time, from a seed; [`placement`] judges
//! placement policies.
//!
//! Invariant: everything follows from a seed.

pub mod load;
pub mod placement;
pub mod world;
