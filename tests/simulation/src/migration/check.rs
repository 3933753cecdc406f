//! The invariants of migrations, against what the simulator knows to be true.
//!
//! Invariant: what clients were told is remembered here and nowhere else. A forced migration that leaves its source behind
//! declares what it loses: what was acknowledged before it does not bind the new copy.

use std::collections::BTreeSet;

use pilothouse_migration::member::Role;
use pilothouse_migration::owner::Owner;
use pilothouse_migration::saga::Note;
use pilothouse_migration::transfer::StateDigest;

use super::{WORKLOADS, World};
use crate::run::{Checked, Run, ensure};

const ONE_SERVES: &str = "I1 one copy of a workload serves";
const NOT_LOST: &str = "I2 no workload is lost";
const WRITES: &str = "I3 a serving copy has every acknowledged write";
const ROOM: &str = "I5 room is given back once";
const EPOCHS: &str = "I7 epochs grow by one";
const ENDS: &str = "I6 a migration ends once";
const REST: &str = "L2 everything comes to rest";

/// What must be remembered to judge.
pub(super) struct Checker {
    /// Writes of each workload that clients were told are safe.
    pub(super) acknowledged: Vec<BTreeSet<u64>>,
    epochs: Vec<u64>,
    gap: bool,
    /// The digest that was sent last, for a bug that repeats it.
    pub(super) sent_digest: Option<StateDigest>,
    /// Workloads whose owner a forced migration changed: its new copy begins with what it has.
    forced: Vec<bool>,
}

impl Checker {
    pub(super) fn new(workloads: usize) -> Self {
        Self {
            acknowledged: vec![BTreeSet::new(); workloads],
            epochs: vec![1; workloads],
            gap: false,
            sent_digest: None,
            forced: vec![false; workloads],
        }
    }

    pub(super) fn owner_changed(&mut self, workload: usize, owner: &Owner, without_source: bool) {
        self.forced[workload] |= without_source;
        self.gap |= owner.epoch != self.epochs[workload] + 1;
        self.epochs[workload] = owner.epoch;
    }
}

impl World {
    /// After every event.
    pub(super) fn check(&mut self, run: &Run) -> Checked {
        ensure!(!self.checker.gap, EPOCHS, "{:?}", self.owners);
        for workload in 0..WORKLOADS {
            let serving: Vec<usize> = (0..self.members.len())
                .filter(|member| self.members[*member].serves(run, workload))
                .collect();
            ensure!(serving.len() <= 1, ONE_SERVES, "w{workload} is served by {serving:?}");
            for member in serving {
                self.check_writes(workload, member)?;
            }
            for member in &self.members {
                let place = &member.places[workload];
                ensure!(place.rooms >= 0, ROOM, "{} gave room of w{workload} back twice", member.id);
            }
        }
        for entries in self.host.journal.values() {
            let ends = entries.iter().filter(|entry| matches!(entry.note, Note::End(_))).count();
            ensure!(ends <= 1, ENDS, "{ends} ends");
        }
        Ok(())
    }

    fn check_writes(&mut self, workload: usize, member: usize) -> Checked {
        let place = &self.members[member].places[workload];
        ensure!(place.copy.is_some(), NOT_LOST, "w{workload} is served without a copy");
        let held: BTreeSet<u64> = place.copy.iter().flatten().copied().collect();
        let acknowledged = &mut self.checker.acknowledged[workload];
        let is_new = self.owners[workload].member == self.members[member].id;
        if is_new && std::mem::take(&mut self.checker.forced[workload]) {
            acknowledged.retain(|write| held.contains(write));
        }
        let lost: Vec<_> = acknowledged.difference(&held).collect();
        ensure!(lost.is_empty(), WRITES, "w{workload} on {}: {lost:?} are missing", self.members[member].id);
        Ok(())
    }

    /// What keeps the world from rest, if anything.
    pub(super) fn unrest(&self, run: &Run) -> Option<String> {
        if !self.host.is_idle() {
            let steps: Vec<_> = self.host.sagas.values().map(|saga| saga.status()).collect();
            return Some(format!("the host has {steps:?}"));
        }
        for (workload, owner) in self.owners.iter().enumerate() {
            for (index, member) in self.members.iter().enumerate() {
                let place = &member.places[workload];
                let owns = member.id == owner.member;
                if owns && !(member.serves(run, workload) && place.guard.epoch() == owner.epoch) {
                    return Some(format!("{} owns w{workload} and is {:?}", member.id, place.guard.role()));
                }
                if !owns && (place.guard.role() != Role::Absent || place.copy.is_some()) {
                    return Some(format!("m{index} has {:?} of w{workload}", place.guard.role()));
                }
                if place.rooms != i32::from(owns) {
                    return Some(format!("m{index} has {} rooms of w{workload}", place.rooms));
                }
            }
        }
        None
    }

    pub(super) fn at_the_end(&self, run: &Run) -> Checked {
        let unrest = self.unrest(run);
        ensure!(unrest.is_none(), REST, "{}", unrest.unwrap_or_default());
        Ok(())
    }
}
