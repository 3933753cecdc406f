//! The host's shell around the real sagas: it begins them, journals, sends orders and asks the store.
//!
//! wish -> [`Saga`] -> journal, orders, changes of owner -> answers -> [`Saga`]
//!
//! Invariant: an entry is reported only when it is durable; one migration of a workload at a time.

use std::collections::{BTreeMap, VecDeque};

use pilothouse_core::time::Now;
use pilothouse_migration::charter::{Charter, Link, Mode, Options, Patience};
use pilothouse_migration::id::{CANDIDATES, MigrationId};
use pilothouse_migration::member::Guard;
use pilothouse_migration::owner::Owner;
use pilothouse_migration::saga::{Command, Entry, Event as Told, Outcome, RecoverError, Saga};

use super::{Event, HOST_TICK_MS, MEMBERS, WORKLOADS, World, member};
use crate::bug::Bug;
use crate::run::{Checked, Run, ensure};

pub(super) const JOURNAL: &str = "I6 the journal has no gap";
/// What the saga counts on for the end of a lease, ms.
pub(super) const LEASE_MS: u64 = 1_500;

/// A lease that members are granted: shorter by more than clocks drift.
pub(super) const fn lease_of_heartbeats_ms() -> u64 {
    LEASE_MS * 9 / 10
}

/// The host's memory, and its durable journal.
#[derive(Default)]
pub(super) struct Host {
    pub(super) down: bool,
    /// Counts hosts: answers for an earlier one are dropped.
    pub(super) life: u64,
    pub(super) ticks: u64,
    pub(super) sagas: BTreeMap<MigrationId, Saga>,
    pub(super) journal: BTreeMap<MigrationId, Vec<Entry>>,
    /// Written and not durable yet.
    pub(super) writing: VecDeque<Entry>,
    syncing: bool,
    /// Sagas whose journal failed, until they are recovered.
    pub(super) halted: bool,
    begun: u64,
}

#[cfg(not(feature = "seeded-bugs"))]
fn begin(_run: &Run, charter: Charter, now: Now) -> (Saga, Vec<Command>) {
    Saga::begin(charter, now)
}

#[cfg(feature = "seeded-bugs")]
fn begin(run: &Run, charter: Charter, now: Now) -> (Saga, Vec<Command>) {
    pilothouse_migration::seeded::begin(charter, now, run.bug.and_then(Bug::in_saga))
}

#[cfg(not(feature = "seeded-bugs"))]
pub(super) fn recover(
    _run: &Run,
    entries: &[Entry],
    owner: &Owner,
    now: Now,
) -> Result<(Saga, Vec<Command>), RecoverError> {
    pilothouse_migration::saga::recover(entries, Some(owner), now)
}

#[cfg(feature = "seeded-bugs")]
pub(super) fn recover(
    run: &Run,
    entries: &[Entry],
    owner: &Owner,
    now: Now,
) -> Result<(Saga, Vec<Command>), RecoverError> {
    pilothouse_migration::seeded::recover(entries, Some(owner), now, run.bug.and_then(Bug::in_saga))
}

#[cfg(not(feature = "seeded-bugs"))]
pub(super) fn seeded_guard(_run: &Run, guard: Guard) -> Guard {
    guard
}

#[cfg(feature = "seeded-bugs")]
pub(super) fn seeded_guard(run: &Run, guard: Guard) -> Guard {
    pilothouse_migration::seeded::guard(guard, run.bug.and_then(Bug::in_saga))
}

impl Host {
    /// A host that is down, with what the one before left behind.
    pub(super) fn after(before: &Self, journal: BTreeMap<MigrationId, Vec<Entry>>) -> Self {
        Self { down: true, life: before.life + 1, ticks: before.ticks, journal, ..Self::default() }
    }

    pub(super) fn is_idle(&self) -> bool {
        !self.down && self.sagas.is_empty() && self.writing.is_empty()
    }
}

impl World {
    /// Begins a migration of a workload that is not being migrated.
    pub(super) fn begin(&mut self, run: &mut Run) {
        let workload = run.random.index(WORKLOADS);
        let name = &self.workloads[workload];
        if self.host.down
            || self.host.halted
            || self.host.sagas.values().any(|saga| saga.charter().workload == *name)
        {
            return;
        }
        let owner = self.owners[workload].clone();
        let source = self.index(&owner.member);
        let target = (source + 1 + run.random.index(MEMBERS - 1)) % MEMBERS;
        let others =
            self.members.iter().enumerate().filter(|(index, _)| *index != source && *index != target);
        let alternative =
            others.map(|(_, member)| member.id.clone()).next().filter(|_| run.random.chance(300));
        self.host.begun += 1;
        let forced = run.fires("migration: forced", self.rates.forced);
        let charter = Charter {
            migration: MigrationId(((self.host.life << 32) + self.host.begun) * CANDIDATES),
            workload: name.clone(),
            source: owner.member,
            target: self.members[target].id.clone(),
            alternatives: alternative.into_iter().collect(),
            epoch: owner.epoch,
            resources: member::room(),
            link: Link { bandwidth_bytes_per_s: 1_000_000, rtt_us: 10_000 },
            start_us: 20_000,
            options: Options {
                mode: if forced { Mode::Forced } else { Mode::Graceful },
                max_downtime_ms: run.random.between(300, 3_000),
                deadline_ms: run.random.chance(300).then_some(4_000),
                ..Options::default()
            },
            patience: Patience {
                step_timeout_ms: 300,
                backoff_ms: 20,
                backoff_max_ms: 200,
                reservation_ms: 3_000,
                lease_ms: LEASE_MS,
                ..Patience::default()
            },
        };
        self.begin_by(run, charter);
    }

