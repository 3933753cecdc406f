//! Simulated federations and load, and simulators that judge policies.
//!
//! [`world`] is a dozen clusters in real cloud regions; [`load`] makes their reports over time, from a seed; [`placement`]
//! fills clusters, [`balancing`] sends tasks to queues, [`routing`] lets a network drift, [`scaling`] keeps a service up
//! under a load. On top of them [`scenario`] -> [`judge`] -> [`contest`] -> [`report`] says which policy is better and shows
//! why; [`plot`] draws.
//!
//! Invariant: everything follows from a seed. Policies are asked through core's ports, so the lab never knows the engine;
//! files are read by whoever calls it.

pub mod balancing;
pub mod contest;
pub mod faults;
pub mod judge;
pub mod load;
pub mod placement;
pub mod plot;
pub mod report;
pub mod routing;
pub mod scaling;
pub mod scenario;
pub mod statistics;
pub mod world;

/// Bits as a number in `0.0 ..< 1.0`.
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}
