//! Simulated federations and load, and simulators that judge policies.
//!
//! [`world`] is a dozen clusters in real cloud regions; [`load`] makes their reports over time, from a seed; [`routing`]
//! measures how good routing policies are in a drifting network; [`plot`] draws what was found.
//!
//! Invariant: everything follows from a seed. Policies are asked through core's ports, so the lab never knows the engine;
//! files are read by whoever calls it.

pub mod load;
pub mod plot;
pub mod routing;
pub mod world;
