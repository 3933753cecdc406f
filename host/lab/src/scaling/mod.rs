//! How well does a scaling strategy size a group? A simulated group under a recorded or made-up load.
//!
//! [`Trace`] -> [`simulate`] (queue second by second, a [`Strategy`] asked every period) -> [`Run`] -> [`Report`]
//! against the [`oracle`], which knows the future.
//!
//! Invariant: nothing is lost or invented: what arrived has been served or waits. Deliberately absent: failures of
//! replicas, retries, files and clocks; time is the index of a second.

mod oracle;
mod queue;
mod reference;
mod report;
mod run;
mod synthetic;
mod trace;

pub use oracle::oracle;
pub use queue::{Queue, Second};
pub use reference::{Drawn, Fixed, HeadRoom, HostedPolicy, Utilisation};
pub use report::Report;
pub use run::{Run, Strategy, Tick, simulate};
pub use synthetic::{Kind, synthetic};
pub use trace::{Trace, TraceError};

/// The simulated group and what is promised to its callers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setup {
    /// What one ready replica serves, pieces of work per second.
    pub served_per_s: f64,
    /// Until a new replica is ready, s.
    pub start_s: u32,
    /// Between two decisions, s; also how often a sample is taken.
    pub period_s: u32,
    /// Longest wait that keeps the promise, s.
    pub wait_max_s: f64,
    /// Limits of the group.
    pub min_replicas: u32,
    /// Limits of the group.
    pub max_replicas: u32,
    /// An answer less sure than this does not scale down, as in the host.
    pub confidence_min: f32,
}

impl Default for Setup {
    /// The published comparison: 50 pieces of work per replica and second, 30 s to start, 15 s between decisions and
    /// at most half a second of waiting.
    fn default() -> Self {
        Self {
            served_per_s: 50.0,
            start_s: 30,
            period_s: 15,
            wait_max_s: 0.5,
            min_replicas: 1,
            max_replicas: 1_000,
            confidence_min: 0.5,
        }
    }
}

#[cfg(test)]
mod tests;
