//! The embedded store on a faulty disk: lives that end in crashes, some of them while recovering from the one before.
//!
//! random commands -> real store over [`Disk`] and [`Model`] side by side -> equal answers, equal state after every restart
//!
//! Invariants: I4 (an acknowledged write is there after any crash, whole and in order, no gap in revisions or changes), a
//! commit is there whole or not at all, a boot number is never used twice, watchers miss nothing. A crash leaves one of
//! exactly two states: with or without the commit that was under way.

mod model;
mod work;

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pilothouse_store::{Embedded, Pump, Store, StoreError, Watch};

use crate::bug::Bug;
use crate::disk::{Disk, Lie};
use crate::poll::ready;
use crate::run::{Checked, Run, Violation, ensure};
use model::{Command, Model};
use work::{matches_answer, submit};

const ACKNOWLEDGED: &str = "I4 an acknowledged write is there, no gap";
const ANSWERS: &str = "I8 answers are those of the contract";
const WATCHED: &str = "C44 a watch misses nothing";
const BOOT: &str = "C22 a boot number is used once";
const READABLE: &str = "C36 reads go on after the disk refused a write";

/// What a run of this profile must have seen now and then.
pub(crate) const EXPECTED: &[&str] = &[
    "disk: power cut",
    "disk: process killed",
    "disk: write lost",
    "disk: write torn",
    "disk: write refused",
    "disk: sync refused",
    "disk: full",
    "store: crash while recovering",
    "store: closed in order",
    "store: commit in doubt was there",
    "store: commit in doubt was not there",
    "store: lease ended",
    "store: lease ended refused a write",
];

/// How likely what is, of a thousand.
struct Rates {
    refused: u64,
    full: u64,
    killed: u64,
    double: u64,
    large: u64,
}

struct World {
    disk: Disk,
    clock: Arc<AtomicU64>,
    model: Model,
    rates: Rates,
    boot: u32,
}

struct Life {
    store: Embedded,
    pump: Pump,
    watch: Box<dyn Watch>,
    seen: u64,
}

pub(crate) fn run(run: &mut Run) -> Checked {
    let lie = match run.bug {
        Some(Bug::AckBeforeSync) => Lie::Sync,
        Some(Bug::WriteAcrossBarrier) => Lie::Barrier,
        _ => Lie::None,
    };
    let random = &mut run.random;
    let rates = Rates {
        refused: random.rate(300),
        full: random.rate(500),
        killed: random.rate(700),
        double: random.rate(600),
        large: random.rate(150),
    };
    let clock = Arc::new(AtomicU64::new(run.now_ms));
    let mut world = World { disk: Disk::new(lie), clock, model: Model::default(), rates, boot: 0 };
    // The product makes a database beside its place and renames it, so no crash leaves half of one.
    drop(world.start().map_err(does_not_open)?);
    world.disk.kill();
    let lives = run.random.between(2, 6);
    for _ in 0..lives {
        world.crashes_while_opening(run);
        let mut life = world.open(run)?;
        let doubt = world.live(run, &mut life)?;
        world.end(run, life);
        world.settle(run, &doubt)?;
    }
    // Healing: the disk works, everything acknowledged is there.
    let life = world.open(run)?;
    world.compare(&life.store)?;
    world.count_damage(run);
    Ok(())
}

impl World {
    fn start(&self) -> Result<(Embedded, Pump), StoreError> {
        let clock = Arc::clone(&self.clock);
        let clock = Arc::new(move || Duration::from_millis(clock.load(Ordering::Relaxed)));
        Embedded::open_on(self.disk.clone(), clock, 1 << 20)
    }

    fn crashes_while_opening(&mut self, run: &mut Run) {
        while run.fires("store: crash while recovering", self.rates.double) {
            let operations = run.random.below(14);
            run.note(format_args!("crash after {operations} operations of opening"));
            self.disk.refuse_after(operations, ErrorKind::Other);
            let opened = self.start();
            self.crash(run);
            drop(opened);
        }
    }

    fn crash(&mut self, run: &mut Run) {
        if run.random.chance(self.rates.killed) {
            run.count("disk: process killed");
            run.note(format_args!("the process is killed"));
            self.disk.kill();
        } else {
            run.count("disk: power cut");
            run.note(format_args!("the power fails"));
            self.disk.cut_power(&mut run.random);
        }
    }

