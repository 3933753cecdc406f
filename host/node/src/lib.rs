//! Composition: builds a server from the other crates and runs it.
//!
//! configuration -> `serve` -> store, [`hub`], [`slots`], [`decide`], transport; loops in [`tasks`]
//!
//! Invariant: this is the only crate that sees all the others; besides the drivers of workloads it is the only one that
//! spawns. Rules are in core; here they are called in the right order.

pub mod agents;
pub mod blobs;
pub mod clock;
pub mod config;
pub mod conform;
pub mod control;
pub mod decide;
pub mod failover;
pub mod hub;
mod metrics;
pub mod orchestrator;
pub mod placement;
mod policy_dir;
mod port;
pub mod probes;
mod records;
mod regions;
mod scaling;
pub mod serve;
pub mod slots;
mod tasks;
pub mod trust;

pub use config::Config;
pub use serve::{Running, start};
