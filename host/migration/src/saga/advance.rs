//! Going forward: which step follows, its journal entry, its effect.
//!
//! Invariant: [`Saga::act`] is the only place from which effects leave, and it is reached only when the entry
//! that covers the step is durable. Failures are in `fail`.

use pilothouse_core::id::MemberId;
use pilothouse_core::time::Now;

use super::{Command, Entry, Failure, Note, Outcome, Saga, Wait};
use crate::bug::Bug;
use crate::charter::{Mode, Patience};
use crate::order::{Key, Order, StandbyFrom, Task};
use crate::owner::{Owner, Swap};
use crate::step::Step;

impl Saga {
    /// Writes an entry; the step's effect waits for it.
    pub(super) fn journal(&mut self, note: Note, now: Now) -> Vec<Command> {
        self.sequence = self.sequence.saturating_add(1);
        self.number = 0;
        self.wait = Wait::Journal;
        self.timers.wait_until = None;
        let entry = Entry { migration: self.charter.migration, sequence: self.sequence, note };
        let mut commands = vec![Command::Journal(entry)];
        if self.seeded.has(Bug::JournalAfterEffect) && self.end.is_none() {
            commands.extend(self.act(now));
        }
        commands
    }

    pub(super) fn journaled(&mut self, sequence: u32, now: Now) -> Vec<Command> {
        if sequence != self.sequence || self.wait != Wait::Journal {
            self.count_stale();
            return Vec::new();
        }
        match &self.end {
            Some(outcome) => {
                self.wait = Wait::Nothing;
                vec![Command::End(outcome.clone())]
            }
            None => self.act(now),
        }
    }

    /// Goes to a step: by an entry of its own, or at once if one covers it.
    pub(super) fn enter(&mut self, step: Step, now: Now) -> Vec<Command> {
        self.step = step;
        self.tries = 0;
        if step.is_in_switch() && self.marks.switching {
            return self.act(now);
        }
        if step.is_undo() {
            return self.act(now);
        }
        self.marks.switching |= step.is_in_switch();
        self.journal(Note::Enter(step), now)
    }

    pub(super) fn finish(&mut self, outcome: Outcome, now: Now) -> Vec<Command> {
        self.end = Some(outcome.clone());
        self.journal(Note::End(outcome), now)
    }

    /// The effect of the current step, as a new attempt.
    pub(super) fn act(&mut self, now: Now) -> Vec<Command> {
        self.number = self.number.saturating_add(1);
        self.wait = Wait::Answer;
        self.timers.wait_until = Some(now.plus_ms(self.charter.patience.step_timeout_ms));
        let attempt = self.attempt();
        match self.step {
            Step::Validate => vec![Command::Validate(attempt)],
            Step::Resolve => vec![Command::ReadOwner(attempt)],
            Step::Commit => self.commit(now),
            Step::Fence => vec![self.swap_to(self.charter.source.clone())],
            Step::Activate => self.activate(now),
            Step::Reserve => {
                self.marks.reserve_asked = true;
                let Patience { reservation_ms: hold_ms, .. } = self.charter.patience;
                self.order_target(Task::Reserve { resources: self.charter.resources, hold_ms })
            }
            Step::PreCopy => self.order_source(self.send(false)),
            Step::LastDelta => self.order_source(self.send(true)),
            Step::Freeze => {
                self.marks.freeze_asked = true;
                self.timers.frozen_at.get_or_insert(now);
                self.order_source(Task::Freeze)
            }
            Step::StartStandby => self.order_target(Task::StartStandby(self.standby_from())),
            Step::Verify => self.order_target(Task::Verify { lease_ms: self.charter.patience.lease_ms }),
            Step::StopSource => self.order_source(Task::Stop),
            Step::Release => self.order_source(Task::Release),
            Step::Resume => self.order_source(Task::Resume),
            Step::Abort => self.order_target(Task::Abort),
        }
    }

    fn commit(&mut self, now: Now) -> Vec<Command> {
        if !self.marks.commit_asked && self.bound().is_some_and(|bound| now > bound) {
            return self.fail(Failure::DowntimeExceeded, now);
        }
        self.marks.commit_asked = true;
        vec![self.swap_to(self.charter.target.clone())]
    }

