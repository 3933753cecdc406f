//! What must hold in every state of the world.
//!
//! Invariant: each law is one function with a sentence as its name, looked at after every action.

use super::{Host, Side, World};
use crate::charter::Mode;
use crate::member::Role;
use crate::saga::{Failure, Note, Outcome};

/// A law and its name.
pub(crate) type Law = (&'static str, fn(&World) -> bool);

pub(crate) const LAWS: &[Law] = &[
    ("at most one copy serves", World::at_most_one_serves),
    ("no acknowledged write is lost", World::no_write_is_lost),
    ("when it is over, the owner has the workload", World::owner_has_the_workload),
    ("room is given back once, and by those who say so", World::room_is_given_back_once),
    ("the outcome is the record's", World::outcome_fits_the_record),
    ("the host waits for something that comes", World::host_is_not_stuck),
    ("the journal has no gap and one end", World::journal_is_whole),
];

impl World {
    /// The first law that is broken.
    pub(crate) fn broken_law(&self) -> Option<&'static str> {
        LAWS.iter().find(|(_, holds)| !holds(self)).map(|(name, _)| *name)
    }

    fn at_most_one_serves(&self) -> bool {
        !(self.source.serves(self.now) && self.target.serves(self.now))
    }

    /// Only a migration that keeps the state and its source's part in it promises that; a failover has its
    /// own bound of loss.
    fn promises_writes(&self) -> bool {
        let graceful = self.charter.options.mode == Mode::Graceful;
        self.charter.options.preserve_state && graceful && !self.was_failed_over()
    }

    fn was_failed_over(&self) -> bool {
        self.owner.epoch > self.charter.next_epoch()
    }

    fn no_write_is_lost(&self) -> bool {
        let holds_all = |value: Option<u8>| value == Some(self.acknowledged);
        let is_owner = |side: Side| match side {
            Side::Source => self.owner.member == self.charter.source,
            Side::Target => self.owner.member == self.charter.target,
        };
        let places = [(Side::Source, &self.source), (Side::Target, &self.target)];
        let exists = places.iter().any(|(_, place)| holds_all(place.value));
        let served = places
            .iter()
            .filter(|(side, place)| is_owner(*side) && place.serves(self.now))
            .all(|(_, place)| holds_all(place.value));
        !self.promises_writes() || (exists && served)
    }

    /// It serves, or will with the next answer to its heartbeat.
    fn owner_has_the_workload(&self) -> bool {
        let Host::Idle(outcome) = &self.host else { return true };
        if matches!(outcome, Some(Outcome::NeedsFailover)) {
            return self.source.value.is_some();
        }
        let owner = if self.owner.member == self.charter.target { &self.target } else { &self.source };
        let returns = owner.guard.role() == Role::Frozen && owner.guard.epoch() < self.owner.epoch;
        owner.value.is_some() && (owner.guard.role() == Role::Serving || returns)
    }

    fn room_is_given_back_once(&self) -> bool {
        let kept_word = match &self.host {
            Host::Idle(Some(Outcome::Moved { source_cleaned, .. })) => {
                !(*source_cleaned && self.source.has_room)
            }
            Host::Idle(Some(Outcome::RolledBack { target_cleaned, .. })) => {
                !(*target_cleaned && self.target.has_room)
            }
            _ => true,
        };
        kept_word && !self.source.released_twice && !self.target.released_twice
    }

    fn outcome_fits_the_record(&self) -> bool {
        let charter = &self.charter;
        match &self.host {
            Host::Idle(Some(Outcome::Moved { .. } | Outcome::NeedsFailover)) => {
                self.was_failed_over() || self.owner == charter.committed()
            }
            Host::Idle(Some(Outcome::RolledBack { failure, .. })) => {
                let stays = self.owner.member == charter.source && *failure != Failure::OwnerChanged;
                stays || self.was_failed_over()
            }
            Host::Idle(Some(Outcome::Superseded)) => self.was_failed_over(),
            Host::Idle(None) => self.owner.by.is_none(),
            Host::Up(_) | Host::Down => true,
        }
    }

    /// Nobody but the owner has anything of the workload any more; to be looked at when it is over and
    /// heartbeats were answered.
    pub(crate) fn is_tidy(&self) -> bool {
        let others = [(&self.source, &self.charter.source), (&self.target, &self.charter.target)];
        let mut others =
            others.into_iter().filter(|(place, id)| place.is_alive() && self.owner.member != **id);
        others
            .all(|(place, _)| place.value.is_none() && !place.has_room && place.guard.role() == Role::Absent)
    }

    /// Whatever was sent was announced by an entry that is durable.
    pub(crate) fn effects_are_journaled(&self) -> bool {
        let entries = self.journal.len() as u32;
        self.attempts_under_way().all(|attempt| attempt.entry <= entries)
    }

    fn host_is_not_stuck(&self) -> bool {
        let Host::Up(saga) = &self.host else { return true };
        !self.writing.is_empty() || saga.next_deadline().is_some()
    }

    fn journal_is_whole(&self) -> bool {
        let numbered = (1..).zip(&self.journal).all(|(sequence, entry)| entry.sequence == sequence);
        let ends = self.journal.iter().filter(|entry| matches!(entry.note, Note::End(_))).count();
        let last = matches!(self.journal.last(), Some(entry) if matches!(entry.note, Note::End(_)));
        numbered && (ends == 0 || (ends == 1 && last))
    }
}
