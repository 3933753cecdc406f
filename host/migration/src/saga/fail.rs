//! Time-outs, retries, and the way back.
//!
//! Invariant: before the commit every failure leads to a rollback, which is journaled first; a source that
//! may be frozen, or a commit that may be under way, is fenced in the store before the source resumes.
//! Fencing and activating never give up.

use pilothouse_core::time::Now;

use super::{Command, Failure, Note, Outcome, Saga, Wait};
use crate::bug::Bug;
use crate::step::Step;

impl Saga {
    /// When a frozen source has been frozen for too long; only before the commit, and not if forced.
    pub(super) fn bound(&self) -> Option<Now> {
        let frozen_at = self.timers.frozen_at.filter(|_| self.is_graceful() && self.is_undecided())?;
        Some(frozen_at.plus_ms(self.charter.options.max_downtime_ms))
    }

    /// When the whole migration has taken too long; only before the commit.
    pub(super) fn deadline(&self) -> Option<Now> {
        let deadline_ms = self.charter.options.deadline_ms.filter(|_| self.is_undecided())?;
        Some(self.timers.began.plus_ms(deadline_ms))
    }

    /// Neither being undone nor past the point of asking for the commit.
    fn is_undecided(&self) -> bool {
        self.failure.is_none() && !self.marks.commit_asked && self.end.is_none()
    }

    pub(super) fn tick(&mut self, now: Now) -> Vec<Command> {
        let is_over = |at: Option<Now>| at.is_some_and(|at| now >= at);
        if is_over(self.bound()) {
            return self.fail(Failure::DowntimeExceeded, now);
        }
        if is_over(self.deadline()) {
            return self.fail(Failure::DeadlineExceeded, now);
        }
        if !is_over(self.timers.wait_until) {
            return Vec::new();
        }
        match (self.wait, self.step) {
            (Wait::BackOff | Wait::Lease, _) => self.act(now),
            (Wait::Answer, Step::Commit) => self.commit_unknown(now),
            (Wait::Answer, _) => self.retry(now),
            (Wait::Journal | Wait::Nothing, _) => Vec::new(),
        }
    }

    /// The store did not answer. What it did is read; within the bound the commit is then asked for again,
    /// else fenced off.
    fn commit_unknown(&mut self, now: Now) -> Vec<Command> {
        let late = self
            .timers
            .frozen_at
            .is_some_and(|at| self.is_graceful() && now.since_ms(at) >= self.charter.options.max_downtime_ms);
        if late || self.seeded.has(Bug::CommitGuessed) {
            return self.fail(Failure::DowntimeExceeded, now);
        }
        self.enter(Step::Resolve, now)
    }

    /// The step failed once more: again after a pause, or never.
    pub(super) fn retry(&mut self, now: Now) -> Vec<Command> {
        self.tries = self.tries.saturating_add(1);
        let patience = &self.charter.patience;
        let insists = matches!(self.step, Step::Fence | Step::Activate | Step::Resolve | Step::Commit);
        if self.tries > patience.retries_max && !insists {
            return self.exhausted(now);
        }
        let doublings = self.tries.saturating_sub(1).min(16);
        let pause_ms = patience.backoff_ms.saturating_mul(1 << doublings).min(patience.backoff_max_ms);
        self.wait = Wait::BackOff;
        self.timers.wait_until = Some(now.plus_ms(pause_ms));
        Vec::new()
    }

    fn exhausted(&mut self, now: Now) -> Vec<Command> {
        match self.step {
            Step::StopSource | Step::Release | Step::Resume | Step::Abort => self.gave_up(now),
            step => self.fail_step(Failure::TimedOut(step), now),
        }
    }

    /// A clean-up that cannot be had now: noted, and left to the member's return.
    pub(super) fn gave_up(&mut self, now: Now) -> Vec<Command> {
        match self.step {
            Step::StopSource | Step::Release => self.marks.source_uncleaned = true,
            Step::Resume => self.marks.source_unresumed = true,
            _ => self.marks.target_uncleaned = true,
        }
        self.advance(now)
    }

    /// A step before the commit failed. A forced migration goes on without its source.
    pub(super) fn fail_step(&mut self, failure: Failure, now: Now) -> Vec<Command> {
        let of_source = matches!(self.step, Step::PreCopy | Step::Freeze | Step::LastDelta);
        if !of_source || self.is_graceful() {
            return self.fail(failure, now);
        }
        // An entry of its own: recovery must know that the source was not frozen for certain.
        self.marks.source_lives = false;
        self.marks.switching = false;
        self.marks.frozen = false;
        self.enter(Step::StartStandby, now)
    }

    /// Begins the rollback.
    pub(super) fn fail(&mut self, failure: Failure, now: Now) -> Vec<Command> {
        self.failure = Some(failure.clone());
        self.tries = 0;
        if self.marks.freeze_asked || self.marks.commit_asked {
            self.step = Step::Fence;
            if self.seeded.has(Bug::NoFencing) || self.seeded.has(Bug::CommitGuessed) {
                self.step = Step::Resume;
            }
        } else if self.marks.reserve_asked {
            self.step = Step::Abort;
        } else {
            return self.finish_undone(now);
        }
        self.journal(Note::Undo(failure), now)
    }

    /// The workload is somebody else's now: only the target's copy is ours to drop.
    pub(super) fn owner_changed(&mut self, now: Now) -> Vec<Command> {
        self.failure.get_or_insert(Failure::OwnerChanged);
        self.marks.source_unresumed = true;
        self.step = Step::Abort;
        self.tries = 0;
        self.journal(Note::Undo(Failure::OwnerChanged), now)
    }

    pub(super) fn finish_undone(&mut self, now: Now) -> Vec<Command> {
        let outcome = Outcome::RolledBack {
            failure: self.failure.clone().unwrap_or(Failure::Interrupted),
            source_resumed: !self.marks.source_unresumed,
            target_cleaned: !self.marks.target_uncleaned,
        };
        self.finish(outcome, now)
    }
}
