//! What can go wrong, by what the caller should do.
//!
//! redb or the system -> [`StoreError`] -> the caller's decision
//!
//! Invariant: one variant per decision. How an error is shown over a transport is not here.

use std::path::PathBuf;

/// Why a call failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The writer is behind; try again later.
    #[error("the store is busy; try again")]
    Busy,
    /// The key, value or transaction is over its bound; send less.
    #[error("{what} is {found}, at most {limit} is allowed")]
    TooLarge {
        /// What.
        what: &'static str,
        /// How much.
        found: usize,
        /// The bound.
        limit: usize,
    },
    /// The wanted revision is no longer kept; read everything again.
    #[error("revision {wanted} is no longer kept, the oldest is {oldest}; read again from the start")]
    Compacted {
        /// Wanted.
        wanted: u64,
        /// Oldest kept.
        oldest: u64,
    },
    /// A stored value is not what was written. Restore the store, or delete the key.
    #[error("the value of `{key}` is damaged on disk; restore the store from a backup or delete the key")]
    Corrupt {
        /// Its key.
        key: String,
    },
    /// The disk refused a write. Nothing more is written until a restart; reads still work.
    #[error("the disk refused a write ({reason}); nothing is written until the server is restarted")]
    WriteFailed {
        /// The system's reason.
        reason: String,
    },
    /// No space is left. Nothing more is written until a restart; reads still work.
    #[error("the disk is full; free some space and restart the server")]
    DiskFull,
    /// The disk refused a read.
    #[error("the disk refused a read ({reason})")]
    ReadFailed {
        /// The system's reason.
        reason: String,
    },
    /// The lease has ended; grant another.
    #[error("lease {lease} has ended")]
    LeaseEnded {
        /// Its name.
        lease: u64,
    },
    /// Another process has the store open.
    #[error("another server is using the store in {}", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// Cannot open.
    #[error("cannot use the store in {}: {reason}", path.display())]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// Written by a newer release.
    #[error("the store has format {found}, this release knows up to {known}; use a newer release")]
    NewerFormat {
        /// Found.
        found: u64,
        /// Known.
        known: u64,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}