    fn open(&mut self, run: &mut Run) -> Result<Life, Violation> {
        let (store, pump) = self.start().map_err(does_not_open)?;
        ensure!(store.boot() > self.boot, BOOT, "{} after {}", store.boot(), self.boot);
        self.boot = store.boot();
        self.model.restart(run.now_ms);
        self.compare(&store)?;
        run.note(format_args!("boot {} at revision {}", store.boot(), store.revision()));
        let watch = store.watch("", self.model.revision);
        let watch = watch.map_err(|error| Violation { invariant: WATCHED, seen: error.to_string() })?;
        Ok(Life { store, pump, watch, seen: self.model.revision })
    }

    /// Works until the end of the life; answers with the commands whose fate is unknown.
    fn live(&mut self, run: &mut Run, life: &mut Life) -> Result<Vec<Command>, Violation> {
        for _ in 0..run.random.between(1, 24) {
            self.time_passes(run);
            let commands: Vec<Command> = (0..run.random.between(1, 4)).map(|_| self.command(run)).collect();
            if run.random.chance(self.rates.refused) {
                let full = run.random.chance(self.rates.full);
                let kind = if full { ErrorKind::StorageFull } else { ErrorKind::Other };
                self.disk.refuse_after(run.random.below(12), kind);
            }
            let mut ended = self.model.clone();
            let over = ended.end_leases(run.now_ms);
            let pending: Vec<_> = commands.iter().map(|command| submit(&life.store, command, run)).collect();
            life.pump.run();
            let answers: Vec<_> = pending.into_iter().filter_map(|mut answer| ready(&mut answer)).collect();
            ensure!(answers.len() == commands.len(), ANSWERS, "{} of {}", answers.len(), commands.len());
            let refusal = answers.iter().find_map(|answer| match answer {
                Err(error @ (StoreError::WriteFailed { .. } | StoreError::DiskFull)) => Some(error),
                _ => None,
            });
            if let Some(refusal) = refusal {
                run.note(format_args!("refused: {refusal}"));
                if matches!(refusal, StoreError::DiskFull) {
                    run.count("disk: full");
                }
                self.readable(run, life, &commands)?;
                return Ok(commands);
            }
            self.model = ended;
            (0..over).for_each(|_| run.count("store: lease ended"));
            for (command, answer) in commands.iter().zip(&answers) {
                let expected = self.model.apply(command, run.now_ms);
                run.note(format_args!("{} -> {expected:?}", work::brief(command)));
                ensure!(
                    matches_answer(expected, answer),
                    ANSWERS,
                    "{command:?}: {answer:?}, not {expected:?}"
                );
                if expected == model::Answer::LeaseEnded {
                    run.count("store: lease ended refused a write");
                }
            }
            self.watched(life)?;
        }
        Ok(Vec::new())
    }

    fn time_passes(&mut self, run: &mut Run) {
        run.now_ms += run.random.below(400);
        let jump = if run.has(Bug::WallClockDecides) && run.random.chance(50) { 3_600_000 } else { 0 };
        let skew = self.clock.load(Ordering::Relaxed).saturating_sub(run.now_ms) / 3_600_000 * 3_600_000;
        self.clock.store(run.now_ms + skew + jump, Ordering::Relaxed);
    }

    /// After a refused write everything acknowledged can be read, and nothing more is written.
    fn readable(&mut self, run: &mut Run, life: &mut Life, commands: &[Command]) -> Checked {
        let candidates = [self.model.clone(), self.with(commands, run.now_ms)];
        let entries = life.store.range("", usize::MAX);
        ensure!(entries.is_ok(), READABLE, "{entries:?}");
        let entries = entries.unwrap_or_default();
        let same = |model: &Model| model.entries.values().eq(entries.iter());
        ensure!(candidates.iter().any(same), READABLE, "neither with nor without the refused commit");
        let mut again = life.store.txn(pilothouse_store::Txn::put("later", Vec::new()));
        life.pump.run();
        let refused = ready(&mut again);
        ensure!(matches!(refused, Some(Err(_))), READABLE, "written after a refused sync: {refused:?}");
        Ok(())
    }

