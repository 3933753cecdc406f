//! What every run has: randomness, a trace, counts of what happened, and the bug that is on.
//!
//! seed -> [`Run`] -> world -> [`Report`]
//!
//! Invariant: the hash of the trace follows from profile, seed and bug; two runs of the same seed have the same.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use crate::bug::Bug;
use crate::random::Random;

/// How often each fault fired and each interesting state was reached.
pub type Counts = BTreeMap<&'static str, u64>;

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which, by its name in the design of faults.
    pub invariant: &'static str,
    /// What was seen.
    pub seen: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.seen)
    }
}

/// Holds, or the run ends here.
pub type Checked = Result<(), Violation>;

/// Ends the run with a violation unless the condition holds.
macro_rules! ensure {
    ($holds:expr, $invariant:expr, $($seen:tt)+) => {
        if !$holds {
            return Err($crate::run::Violation { invariant: $invariant, seen: format!($($seen)+) });
        }
    };
}
pub(crate) use ensure;

/// FNV-1a (Fowler, Noll, Vo) over the text of the trace.
#[derive(Debug, Clone)]
struct Hash(u64);

impl Write for Hash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}

/// One run.
#[derive(Debug)]
pub struct Run {
    /// Its randomness.
    pub random: Random,
    /// The bug that is on, if any.
    pub bug: Option<Bug>,
    /// Virtual time, ms.
    pub now_ms: u64,
    hash: Hash,
    events: u64,
    lines: Option<Vec<String>>,
    counts: Counts,
}

impl Run {
    /// A run of a seed; with `keep` its trace can be read.
    #[must_use]
    pub fn new(seed: u64, bug: Option<Bug>, keep: bool) -> Self {
        Self {
            random: Random::new(seed),
            bug,
            now_ms: 1_000,
            hash: Hash(0xcbf2_9ce4_8422_2325),
            events: 0,
            lines: keep.then(Vec::new),
            counts: Counts::new(),
        }
    }

    /// Whether a bug is on.
    #[must_use]
    pub fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    /// One line of the trace.
    pub fn note(&mut self, line: fmt::Arguments<'_>) {
        self.events += 1;
        // Writing to a hash never fails.
        let _ = writeln!(self.hash, "{} {line}", self.now_ms);
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{:>8} ms  {line}", self.now_ms));
        }
    }

    /// A fault fired, or a state was reached.
    pub fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// The same with a chance of a thousand; answers whether it did.
    pub fn fires(&mut self, what: &'static str, of_thousand: u64) -> bool {
        let fires = self.random.chance(of_thousand);
        if fires {
            self.count(what);
        }
        fires
    }

    /// Ends it.
    #[must_use]
    pub fn report(self, seed: u64, result: Checked) -> Report {
        Report {
            seed,
            hash: self.hash.0,
            events: self.events,
            virtual_ms: self.now_ms,
            counts: self.counts,
            lines: self.lines.unwrap_or_default(),
            violation: result.err(),
        }
    }
}

/// What came of a run.
#[derive(Debug, Clone)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// Of its trace.
    pub hash: u64,
    /// Lines of its trace.
    pub events: u64,
    /// How much time went by in it.
    pub virtual_ms: u64,
    /// What happened how often.
    pub counts: Counts,
    /// The trace, if it was to be kept.
    pub lines: Vec<String>,
    /// The invariant that did not hold.
    pub violation: Option<Violation>,
}
