//! A scan of a state directory: its image, chunk by chunk.
//!
//! Invariant: [`Image::read_chunk`] gives bytes only if they have the digest that the layout says. An image of a directory that changes
//! meanwhile is a draft, good for a round of copying; an image of a paused one is exact.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;

use super::layout::{Layout, arrange};
use super::read::{Reader, Task, open, read_padded};
use super::table::{Entry, HEAD_BYTES, Region, Table, encode, head};
use super::walk::{Found, Stamp, file_clock_ns, walk};
use super::{Digest, StateError, digest};

/// Chunks that changed since the image before are kept up to so many bytes, so that a round ends although files go on changing.
pub const KEPT_BYTES_MAX: u64 = 32 << 20;

/// Which files a scan reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Those whose length, times or inode changed. Shared memory maps may change a file without changing its times.
    Changed,
    /// All: for states that are small or written through memory maps.
    All,
}

/// Why a chunk cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ChunkError {
    /// Its file changed since the scan: scan again.
    #[error("chunk {0} changed since the scan")]
    Changed(u32),
    /// The image has no such chunk.
    #[error("the image has no chunk {0}")]
    OutOfRange(u32),
    /// It cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
}

/// A state directory as of one scan.
#[derive(Debug)]
pub struct Image {
    dir: PathBuf,
    layout: Layout,
    /// The table and what changed.
    kept: BTreeMap<u32, Box<[u8]>>,
    /// First chunk of every file that has any.
    starts: BTreeMap<u32, String>,
}

impl Image {
    /// Scans a directory. With the layout of an earlier scan of it, places are kept and unchanged files are not read.
    ///
    /// # Errors
    /// [`StateError`] if something in it cannot be read or carried.
    pub fn scan(dir: &Path, previous: Option<&Layout>, reading: Reading) -> Result<Self, StateError> {
        let started_ns = file_clock_ns();
        let found = walk(dir)?;
        let lengths = found.iter().filter_map(|(path, found)| match found {
            Found::File { length, .. } => Some((path.clone(), *length)),
            _ => None,
        });
        let lengths: BTreeMap<String, u64> = lengths.collect();
        let unplaced = table_of(&found, &BTreeMap::new());
        let table_bytes = encode(&unplaced)?.len() as u64;
        let (chunk_bytes, places) = arrange(&lengths, table_bytes, previous)?;
        let table = table_of(&found, &places.files);
        let zero = digest(&[&vec![0; chunk_bytes as usize]]);
        let digests = vec![zero; places.chunks as usize];
        let stamps = BTreeMap::new();
        let layout = Layout { chunk_bytes, table, stamps, places, digests, zero };
        let mut image =
            Self { dir: dir.to_path_buf(), layout, kept: BTreeMap::new(), starts: BTreeMap::new() };
        let known = previous.filter(|previous| previous.chunk_bytes == chunk_bytes);
        image.read_files(&found, known, reading, started_ns)?;
        image.keep_table()?;
        Ok(image)
    }

    fn read_files(
        &mut self,
        found: &BTreeMap<String, Found>,
        known: Option<&Layout>,
        reading: Reading,
        started_ns: i128,
    ) -> Result<(), StateError> {
        let mut tasks = Vec::new();
        for (path, thing) in found {
            let Found::File { length, stamp, .. } = thing else { continue };
            let Some(region) = self.layout.places.files.get(path).copied() else { continue };
            if region.chunks > 0 {
                self.starts.insert(region.start, path.clone());
            }
            let same = known.filter(|known| known.stamps.get(path) == Some(stamp));
            if let (Some(known), Reading::Changed) = (same, reading)
                && let Some(old) = known.places.files.get(path)
            {
                self.fill(region, known.digests_of(*old));
                self.layout.stamps.insert(path.clone(), *stamp);
                continue;
            }
            tasks.push(Task { path, length: *length, region, stamp: *stamp });
        }
        let reader = Reader {
            dir: &self.dir,
            chunk_bytes: self.layout.chunk_bytes,
            zero: self.layout.zero,
            known: known.map_or(&[], Layout::digests),
            keep_bytes: AtomicU64::new(KEPT_BYTES_MAX),
        };
        let harvest = reader.read(&tasks)?;
        for (start, digests) in &harvest.digests {
            let chunks = u32::try_from(digests.len()).unwrap_or(u32::MAX);
            self.fill(Region { start: *start, chunks }, digests);
        }
        let settled = tasks.iter().enumerate().filter(|(at, task)| {
            let torn = harvest.torn.contains(at);
            !torn && Stamp::settled(&task.stamp, started_ns)
        });
        self.layout.stamps.extend(settled.map(|(_, task)| (task.path.to_owned(), task.stamp)));
        self.kept.extend(harvest.kept);
        Ok(())
    }

