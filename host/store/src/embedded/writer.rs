//! The one thread that writes.
//!
//! queue -> everything waiting becomes one commit (two-phase, fsynced) -> answers, watchers, lease deadlines
//!
//! Invariant: an answer leaves after its commit is on disk. After a commit that failed nothing is written any more (an fsync
//! is never tried again) and readers get what the disk holds. What a command does to the tables is not here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use redb::{Database, Durability};
use tokio::sync::oneshot;

use super::apply::{Batch, Command, Outcome};
use super::{MonotonicClock, Shared};
use crate::contract::LeaseId;
use crate::error::StoreError;

/// Most commands of one commit: enough to keep the disk busy, few enough to answer soon.
const BATCH_MAX: usize = 1_024;
/// Longest sleep while there are leases: the store's clock need not run like the system's.
const LEASE_TICK: Duration = Duration::from_millis(250);

/// A command, its bytes in the queue, and who waits for it.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) command: Command,
    pub(super) bytes: usize,
    pub(super) answer: Option<oneshot::Sender<Result<Outcome, StoreError>>>,
}

/// A lease in memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lease {
    pub(super) ttl: Duration,
    /// By the store's clock.
    pub(super) ends: Duration,
}

/// Opens what is on disk for reading, after the disk refused a write.
pub(super) type View = Box<dyn Fn() -> Result<Database, redb::DatabaseError> + Send>;

pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) queue: Receiver<Waiting>,
    pub(super) clock: MonotonicClock,
    pub(super) leases: BTreeMap<LeaseId, Lease>,
    pub(super) view: View,
}

impl Writer {
    pub(super) fn run(mut self) {
        while let Some(batch) = self.collect() {
            self.serve(batch);
        }
    }

    /// One commit of what waits now; answers with the number of commands in it.
    pub(super) fn run_once(&mut self) -> usize {
        let batch = self.fill(self.ended_leases());
        let count = batch.len();
        if count > 0 {
            self.serve(batch);
        }
        count
    }

    fn serve(&mut self, batch: Vec<Waiting>) {
        let (commands, answers): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|waiting| (waiting.command, waiting.answer)).unzip();
        let outcomes = match self.shared.failed.get() {
            Some(error) => Err(error.clone()),
            None => self.commit(&commands).map_err(|error| self.give_up(&error)),
        };
        for (index, answer) in answers.into_iter().enumerate() {
            let outcome = match &outcomes {
                Ok(outcomes) => outcomes.get(index).cloned().unwrap_or(Err(StoreError::Closed)),
                Err(error) => Err(error.clone()),
            };
            if let Some(answer) = answer {
                // A caller that no longer waits does not mind.
                let _ = answer.send(outcome);
            }
        }
    }

    /// Ended leases and everything that waits; `None` when the store is closed and the queue empty.
    fn collect(&mut self) -> Option<Vec<Waiting>> {
        let mut batch = self.ended_leases();
        while batch.is_empty() {
            match self.queue.recv_timeout(self.patience()) {
                Ok(waiting) => batch.push(waiting),
                Err(RecvTimeoutError::Timeout) => batch = self.ended_leases(),
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
        Some(self.fill(batch))
    }

    /// Adds what waits, as far as a commit goes.
    fn fill(&self, mut batch: Vec<Waiting>) -> Vec<Waiting> {
        while batch.len() < BATCH_MAX
            && let Ok(waiting) = self.queue.try_recv()
        {
            batch.push(waiting);
        }
        let bytes = batch.iter().map(|waiting| waiting.bytes).sum();
        self.shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        batch
    }

    fn ended_leases(&self) -> Vec<Waiting> {
        if self.leases.is_empty() || self.shared.failed.get().is_some() {
            return Vec::new();
        }
        let now = (self.clock)();
        let ended = self.leases.iter().filter(|(_, lease)| lease.ends <= now);
        let revoke =
            |(id, _): (&LeaseId, _)| Waiting { command: Command::Revoke(*id), bytes: 0, answer: None };
        ended.take(BATCH_MAX).map(revoke).collect()
    }

    /// How long to wait for a command.
    fn patience(&self) -> Duration {
        if self.shared.failed.get().is_some() {
            return Duration::MAX;
        }
        let Some(next) = self.leases.values().map(|lease| lease.ends).min() else { return Duration::MAX };
        next.saturating_sub((self.clock)()).clamp(Duration::from_millis(1), LEASE_TICK)
    }

    fn commit(&mut self, commands: &[Command]) -> Result<Vec<Result<Outcome, StoreError>>, redb::Error> {
        let mut write = self.shared.database().begin_write()?;
        write.set_durability(Durability::Immediate)?;
        write.set_two_phase_commit(true);
        let mut batch = Batch::open(&write)?;
        let outcomes = commands.iter().map(|command| batch.run(command)).collect::<Result<Vec<_>, _>>()?;
        match batch.finish()? {
            Some(revision) => {
                write.commit()?;
                // Before the answers: who has one reads at least its revision.
                self.shared.newest.send_replace(revision);
            }
            None => write.abort()?,
        }
        for (command, outcome) in commands.iter().zip(&outcomes) {
            if let Ok(outcome) = outcome {
                self.note_lease(command, outcome);
            }
        }
        Ok(outcomes)
    }

    fn note_lease(&mut self, command: &Command, outcome: &Outcome) {
        match command {
            Command::Grant { ttl_ms } => {
                let ttl = Duration::from_millis(*ttl_ms);
                let ends = (self.clock)().saturating_add(ttl);
                self.leases.insert(outcome.lease, Lease { ttl, ends });
            }
            Command::KeepAlive(id) => {
                if let Some(lease) = self.leases.get_mut(id) {
                    lease.ends = (self.clock)().saturating_add(lease.ttl);
                }
            }
            Command::Revoke(id) => {
                self.leases.remove(id);
            }
            Command::Txn(_) | Command::Compact { .. } => {}
        }
    }

    /// Stops writing for good and lets readers have what is on disk.
    fn give_up(&self, error: &redb::Error) -> StoreError {
        tracing::error!(%error, "the store cannot write any more; reads go on");
        let failure = match error {
            redb::Error::Io(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
                ) =>
            {
                StoreError::DiskFull
            }
            other => StoreError::WriteFailed { reason: other.to_string() },
        };
        match (self.view)() {
            Ok(database) => self.shared.replace(database),
            Err(error) => tracing::error!(%error, "the store cannot be read again either"),
        }
        self.shared.failed.get_or_init(|| failure).clone()
    }
}
