//! The durable contract (etcd's semantics: revisions, compare-and-swap, watch from a revision) and its embedded
//! implementation on redb.
//!
//! transaction -> queue -> one writer thread, many transactions per commit -> durable -> answer
//!
//! Invariant: an answer is given only after its transaction is on disk, transactions are applied in the order in which
//! they were queued, and each is applied whole or not at all. Large things (components, workload state) do not go
//! through here. Leases and etcd itself are not here yet.

mod contract;
mod embedded;
mod error;
pub mod suite;

pub use contract::{Check, Entry, Op, Pending, Store, Txn, TxnOutcome, WatchEvent};
pub use embedded::Embedded;
pub use error::StoreError;

/// Longest key, bytes.
pub const KEY_BYTES_MAX: usize = 1 << 10;
/// Largest value, bytes.
pub const VALUE_BYTES_MAX: usize = 1 << 20;
/// Most operations of a transaction.
pub const OPS_MAX: usize = 128;
/// Transactions that may wait for the writer.
pub const QUEUE_MAX: usize = 16_384;
/// Newest revisions kept for watchers.
pub const HISTORY_REVISIONS: u64 = 10_000;
