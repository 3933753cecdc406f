//! The files of a store: the lock, creation in one step, and a view after the disk refused a write.
//!
//! folder -> lock -> database; after a failure: file -> [`Overlay`] -> database that only reads the file
//!
//! Invariant: `store.redb` appears by renaming a complete database, so a crash while it is made leaves none rather than half
//! of one. Tables are not here.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::backends::FileBackend;
use redb::{Database, DatabaseError, StorageBackend};

use crate::error::StoreError;

const FILE: &str = "store.redb";
const FILE_IN_THE_MAKING: &str = "store.redb.new";
const LOCK: &str = "store.lock";
/// Unit of the overlay: redb's page.
const BLOCK_BYTES: u64 = 4_096;

/// Takes the folder for this process, until the file is dropped.
pub(super) fn lock(dir: &Path) -> Result<File, StoreError> {
    let unusable =
        |error: io::Error| StoreError::Unusable { path: dir.to_owned(), reason: error.to_string() };
    let file =
        File::options().create(true).truncate(false).write(true).open(dir.join(LOCK)).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: dir.to_owned() }),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

/// Page cache of the database, bytes. redb's own default is 1 GiB, which looks like a leak in a host that reads its records
/// once at the start and then only writes.
const CACHE_BYTES: usize = 8 << 20;

fn sized() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// Opens or makes the database of a locked folder.
pub(super) fn open(dir: &Path) -> Result<Database, DatabaseError> {
    let path = dir.join(FILE);
    if path.try_exists()? {
        return sized().open(path);
    }
    let new = dir.join(FILE_IN_THE_MAKING);
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let database = sized().create(&new)?;
    std::fs::rename(&new, &path)?;
    File::open(dir)?.sync_all()?;
    Ok(database)
}

/// Opens what is on disk, without ever writing to it.
pub(super) fn view(dir: &Path) -> Result<Database, DatabaseError> {
    let file = FileBackend::new(File::open(dir.join(FILE))?)?;
    Database::builder().create_with_backend(Overlay::new(file)?)
}

/// Reads from its base and keeps what is written in memory: redb can recover without writing to a broken disk.
#[derive(Debug)]
pub(super) struct Overlay<B> {
    base: B,
    written: Mutex<Written>,
}

#[derive(Debug, Default)]
struct Written {
    length: u64,
    /// Bytes at the front that still are the base's, where no block was written.
    from_base: u64,
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl<B: StorageBackend> Overlay<B> {
    pub(super) fn new(base: B) -> io::Result<Self> {
        let length = base.len()?;
        let written = Written { length, from_base: length, blocks: BTreeMap::new() };
        Ok(Self { base, written: Mutex::new(written) })
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The base's bytes of a block, zeros behind its end.
    fn base_block(&self, block: u64, from_base: u64) -> io::Result<Vec<u8>> {
        let start = block * BLOCK_BYTES;
        let present = from_base.saturating_sub(start).min(BLOCK_BYTES);
        let mut bytes = vec![0; small(present)];
        if present > 0 {
            self.base.read(start, &mut bytes)?;
        }
        bytes.resize(small(BLOCK_BYTES), 0);
        Ok(bytes)
    }
}

/// A number of bytes that is at most a block.
fn small(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// Cuts `length` bytes at `offset` into (block, place in the block, place in the whole, length).
fn pieces(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let place = small(at % BLOCK_BYTES);
        let piece = (length - done).min(small(BLOCK_BYTES) - place);
        let item = (at / BLOCK_BYTES, place, done, piece);
        done += piece;
        (piece > 0).then_some(item)
    })
}

fn out_of_range() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

impl<B: StorageBackend> StorageBackend for Overlay<B> {
    fn len(&self) -> io::Result<u64> {
        Ok(self.written().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let written = self.written();
        if offset + out.len() as u64 > written.length {
            return Err(out_of_range());
        }
        for (block, place, done, piece) in pieces(offset, out.len()) {
            let target = out.get_mut(done..done + piece).ok_or_else(out_of_range)?;
            let base;
            let bytes = match written.blocks.get(&block) {
                Some(bytes) => bytes,
                None => {
                    base = self.base_block(block, written.from_base)?;
                    &base
                }
            };
            target.copy_from_slice(bytes.get(place..place + piece).ok_or_else(out_of_range)?);
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut written = self.written();
        written.length = length;
        written.from_base = written.from_base.min(length);
        written.blocks.split_off(&length.div_ceil(BLOCK_BYTES));
        if let Some(last) = written.blocks.get_mut(&(length / BLOCK_BYTES)) {
            last.truncate(small(length % BLOCK_BYTES));
            last.resize(small(BLOCK_BYTES), 0);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut guard = self.written();
        let written = &mut *guard;
        for (block, place, done, piece) in pieces(offset, data.len()) {
            let bytes = match written.blocks.entry(block) {
                std::collections::btree_map::Entry::Occupied(found) => found.into_mut(),
                std::collections::btree_map::Entry::Vacant(free) => {
                    free.insert(self.base_block(block, written.from_base)?)
                }
            };
            let source = data.get(done..done + piece).ok_or_else(out_of_range)?;
            bytes.get_mut(place..place + piece).ok_or_else(out_of_range)?.copy_from_slice(source);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::*;

    #[test]
    fn an_overlay_reads_its_base_and_never_writes_to_it() {
        let base = InMemoryBackend::new();
        base.set_len(10_000).unwrap();
        base.write(0, &[7; 10_000]).unwrap();
        let overlay = Overlay::new(base).unwrap();
        overlay.write(4_090, &[1; 10]).unwrap();
        overlay.set_len(20_000).unwrap();
        overlay.write(15_000, &[2; 100]).unwrap();
        let read = |offset, length| {
            let mut out = vec![0; length];
            overlay.read(offset, &mut out).unwrap();
            out
        };
        assert_eq!(read(4_088, 14), [7, 7, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 7, 7]);
        assert_eq!((read(9_999, 2), read(14_999, 3)), (vec![7, 0], vec![0, 2, 2]));
        assert!(overlay.read(19_999, &mut [0; 2]).is_err());
        overlay.set_len(4_092).unwrap();
        overlay.set_len(20_000).unwrap();
        assert_eq!(read(4_089, 5), [7, 1, 1, 0, 0], "what was cut off is zero");
        assert_eq!(read(9_990, 2), [0, 0]);
        let mut out = [0; 10];
        overlay.base.read(4_090, &mut out).unwrap();
        assert_eq!(out, [7; 10]);
    }

    #[test]
    fn a_crash_while_the_file_is_made_leaves_a_folder_that_opens() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE_IN_THE_MAKING), [0; 5_000]).unwrap();
        open(dir.path()).unwrap();
        assert!(!dir.path().join(FILE_IN_THE_MAKING).exists());
        open(dir.path()).unwrap();
    }
}