    fn begin_by(&mut self, run: &mut Run, charter: Charter) {
        run.count("migration: begun");
        let Charter { migration, workload, source, target, options, .. } = &charter;
        run.note(format_args!("{migration} of {workload} {source} -> {target} {:?}", options.mode));
        let migration = *migration;
        let (saga, commands) = begin(run, charter, Now(run.now_ms));
        self.host.sagas.insert(migration, saga);
        self.carry_out(run, migration, commands);
    }

    pub(super) fn cancel(&mut self, run: &mut Run) {
        let Some(migration) = run.random.pick(&self.host.sagas.keys().copied().collect::<Vec<_>>()) else {
            return;
        };
        let Some(saga) = self.host.sagas.get_mut(&migration) else { return };
        if let Ok(commands) = saga.cancel(Now(run.now_ms)) {
            run.count("migration: cancelled");
            run.note(format_args!("{migration} is cancelled"));
            self.carry_out(run, migration, commands);
        }
    }

    pub(super) fn tell_saga(&mut self, run: &mut Run, migration: MigrationId, told: Told) {
        let Some(saga) = self.host.sagas.get_mut(&migration) else { return };
        let before = saga.status().step;
        let commands = saga.step(told, Now(run.now_ms));
        let after = saga.status().step;
        if before != after {
            run.note(format_args!("{migration}: {} -> {}", before.name(), after.name()));
        }
        self.carry_out(run, migration, commands);
    }

    pub(super) fn carry_out(&mut self, run: &mut Run, migration: MigrationId, commands: Vec<Command>) {
        let Some(saga) = self.host.sagas.get(&migration) else { return };
        let (workload, life) = (self.workload_index(&saga.charter().workload), self.host.life);
        for command in commands {
            match command {
                Command::Journal(entry) => self.journal(run, entry),
                Command::Validate(attempt) => {
                    self.stage.after(run, 5, Event::Validate { life, migration, attempt });
                }
                Command::Order(to, order) => {
                    let member = self.index(&to);
                    self.stage.send(run, 0, member + 1, &Event::Order { member, order });
                }
                Command::Swap(attempt, swap) => {
                    let swap = Event::Swap { life, workload, migration, attempt, swap };
                    self.stage.send(run, 0, self.store(), &swap);
                }
                Command::ReadOwner(attempt) => {
                    let read = Event::Read { life, workload, migration, attempt };
                    self.stage.send(run, 0, self.store(), &read);
                }
                Command::End(outcome) => self.ended(run, migration, &outcome),
            }
        }
    }

    fn ended(&mut self, run: &mut Run, migration: MigrationId, outcome: &Outcome) {
        run.count(match outcome {
            Outcome::Moved { .. } => "migration: moved",
            Outcome::RolledBack { .. } => "migration: rolled back",
            Outcome::Superseded => "migration: superseded",
            Outcome::NeedsFailover => "migration: needs failover",
        });
        run.note(format_args!("{migration} ends: {outcome:?}"));
        let Some(saga) = self.host.sagas.remove(&migration) else { return };
        let owner = &self.owners[self.workload_index(&saga.charter().workload)];
        if let Some(next) = saga.charter().successor(outcome, owner).filter(|_| !self.healing) {
            run.count("migration: another target");
            self.begin_by(run, next);
        }
    }

    fn journal(&mut self, run: &mut Run, entry: Entry) {
        let (migration, sequence) = (entry.migration, entry.sequence);
        self.host.writing.push_back(entry);
        if !std::mem::replace(&mut self.host.syncing, true) {
            let delay_ms = run.random.between(1, self.rates.sync_ms);
            self.stage.after(run, delay_ms, Event::Synced { life: self.host.life });
        }
        if run.has(Bug::EffectBeforeJournal) {
            self.tell_saga(run, migration, Told::Journaled(sequence));
        }
    }

    /// What was written is durable, or the disk refused it.
    pub(super) fn synced(&mut self, run: &mut Run, life: u64) -> Checked {
        if life != self.host.life {
            return Ok(());
        }
        self.host.syncing = false;
        let refused = run.fires("host: journal refused", self.rates.journal_refused);
        for entry in std::mem::take(&mut self.host.writing) {
            let (migration, sequence) = (entry.migration, entry.sequence);
            if refused {
                self.host.halted = true;
                self.tell_saga(run, migration, Told::JournalFailed);
                continue;
            }
            self.persist(entry)?;
            self.tell_saga(run, migration, Told::Journaled(sequence));
        }
        if self.host.halted {
            // As after a crash: what is durable decides.
            self.stage.after(run, 50, Event::HostCrash);
        }
        Ok(())
    }

    fn persist(&mut self, entry: Entry) -> Checked {
        let entries = self.host.journal.entry(entry.migration).or_default();
        let expected = entries.last().map_or(0, |last| last.sequence) + 1;
        ensure!(entry.sequence == expected, JOURNAL, "{entry:?} where {expected} is due");
        entries.push(entry);
        Ok(())
    }

    pub(super) fn host_tick(&mut self, run: &mut Run) -> Checked {
        self.stage.after(run, HOST_TICK_MS, Event::HostTick);
        self.host.ticks += 1;
        let now = Now(run.now_ms);
        let due = |saga: &Saga| saga.next_deadline().is_some_and(|at| at <= now);
        let ripe: Vec<MigrationId> =
            self.host.sagas.iter().filter(|(_, saga)| due(saga)).map(|(migration, _)| *migration).collect();
        for migration in ripe {
            self.tell_saga(run, migration, Told::Tick);
        }
        Ok(())
    }
}
