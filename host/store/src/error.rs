//! What can go wrong, by what the caller should do.

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
    /// A stored value is not what was written.
    #[error("the value of `{key}` is damaged on disk; restore it from a backup")]
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
    /// Cannot read or open.
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
