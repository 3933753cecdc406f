//! The contract on redb, in this process.
//!
//! [`Embedded::txn`] -> queue -> writer thread: everything queued becomes one commit (two-phase, fsynced) -> answers
//!
//! Invariant: every value carries a checksum over key and value; a mismatch is an error that names the key. After a failed
//! commit nothing more is written (an fsync is never tried again), while reads go on.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use redb::{Database, Durability, ReadableDatabase, ReadableTable, Table, TableDefinition};
use tokio::sync::{mpsc, oneshot};
use xxhash_rust::xxh3::Xxh3;

use crate::contract::{Check, Entry, Op, Pending, Store, Txn, TxnOutcome, WatchEvent};
use crate::error::StoreError;
use crate::{HISTORY_REVISIONS, KEY_BYTES_MAX, OPS_MAX, QUEUE_MAX, VALUE_BYTES_MAX};

/// Format of the tables below.
const FORMAT: u64 = 1;
/// Most transactions of one commit: enough to keep the disk busy, few enough to answer soon.
const BATCH_MAX: usize = 1_024;
/// Checksum, create revision, modification revision.
const HEADER_BYTES: usize = 24;

const ENTRIES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("entries");
/// (revision, index within it) -> tag, key and value.
const HISTORY: TableDefinition<'_, (u64, u32), (&str, Option<&[u8]>)> = TableDefinition::new("history");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

type Waiting = (Txn, oneshot::Sender<Result<TxnOutcome, StoreError>>);

/// A store in a file.
#[derive(Debug)]
pub struct Embedded {
    database: Arc<Database>,
    queue: mpsc::Sender<Waiting>,
    shared: Arc<Shared>,
    boot: u32,
}

#[derive(Debug)]
struct Shared {
    revision: AtomicU64,
    failed: AtomicBool,
}

impl Embedded {
    /// Opens the store in a folder, which must exist.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] or [`StoreError::NewerFormat`].
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let unusable = |reason: String| StoreError::Unusable { path: dir.to_owned(), reason };
        let database = Database::create(dir.join("store.redb")).map_err(|error| match error {
            redb::DatabaseError::DatabaseAlreadyOpen => unusable("another server is using it".to_owned()),
            other => unusable(other.to_string()),
        })?;
        let (revision, boot) = begin(&database).map_err(|error| match error {
            Begin::Newer(found) => StoreError::NewerFormat { found, known: FORMAT },
            Begin::Redb(error) => unusable(error.to_string()),
        })?;
        let database = Arc::new(database);
        let shared = Arc::new(Shared { revision: AtomicU64::new(revision), failed: AtomicBool::new(false) });
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let writer = Writer { database: Arc::clone(&database), shared: Arc::clone(&shared) };
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run(waiting))
            .map_err(|error| unusable(error.to_string()))?;
        Ok(Self { database, queue, shared, boot })
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

/// Checks the format, counts the start, gives revision and boot number.
fn begin(database: &Database) -> Result<(u64, u32), Begin> {
    let mut write = database.begin_write()?;
    write.set_two_phase_commit(true);
    let answer = {
        let mut meta = write.open_table(META)?;
        write.open_table(ENTRIES)?;
        write.open_table(HISTORY)?;
        let read =
            |name: &str| -> Result<u64, Begin> { Ok(meta.get(name)?.map_or(0, |found| found.value())) };
        let (format, boot, revision) = (read("format")?, read("boot")? + 1, read("revision")?);
        if format > FORMAT {
            return Err(Begin::Newer(format));
        }
        meta.insert("format", FORMAT)?;
        meta.insert("boot", boot)?;
        (revision, u32::try_from(boot).unwrap_or(u32::MAX))
    };
    write.commit()?;
    Ok(answer)
}

