//! The contract on redb, in this process.
//!
//! [`Embedded::txn`] -> queue -> [`writer`]: everything queued becomes one commit -> answers; reads go to redb directly
//!
//! Invariant: one process has the folder; a call that writes has its place in the queue when it returns. Dropping the store
//! commits what is queued and lets go of the folder.

mod apply;
#[cfg(test)]
mod crash_tests;
mod disk;
mod pump;
#[cfg(test)]
mod simulated;
mod tables;
#[cfg(test)]
mod tests;
mod watch;
mod writer;

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Bound;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use redb::{Database, ReadableDatabase, ReadableTable};
use tokio::sync::oneshot;

pub use self::pump::Pump;

use self::apply::{Command, Outcome};
use self::tables::{
    ENTRIES, FORMAT, HISTORY, LEASE_KEYS, LEASES, META, META_BOOT, META_FORMAT, META_REVISION, decode_entry,
};
use self::watch::EmbeddedWatch;
use self::writer::{Lease, View, Waiting, Writer};
use crate::contract::{Entry, LeaseId, Op, Pending, Store, Txn, TxnOutcome, Watch, WatchEvent};
use crate::error::StoreError;
use crate::{KEY_BYTES_MAX, OPS_MAX, QUEUE_BYTES_MAX, QUEUE_MAX, VALUE_BYTES_MAX};

/// Time since some fixed moment; never goes back.
pub type MonotonicClock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// A store in a folder.
#[derive(Debug)]
pub struct Embedded {
    /// `None` only while the store is dropped.
    queue: Option<SyncSender<Waiting>>,
    /// `None` while the store is dropped, and if a [`Pump`] does its work.
    writer: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
    boot: u32,
}

/// What callers, watches and the writer share.
#[derive(Debug)]
struct Shared {
    /// Replaced once, by a view of the disk, after the disk refused a write.
    database: RwLock<Arc<Database>>,
    newest: tokio::sync::watch::Sender<u64>,
    /// Why nothing is written any more.
    failed: OnceLock<StoreError>,
    queued_bytes: AtomicUsize,
    /// Declared after the database, so it is let go of after it.
    _lock: Option<File>,
}

impl Shared {
    fn database(&self) -> Arc<Database> {
        Arc::clone(&self.database.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, database: Database) {
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(database);
    }

    /// Reads, and once more if the database was replaced meanwhile: redb refuses reads after a failed write.
    fn reading<T>(&self, read: impl Fn(&Database) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let database = self.database();
        match read(&database) {
            Err(StoreError::ReadFailed { .. }) if !Arc::ptr_eq(&database, &self.database()) => {
                read(&self.database())
            }
            other => other,
        }
    }
}

impl Embedded {
    /// Opens the store in a folder, which must exist.
    ///
    /// # Errors
    /// [`StoreError::Locked`], [`StoreError::NewerFormat`], or [`StoreError::Unusable`].
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Self::open_with_clock(dir, system_clock())
    }

    /// As [`Embedded::open`], with the clock by which leases end.
    ///
    /// # Errors
    /// As [`Embedded::open`].
    pub fn open_with_clock(dir: &Path, clock: MonotonicClock) -> Result<Self, StoreError> {
        let lock = disk::lock(dir)?;
        let database = disk::open(dir).map_err(|error| unusable(dir, error))?;
        let folder = dir.to_owned();
        Self::start(dir, database, Some(lock), Box::new(move || disk::view(&folder)), clock)
    }

