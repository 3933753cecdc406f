//! Carries the state of a workload from source to target, in chunks that are checked one by one.
//!
//! source: manifest -> target: which chunks it lacks -> source: those, a window at a time -> target:
//! acknowledgements
//!
//! The manifest names the digest of every chunk, so a round of deltas, the resumption after a broken
//! connection and the repair of a lost message are one and the same: the target asks for the chunks that
//! differ. Invariant: the digest of the state is the digest of its manifest; a target that holds every chunk
//! of a manifest holds that state, bit for bit. Bytes only pass through: storing, compressing and hashing
//! them is the shell's ([`Digester`]).

mod manifest;
mod receiver;
mod sender;
#[cfg(test)]
mod tests;

pub use manifest::{CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, CHUNKS_MAX, Digester, Manifest, ManifestError};
pub use receiver::{Accepted, ChunkRefused, Receiver, RoundRefused, WRITING_MAX};
pub use sender::{Command, Event, Sender, SenderState, Window};

use std::fmt;

use crate::id::MigrationId;

/// Digest of some bytes, by the digester that source and target agreed on; 32 bytes like BLAKE3's and
/// SHA-256's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkDigest(pub [u8; 32]);

/// Digest of a whole state: the digest of its manifest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateDigest(pub [u8; 32]);

impl fmt::Debug for ChunkDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for StateDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Display for StateDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// What names a chunk on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkKey {
    /// Of which migration.
    pub migration: MigrationId,
    /// Of which round, from 1.
    pub round: u32,
    /// Its place in the state, in chunks from 0.
    pub index: u32,
}

/// A chunk's name and whether its bytes are compressed on the wire; the shell unpacks them before the
/// receiver sees them, to at most [`Manifest::chunk_bytes`], so that a bomb cannot grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkHeader {
    /// Its name.
    pub key: ChunkKey,
    /// Compressed on the wire.
    pub compressed: bool,
}
