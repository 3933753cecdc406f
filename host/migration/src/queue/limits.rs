//! How many migrations may run and wait.
//!
//! Invariant: limits that exist are within their bounds; a limit of none is no limit but a mistake, and
//! refused.

/// Most migrations at once that can be configured.
pub const PARALLEL_MAX: usize = 1_000;
/// Most migrations that can wait: a request has about 200 bytes, so some MiB.
pub const WAITING_MAX: usize = 100_000;

/// A limit is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} is {given}, allowed are 1 to {most}")]
pub struct LimitsError {
    /// Which limit.
    pub what: &'static str,
    /// As given.
    pub given: usize,
    /// The most that is allowed.
    pub most: usize,
}

/// How many migrations may run and wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    parallel: usize,
    waiting: usize,
    per_source: usize,
    per_target: usize,
}

impl Default for Limits {
    /// Ten at once, as the documents say; one member may take part in all of them, for example when it is
    /// drained.
    fn default() -> Self {
        Self { parallel: 10, waiting: 10_000, per_source: 10, per_target: 10 }
    }
}

impl Limits {
    /// Checked limits: all running ones, all waiting ones, running ones per source and per target.
    ///
    /// # Errors
    /// [`LimitsError`] names the first that is out of bounds.
    pub fn new(
        parallel: usize,
        waiting: usize,
        per_source: usize,
        per_target: usize,
    ) -> Result<Self, LimitsError> {
        let check = |what, given, most| {
            if (1..=most).contains(&given) { Ok(given) } else { Err(LimitsError { what, given, most }) }
        };
        Ok(Self {
            parallel: check("parallel migrations", parallel, PARALLEL_MAX)?,
            waiting: check("waiting migrations", waiting, WAITING_MAX)?,
            per_source: check("migrations per source", per_source, PARALLEL_MAX)?,
            per_target: check("migrations per target", per_target, PARALLEL_MAX)?,
        })
    }

    /// Most that run.
    #[must_use]
    pub const fn parallel(&self) -> usize {
        self.parallel
    }

    /// Most that wait.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Most that run from one member.
    #[must_use]
    pub const fn per_source(&self) -> usize {
        self.per_source
    }

    /// Most that run to one member.
    #[must_use]
    pub const fn per_target(&self) -> usize {
        self.per_target
    }
}