    fn swap_to(&self, member: MemberId) -> Command {
        let new = Owner { member, epoch: self.charter.next_epoch(), by: Some(self.charter.migration) };
        Command::Swap(self.attempt(), Swap { expected_epoch: self.charter.epoch, new })
    }

    /// A frozen source does not serve; any other may until its lease is over.
    fn activate(&mut self, now: Now) -> Vec<Command> {
        if !self.marks.frozen && now < self.timers.lease_over && !self.seeded.has(Bug::NoLeaseWait) {
            self.wait = Wait::Lease;
            self.timers.wait_until = Some(self.timers.lease_over);
            return Vec::new();
        }
        let mut commands = self.order_target(Task::Activate);
        if self.tries > self.charter.patience.retries_max {
            // Somebody may have moved the workload off a target that does not answer.
            commands.push(Command::ReadOwner(self.attempt()));
        }
        commands
    }

    fn send(&self, last: bool) -> Task {
        Task::Send {
            to: self.charter.target.clone(),
            round: self.progress.round,
            last,
            compress: self.charter.options.compress,
        }
    }

    fn standby_from(&self) -> StandbyFrom {
        match self.digest {
            Some(digest) => StandbyFrom::Received(digest),
            None if self.charter.options.preserve_state => StandbyFrom::LastKnown,
            None => StandbyFrom::Nothing,
        }
    }

    fn order_source(&self, task: Task) -> Vec<Command> {
        self.order(self.charter.source.clone(), task)
    }

    fn order_target(&self, task: Task) -> Vec<Command> {
        self.order(self.charter.target.clone(), task)
    }

    fn order(&self, to: MemberId, task: Task) -> Vec<Command> {
        let key = Key { migration: self.charter.migration, step: self.step, attempt: self.attempt() };
        let order = Order { key, workload: self.charter.workload.clone(), epoch: self.order_epoch(), task };
        vec![Command::Order(to, order)]
    }

    /// Before the commit the epoch at the begin, afterwards the next one.
    pub(super) fn order_epoch(&self) -> u64 {
        match self.step {
            Step::Activate | Step::StopSource | Step::Release | Step::Resume => self.charter.next_epoch(),
            _ => self.charter.epoch,
        }
    }

    /// What follows a step that is done.
    pub(super) fn advance(&mut self, now: Now) -> Vec<Command> {
        let with_state = self.charter.options.preserve_state;
        match self.step {
            Step::Validate => self.enter(Step::Reserve, now),
            Step::Reserve if self.marks.source_lives && with_state => {
                self.progress.round = 1;
                self.enter(Step::PreCopy, now)
            }
            Step::Reserve if self.marks.source_lives => self.enter(Step::Freeze, now),
            Step::PreCopy => self.enter(Step::Freeze, now),
            Step::Freeze if with_state => {
                self.progress.round = self.progress.round.saturating_add(1);
                self.enter(Step::LastDelta, now)
            }
            Step::Reserve | Step::Freeze | Step::LastDelta => self.enter(Step::StartStandby, now),
            Step::StartStandby => self.enter(Step::Verify, now),
            Step::Verify => self.enter(Step::Commit, now),
            Step::Commit | Step::Resolve => self.enter(Step::Activate, now),
            Step::Activate if self.marks.source_lives => self.enter(Step::StopSource, now),
            Step::StopSource => self.enter(Step::Release, now),
            Step::Activate | Step::Release => self.finish_moved(now),
            Step::Fence => self.enter(Step::Resume, now),
            Step::Resume if self.marks.reserve_asked => self.enter(Step::Abort, now),
            Step::Resume | Step::Abort => self.finish_undone(now),
        }
    }

    fn finish_moved(&mut self, now: Now) -> Vec<Command> {
        let source_cleaned = self.marks.source_lives && !self.marks.source_uncleaned;
        self.finish(Outcome::Moved { downtime_ms: self.progress.downtime_ms, source_cleaned }, now)
    }

    pub(super) fn is_graceful(&self) -> bool {
        self.charter.options.mode == Mode::Graceful
    }
}
