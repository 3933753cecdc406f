//! Many runs on all cores.
//!
//! profile, seeds, bug -> threads that take seed after seed -> [`Summary`]
//!
//! Invariant: the summary does not depend on the number of threads, except that with a violation later seeds may be missing.

use std::num::NonZero;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::bug::Bug;
use crate::profile::{Profile, simulate};
use crate::run::{Counts, Report};

/// What came of many runs.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Runs.
    pub runs: u64,
    /// Lines of all traces.
    pub events: u64,
    /// Virtual time of all runs, ms.
    pub virtual_ms: u64,
    /// What happened how often.
    pub counts: Counts,
    /// The run of the smallest seed that broke an invariant.
    pub broken: Option<Report>,
}

/// Runs seeds until one breaks an invariant.
#[must_use]
pub fn simulate_many(profile: Profile, seeds: Range<u64>, bug: Option<Bug>) -> Summary {
    let next = AtomicU64::new(seeds.start);
    let summary = Mutex::new(Summary::default());
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut own = Summary::default();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let report = simulate(profile, seed, bug, false);
                    if report.violation.is_some() {
                        // Smaller seeds are being run already; no larger one is begun.
                        next.fetch_max(seeds.end, Ordering::Relaxed);
                    }
                    own.add(report);
                }
                if let Ok(mut summary) = summary.lock() {
                    summary.merge(own);
                }
            });
        }
    });
    summary.into_inner().unwrap_or_default()
}

impl Summary {
    fn add(&mut self, report: Report) {
        self.runs += 1;
        self.events += report.events;
        self.virtual_ms += report.virtual_ms;
        for (what, count) in &report.counts {
            *self.counts.entry(what).or_default() += count;
        }
        self.blame(report.violation.is_some().then_some(report));
    }

    fn blame(&mut self, report: Option<Report>) {
        let smaller = |new: &Report| self.broken.as_ref().is_none_or(|old| new.seed < old.seed);
        if let Some(report) = report.filter(smaller) {
            self.broken = Some(report);
        }
    }

    fn merge(&mut self, other: Self) {
        self.runs += other.runs;
        self.events += other.events;
        self.virtual_ms += other.virtual_ms;
        for (what, count) in other.counts {
            *self.counts.entry(what).or_default() += count;
        }
        self.blame(other.broken);
    }
}
