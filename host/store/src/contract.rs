//! The contract that every store fulfils: etcd's semantics; [`crate::suite`] checks it.
//!
//! transaction -> revision -> entries, changes and watchers
//!
//! Invariant: every change has one revision; revisions only grow, and who reads the changes after a revision misses none or
//! is told so. A failed condition has no second branch as in etcd: the caller reads again and decides.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

use crate::error::StoreError;

/// A value that comes later.
pub type Pending<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// Names a lease; never 0.
pub type LeaseId = u64;

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
    /// Writes since it was made, 1 = made and not written again.
    pub version: u64,
    /// The lease it ends with.
    pub lease: Option<LeaseId>,
}

/// A condition of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// The key does not exist.
    Absent(String),
    /// The key exists.
    Exists(String),
    /// The key's newest write is of this revision.
    ModRevision(String, u64),
    /// The key was written this often since it was made.
    Version(String, u64),
    /// The key has this value.
    Value(String, Vec<u8>),
}

/// A write of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Writes a value.
    Put(String, Vec<u8>),
    /// Writes a value that is removed when the lease ends.
    PutLeased(String, Vec<u8>, LeaseId),
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
    /// The store's revision after it; not moved by a transaction that changed nothing.
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

/// Follows the changes of keys with a prefix. Ends with its first error.
pub trait Watch: Send + Debug {
    /// The changes of the next revision that has any: all of them, in order, never none.
    ///
    /// After an error, read everything again and watch from the revision of that read.
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Result<Vec<WatchEvent>, StoreError>> + Send + '_>>;
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

    /// As [`Store::range`], but only keys behind `after`: the next page.
    ///
    /// # Errors
    /// [`StoreError`].
    fn range_after(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<Entry>, StoreError>;

    /// Queues a transaction at once (so order is the order of calls) and answers when it is durable.
    ///
    /// After [`StoreError::WriteFailed`] or [`StoreError::DiskFull`] it is unknown whether the transaction is on disk: the next
    /// start tells. After every other error it is not.
    fn txn(&self, txn: Txn) -> Pending<TxnOutcome>;

    /// Changes after a revision, in order, of keys with a prefix.
    ///
    /// # Errors
    /// [`StoreError::Compacted`] if the revision is no longer kept.
    fn changes(&self, prefix: &str, after: u64) -> Result<Vec<WatchEvent>, StoreError>;

    /// Follows the changes after a revision, for as long as the store is open.
    ///
    /// # Errors
    /// [`StoreError::Compacted`] if the revision is no longer kept.
    fn watch(&self, prefix: &str, after: u64) -> Result<Box<dyn Watch>, StoreError>;

    /// Forgets the changes up to a revision; entries stay.
    fn compact(&self, up_to: u64) -> Pending<()>;

    /// Makes a lease that ends `ttl_ms` after its last [`Store::keep_alive`], by the store's clock. A restart renews it.
    fn grant_lease(&self, ttl_ms: u64) -> Pending<LeaseId>;

    /// Renews a lease; false = it has ended.
    fn keep_alive(&self, lease: LeaseId) -> Pending<bool>;

    /// Ends a lease and removes its keys in one revision.
    fn revoke_lease(&self, lease: LeaseId) -> Pending<TxnOutcome>;

    /// The newest revision.
    fn revision(&self) -> u64;

    /// How often the store was opened.
    fn boot(&self) -> u32;
}
