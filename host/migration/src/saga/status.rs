//! What people and programs see of a migration.
//!
//! Invariant: a status is a copy; reading it changes nothing. Prose for people is in `Display` of failures
//! and in [`Step::text`].

use pilothouse_core::time::Now;

use super::{Failure, Outcome, Saga, Wait};
use crate::step::Step;

/// Where a migration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Before the commit.
    Running,
    /// After the commit: it goes on until it is done.
    Committed,
    /// Being undone.
    RollingBack,
    /// Its journal failed; to be recovered.
    Halted,
    /// The target serves.
    Completed,
    /// Undone on somebody's wish.
    Cancelled,
    /// Undone, or overtaken by another owner change.
    Failed,
}

impl Phase {
    /// Name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Committed => "committed",
            Self::RollingBack => "rolling-back",
            Self::Halted => "halted",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }
}

/// How far copying is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Progress {
    /// Round of copying, from 1; 0 = none yet.
    pub round: u32,
    /// Bytes copied in finished rounds.
    pub bytes_copied: u64,
    /// Bytes copied in the round that runs.
    pub bytes_of_round: u64,
    /// Bytes that changed during the last finished round.
    pub dirty_bytes: u64,
    /// Pause if the source were frozen now, µs; `None` before the first round.
    pub predicted_pause_us: Option<u64>,
    /// The pause, once the target served, ms.
    pub downtime_ms: Option<u64>,
}

/// A snapshot for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Where it stands.
    pub phase: Phase,
    /// The step.
    pub step: Step,
    /// Failed tries of this step.
    pub tries: u32,
    /// How far copying is.
    pub progress: Progress,
    /// Why it is or was rolled back.
    pub failure: Option<Failure>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Late, repeated or foreign events that were ignored.
    pub stale_events: u64,
}

/// Why it is too late to cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CancelRefused {
    /// The owner change was asked for.
    #[error("the owner change is under way or made; move the workload back instead")]
    Committed,
    /// It is being undone already.
    #[error("it is being rolled back already")]
    RollingBack,
    /// It is over.
    #[error("it is over")]
    Over,
}

impl Saga {
    /// A snapshot for people.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            phase: self.phase(),
            step: self.step,
            tries: self.tries,
            progress: self.progress,
            failure: self.failure.clone(),
            outcome: self.end.clone(),
            stale_events: self.stale_events,
        }
    }

    fn phase(&self) -> Phase {
        match &self.end {
            Some(Outcome::Moved { .. }) => Phase::Completed,
            Some(Outcome::RolledBack { failure: Failure::Cancelled, .. }) => Phase::Cancelled,
            Some(Outcome::RolledBack { .. } | Outcome::Superseded | Outcome::NeedsFailover) => Phase::Failed,
            None if self.wait == Wait::Nothing => Phase::Halted,
            None if self.failure.is_some() => Phase::RollingBack,
            None if self.marks.committed => Phase::Committed,
            None => Phase::Running,
        }
    }

    /// The charter.
    #[must_use]
    pub fn charter(&self) -> &crate::charter::Charter {
        &self.charter
    }

    /// When the next [`super::Event::Tick`] is due; `None` = it waits for an event only.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Now> {
        if self.wait == Wait::Nothing || self.end.is_some() {
            return None;
        }
        [self.timers.wait_until, self.bound(), self.deadline()].into_iter().flatten().min()
    }
}