    fn start(
        dir: &Path,
        database: Database,
        lock: Option<File>,
        view: View,
        clock: MonotonicClock,
    ) -> Result<Self, StoreError> {
        let (mut store, writer) = Self::without_thread(dir, database, lock, view, clock)?;
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| unusable(dir, error))?;
        store.writer = Some(thread);
        Ok(store)
    }

    fn without_thread(
        dir: &Path,
        database: Database,
        lock: Option<File>,
        view: View,
        clock: MonotonicClock,
    ) -> Result<(Self, Writer), StoreError> {
        let begun = begin(&database).map_err(|error| match error {
            Begin::Newer(found) => StoreError::NewerFormat { found, known: FORMAT },
            Begin::Redb(error) => unusable(dir, error),
        })?;
        let shared = Arc::new(Shared {
            database: RwLock::new(Arc::new(database)),
            newest: tokio::sync::watch::Sender::new(begun.revision),
            failed: OnceLock::new(),
            queued_bytes: AtomicUsize::new(0),
            _lock: lock,
        });
        let now = clock();
        let renewed = |(id, ttl_ms)| {
            let ttl = Duration::from_millis(ttl_ms);
            (id, Lease { ttl, ends: now.saturating_add(ttl) })
        };
        let leases: BTreeMap<_, _> = begun.leases.into_iter().map(renewed).collect();
        let (queue, waiting) = sync_channel(QUEUE_MAX);
        let writer = Writer { shared: Arc::clone(&shared), queue: waiting, clock, leases, view };
        Ok((Self { queue: Some(queue), writer: None, shared, boot: begun.boot }, writer))
    }

    /// Queues a command now, answers later.
    fn ask<T>(
        &self,
        command: Command,
        bytes: usize,
        answer_of: impl FnOnce(Outcome) -> T + Send + 'static,
    ) -> Pending<T> {
        let (answer, outcome) = oneshot::channel();
        let queued = self.enqueue(Waiting { command, bytes, answer: Some(answer) });
        Box::pin(async move {
            queued?;
            outcome.await.map_err(|_| StoreError::Closed)?.map(answer_of)
        })
    }

    fn enqueue(&self, waiting: Waiting) -> Result<(), StoreError> {
        if let Command::Txn(txn) = &waiting.command {
            check_bounds(txn)?;
        }
        let bytes = waiting.bytes;
        let queued = if self.shared.queued_bytes.fetch_add(bytes, Ordering::Relaxed) > QUEUE_BYTES_MAX {
            Err(StoreError::Busy)
        } else {
            let queue = self.queue.as_ref().ok_or(StoreError::Closed)?;
            queue.try_send(waiting).map_err(|error| match error {
                TrySendError::Full(_) => StoreError::Busy,
                TrySendError::Disconnected(_) => StoreError::Closed,
            })
        };
        if queued.is_err() {
            self.shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        queued
    }

    fn page(&self, prefix: &str, from: Bound<&str>, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.shared.reading(|database| {
            let table = entries(database)?;
            let mut found = Vec::new();
            for item in table.range::<&str>((from, Bound::Unbounded)).map_err(read_failed)?.take(limit) {
                let (key, bytes) = item.map_err(read_failed)?;
                if !key.value().starts_with(prefix) {
                    break;
                }
                found.push(decode_entry(key.value(), bytes.value())?);
            }
            Ok(found)
        })
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // Without a sender the writer ends after what is queued.
        drop(self.queue.take());
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

impl Store for Embedded {
    fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        self.shared.reading(|database| {
            let found = entries(database)?.get(key).map_err(read_failed)?;
            found.map(|bytes| decode_entry(key, bytes.value())).transpose()
        })
    }

    fn range(&self, prefix: &str, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.page(prefix, Bound::Included(prefix), limit)
    }

    fn range_after(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let from = if after < prefix { Bound::Included(prefix) } else { Bound::Excluded(after) };
        self.page(prefix, from, limit)
    }

    fn txn(&self, txn: Txn) -> Pending<TxnOutcome> {
        let bytes = txn.ops.iter().map(|op| sizes(op).0 + sizes(op).1).sum();
        self.ask(Command::Txn(txn), bytes, txn_outcome)
    }

    fn changes(&self, prefix: &str, after: u64) -> Result<Vec<WatchEvent>, StoreError> {
        Ok(self.shared.reading(|database| watch::read(database, prefix, after, usize::MAX))?.events)
    }

    fn watch(&self, prefix: &str, after: u64) -> Result<Box<dyn Watch>, StoreError> {
        self.shared.reading(|database| watch::read(database, prefix, after, 0))?;
        Ok(Box::new(EmbeddedWatch {
            shared: Arc::downgrade(&self.shared),
            newest: self.shared.newest.subscribe(),
            prefix: prefix.to_owned(),
            position: after,
            ready: Vec::new(),
        }))
    }

    fn compact(&self, up_to: u64) -> Pending<()> {
        self.ask(Command::Compact { up_to }, 0, |_| ())
    }

    fn grant_lease(&self, ttl_ms: u64) -> Pending<LeaseId> {
        self.ask(Command::Grant { ttl_ms }, 0, |outcome| outcome.lease)
    }

    fn keep_alive(&self, lease: LeaseId) -> Pending<bool> {
        self.ask(Command::KeepAlive(lease), 0, |outcome| outcome.applied)
    }

    fn revoke_lease(&self, lease: LeaseId) -> Pending<TxnOutcome> {
        self.ask(Command::Revoke(lease), 0, txn_outcome)
    }

    fn revision(&self) -> u64 {
        *self.shared.newest.borrow()
    }

    fn boot(&self) -> u32 {
        self.boot
    }
}

enum Begin {
    Newer(u64),
    Redb(redb::Error),
}

impl<E: Into<redb::Error>> From<E> for Begin {
    fn from(error: E) -> Self {
        Self::Redb(error.into())
    }
}

/// What a start finds.
struct Begun {
    revision: u64,
    boot: u32,
    leases: Vec<(LeaseId, u64)>,
}

/// Checks the format, makes the tables, counts the start.
fn begin(database: &Database) -> Result<Begun, Begin> {
    let mut write = database.begin_write()?;
    write.set_two_phase_commit(true);
    let begun = {
        let mut meta = write.open_table(META)?;
        let read =
            |name: &str| -> Result<u64, Begin> { Ok(meta.get(name)?.map_or(0, |found| found.value())) };
        let (format, boot, revision) = (read(META_FORMAT)?, read(META_BOOT)? + 1, read(META_REVISION)?);
        if format > FORMAT {
            return Err(Begin::Newer(format));
        }
        write.open_table(ENTRIES)?;
        write.open_table(HISTORY)?;
        write.open_table(LEASE_KEYS)?;
        let mut leases = Vec::new();
        for item in write.open_table(LEASES)?.iter()? {
            let (id, ttl_ms) = item?;
            leases.push((id.value(), ttl_ms.value()));
        }
        meta.insert(META_FORMAT, FORMAT)?;
        meta.insert(META_BOOT, boot)?;
        Begun { revision, boot: u32::try_from(boot).unwrap_or(u32::MAX), leases }
    };
    write.commit()?;
    Ok(begun)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the store reads time, unless it is given a clock"
)]
fn system_clock() -> MonotonicClock {
    let start = std::time::Instant::now();
    Arc::new(move || start.elapsed())
}

