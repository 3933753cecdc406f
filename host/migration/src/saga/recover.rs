//! After a crash of the host: the journal and the owner record tell how to go on.
//!
//! Invariant: the record decides. The commit is in it: forward. It is as at the begin: back, and what may
//! still be on its way is fenced off first. Somebody else's: only what this migration brought is dropped.
//! Recovering twice is recovering once.

use pilothouse_core::time::Now;

use super::answer::Reading;
use super::{Command, Entry, Failure, Note, Saga, Wait};
use crate::bug::{Bug, Seeded};
use crate::owner::Owner;
use crate::step::Step;

/// The entries are no journal of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecoverError {
    /// There is none.
    #[error("the journal is empty")]
    Empty,
    /// The first entry is something else.
    #[error("the journal does not begin with `begin`")]
    NoBegin,
    /// An entry is missing, twice there, or of another migration.
    #[error("entry {expected} is missing")]
    Gap {
        /// The sequence that should follow.
        expected: u32,
    },
}

/// Continues a migration from its entries, in order of sequence, and its owner record, read linearizably.
///
/// # Errors
/// [`RecoverError`] if the entries are not complete; an operator has to look.
pub fn recover(
    entries: &[Entry],
    owner: Option<&Owner>,
    now: Now,
) -> Result<(Saga, Vec<Command>), RecoverError> {
    recover_seeded(entries, owner, now, Seeded::default())
}

pub(crate) fn recover_seeded(
    entries: &[Entry],
    owner: Option<&Owner>,
    now: Now,
    seeded: Seeded,
) -> Result<(Saga, Vec<Command>), RecoverError> {
    let mut saga = replay(entries, now, seeded)?;
    if saga.end.is_some() {
        saga.wait = Wait::Nothing;
        return Ok((saga, Vec::new()));
    }
    let mut reading = saga.read(owner);
    if saga.seeded.has(Bug::ResumeAfterCommit) && saga.marks.switching {
        reading = Reading::Fenced;
    }
    let commands = saga.go_on(reading, now);
    Ok((saga, commands))
}

/// What the entries say was or may have been done.
fn replay(entries: &[Entry], now: Now, seeded: Seeded) -> Result<Saga, RecoverError> {
    let first = entries.first().ok_or(RecoverError::Empty)?;
    let Note::Begin(charter) = &first.note else { return Err(RecoverError::NoBegin) };
    let mut saga = Saga::blank(charter.as_ref().clone(), now, seeded);
    for entry in entries {
        let expected = saga.sequence.saturating_add(1);
        if entry.sequence != expected || entry.migration != saga.charter.migration {
            return Err(RecoverError::Gap { expected });
        }
        saga.sequence = entry.sequence;
        match &entry.note {
            Note::Begin(_) => {}
            Note::Enter(step) => saga.replay_step(*step),
            Note::Undo(failure) => saga.failure = Some(failure.clone()),
            Note::End(outcome) => saga.end = Some(outcome.clone()),
        }
    }
    Ok(saga)
}

impl Saga {
    fn replay_step(&mut self, step: Step) {
        self.step = step;
        match step {
            Step::Reserve => self.marks.reserve_asked = true,
            // The commit follows only upon the answer to the freeze: if it was made, the source is frozen.
            Step::Freeze => {
                (self.marks.switching, self.marks.freeze_asked, self.marks.frozen) = (true, true, true);
                self.marks.source_lives = true;
            }
            Step::StartStandby => {
                (self.marks.switching, self.marks.frozen, self.marks.source_lives) = (true, false, false);
            }
            Step::StopSource => self.marks.source_lives = true,
            _ => {}
        }
        // The switch is one entry: anything in it may have been done.
        self.marks.commit_asked |= self.marks.switching;
    }

    fn go_on(&mut self, reading: Reading, now: Now) -> Vec<Command> {
        match reading {
            Reading::Committed => {
                self.marks.committed = true;
                self.failure = None;
                let step = if matches!(self.step, Step::StopSource | Step::Release) {
                    self.step
                } else {
                    self.marks.switching = false;
                    Step::Activate
                };
                self.enter(step, now)
            }
            Reading::Unchanged => self.fail(self.failure.clone().unwrap_or(Failure::Interrupted), now),
            Reading::Fenced => {
                let failure = self.failure.clone().unwrap_or(Failure::Interrupted);
                self.failure = Some(failure.clone());
                self.step = Step::Resume;
                self.journal(Note::Undo(failure), now)
            }
            Reading::Foreign => self.owner_changed(now),
        }
    }
}
