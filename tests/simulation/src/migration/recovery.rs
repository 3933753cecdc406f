//! The host dies and comes back: what it recovers from.
//!
//! journal (some entries got through, some did not) + owner records, read anew -> real [`recover`] -> sagas that go on
//!
//! Invariant: every migration whose journal has no end goes on, and no other.

use pilothouse_core::time::Now;
use pilothouse_migration::id::MigrationId;
use pilothouse_migration::saga::{Entry, Note};

use super::host::{Host, JOURNAL, recover};
use super::{Event, World};
use crate::bug::Bug;
use crate::run::{Checked, Run, Violation};

impl World {
    pub(super) fn host_crash(&mut self, run: &mut Run) {
        if self.host.down {
            return;
        }
        run.count("host: crash");
        let through = run.random.index(self.host.writing.len() + 1);
        run.note(format_args!(
            "the host crashes, {through} of {} entries get through",
            self.host.writing.len()
        ));
        let written: Vec<Entry> = self.host.writing.drain(..).take(through).collect();
        for entry in written {
            self.host.journal.entry(entry.migration).or_default().push(entry);
        }
        let journal = std::mem::take(&mut self.host.journal);
        self.host = Host::after(&self.host, journal);
        let back_ms = run.random.between(5, 3_000);
        self.stage.after(run, back_ms, Event::HostUp);
    }

    /// Recovers every migration whose journal has no end.
    pub(super) fn host_up(&mut self, run: &mut Run) -> Checked {
        if !std::mem::replace(&mut self.host.down, false) {
            return Ok(());
        }
        run.note(format_args!("the host is up"));
        let journals: Vec<(MigrationId, Vec<Entry>)> = self.host.journal.clone().into_iter().collect();
        for (migration, entries) in journals {
            let Some(first) = entries.first() else { continue };
            let Note::Begin(charter) = &first.note else { continue };
            let workload = self.workload_index(&charter.workload);
            let owner = self.owners[workload].clone();
            let seen = if run.has(Bug::PartialRecovery) { entries.len().max(2) - 1 } else { entries.len() };
            let recovered = recover(run, &entries[..seen.min(entries.len())], &owner, Now(run.now_ms));
            let (saga, commands) =
                recovered.map_err(|error| Violation { invariant: JOURNAL, seen: error.to_string() })?;
            if saga.status().outcome.is_some() {
                continue;
            }
            run.count("migration: recovered after a crash");
            run.note(format_args!("{migration} is recovered, the owner is {owner:?}"));
            self.host.sagas.insert(migration, saga);
            self.carry_out(run, migration, commands);
        }
        Ok(())
    }
}
