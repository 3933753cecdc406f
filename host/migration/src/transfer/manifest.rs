//! The list of a state's chunk digests: what the source has, and what the target will have.
//!
//! Invariant: a manifest that exists has one digest per chunk, no more than [`CHUNKS_MAX`], and every chunk
//! but the last is of the same length. Holes and files are unknown here: a state is a string of bytes.

use super::{ChunkDigest, StateDigest};
use crate::id::MigrationId;

/// Smallest chunk, bytes: below, digests weigh more than they save.
pub const CHUNK_BYTES_MIN: u32 = 4 << 10;
/// Largest chunk, bytes: one message.
pub const CHUNK_BYTES_MAX: u32 = 1 << 20;
/// Most chunks of a state: its manifest has 8 MiB then, the state up to 256 GiB.
pub const CHUNKS_MAX: usize = 1 << 18;

/// Separates these digests from all others that the same function makes.
const STATE_DOMAIN: &[u8] = b"pilothouse state 1";

/// A cryptographic hash function of 32 bytes (BLAKE3, SHA-256), given by the shell.
pub trait Digester {
    /// The digest of the parts, one after the other.
    fn digest(&self, parts: &[&[u8]]) -> [u8; 32];
}

/// What is wrong with a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The length of chunks is out of bounds.
    #[error("chunks of {chunk_bytes} B, allowed are {CHUNK_BYTES_MIN} to {CHUNK_BYTES_MAX} B")]
    ChunkLength {
        /// The length.
        chunk_bytes: u32,
    },
    /// More than [`CHUNKS_MAX`] chunks; larger chunks may help.
    #[error("{chunks} chunks, at most {CHUNKS_MAX} are allowed")]
    TooManyChunks {
        /// How many it takes.
        chunks: u64,
    },
    /// Digests are missing or there are too many.
    #[error("{found} digests for {expected} chunks")]
    DigestCount {
        /// One per chunk.
        expected: u64,
        /// How many there are.
        found: usize,
    },
}

/// The state as of one round.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Manifest {
    migration: MigrationId,
    round: u32,
    state_bytes: u64,
    chunk_bytes: u32,
    digests: Vec<ChunkDigest>,
}

impl Manifest {
    /// From the digests of the chunks, in order.
    ///
    /// # Errors
    /// [`ManifestError`] says which bound is broken.
    pub fn new(
        migration: MigrationId,
        round: u32,
        state_bytes: u64,
        chunk_bytes: u32,
        digests: Vec<ChunkDigest>,
    ) -> Result<Self, ManifestError> {
        if !(CHUNK_BYTES_MIN..=CHUNK_BYTES_MAX).contains(&chunk_bytes) {
            return Err(ManifestError::ChunkLength { chunk_bytes });
        }
        let expected = state_bytes.div_ceil(u64::from(chunk_bytes));
        if expected > CHUNKS_MAX as u64 {
            return Err(ManifestError::TooManyChunks { chunks: expected });
        }
        let found = digests.len();
        if found as u64 != expected {
            return Err(ManifestError::DigestCount { expected, found });
        }
        Ok(Self { migration, round, state_bytes, chunk_bytes, digests })
    }

    /// Of which migration.
    #[must_use]
    pub const fn migration(&self) -> MigrationId {
        self.migration
    }

    /// Of which round, from 1.
    #[must_use]
    pub const fn round(&self) -> u32 {
        self.round
    }

    /// Length of the state.
    #[must_use]
    pub const fn state_bytes(&self) -> u64 {
        self.state_bytes
    }

    /// Length of every chunk but the last.
    #[must_use]
    pub const fn chunk_bytes(&self) -> u32 {
        self.chunk_bytes
    }

    /// The digests of the chunks, in order.
    #[must_use]
    pub fn digests(&self) -> &[ChunkDigest] {
        &self.digests
    }

    /// Where a chunk begins in the state, and its length, both in bytes; `None` = there is no such chunk.
    #[must_use]
    pub fn place(&self, index: u32) -> Option<(u64, u64)> {
        let offset = u64::from(index) * u64::from(self.chunk_bytes);
        let left = self.state_bytes.checked_sub(offset).filter(|left| *left > 0)?;
        Some((offset, left.min(u64::from(self.chunk_bytes))))
    }

    /// The digest of the whole state. It costs 32 bytes of hashing per chunk, not the whole state, so the
    /// pause stays short.
    #[must_use]
    pub fn state_digest(&self, digester: &impl Digester) -> StateDigest {
        let (length, step) = (self.state_bytes.to_le_bytes(), self.chunk_bytes.to_le_bytes());
        let fixed: [&[u8]; 3] = [STATE_DOMAIN, &length, &step];
        let chunks = self.digests.iter().map(|digest| digest.0.as_slice());
        let parts: Vec<&[u8]> = fixed.into_iter().chain(chunks).collect();
        StateDigest(digester.digest(&parts))
    }
}
