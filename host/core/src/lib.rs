//! Vocabulary and rules of Pilothouse.
//!
//! [`registry`] keeps members, [`fleet`] publishes them as an immutable snapshot, [`eligible`] filters, a port of
//! [`policy`] advises, [`guardrail`] checks, [`placement`] commits. [`probe`] estimates round-trip times,
//! [`region`] sums. [`slot`] decides which revision of a policy serves. [`rebalance`] turns suggested moves
//! into plans that are worth their cost, [`failover`] runs the workloads of dead members elsewhere, [`failback`]
//! brings them home, [`chaos`] breaks things on purpose.
//! [`orchestrator`] is the federation of hosts like this one, [`workload`] what members run.
//!
//! Invariant: everything here is a function of its arguments. No clock, randomness, environment, socket, file,
//! serialisation or log exists in this crate, and it depends on nothing but `thiserror`.

pub mod assignment;
pub mod breaker;
pub mod chaos;
pub mod device;
pub mod eligible;
pub mod event;
pub mod failback;
pub mod failover;
pub mod fleet;
pub mod guardrail;
pub mod id;
pub mod member;
pub mod orchestrator;
pub mod placement;
pub mod policy;
pub mod probe;
pub mod rebalance;
pub mod region;
pub mod registry;
pub mod room;
pub mod scaling;
pub mod setting;
pub mod slot;
pub mod time;
pub mod trust;
pub mod workload;
