//! The durable contract (etcd's semantics: revisions, compare-and-swap, watch from a revision) and its embedded
//! implementation on redb.
//!
//! transaction -> queue -> one writer thread, many transactions per commit -> durable -> answer
//!
//! Invariant: an answer is given only after its transaction is on disk, transactions are applied in the order in which
//! they were queued, and each is applied whole or not at all. Large things (components, workload state) do not go
//! through here. The implementation on etcd is not here yet.

mod contract;
mod embedded;
mod error;
pub mod suite;

pub use contract::{Check, Entry, LeaseId, Op, Pending, Store, Txn, TxnOutcome, Watch, WatchEvent};
pub use embedded::{Embedded, MonotonicClock, Pump};
pub use error::StoreError;
pub use redb::StorageBackend;

/// Longest key, bytes: as much as redb and etcd handle without a second page.
pub const KEY_BYTES_MAX: usize = 1 << 10;
/// Largest value, bytes: etcd refuses requests above 1.5 MiB.
pub const VALUE_BYTES_MAX: usize = 1 << 20;
/// Most operations of a transaction, as in etcd.
pub const OPS_MAX: usize = 128;
/// Transactions that may wait for the writer: some seconds of a slow disk, then callers are told to wait.
pub const QUEUE_MAX: usize = 16_384;
/// Bytes that may wait for the writer: bounds the memory of a burst of large values.
pub const QUEUE_BYTES_MAX: usize = 64 << 20;
/// Newest revisions kept for watchers: minutes of ordinary work.
pub const HISTORY_REVISIONS: u64 = 10_000;
/// Bytes of history kept, whatever the revisions: bounds the file.
pub const HISTORY_BYTES_MAX: u64 = 64 << 20;
/// Most leases: ten per member of the largest fleet we test.
pub const LEASES_MAX: usize = 100_000;