fn entries(database: &Database) -> Result<redb::ReadOnlyTable<&'static str, &'static [u8]>, StoreError> {
    database.begin_read().map_err(read_failed)?.open_table(ENTRIES).map_err(read_failed)
}

fn read_failed(error: impl std::fmt::Display) -> StoreError {
    StoreError::ReadFailed { reason: error.to_string() }
}

fn unusable(dir: &Path, error: impl std::fmt::Display) -> StoreError {
    StoreError::Unusable { path: dir.to_owned(), reason: error.to_string() }
}

fn txn_outcome(outcome: Outcome) -> TxnOutcome {
    TxnOutcome { applied: outcome.applied, revision: outcome.revision }
}

/// Bytes of an operation's key and value.
fn sizes(op: &Op) -> (usize, usize) {
    match op {
        Op::Put(key, value) | Op::PutLeased(key, value, _) => (key.len(), value.len()),
        Op::Delete(key) => (key.len(), 0),
    }
}

fn check_bounds(txn: &Txn) -> Result<(), StoreError> {
    let bound = |what, found, limit| {
        if found > limit { Err(StoreError::TooLarge { what, found, limit }) } else { Ok(()) }
    };
    bound("the number of operations", txn.ops.len(), OPS_MAX)?;
    bound("the number of checks", txn.checks.len(), OPS_MAX)?;
    for (key_bytes, value_bytes) in txn.ops.iter().map(sizes) {
        bound("the key (bytes)", key_bytes, KEY_BYTES_MAX)?;
        bound("the value (bytes)", value_bytes, VALUE_BYTES_MAX)?;
    }
    Ok(())
}
