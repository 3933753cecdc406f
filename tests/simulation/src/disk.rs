//! A disk that loses, tears and refuses writes, and a system that dies while it writes.
//!
//! redb -> [`Disk`] handle -> live bytes (what the running system sees) and durable bytes (what a power cut leaves)
//!
//! Invariant: synced bytes are never lost, unless a bug makes the disk lie; of the others any subset of sectors may be. A
//! handle from before a crash can do nothing any more. Bit rot is not here: the store's records are tested against it.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pilothouse_store::StorageBackend;

use crate::random::Random;

/// What is written at once or not at all.
const SECTOR_BYTES: usize = 512;

/// How syncing goes wrong, if a bug makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lie {
    /// It does not.
    #[default]
    None,
    /// Nothing is synced.
    Sync,
    /// The newest write is not synced.
    Barrier,
}

/// What happened to unsynced sectors, and what was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Damage {
    /// Writes that were lost whole.
    pub lost: u64,
    /// Writes of which some sectors are there.
    pub torn: u64,
    /// Changes that were refused.
    pub refused: u64,
    /// Syncs that were refused.
    pub refused_syncs: u64,
}

#[derive(Debug, Default)]
struct State {
    live: Vec<u8>,
    durable: Vec<u8>,
    /// Not synced yet: offset and bytes.
    pending: Vec<(usize, Vec<u8>)>,
    /// Changes and syncs that still succeed; `None` = all.
    left: Option<u64>,
    /// What a refused one says.
    refusal: Option<io::ErrorKind>,
    /// Handles of older ones are dead.
    generation: u64,
    lie: Lie,
    damage: Damage,
}

/// A handle on the disk; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    state: Arc<Mutex<State>>,
    generation: u64,
}

impl Disk {
    /// An empty disk.
    #[must_use]
    pub fn new(lie: Lie) -> Self {
        let disk = Self::default();
        disk.state().lie = lie;
        disk
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, for a handle that is not dead.
    fn alive(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state();
        if state.generation == self.generation { Ok(state) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    }

    /// Refuses changes and syncs after `operations` more.
    pub fn refuse_after(&self, operations: u64, kind: io::ErrorKind) {
        let mut state = self.state();
        (state.left, state.refusal) = (Some(operations), Some(kind));
    }

    /// What happened so far.
    #[must_use]
    pub fn damage(&self) -> Damage {
        self.state().damage
    }

    /// The process dies: what it wrote is in the system's cache, its handles are dead, the disk works again.
    pub fn kill(&mut self) {
        let mut state = self.state();
        state.generation += 1;
        (state.left, state.refusal) = (None, None);
        let generation = state.generation;
        drop(state);
        self.generation = generation;
    }

    /// The power fails: of what was not synced, some sectors are there.
    pub fn cut_power(&mut self, random: &mut Random) {
        self.kill();
        let mut guard = self.state();
        let state = &mut *guard;
        for (offset, data) in std::mem::take(&mut state.pending) {
            let fate = random.below(4);
            let (mut kept, mut lost) = (0, 0);
            for (index, sector) in data.chunks(SECTOR_BYTES).enumerate() {
                // Lost whole, kept whole, or torn.
                if fate == 0 || (fate >= 2 && random.chance(500)) {
                    lost += 1;
                    continue;
                }
                kept += 1;
                let start = offset + index * SECTOR_BYTES;
                let end = start + sector.len();
                if state.durable.len() < end {
                    state.durable.resize(end, 0);
                }
                state.durable[start..end].copy_from_slice(sector);
            }
            state.damage.lost += u64::from(kept == 0);
            state.damage.torn += u64::from(kept > 0 && lost > 0);
        }
        state.live.clone_from(&state.durable);
    }
}

impl State {
    fn allowed(&mut self) -> io::Result<()> {
        match &mut self.left {
            Some(0) => {
                self.damage.refused += 1;
                Err(self.refusal.unwrap_or(io::ErrorKind::Other).into())
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

fn place(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput.into())
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.alive()?.live.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = place(offset)?;
        let state = self.alive()?;
        let bytes = state.live.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    /// A new length is durable at once, as if the file system kept a journal of it.
    fn set_len(&self, length: u64) -> io::Result<()> {
        let length = place(length)?;
        let mut state = self.alive()?;
        state.allowed()?;
        state.live.resize(length, 0);
        state.durable.resize(length, 0);
        state.pending.retain(|(offset, data)| offset + data.len() <= length);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut guard = self.alive()?;
        let state = &mut *guard;
        if let Err(refusal) = state.allowed() {
            state.damage.refused_syncs += 1;
            return Err(refusal);
        }
        let keep = match state.lie {
            Lie::None => 0,
            Lie::Sync => state.pending.len(),
            Lie::Barrier => 1.min(state.pending.len()),
        };
        let synced = state.pending.len() - keep;
        for (offset, data) in state.pending.drain(..synced) {
            state.durable[offset..offset + data.len()].copy_from_slice(&data);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let start = place(offset)?;
        let mut state = self.alive()?;
        state.allowed()?;
        let target = state.live.get_mut(start..start + data.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        target.copy_from_slice(data);
        state.pending.push((start, data.to_vec()));
        Ok(())
    }
}
