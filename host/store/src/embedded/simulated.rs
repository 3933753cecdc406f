//! A disk that loses, tears and refuses writes.
//!
//! redb -> [`Disk`] handle -> live bytes (what the running system sees) and durable bytes (what a power cut leaves)
//!
//! Invariant: synced bytes are never lost; of the others any subset of sectors may be. Bit rot of synced bytes is not here:
//! the checksums of records are tested beside them.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;

/// What is written at once or not at all.
const SECTOR_BYTES: usize = 512;

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
    refused: u64,
    refused_syncs: u64,
}

/// A handle on the disk; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk(Arc<Mutex<State>>);

impl Disk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Refuses changes and syncs after `operations` more.
    pub(super) fn refuse_after(&self, operations: u64, kind: io::ErrorKind) {
        let mut state = self.state();
        (state.left, state.refusal) = (Some(operations), Some(kind));
    }

    /// Refused changes and syncs, and refused syncs alone.
    pub(super) fn refused(&self) -> (u64, u64) {
        let state = self.state();
        (state.refused, state.refused_syncs)
    }

    /// Cuts the power: of what was not synced, some sectors are there. The disk works again.
    pub(super) fn cut_power(&self, random: &mut impl FnMut() -> u64) {
        let mut state = self.state();
        let mut bytes = std::mem::take(&mut state.durable);
        for (offset, data) in std::mem::take(&mut state.pending) {
            let fate = random() % 4;
            for (index, sector) in data.chunks(SECTOR_BYTES).enumerate() {
                // Kept whole, lost whole, or torn.
                if fate == 0 || (fate >= 2 && random().is_multiple_of(2)) {
                    continue;
                }
                let start = offset + index * SECTOR_BYTES;
                if bytes.len() < start + sector.len() {
                    bytes.resize(start + sector.len(), 0);
                }
                bytes[start..start + sector.len()].copy_from_slice(sector);
            }
        }
        *state = State { live: bytes.clone(), durable: bytes, ..State::default() };
    }
}

impl State {
    fn allowed(&mut self) -> io::Result<()> {
        match &mut self.left {
            Some(0) => {
                self.refused += 1;
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

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().live.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        let start = offset as usize;
        let bytes = state.live.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    /// A new length is durable at once, as if the file system kept a journal of it.
    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut state = self.state();
        state.allowed()?;
        state.live.resize(length as usize, 0);
        state.durable.resize(length as usize, 0);
        state.pending.retain(|(offset, data)| offset + data.len() <= length as usize);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        state.allowed().inspect_err(|_| state.refused_syncs += 1)?;
        for (offset, data) in std::mem::take(&mut state.pending) {
            state.durable[offset..offset + data.len()].copy_from_slice(&data);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        state.allowed()?;
        let start = offset as usize;
        state.live[start..start + data.len()].copy_from_slice(data);
        state.pending.push((start, data.to_vec()));
        Ok(())
    }
}
