//! Which machines a run is about.
//!
//! profile + seed + bug -> [`simulate`] -> report
//!
//! Invariant: a run touches nothing outside of itself, so runs can go on in parallel and in any order.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::bug::Bug;
use crate::run::{Report, Run, Violation};
use crate::{fleet, migration, store};

/// A kind of run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// The embedded store on a faulty disk.
    Store,
    /// Detection, registry and placement of a fleet whose host and members fail.
    Placement,
    /// The same with failover.
    Failover,
    /// Migrations of workloads to which clients write.
    Migration,
}

impl Profile {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Store, Self::Placement, Self::Failover, Self::Migration];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Placement => "placement",
            Self::Failover => "failover",
            Self::Migration => "migration",
        }
    }

    /// Reads a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|profile| profile.name() == text)
    }

    /// Faults and states that enough runs must have seen: a test in which the fault never fired proves nothing.
    #[must_use]
    pub fn expected(self) -> &'static [&'static str] {
        match self {
            Self::Store => store::EXPECTED,
            Self::Placement => fleet::EXPECTED_PLACEMENT,
            Self::Failover => fleet::EXPECTED_FAILOVER,
            Self::Migration => migration::EXPECTED,
        }
    }
}

/// One run. With `keep` its trace can be read.
#[must_use]
pub fn simulate(profile: Profile, seed: u64, bug: Option<Bug>, keep: bool) -> Report {
    let mut run = Run::new(seed, bug, keep);
    let result = catch_unwind(AssertUnwindSafe(|| match profile {
        Profile::Store => store::run(&mut run),
        Profile::Placement => fleet::run(&mut run, false),
        Profile::Failover => fleet::run(&mut run, true),
        Profile::Migration => migration::run(&mut run),
    }));
    let checked = result.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let seen = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text").to_owned();
        Err(Violation { invariant: "nothing panics", seen })
    });
    run.report(seed, checked)
}
