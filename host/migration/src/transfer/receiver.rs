//! The target's end: says what it lacks, and lets in only the chunks of the manifest, whole and unchanged.
//!
//! manifest -> ranges that are missing; chunk -> where to write it, or a refusal; written -> acknowledged
//!
//! Invariant: a chunk counts as held only from the end of its writing on, and no longer from the beginning of
//! the next writing to its place. So a crash or a failed write costs a chunk, never correctness. The file is
//! the shell's.

use std::collections::BTreeSet;
use std::ops::Range;

use super::{ChunkDigest, ChunkHeader, ChunkKey, Digester, Manifest, StateDigest};
use crate::id::MigrationId;

/// Most chunks that are being written at once; a sender with a larger window is refused.
pub const WRITING_MAX: usize = 256;

/// Why a round cannot begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RoundRefused {
    /// It belongs to another migration.
    #[error("the manifest belongs to migration {0}")]
    Foreign(MigrationId),
    /// A newer one has begun.
    #[error("round {newest} has begun already")]
    Stale {
        /// The newest round.
        newest: u32,
    },
    /// The same round, but another content: the source restarted its counting.
    #[error("round {0} began with another manifest")]
    Differs(u32),
    /// The state does not fit the room that was reserved.
    #[error("the state has {state_bytes} B, {room_bytes} B are reserved")]
    TooLarge {
        /// Length of the state.
        state_bytes: u64,
        /// What was reserved.
        room_bytes: u64,
    },
}

/// Why a chunk is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkRefused {
    /// Of another migration or round, or before any manifest: dropped.
    #[error("the chunk is not of the round that runs")]
    Stale,
    /// The state has no such chunk.
    #[error("the state has no chunk {0}")]
    OutOfRange(u32),
    /// Cut off or too long: to be sent again.
    #[error("the chunk has {found} B instead of {expected} B")]
    Length {
        /// As in the manifest.
        expected: u64,
        /// What came.
        found: usize,
    },
    /// Changed on the way: to be sent again.
    #[error("the digest of the chunk differs from the manifest's")]
    Corrupt,
    /// [`WRITING_MAX`] are being written: to be sent again, later.
    #[error("{WRITING_MAX} chunks are being written already")]
    Busy,
}

/// What to do with a good chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// Write it there, then say [`Receiver::written`].
    Write {
        /// Where it begins in the state, bytes.
        offset_bytes: u64,
    },
    /// It is held already: acknowledge it again.
    Held,
    /// It is being written: acknowledge it when that ends.
    Writing,
}

/// The state of one migration as it arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receiver {
    migration: MigrationId,
    room_bytes: u64,
    manifest: Option<Manifest>,
    /// By place; `None` = nothing or not known.
    held: Vec<Option<ChunkDigest>>,
    /// Length of the chunks that are held.
    chunk_bytes: u32,
    writing: BTreeSet<u32>,
}

impl Receiver {
    /// With nothing yet. `room_bytes` is what was reserved for the state.
    #[must_use]
    pub const fn new(migration: MigrationId, room_bytes: u64) -> Self {
        Self {
            migration,
            room_bytes,
            manifest: None,
            held: Vec::new(),
            chunk_bytes: 0,
            writing: BTreeSet::new(),
        }
    }

    /// After a restart: `held` are the digests of what the file holds, computed from its bytes in chunks of
    /// that length. At most [`super::CHUNKS_MAX`] count; the rest is fetched again.
    #[must_use]
    pub fn resumed(
        migration: MigrationId,
        room_bytes: u64,
        chunk_bytes: u32,
        held: Vec<ChunkDigest>,
    ) -> Self {
        let held = held.into_iter().take(super::CHUNKS_MAX).map(Some).collect();
        Self { held, chunk_bytes, ..Self::new(migration, room_bytes) }
    }