impl Store for Embedded {
    fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        let table = self.read()?;
        let found = table.get(key).map_err(read_failed)?;
        found.map(|bytes| decode(key, bytes.value())).transpose()
    }

    fn range(&self, prefix: &str, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let table = self.read()?;
        let mut entries = Vec::new();
        for item in table.range(prefix..).map_err(read_failed)? {
            let (key, bytes) = item.map_err(read_failed)?;
            if !key.value().starts_with(prefix) || entries.len() >= limit {
                break;
            }
            entries.push(decode(key.value(), bytes.value())?);
        }
        Ok(entries)
    }

    fn txn(&self, txn: Txn) -> Pending<TxnOutcome> {
        let (answer, outcome) = oneshot::channel();
        let queued = check_bounds(&txn).and_then(|()| {
            self.queue.try_send((txn, answer)).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => StoreError::Busy,
                mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
            })
        });
        Box::pin(async move {
            queued?;
            outcome.await.map_err(|_| StoreError::Closed)?
        })
    }

    fn changes(&self, prefix: &str, after: u64) -> Result<Vec<WatchEvent>, StoreError> {
        let read = self.database.begin_read().map_err(read_failed)?;
        let history = read.open_table(HISTORY).map_err(read_failed)?;
        let oldest = read.open_table(META).map_err(read_failed)?.get("oldest").map_err(read_failed)?;
        let oldest = oldest.map_or(0, |found| found.value());
        if after < oldest {
            return Err(StoreError::Compacted { wanted: after, oldest });
        }
        let mut events = Vec::new();
        for item in history.range((after + 1, 0)..).map_err(read_failed)? {
            let (at, change) = item.map_err(read_failed)?;
            let (key, value) = change.value();
            if key.starts_with(prefix) {
                let value = value.map(<[u8]>::to_vec);
                events.push(WatchEvent { revision: at.value().0, key: key.to_owned(), value });
            }
        }
        Ok(events)
    }

    fn revision(&self) -> u64 {
        self.shared.revision.load(Ordering::Acquire)
    }

    fn boot(&self) -> u32 {
        self.boot
    }
}

impl Embedded {
    fn read(&self) -> Result<redb::ReadOnlyTable<&'static str, &'static [u8]>, StoreError> {
        self.database.begin_read().map_err(read_failed)?.open_table(ENTRIES).map_err(read_failed)
    }
}

fn read_failed(error: impl std::fmt::Display) -> StoreError {
    StoreError::Unusable { path: "store.redb".into(), reason: error.to_string() }
}

fn check_bounds(txn: &Txn) -> Result<(), StoreError> {
    let bound = |what, found, limit| {
        if found > limit { Err(StoreError::TooLarge { what, found, limit }) } else { Ok(()) }
    };
    bound("the number of operations", txn.ops.len(), OPS_MAX)?;
    bound("the number of checks", txn.checks.len(), OPS_MAX)?;
    for op in &txn.ops {
        let (key, value_bytes) = match op {
            Op::Put(key, value) => (key, value.len()),
            Op::Delete(key) => (key, 0),
        };
        bound("the key (bytes)", key.len(), KEY_BYTES_MAX)?;
        bound("the value (bytes)", value_bytes, VALUE_BYTES_MAX)?;
    }
    Ok(())
}

struct Writer {
    database: Arc<Database>,
    shared: Arc<Shared>,
}

impl Writer {
    fn run(self, mut waiting: mpsc::Receiver<Waiting>) {
        let mut batch = Vec::new();
        while waiting.blocking_recv_many(&mut batch, BATCH_MAX) > 0 {
            let (txns, answers): (Vec<Txn>, Vec<_>) = batch.drain(..).unzip();
            if self.shared.failed.load(Ordering::Relaxed) {
                answer_all(
                    answers,
                    &StoreError::WriteFailed { reason: "an earlier write failed".to_owned() },
                );
                continue;
            }
            match self.commit(&txns) {
                Ok(outcomes) => {
                    for (answer, outcome) in answers.into_iter().zip(outcomes) {
                        // A caller that no longer waits does not mind.
                        let _ = answer.send(Ok(outcome));
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "the store cannot write any more");
                    self.shared.failed.store(true, Ordering::Relaxed);
                    answer_all(answers, &StoreError::WriteFailed { reason: error.to_string() });
                }
            }
        }
    }

    fn commit(&self, txns: &[Txn]) -> Result<Vec<TxnOutcome>, redb::Error> {
        let mut write = self.database.begin_write()?;
        write.set_durability(Durability::Immediate)?;
        write.set_two_phase_commit(true);
        let mut revision = self.shared.revision.load(Ordering::Relaxed);
        let outcomes = {
            let mut entries = write.open_table(ENTRIES)?;
            let mut history = write.open_table(HISTORY)?;
            let mut meta = write.open_table(META)?;
            let mut outcomes = Vec::with_capacity(txns.len());
            for txn in txns {
                let applied = holds(&entries, &txn.checks)?;
                if applied && !txn.ops.is_empty() {
                    revision += 1;
                    apply(&mut entries, &mut history, &txn.ops, revision)?;
                }
                outcomes.push(TxnOutcome { applied, revision });
            }
            meta.insert("revision", revision)?;
            let oldest = revision.saturating_sub(HISTORY_REVISIONS);
            meta.insert("oldest", oldest)?;
            history.retain_in(..(oldest + 1, 0), |_, _| false)?;
            outcomes
        };
        write.commit()?;
        self.shared.revision.store(revision, Ordering::Release);
        Ok(outcomes)
    }
}

