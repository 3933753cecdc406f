//! The contract that every store fulfils; [`crate::suite`] checks it.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

use crate::error::StoreError;

/// A value that comes later.
pub type Pending<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Key.
    pub key: String,
    /// Value.
    pub value: Vec<u8>,
    /// Revision of its newest write.
    pub mod_revision: u64,
    /// Revision of the write that made it.
    pub create_revision: u64,
}

/// A condition of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// The key does not exist.
    Absent(String),
    /// The key's newest write is of this revision.
    ModRevision(String, u64),
}

/// A write of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Writes a value.
    Put(String, Vec<u8>),
    /// Removes a key.
    Delete(String),
}

/// Conditions, and the writes if all of them hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Txn {
    /// Conditions.
    pub checks: Vec<Check>,
    /// Writes.
    pub ops: Vec<Op>,
}

impl Txn {
    /// Writes one value.
    #[must_use]
    pub fn put(key: impl Into<String>, value: Vec<u8>) -> Self {
        Self { checks: Vec::new(), ops: vec![Op::Put(key.into(), value)] }
    }

    /// Removes one key.
    #[must_use]
    pub fn delete(key: impl Into<String>) -> Self {
        Self { checks: Vec::new(), ops: vec![Op::Delete(key.into())] }
    }
}

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TxnOutcome {
    /// Whether its conditions held and its writes were made.
    pub applied: bool,
    /// The store's revision after it.
    pub revision: u64,
}

/// One change, for watchers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchEvent {
    /// Revision that made it.
    pub revision: u64,
    /// Key.
    pub key: String,
    /// The new value; `None` = removed.
    pub value: Option<Vec<u8>>,
}

/// A durable store.
pub trait Store: Send + Sync + Debug {
    /// The newest value of a key.
    ///
    /// # Errors
    /// [`StoreError`].
    fn get(&self, key: &str) -> Result<Option<Entry>, StoreError>;

    /// Entries whose keys start with a prefix, in order of keys, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    fn range(&self, prefix: &str, limit: usize) -> Result<Vec<Entry>, StoreError>;

    /// Queues a transaction at once (so order is the order of calls) and answers when it is durable.
    fn txn(&self, txn: Txn) -> Pending<TxnOutcome>;

    /// Changes after a revision, in order, of keys with a prefix.
    ///
    /// # Errors
    /// [`StoreError::Compacted`] if the revision is no longer kept.
    fn changes(&self, prefix: &str, after: u64) -> Result<Vec<WatchEvent>, StoreError>;

    /// The newest revision.
    fn revision(&self) -> u64;

    /// How often the store was opened.
    fn boot(&self) -> u32;
}