    fn fill(&mut self, region: Region, digests: &[Digest]) {
        let places = self.layout.digests.iter_mut().skip(region.start as usize).take(region.chunks as usize);
        places.zip(digests).for_each(|(place, digest)| *place = *digest);
    }

    /// Head and table are made here, so they are kept whole.
    fn keep_table(&mut self) -> Result<(), StateError> {
        let chunk_bytes = self.layout.chunk_bytes;
        let table = encode(&self.layout.table)?;
        let length = u32::try_from(table.len()).unwrap_or(u32::MAX);
        let outside = self.layout.places.table;
        let mut first = head(chunk_bytes, outside.map_or(0, |region| region.start), length).to_vec();
        debug_assert_eq!(first.len(), HEAD_BYTES);
        if let Some(region) = outside {
            self.keep(region.start, &table);
        } else {
            first.extend(table);
        }
        self.keep(0, &first);
        Ok(())
    }

    fn keep(&mut self, start: u32, bytes: &[u8]) {
        let step = self.layout.chunk_bytes as usize;
        for (at, part) in (start..).zip(bytes.chunks(step)) {
            let mut chunk = part.to_vec();
            chunk.resize(step, 0);
            self.fill(Region { start: at, chunks: 1 }, &[digest(&[&chunk])]);
            self.kept.insert(at, chunk.into_boxed_slice());
        }
    }

    /// Lengths, digests, and what the next scan needs.
    #[must_use]
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The bytes of a chunk.
    ///
    /// # Errors
    /// [`ChunkError::Changed`] if its file is not what it was: a new scan knows what it is.
    pub fn read_chunk(&self, index: u32) -> Result<Vec<u8>, ChunkError> {
        let Layout { chunk_bytes, digests, zero, .. } = &self.layout;
        let wanted = digests.get(index as usize).ok_or(ChunkError::OutOfRange(index))?;
        if let Some(kept) = self.kept.get(&index) {
            return Ok(kept.to_vec());
        }
        let mut bytes = vec![0; *chunk_bytes as usize];
        if wanted == zero {
            return Ok(bytes);
        }
        let (start, path) = self.starts.range(..=index).next_back().ok_or(ChunkError::Changed(index))?;
        let real = self.dir.join(path);
        let offset = u64::from(index - start) * u64::from(*chunk_bytes);
        let length = match self.layout.table.get(path) {
            Some(Entry::File { length, .. }) => *length,
            _ => 0,
        };
        // What stands behind the end by now is not part of this image.
        let content = length.saturating_sub(offset).min(u64::from(*chunk_bytes));
        let content = bytes.get_mut(..usize::try_from(content).unwrap_or(0)).unwrap_or_default();
        let read = open(&real).and_then(|file| read_padded(&file, content, offset));
        match read {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(StateError::io("read", &real)(error).into())
            }
            _ if digest(&[&bytes]) == *wanted => Ok(bytes),
            _ => Err(ChunkError::Changed(index)),
        }
    }
}

fn table_of(found: &BTreeMap<String, Found>, regions: &BTreeMap<String, Region>) -> Table {
    let entry = |path: &String, found: &Found| match found {
        Found::Directory { mode } => Entry::Directory { mode: *mode },
        Found::Link { target } => Entry::Link { target: target.clone() },
        Found::File { mode, length, .. } => {
            let region = regions.get(path).copied().unwrap_or(Region { start: 0, chunks: 0 });
            Entry::File { mode: *mode, length: *length, region }
        }
    };
    found.iter().map(|(path, found)| (path.clone(), entry(path, found))).collect()
}