    /// Begins a round, or goes on with it after a broken connection; answers which chunks are missing.
    ///
    /// # Errors
    /// [`RoundRefused`]; the round in force goes on.
    pub fn open(&mut self, manifest: Manifest) -> Result<Vec<Range<u32>>, RoundRefused> {
        if manifest.migration() != self.migration {
            return Err(RoundRefused::Foreign(manifest.migration()));
        }
        if manifest.state_bytes() > self.room_bytes {
            let state_bytes = manifest.state_bytes();
            return Err(RoundRefused::TooLarge { state_bytes, room_bytes: self.room_bytes });
        }
        match &self.manifest {
            Some(known) if known.round() > manifest.round() => {
                return Err(RoundRefused::Stale { newest: known.round() });
            }
            Some(known) if known.round() == manifest.round() && *known != manifest => {
                return Err(RoundRefused::Differs(known.round()));
            }
            Some(known) if *known == manifest => return Ok(self.missing()),
            _ => {}
        }
        if self.chunk_bytes != manifest.chunk_bytes() {
            self.held.clear();
            self.chunk_bytes = manifest.chunk_bytes();
        }
        // A place that is being written for an older round holds nothing that is known.
        self.writing.clear();
        self.held.resize(manifest.digests().len(), None);
        self.manifest = Some(manifest);
        Ok(self.missing())
    }

    /// What the target lacks of the manifest, in order. Chunks that are being written count as lacking.
    #[must_use]
    pub fn missing(&self) -> Vec<Range<u32>> {
        let mut ranges: Vec<Range<u32>> = Vec::new();
        let wanted = self.manifest.iter().flat_map(Manifest::digests);
        for (index, (wanted, held)) in (0u32..).zip(wanted.zip(&self.held)) {
            if *held == Some(*wanted) {
                continue;
            }
            match ranges.last_mut() {
                Some(range) if range.end == index => range.end = index.saturating_add(1),
                _ => ranges.push(index..index.saturating_add(1)),
            }
        }
        ranges
    }

    /// A chunk came; `bytes` are unpacked.
    ///
    /// # Errors
    /// [`ChunkRefused`]; nothing has changed then.
    pub fn offer(
        &mut self,
        header: ChunkHeader,
        bytes: &[u8],
        digester: &impl Digester,
    ) -> Result<Accepted, ChunkRefused> {
        let ChunkKey { migration, round, index } = header.key;
        let manifest = self.manifest.as_ref().ok_or(ChunkRefused::Stale)?;
        if migration != self.migration || round != manifest.round() {
            return Err(ChunkRefused::Stale);
        }
        let out_of_range = ChunkRefused::OutOfRange(index);
        let (offset_bytes, expected) = manifest.place(index).ok_or(out_of_range)?;
        let at = index as usize;
        let wanted = manifest.digests().get(at).ok_or(out_of_range)?;
        let held = self.held.get_mut(at).ok_or(out_of_range)?;
        if *held == Some(*wanted) {
            return Ok(Accepted::Held);
        }
        if bytes.len() as u64 != expected {
            return Err(ChunkRefused::Length { expected, found: bytes.len() });
        }
        if digester.digest(&[bytes]) != wanted.0 {
            return Err(ChunkRefused::Corrupt);
        }
        if self.writing.contains(&index) {
            return Ok(Accepted::Writing);
        }
        if self.writing.len() >= WRITING_MAX {
            return Err(ChunkRefused::Busy);
        }
        self.writing.insert(index);
        *held = None;
        Ok(Accepted::Write { offset_bytes })
    }

    /// The writing of a chunk ended; returns whether to acknowledge it. After a failed write it is simply
    /// missing.
    pub fn written(&mut self, key: ChunkKey, durable: bool) -> bool {
        let current = self.manifest.as_ref().filter(|manifest| manifest.round() == key.round);
        let Some(manifest) = current else { return false };
        if key.migration != self.migration || !self.writing.remove(&key.index) || !durable {
            return false;
        }
        let at = key.index as usize;
        let Some((held, wanted)) = self.held.get_mut(at).zip(manifest.digests().get(at)) else {
            return false;
        };
        *held = Some(*wanted);
        true
    }

    /// The digest of the state, once every chunk of the newest manifest is held.
    #[must_use]
    pub fn complete(&self, digester: &impl Digester) -> Option<StateDigest> {
        let manifest = self.manifest.as_ref()?;
        let whole = manifest.digests().iter().zip(&self.held).all(|(wanted, held)| *held == Some(*wanted));
        whole.then(|| manifest.state_digest(digester))
    }
}
