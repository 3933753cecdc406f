//! What the host and the store answer: validation, changes of owner, heartbeats.
//!
//! Invariant: the store applies a change by its own rule and in one step; whether the answer arrives is another matter. Answers
//! for a host that died reach nobody.

use pilothouse_core::time::Now;
use pilothouse_migration::charter::Mode;
use pilothouse_migration::id::{Attempt, MigrationId};
use pilothouse_migration::member::Recorded;
use pilothouse_migration::order::Reply;
use pilothouse_migration::owner::{Owner, Swap, SwapAnswer};
use pilothouse_migration::saga::{Event as Told, Saga, Validated};

use super::host::{LEASE_MS, lease_of_heartbeats_ms};
use super::{Event, WORKLOADS, World};
use crate::bug::Bug;
use crate::run::{Checked, Run};

impl World {
    pub(super) fn replied(&mut self, run: &mut Run, reply: Reply) -> Checked {
        self.tell_saga(run, reply.key.migration, Told::Reply(reply));
        Ok(())
    }

    pub(super) fn validate(
        &mut self,
        run: &mut Run,
        life: u64,
        migration: MigrationId,
        attempt: Attempt,
    ) -> Checked {
        let Some(saga) = self.host.sagas.get(&migration).filter(|_| life == self.host.life) else {
            return Ok(());
        };
        let source = self.index(&saga.charter().source);
        // Longer than any lease that members were granted, by clocks that drift.
        let taken_for_dead = run.fires("host: source taken for dead", self.rates.taken_for_dead);
        let found = Validated {
            source_reachable: self.members[source].up && !taken_for_dead,
            source_lease_ms: LEASE_MS * 11 / 10,
        };
        self.tell_saga(run, migration, Told::Validated(attempt, Ok(found)));
        Ok(())
    }

    /// The store changes the owner in one transaction; the answer may be lost.
    pub(super) fn swap(
        &mut self,
        run: &mut Run,
        life: u64,
        workload: usize,
        migration: MigrationId,
        attempt: Attempt,
        swap: &Swap,
    ) {
        let applied = if run.has(Bug::SwapUnchecked) {
            Ok(swap.new.clone())
        } else {
            swap.apply(Some(&self.owners[workload]))
        };
        let answer = match applied {
            Ok(owner) => {
                if owner.member == self.owners[workload].member {
                    run.count("migration: fenced");
                }
                run.note(format_args!("w{workload} is {}'s under {}", owner.member, owner.epoch));
                let new_home = self.index(&owner.member);
                let without_source = self.members[new_home].places[workload].without_source;
                self.checker.owner_changed(workload, &owner, without_source);
                self.owners[workload] = owner;
                SwapAnswer::Applied
            }
            Err(found) => SwapAnswer::Found(found),
        };
        if !run.fires("store: change of owner without an answer", self.rates.unanswered) {
            self.stage.send(run, self.store(), 0, &Event::Swapped { life, migration, attempt, answer });
        }
    }

    pub(super) fn swapped(
        &mut self,
        run: &mut Run,
        life: u64,
        migration: MigrationId,
        attempt: Attempt,
        answer: SwapAnswer,
    ) -> Checked {
        if life == self.host.life {
            self.tell_saga(run, migration, Told::Swapped(attempt, answer));
        }
        Ok(())
    }

    pub(super) fn owner_read(
        &mut self,
        run: &mut Run,
        life: u64,
        migration: MigrationId,
        attempt: Attempt,
        owner: Option<Owner>,
    ) -> Checked {
        if life == self.host.life {
            self.tell_saga(run, migration, Told::OwnerRead(attempt, owner));
        }
        Ok(())
    }

    /// Answers a heartbeat with every record. A forced migration grants its source no lease.
    pub(super) fn heartbeat(&mut self, run: &mut Run, index: usize, boot: u64, asked_at_ms: u64) {
        if self.host.down || self.host.halted {
            return;
        }
        for workload in 0..WORKLOADS {
            let name = &self.workloads[workload];
            let saga = self.host.sagas.values().find(|saga| saga.charter().workload == *name);
            let is_forced = |saga: &Saga| {
                let charter = saga.charter();
                charter.options.mode == Mode::Forced && charter.source == self.members[index].id
            };
            let deprived = saga.is_some_and(is_forced) && !run.has(Bug::SourceKeepsLease);
            let recorded = Recorded {
                owner: self.owners[workload].clone(),
                settled: saga.is_none(),
                asked_at: Now(asked_at_ms),
                lease_ms: if deprived { 0 } else { lease_of_heartbeats_ms() },
            };
            self.stage.send(run, 0, index + 1, &Event::Recorded { member: index, boot, workload, recorded });
        }
    }
}