fn answer_all(answers: Vec<oneshot::Sender<Result<TxnOutcome, StoreError>>>, error: &StoreError) {
    for answer in answers {
        let _ = answer.send(Err(error.clone()));
    }
}

fn holds(entries: &Table<'_, &str, &[u8]>, checks: &[Check]) -> Result<bool, redb::Error> {
    for check in checks {
        let (key, wanted) = match check {
            Check::Absent(key) => (key, None),
            Check::ModRevision(key, revision) => (key, Some(*revision)),
        };
        let found = entries.get(key.as_str())?.map(|bytes| number(bytes.value(), 16));
        if found != wanted {
            return Ok(false);
        }
    }
    Ok(true)
}

fn apply(
    entries: &mut Table<'_, &str, &[u8]>,
    history: &mut Table<'_, (u64, u32), (&str, Option<&[u8]>)>,
    ops: &[Op],
    revision: u64,
) -> Result<(), redb::Error> {
    for (index, op) in (0_u32..).zip(ops) {
        match op {
            Op::Put(key, value) => {
                let created = entries.get(key.as_str())?.map_or(revision, |bytes| number(bytes.value(), 8));
                let bytes = encode(key, value, created, revision);
                entries.insert(key.as_str(), bytes.as_slice())?;
                history.insert((revision, index), (key.as_str(), Some(value.as_slice())))?;
            }
            Op::Delete(key) => {
                if entries.remove(key.as_str())?.is_some() {
                    history.insert((revision, index), (key.as_str(), None))?;
                }
            }
        }
    }
    Ok(())
}

fn checksum(key: &str, rest: &[u8]) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(key.as_bytes());
    hash.update(&[0]);
    hash.update(rest);
    hash.digest()
}

fn encode(key: &str, value: &[u8], created: u64, modified: u64) -> Vec<u8> {
    let mut rest = Vec::with_capacity(HEADER_BYTES + value.len());
    rest.extend_from_slice(&created.to_le_bytes());
    rest.extend_from_slice(&modified.to_le_bytes());
    rest.extend_from_slice(value);
    let mut bytes = checksum(key, &rest).to_le_bytes().to_vec();
    bytes.append(&mut rest);
    bytes
}

fn decode(key: &str, bytes: &[u8]) -> Result<Entry, StoreError> {
    let corrupt = || StoreError::Corrupt { key: key.to_owned() };
    let (sum, rest) = bytes.split_at_checked(8).ok_or_else(corrupt)?;
    let value = bytes.get(HEADER_BYTES..).ok_or_else(corrupt)?;
    if checksum(key, rest).to_le_bytes() != *sum {
        return Err(corrupt());
    }
    let (create_revision, mod_revision) = (number(bytes, 8), number(bytes, 16));
    Ok(Entry { key: key.to_owned(), value: value.to_vec(), mod_revision, create_revision })
}

fn number(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|part| part.try_into().ok()).map_or(0, u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_suite_holds() {
        crate::suite::run(async |_round| {
            let dir = tempfile::tempdir().unwrap();
            let store: Arc<dyn Store> = Arc::new(Embedded::open(dir.path()).unwrap());
            (store, dir)
        })
        .await;
    }

    #[tokio::test]
    async fn what_was_answered_is_there_after_reopening() {
        let dir = tempfile::tempdir().unwrap();
        for round in 1..=3_u32 {
            let store = Embedded::open(dir.path()).unwrap();
            assert_eq!(store.boot(), round);
            assert_eq!(store.range("k", 100).unwrap().len(), round as usize - 1);
            store.txn(Txn::put(format!("k{round}"), vec![1])).await.unwrap();
            assert_eq!(store.revision(), u64::from(round));
            close(store);
        }
    }

    /// Waits until the writer has let go of the file.
    fn close(store: Embedded) {
        let Embedded { database, queue, .. } = store;
        drop(queue);
        let mut database = Some(database);
        while let Some(shared) = database.take() {
            database = Arc::try_unwrap(shared).map(drop).err();
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_second_server_on_the_same_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let _first = Embedded::open(dir.path()).unwrap();
        let error = Embedded::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("another server is using it"), "{error}");
    }

    #[test]
    fn a_flipped_bit_is_noticed() {
        let good = encode("k", b"value", 1, 2);
        assert_eq!(decode("k", &good).unwrap().value, b"value");
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(decode("k", &bad), Err(StoreError::Corrupt { .. })), "bit {bit}");
        }
        assert!(decode("other", &good).is_err(), "a value under another key");
    }
}
