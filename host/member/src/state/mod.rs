//! The state of a workload: a directory, moved as an image in chunks and copied as differences.
//!
//! directory -> [`Image::scan`] -> layout, digests -> chunks -> [`Staging`] -> the same directory elsewhere
//! directory -> two scans -> [`Differences`] -> [`SecondCopy`] -> the same directory elsewhere, version by version
//!
//! Invariant: bytes never go under a digest that is not theirs, and a directory that is half made is never found under the
//! name of a state. Files, directories, links within the tree and their rights are state; owners, times, extended
//! attributes, hard links, sockets and pipes are not. Everything here blocks: callers give it threads. Writes survive the death of
//! the member's process, not of its machine: for that there are second copies.

mod copy;
mod delta;
mod image;
mod layout;
mod pack;
mod path;
mod read;
mod record;
mod staging;
mod table;
#[cfg(test)]
mod tests;
mod tree;
mod walk;

use std::io;
use std::path::{Path, PathBuf};

pub use copy::{LOG_BYTES_MAX, Part, Refused, SecondCopy, Version};
pub use delta::{Change, DELTA_BYTES_MAX, DELTA_CHANGES_MAX, Delta, Differences};
pub use image::{ChunkError, Image, KEPT_BYTES_MAX, Reading};
pub use layout::Layout;
pub use pack::{compress, decompress};
pub use staging::Staging;

/// Most files, directories and links of a state.
pub const ENTRIES_MAX: usize = 65_536;
/// Longest path within a state, and longest target of a link, bytes.
pub const PATH_BYTES_MAX: usize = 1_024;
/// Longest table of a state, bytes.
pub const TABLE_BYTES_MAX: u64 = 16 << 20;
/// Smallest chunk, bytes.
pub const CHUNK_BYTES_MIN: u32 = 4 << 10;
/// Largest chunk, bytes: one message.
pub const CHUNK_BYTES_MAX: u32 = 1 << 20;
/// Most chunks of an image; the same as a migration's manifest has.
pub const CHUNKS_MAX: u32 = 1 << 18;

/// Longest content of a state, bytes.
pub const CONTENT_BYTES_MAX: u64 = CHUNKS_MAX as u64 * CHUNK_BYTES_MAX as u64;

/// BLAKE3 of a chunk.
pub type Digest = [u8; 32];

/// The digest of some bytes.
#[must_use]
pub fn digest(parts: &[&[u8]]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

/// Why a state cannot be read, made or changed.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The system refused.
    #[error("cannot {action} `{}`", .path.display())]
    Io {
        /// For example `read`.
        action: &'static str,
        /// What was touched.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Something in it cannot be carried elsewhere.
    #[error("`{path}` cannot be part of a state: {problem}")]
    Entry {
        /// Within the state.
        path: String,
        /// What is wrong and what would be right.
        problem: &'static str,
    },
    /// It is larger than may be.
    #[error("the state has more than {limit} {what}")]
    TooLarge {
        /// How many may be.
        limit: u64,
        /// Of what.
        what: &'static str,
    },
    /// What came is not an image of a state.
    #[error("not an image of a state: {0}")]
    Malformed(&'static str),
}

impl StateError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }

    fn entry(path: &str, problem: &'static str) -> Self {
        Self::Entry { path: path.escape_debug().to_string(), problem }
    }
}
