//! The placement simulator: workloads arrive at a cluster with accelerators until more was asked for than it has.
//!
//! [`trace`] or [`synthetic`] -> [`arrivals`] -> [`simulate`] over a [`Placer`] -> [`Report`]
//!
//! The protocol is that of the FGD paper (Weng et al., USENIX ATC 2023): the list of workloads is resampled until it asks for
//! 130 % of all devices and is shuffled; one after the other is placed if it fits anywhere; nobody leaves; the share
//! of devices allocated in the end is the measure.
//!
//! Invariant: everything follows from the cluster, the workloads and the seed. Who fits where, and which device serves a
//! share, is decided here and never by the policy. No file is read and no time is measured here.

mod cluster;
mod fgd;
mod mix;
mod placer;
mod simulation;
pub mod synthetic;
pub mod trace;
mod workload;

pub use cluster::{Cluster, Node};
pub use fgd::Fgd;
pub use mix::Mix;
pub use placer::{BestFit, Placer, Policy, Random, Unplaced, View};
pub use simulation::{Broken, Report, Sample, simulate};
pub use workload::{INFLATION, Workload, arrivals};
