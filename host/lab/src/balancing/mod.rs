//! The balancing simulator: tasks arrive at balancers, which send each to a member, where it waits for a free worker.
//!
//! [`Scenario`] + seed -> arrivals -> [`Balancer`] asked with what its host knows -> queues of members -> [`Outcome`]
//!
//! What a host knows is kept by core's own registry: it counts a task at the decision, hears of its end if callers tell,
//! and of all else by reports that are late. [`mod@reference`] has the bound: the least loaded of all members by a
//! host that always knows.
//!
//! Invariant: everything follows from the scenario and the seed, and the arrivals, service times and session keys of a
//! seed are the same whoever balances. Time is counted in whole nanoseconds of the simulation; none is measured.
//! Networks, time-outs and retries of callers are absent.

mod demand;
mod disruption;
mod host;
mod member;
mod outcome;
pub mod reference;
mod scenario;
mod simulation;
#[cfg(test)]
mod tests;

pub use disruption::{Disruption, disruption};
pub use outcome::Outcome;
pub use reference::bound;
pub use scenario::{Knowledge, Loss, Reports, Scenario, Service, Sessions};
pub use simulation::{Balancer, simulate};
