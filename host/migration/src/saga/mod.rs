//! The migration of one workload from the host's side, as a pure machine.
//!
//! events (replies, journal, store, time) -> [`Saga::step`] -> commands (journal, orders, owner change, end)
//!
//! Invariants: no effect before its journal entry is durable; nothing is undone after the commit; an unknown
//! commit is resolved by the owner record; a source that was frozen serves again only under a new epoch
//! ([`Step::Fence`]), so no late commit, freeze or resume can hurt. The shell owns sockets, timers and the
//! store: it calls `step` and does the commands.

mod advance;
mod answer;
mod candidate;
mod fail;
mod journal;
pub(crate) mod recover;
mod status;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use pilothouse_core::id::MemberId;
use pilothouse_core::time::Now;

use crate::bug::Seeded;
use crate::charter::Charter;
use crate::id::Attempt;
use crate::order::{Order, Reply};
use crate::owner::{Owner, Swap, SwapAnswer};
use crate::step::Step;
use crate::transfer::StateDigest;

pub use journal::{Entry, Failure, Note, Outcome};
pub use recover::{RecoverError, recover};
pub use status::{CancelRefused, Phase, Progress, Status};

/// What a migration is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The entry of this sequence, and all before it, are durable.
    Journaled(u32),
    /// An entry could not be made durable, or another host has written one of the same sequence: the
    /// migration stops here and is recovered from the journal.
    JournalFailed,
    /// The answer to [`Command::Validate`].
    Validated(Attempt, Result<Validated, String>),
    /// A member reported.
    Reply(Reply),
    /// The store answered [`Command::Swap`]. A time-out is not told: the machine notices.
    Swapped(Attempt, SwapAnswer),
    /// The store answered [`Command::ReadOwner`], linearizably.
    OwnerRead(Attempt, Option<Owner>),
    /// Time passed; due at [`Saga::next_deadline`].
    Tick,
}

/// What validation found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Validated {
    /// Whether the source can take part.
    pub source_reachable: bool,
    /// How long the source's lease may last at most, by the host's clock, ms.
    pub source_lease_ms: u64,
}

/// What the shell has to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Command {
    /// Make an entry durable, in order of sequence and only if its sequence is not taken; report `Journaled`.
    Journal(Entry),
    /// Check health, eligibility and sovereignty of both members, and that the owner record is the charter's;
    /// report `Validated`.
    Validate(Attempt),
    /// Send an order; the reply comes as an event, or never.
    Order(MemberId, Order),
    /// Change the owner record in one transaction; report `Swapped` if the outcome is known.
    Swap(Attempt, Swap),
    /// Read the owner record, linearizably; report `OwnerRead`.
    ReadOwner(Attempt),
    /// The migration is over and that is durable.
    End(Outcome),
}

/// What the machine waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Wait {
    /// The newest journal entry.
    Journal,
    /// The answer to the step's attempt.
    Answer,
    /// The end of a pause between tries.
    BackOff,
    /// The end of the source's lease.
    Lease,
    /// Nothing any more: it ended, or its journal failed.
    Nothing,
}

/// Times; all by the host's monotonic clock.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Timers {
    /// When it began, or was recovered.
    began: Now,
    /// When the current wait is over.
    wait_until: Option<Now>,
    /// When the order to freeze was first given.
    frozen_at: Option<Now>,
    /// When the source's lease is over for certain.
    lease_over: Now,
}

/// What may have been done to the world, and what is known to have been. "May" is set before the effect.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Marks {
    /// The source can take part.
    source_lives: bool,
    /// The target may hold room.
    reserve_asked: bool,
    /// The entry that covers the switch is written.
    switching: bool,
    /// The source may be frozen.
    freeze_asked: bool,
    /// The source is frozen.
    frozen: bool,
    /// The commit may have been made.
    commit_asked: bool,
    /// The commit was made.
    committed: bool,
    /// The source serves again, or was never frozen.
    source_unresumed: bool,
    /// The source's copy could not be cleaned.
    source_uncleaned: bool,
    /// The target's copy could not be cleaned.
    target_uncleaned: bool,
}

/// One migration.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Saga {
    charter: Arc<Charter>,
    step: Step,
    wait: Wait,
    /// Sequence of the newest entry.
    sequence: u32,
    /// Orders given under it.
    number: u32,
    /// Tries of the current step that failed.
    tries: u32,
    marks: Marks,
    /// Digest of the frozen source's state.
    digest: Option<StateDigest>,
    failure: Option<Failure>,
    end: Option<Outcome>,
    progress: Progress,
    timers: Timers,
    stale_events: u64,
    seeded: Seeded,
}

impl Saga {
    /// A new migration; the first command journals it.
    #[must_use]
    pub fn begin(charter: Charter, now: Now) -> (Self, Vec<Command>) {
        Self::begin_seeded(charter, now, Seeded::default())
    }

    pub(crate) fn begin_seeded(charter: Charter, now: Now, seeded: Seeded) -> (Self, Vec<Command>) {
        let mut saga = Self::blank(charter, now, seeded);
        let note = Note::Begin(Box::new(saga.charter.as_ref().clone()));
        let commands = saga.journal(note, now);
        (saga, commands)
    }

    fn blank(charter: Charter, now: Now, seeded: Seeded) -> Self {
        let lease_over = now.plus_ms(charter.patience.lease_ms);
        Self {
            charter: Arc::new(charter),
            step: Step::Validate,
            wait: Wait::Journal,
            sequence: 0,
            number: 0,
            tries: 0,
            marks: Marks::default(),
            digest: None,
            failure: None,
            end: None,
            progress: Progress::default(),
            timers: Timers { began: now, wait_until: None, frozen_at: None, lease_over },
            stale_events: 0,
            seeded,
        }
    }

    /// One step. Events that are late, repeated or about something else change nothing but a counter.
    pub fn step(&mut self, event: Event, now: Now) -> Vec<Command> {
        if self.wait == Wait::Nothing {
            self.count_stale();
            return Vec::new();
        }
        match event {
            Event::Journaled(sequence) => self.journaled(sequence, now),
            Event::JournalFailed => {
                self.wait = Wait::Nothing;
                Vec::new()
            }
            Event::Validated(attempt, result) => self.validated(attempt, result, now),
            Event::Reply(reply) => self.replied(reply, now),
            Event::Swapped(attempt, answer) => self.swapped(attempt, answer, now),
            Event::OwnerRead(attempt, owner) => self.owner_read(attempt, owner.as_ref(), now),
            Event::Tick => self.tick(now),
        }
    }

    /// Gives it up, if it is not too late.
    ///
    /// # Errors
    /// [`CancelRefused`] says why it is.
    pub fn cancel(&mut self, now: Now) -> Result<Vec<Command>, CancelRefused> {
        if self.end.is_some() || self.wait == Wait::Nothing {
            Err(CancelRefused::Over)
        } else if self.failure.is_some() {
            Err(CancelRefused::RollingBack)
        } else if self.marks.commit_asked {
            Err(CancelRefused::Committed)
        } else {
            Ok(self.fail(Failure::Cancelled, now))
        }
    }

    fn attempt(&self) -> Attempt {
        Attempt { entry: self.sequence, number: self.number }
    }

    fn count_stale(&mut self) {
        self.stale_events = self.stale_events.saturating_add(1);
    }

    /// For model checkers: a counter would make equal states different.
    #[cfg(test)]
    pub(crate) const fn forget_stale(&mut self) {
        self.stale_events = 0;
    }
}