    fn with(&self, commands: &[Command], now_ms: u64) -> Model {
        let mut model = self.model.clone();
        model.end_leases(now_ms);
        for command in commands {
            model.apply(command, now_ms);
        }
        model
    }

    fn watched(&self, life: &mut Life) -> Checked {
        while life.seen < self.model.revision {
            let events = ready(&mut life.watch.next());
            let Some(Ok(events)) = events else {
                // Compaction overtook the watch.
                ensure!(life.seen < self.model.compacted, WATCHED, "{events:?} behind {}", life.seen);
                life.seen = self.model.revision;
                return match life.store.watch("", life.seen) {
                    Ok(watch) => {
                        life.watch = watch;
                        Ok(())
                    }
                    Err(error) => Err(Violation { invariant: WATCHED, seen: error.to_string() }),
                };
            };
            let revision = events.first().map_or(0, |event| event.revision);
            ensure!(revision == life.seen + 1, WATCHED, "{revision} after {}", life.seen);
            let expected = self.model.history.iter().filter(|event| event.revision == revision);
            ensure!(
                revision <= self.model.compacted || expected.eq(&events),
                WATCHED,
                "other events of revision {revision}"
            );
            life.seen = revision;
        }
        Ok(())
    }

    /// Ends a life in order, by a kill or by a power cut.
    fn end(&mut self, run: &mut Run, life: Life) {
        if run.random.chance(150) {
            run.count("store: closed in order");
            run.note(format_args!("closed"));
            drop(life);
            self.disk.kill();
        } else {
            // Not dropped before: a dead process does not tidy up.
            self.crash(run);
            drop(life);
        }
    }

    /// Finds out whether the commit in doubt is there.
    fn settle(&mut self, run: &mut Run, doubt: &[Command]) -> Checked {
        if doubt.is_empty() {
            return Ok(());
        }
        let (store, mut pump) = self.start().map_err(does_not_open)?;
        self.boot = self.boot.max(store.boot());
        let mut with = self.with(doubt, run.now_ms);
        // A lease is granted and revoked: its number tells whether one before it was granted.
        let mut granted = store.grant_lease(1);
        pump.run();
        let newest = ready(&mut granted).and_then(Result::ok).unwrap_or(0);
        let expected = [&mut with, &mut self.model].map(|model| {
            let granted = model.apply(&Command::Grant { ttl_ms: 1 }, run.now_ms);
            model.apply(&Command::Revoke(newest), run.now_ms);
            granted
        });
        let _revoked = store.revoke_lease(newest);
        pump.run();
        let applied = expected[0] == model::Answer::Lease(newest)
            && leases_are(&with, &self.model, &store, &mut pump)
            && with.difference(&store).is_none();
        if applied {
            self.model = with;
        }
        let outcome =
            if applied { "store: commit in doubt was there" } else { "store: commit in doubt was not there" };
        run.count(outcome);
        run.note(format_args!("{outcome}"));
        let difference = self.model.difference(&store);
        self.crash(run);
        difference.map_or(Ok(()), |seen| Err(Violation { invariant: ACKNOWLEDGED, seen }))
    }

    fn compare(&self, store: &Embedded) -> Checked {
        self.model.difference(store).map_or(Ok(()), |seen| Err(Violation { invariant: ACKNOWLEDGED, seen }))
    }

    fn count_damage(&self, run: &mut Run) {
        let damage = self.disk.damage();
        for (what, count) in [
            ("disk: write lost", damage.lost),
            ("disk: write torn", damage.torn),
            ("disk: write refused", damage.refused),
            ("disk: sync refused", damage.refused_syncs),
        ] {
            (0..count).for_each(|_| run.count(what));
        }
    }
}

fn does_not_open(error: StoreError) -> Violation {
    Violation { invariant: ACKNOWLEDGED, seen: format!("the store does not open: {error}") }
}

/// Whether the store has the leases of one state, where another is possible, too.
fn leases_are(expected: &Model, other: &Model, store: &Embedded, pump: &mut Pump) -> bool {
    expected.leases.keys().chain(other.leases.keys()).all(|id| {
        let mut alive = store.keep_alive(*id);
        pump.run();
        matches!(ready(&mut alive), Some(Ok(alive)) if alive == expected.leases.contains_key(id))
    })
}
