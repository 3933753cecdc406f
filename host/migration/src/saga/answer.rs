//! Answers of members and of the store.
//!
//! Invariant: an answer counts only if it is about the current attempt of the current step, from the member
//! that was asked, under the epoch that was named; every other one is counted as stale. Nothing is concluded
//! from silence.

use pilothouse_core::time::Now;

use super::{Command, Failure, Outcome, Saga, Validated, Wait};
use crate::bug::Bug;
use crate::id::Attempt;
use crate::order::{Refusal, Reply, Report, Sent};
use crate::owner::{Owner, SwapAnswer};
use crate::plan::{Next, Round};
use crate::step::Step;
use crate::transfer::StateDigest;

/// What an owner record means to a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// As at the begin.
    Unchanged,
    /// This migration's commit is in force.
    Committed,
    /// This migration's fence is in force.
    Fenced,
    /// Somebody else changed it, or removed the workload.
    Foreign,
}

impl Saga {
    pub(super) fn read(&self, owner: Option<&Owner>) -> Reading {
        let charter = &self.charter;
        match owner {
            Some(owner) if owner.epoch == charter.epoch && owner.member == charter.source => {
                Reading::Unchanged
            }
            Some(owner) if owner.epoch == charter.next_epoch() && owner.by == Some(charter.migration) => {
                if owner.member == charter.target {
                    Reading::Committed
                } else {
                    Reading::Fenced
                }
            }
            _ => Reading::Foreign,
        }
    }

    fn is_current(&mut self, attempt: Attempt, steps: &[Step]) -> bool {
        let current = self.wait == Wait::Answer && attempt == self.attempt() && steps.contains(&self.step);
        if !current {
            self.count_stale();
        }
        current
    }

    pub(super) fn validated(
        &mut self,
        attempt: Attempt,
        result: Result<Validated, String>,
        now: Now,
    ) -> Vec<Command> {
        if !self.is_current(attempt, &[Step::Validate]) {
            return Vec::new();
        }
        match result {
            Err(why) => self.fail(Failure::Invalid(why), now),
            Ok(found) if !found.source_reachable && self.is_graceful() => {
                self.fail(Failure::SourceUnreachable, now)
            }
            Ok(found) => {
                self.marks.source_lives = found.source_reachable;
                self.timers.lease_over = now.plus_ms(found.source_lease_ms);
                self.advance(now)
            }
        }
    }

    pub(super) fn replied(&mut self, reply: Reply, now: Now) -> Vec<Command> {
        let expected = match self.step {
            Step::Reserve | Step::StartStandby | Step::Verify | Step::Activate | Step::Abort => {
                &self.charter.target
            }
            _ => &self.charter.source,
        };
        let fits = reply.from == *expected
            && reply.key.migration == self.charter.migration
            && reply.workload == self.charter.workload
            && reply.epoch == self.order_epoch();
        if !fits {
            self.count_stale();
            return Vec::new();
        }
        if !self.is_current(reply.key.attempt, &[reply.key.step]) {
            return Vec::new();
        }
        match reply.report {
            Report::Done => self.done(now),
            Report::Sent(sent) => self.sent(sent, now),
            Report::Progress { bytes } => {
                // Standing still is no progress, however often it is reported.
                if bytes > self.progress.bytes_of_round {
                    self.progress.bytes_of_round = bytes;
                    self.timers.wait_until = Some(now.plus_ms(self.charter.patience.step_timeout_ms));
                }
                Vec::new()
            }
            Report::Verified(digest) => self.verified(digest, now),
            Report::Refused(refusal) => self.refused(refusal, now),
        }
    }

    fn done(&mut self, now: Now) -> Vec<Command> {
        match self.step {
            Step::Freeze => self.marks.frozen = true,
            Step::Activate => {
                self.progress.downtime_ms = self.timers.frozen_at.map(|at| now.since_ms(at));
            }
            _ => {}
        }
        self.advance(now)
    }

    fn verified(&mut self, digest: StateDigest, now: Now) -> Vec<Command> {
        let differs = self.digest.is_some_and(|sent| sent != digest);
        if differs && !self.seeded.has(Bug::NoDigestCheck) {
            return self.fail(Failure::DigestDiffers, now);
        }
        self.advance(now)
    }

