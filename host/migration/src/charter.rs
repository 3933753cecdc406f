//! What a migration is about: who moves what from where to where, and within which bounds.
//!
//! Invariant: a charter never changes after it was journaled; recovery sees the same one.

use std::collections::BTreeSet;

use pilothouse_core::id::{AgentName, MemberId};
use pilothouse_core::member::Resources;

use crate::id::MigrationId;
use crate::owner::Owner;

/// Most other targets that are tried after the first.
pub const ALTERNATIVES_MAX: usize = 2;

/// Whether a source that cannot take part, or state that changes too fast, ends a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Mode {
    /// The source takes part and the bound on downtime is kept, or nothing is switched.
    #[default]
    Graceful,
    /// Goes on without the source (from the last known state, after its lease) and beyond the bound.
    Forced,
}

/// What a caller asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Options {
    /// Graceful or forced.
    pub mode: Mode,
    /// Whether the state moves, too; otherwise the workload starts afresh.
    pub preserve_state: bool,
    /// Longest pause, ms.
    pub max_downtime_ms: u64,
    /// Chunks are compressed (by the shell).
    pub compress: bool,
    /// Longest time from begin to commit, ms.
    pub deadline_ms: Option<u64>,
}

impl Default for Options {
    /// The bound is the 5 s that the documents' command line shows.
    fn default() -> Self {
        Self {
            mode: Mode::Graceful,
            preserve_state: true,
            max_downtime_ms: 5_000,
            compress: false,
            deadline_ms: None,
        }
    }
}

/// How patient a migration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Patience {
    /// A step that shows no progress for so long has failed, ms.
    pub step_timeout_ms: u64,
    /// How often a step is tried again.
    pub retries_max: u32,
    /// First pause between tries, doubled with each, ms.
    pub backoff_ms: u64,
    /// Longest pause between tries, ms.
    pub backoff_max_ms: u64,
    /// Most rounds of deltas before the freeze (Clark 2005: more do not help).
    pub rounds_max: u32,
    /// A round must shrink the delta by so many percent.
    pub gain_min_percent: u64,
    /// A reservation on which nothing happens for so long lapses, ms.
    pub reservation_ms: u64,
    /// Length of a serving lease, with the margin for drift of clocks, ms.
    pub lease_ms: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            step_timeout_ms: 2_000,
            retries_max: 3,
            backoff_ms: 50,
            backoff_max_ms: 2_000,
            rounds_max: 5,
            gain_min_percent: 10,
            reservation_ms: 60_000,
            lease_ms: 10_000,
        }
    }
}

/// The way between two members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    /// Bytes per second; 0 = nothing passes.
    pub bandwidth_bytes_per_s: u64,
    /// Round-trip time, µs.
    pub rtt_us: u64,
}

/// Why a charter cannot be begun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CharterError {
    /// The workload would move to where it is, or be sent to one member twice.
    #[error("`{0}` is named twice")]
    NamedTwice(MemberId),
    /// More than [`ALTERNATIVES_MAX`] other targets.
    #[error("{found} other targets, at most {ALTERNATIVES_MAX} are tried")]
    TooManyAlternatives {
        /// How many.
        found: usize,
    },
    /// A duration of nothing would make the machine spin.
    #[error("`{0}` is 0")]
    NoTime(&'static str),
    /// The name is not a multiple of [`CANDIDATES`](crate::id::CANDIDATES), so that of another target could
    /// be taken.
    #[error("migration {0} has a name that is kept for another target")]
    Name(MigrationId),
}

/// One migration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Charter {
    /// Its name.
    pub migration: MigrationId,
    /// What moves.
    pub workload: AgentName,
    /// From where.
    pub source: MemberId,
    /// To where.
    pub target: MemberId,
    /// Where else, in order, should the target fail; at most [`ALTERNATIVES_MAX`] are tried.
    pub alternatives: Vec<MemberId>,
    /// The ownership epoch in force at the begin; the commit makes it one more.
    pub epoch: u64,
    /// Room it takes.
    pub resources: Resources,
    /// The way that the state takes, as known at the begin.
    pub link: Link,
    /// Time the workload takes to start on the target, µs.
    pub start_us: u64,
    /// What the caller asked for.
    pub options: Options,
    /// How patient it is.
    pub patience: Patience,
}

impl Charter {
    /// Whether it can be begun; to be asked when somebody wishes for it. Whether it may be is the answer to
    /// [`crate::saga::Command::Validate`].
    ///
    /// # Errors
    /// [`CharterError`] names the first thing that is wrong.
    pub fn check(&self) -> Result<(), CharterError> {
        if self.migration.candidate() != 0 {
            return Err(CharterError::Name(self.migration));
        }
        if self.alternatives.len() > ALTERNATIVES_MAX {
            return Err(CharterError::TooManyAlternatives { found: self.alternatives.len() });
        }
        let mut members = BTreeSet::from([&self.source]);
        let mut targets = std::iter::once(&self.target).chain(&self.alternatives);
        if let Some(twice) = targets.find(|target| !members.insert(target)) {
            return Err(CharterError::NamedTwice(twice.clone()));
        }
        let Patience { step_timeout_ms, backoff_ms, backoff_max_ms, reservation_ms, lease_ms, .. } =
            self.patience;
        let durations = [
            ("step_timeout_ms", step_timeout_ms),
            ("backoff_ms", backoff_ms),
            ("backoff_max_ms", backoff_max_ms),
            ("reservation_ms", reservation_ms),
            ("lease_ms", lease_ms),
        ];
        match durations.into_iter().find(|(_, duration_ms)| *duration_ms == 0) {
            Some((name, _)) => Err(CharterError::NoTime(name)),
            None => Ok(()),
        }
    }

    /// The epoch after the commit, and after a fence.
    #[must_use]
    pub fn next_epoch(&self) -> u64 {
        self.epoch.saturating_add(1)
    }

    /// The record that the commit writes.
    #[must_use]
    pub fn committed(&self) -> Owner {
        Owner { member: self.target.clone(), epoch: self.next_epoch(), by: Some(self.migration) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{charter, member};

    #[test]
    fn a_charter_names_its_members_once_and_leaves_time_for_every_step() {
        let changed = |change: fn(&mut Charter)| {
            let mut charter = charter();
            change(&mut charter);
            charter.check().err()
        };
        assert_eq!(charter().check(), Ok(()));
        for (error, wrong) in [
            (CharterError::NamedTwice(member("a")), changed(|charter| charter.target = member("a"))),
            (
                CharterError::NamedTwice(member("b")),
                changed(|charter| charter.alternatives = vec![member("b")]),
            ),
            (
                CharterError::TooManyAlternatives { found: 3 },
                changed(|charter| charter.alternatives = ["c", "d", "e"].map(member).to_vec()),
            ),
            (CharterError::Name(MigrationId(5)), changed(|charter| charter.migration = MigrationId(5))),
            (CharterError::NoTime("backoff_ms"), changed(|charter| charter.patience.backoff_ms = 0)),
            (CharterError::NoTime("lease_ms"), changed(|charter| charter.patience.lease_ms = 0)),
        ] {
            assert_eq!(wrong, Some(error));
        }
    }
}