    /// After a round: freeze if the pause would fit, go on if another round would help, else give up (or
    /// freeze, if forced).
    fn sent(&mut self, sent: Sent, now: Now) -> Vec<Command> {
        let dirty_before_bytes = self.progress.dirty_bytes;
        self.progress.bytes_copied = self.progress.bytes_copied.saturating_add(sent.bytes);
        self.progress.bytes_of_round = 0;
        self.progress.dirty_bytes = sent.dirty_bytes;
        if self.step == Step::LastDelta {
            self.digest = Some(sent.digest);
            return self.advance(now);
        }
        let mut link = self.charter.link;
        let measured = sent.bytes.saturating_mul(1_000_000).checked_div(sent.elapsed_us);
        // A round in which nothing had to pass measures nothing.
        if let Some(measured) = measured.filter(|rate| *rate > 0) {
            link.bandwidth_bytes_per_s = measured;
        }
        let round =
            Round { number: self.progress.round, dirty_before_bytes, dirty_bytes: sent.dirty_bytes, link };
        let predicted_us = round.pause_us(&self.charter);
        self.progress.predicted_pause_us = Some(predicted_us);
        match round.next(&self.charter) {
            Next::CopyAgain => {
                self.progress.round = self.progress.round.saturating_add(1);
                self.tries = 0;
                self.act(now)
            }
            Next::GiveUp if self.is_graceful() => {
                let allowed_ms = self.charter.options.max_downtime_ms;
                self.fail(Failure::NotConverging { predicted_us, allowed_ms }, now)
            }
            Next::Freeze | Next::GiveUp => self.advance(now),
        }
    }

    pub(super) fn swapped(&mut self, attempt: Attempt, answer: SwapAnswer, now: Now) -> Vec<Command> {
        if !self.is_current(attempt, &[Step::Commit, Step::Fence]) {
            return Vec::new();
        }
        match (answer, self.step) {
            (SwapAnswer::Applied, Step::Commit) => self.owner_is(Reading::Committed, now),
            (SwapAnswer::Applied, _) => self.owner_is(Reading::Fenced, now),
            (SwapAnswer::Found(owner), _) => self.owner_is(self.read(owner.as_ref()), now),
        }
    }

    pub(super) fn owner_read(&mut self, attempt: Attempt, owner: Option<&Owner>, now: Now) -> Vec<Command> {
        if !self.is_current(attempt, &[Step::Resolve, Step::Activate]) {
            return Vec::new();
        }
        self.owner_is(self.read(owner), now)
    }

    /// Follows what the owner record says.
    fn owner_is(&mut self, reading: Reading, now: Now) -> Vec<Command> {
        match (reading, self.step) {
            (Reading::Committed, Step::Activate) => Vec::new(),
            (Reading::Committed, Step::Fence) => {
                // The commit was made after all: forward, under an entry of its own, because the last one
                // said "undo".
                self.failure = None;
                self.marks.committed = true;
                self.marks.switching = false;
                self.enter(Step::Activate, now)
            }
            (Reading::Committed, _) => {
                self.marks.committed = true;
                self.advance(now)
            }
            (Reading::Fenced, _) => {
                self.failure.get_or_insert(Failure::Interrupted);
                self.step = Step::Fence;
                self.advance(now)
            }
            // The change was not made; it may still be on its way, so it is asked for again or fenced off.
            (Reading::Unchanged, Step::Resolve) => self.enter(Step::Commit, now),
            (Reading::Unchanged, _) => self.retry(now),
            (Reading::Foreign, Step::Activate) => self.finish(Outcome::Superseded, now),
            (Reading::Foreign, _) => self.owner_changed(now),
        }
    }

    fn refused(&mut self, refusal: Refusal, now: Now) -> Vec<Command> {
        let step = self.step;
        match (step, &refusal) {
            (Step::Activate | Step::Resume, Refusal::Failed(_) | Refusal::LeaseOver) => self.retry(now),
            (Step::Activate, Refusal::StaleEpoch { .. } | Refusal::StaleAttempt) => {
                self.finish(Outcome::Superseded, now)
            }
            (Step::Activate, _) => self.finish(Outcome::NeedsFailover, now),
            (Step::StopSource | Step::Release | Step::Resume | Step::Abort, _) => self.gave_up(now),
            (_, Refusal::DigestDiffers) => self.fail(Failure::DigestDiffers, now),
            _ => self.fail_step(Failure::Refused { step, refusal }, now),
        }
    }
}
