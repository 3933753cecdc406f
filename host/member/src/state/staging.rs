//! The receiving side: chunks in any order become an image, the image becomes a state directory.
//!
//! manifest -> [`Staging::fit`], [`Staging::adopt`] -> what is held -> chunks -> [`Staging::place`] after each round ->
//! [`Staging::commit`]
//!
//! Invariant: the folder is not a state. Only the rename at the end gives what is in it the name of one, and then every chunk of it has the
//! digest that the manifest says. What is held after a restart is found by hashing, not by memory.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};

use super::read::{Reader, Task, read_padded};
use super::table::{Entry, HEAD_BYTES, Region, Table, chunks_for, decode, locate};
use super::tree::{Tree, erase, exchange};
use super::walk::Stamp;
use super::{
    CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, CHUNKS_MAX, ChunkError, Digest, Image, Reading, StateError, digest,
};

/// A state that arrives.
#[derive(Debug)]
pub struct Staging {
    folder: PathBuf,
    image: File,
    chunk_bytes: u32,
    image_bytes: u64,
    /// What the tree beside the image was made from in this run.
    placed: Option<(Table, Vec<Digest>)>,
}

impl Staging {
    /// Opens the folder of one migration, with what an earlier run left there.
    ///
    /// # Errors
    /// [`StateError`] if it cannot be made.
    pub fn open(folder: &Path) -> Result<Self, StateError> {
        std::fs::create_dir_all(folder).map_err(StateError::io("make", folder))?;
        let path = folder.join("image");
        let mut options = OpenOptions::new();
        let image = options.read(true).write(true).create(true).truncate(false).open(&path);
        let image = image.map_err(StateError::io("open", &path))?;
        Ok(Self { folder: folder.to_path_buf(), image, chunk_bytes: 0, image_bytes: 0, placed: None })
    }

    /// Makes room for a round; to be called with every manifest. What does not fit any more is gone.
    ///
    /// # Errors
    /// [`StateError::Malformed`] if no image has these lengths.
    pub fn fit(&mut self, chunk_bytes: u32, image_bytes: u64) -> Result<(), StateError> {
        let whole = (CHUNK_BYTES_MIN..=CHUNK_BYTES_MAX).contains(&chunk_bytes)
            && image_bytes.is_multiple_of(u64::from(chunk_bytes))
            && (1..=u64::from(CHUNKS_MAX)).contains(&chunks_for(image_bytes, chunk_bytes));
        if !whole {
            return Err(StateError::Malformed("no image has these lengths"));
        }
        self.image.set_len(image_bytes).map_err(self.io("write"))?;
        if self.chunk_bytes != chunk_bytes {
            self.placed = None;
        }
        (self.chunk_bytes, self.image_bytes) = (chunk_bytes, image_bytes);
        Ok(())
    }

    /// Digests of what the image holds at every place, from its bytes. Holes are zeros and cost nothing.
    ///
    /// # Errors
    /// [`StateError::Io`] if it cannot be read.
    pub fn held(&self) -> Result<Vec<Digest>, StateError> {
        let chunks = self.chunks();
        let zero = self.zero();
        let metadata = self.image.metadata().map_err(self.io("read"))?;
        let (dir, known) = (self.folder.as_path(), &[][..]);
        let reader = Reader { dir, chunk_bytes: self.chunk_bytes, zero, known, keep_bytes: 0.into() };
        let region = Region { start: 0, chunks };
        let task = Task { path: "image", length: self.image_bytes, region, stamp: Stamp::of(&metadata) };
        let mut held = vec![zero; chunks as usize];
        for (start, digests) in reader.read(&[task])?.digests {
            held.iter_mut().skip(start as usize).zip(digests).for_each(|(held, digest)| *held = digest);
        }
        Ok(held)
    }

    /// Takes chunks that are wanted from an older copy of the state; `held` is brought up to date. Returns how many.
    ///
    /// # Errors
    /// [`StateError`] if the older copy cannot be read or the image not be written.
    pub fn adopt(&self, older: &Path, wanted: &[Digest], held: &mut [Digest]) -> Result<u32, StateError> {
        let image = Image::scan(older, None, Reading::All)?;
        if image.layout().chunk_bytes() != self.chunk_bytes {
            return Ok(0);
        }
        let found: BTreeMap<&Digest, u32> = image.layout().digests().iter().zip(0..).collect();
        let mut taken = 0;
        for (index, (wanted, held)) in (0..).zip(wanted.iter().zip(held)) {
            if wanted == held {
                continue;
            }
            let Some(from) = found.get(wanted) else { continue };
            match image.read_chunk(*from) {
                Ok(bytes) => self.write_chunk(index, &bytes)?,
                Err(ChunkError::State(error)) => return Err(error),
                Err(_) => continue,
            }
            *held = *wanted;
            taken += 1;
        }
        Ok(taken)
    }

    /// Writes a chunk whose digest was checked. Zeros become holes.
    ///
    /// # Errors
    /// [`StateError`] if it is not a chunk of this image, or cannot be written: a full disk, for example.
    pub fn write_chunk(&self, index: u32, bytes: &[u8]) -> Result<(), StateError> {
        if bytes.len() != self.chunk_bytes as usize || index >= self.chunks() {
            return Err(StateError::Malformed("it has no such chunk"));
        }
        let offset = u64::from(index) * u64::from(self.chunk_bytes);
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let zeros = bytes.iter().all(|byte| *byte == 0);
        if zeros && fallocate(&self.image, hole, offset, bytes.len() as u64).is_ok() {
            return Ok(());
        }
        self.image.write_all_at(bytes, offset).map_err(self.io("write"))
    }

    /// Makes the tree from the image, or changes it to what the image is by now. After a round in which everything arrived; doing it after
    /// early rounds leaves little for the last one.
    ///
    /// # Errors
    /// [`StateError`]; the tree is made anew by the next call then.
    pub fn place(&mut self, digests: &[Digest]) -> Result<(), StateError> {
        let table = self.table()?;
        let root = self.folder.join("tree");
        let (old_table, old_digests) = match self.placed.take() {
            Some(placed) => placed,
            None => {
                erase(&root)?;
                (Table::new(), Vec::new())
            }
        };
        let tree = Tree::open(root)?;
        let zero = self.zero();
        for path in old_table.keys().rev().filter(|path| !table.contains_key(*path)) {
            tree.remove(path)?;
        }
        for (path, entry) in &table {
            if let Entry::File { .. } = entry {
                let digests = Rounds { old: &old_digests, new: digests, zero };
                self.place_file(&tree, path, entry, old_table.get(path), &digests)?;
            } else if old_table.get(path) != Some(entry) {
                match entry {
                    Entry::Directory { mode } => tree.directory(path, *mode)?,
                    Entry::Link { target } => tree.link(path, target)?,
                    Entry::File { .. } => {}
                }
            }
        }
        self.placed = Some((table, digests.to_vec()));
        Ok(())
    }

    fn place_file(
        &self,
        tree: &Tree,
        path: &str,
        entry: &Entry,
        old: Option<&Entry>,
        digests: &Rounds<'_>,
    ) -> Result<(), StateError> {
        let Entry::File { mode, length, region } = entry else { return Ok(()) };
        let there = match old {
            Some(Entry::File { length, region: place, .. }) if place == region => *length,
            _ => 0,
        };
        let step = u64::from(self.chunk_bytes);
        let used = u32::try_from(chunks_for(*length, self.chunk_bytes)).unwrap_or(region.chunks);
        // A chunk at the old end was cut there: what follows it in the image may be new.
        let lacks =
            |at: &u32| !digests.same(region.start + at) || (u64::from(*at) + 1) * step > there.min(*length);
        let lacking: Vec<u32> = (0..used).filter(lacks).collect();
        if old == Some(entry) && (region.start..region.start + used).all(|at| digests.same(at)) {
            return Ok(());
        }
        let file = tree.file(path)?;
        if there == 0 {
            file.set_len(0).map_err(self.io("write"))?;
        }
        let mut buffer = vec![0; self.chunk_bytes as usize];
        for at in lacking {
            let offset = u64::from(at) * step;
            // Behind its old end a file is a hole already.
            if digests.is_zero(region.start + at) && offset >= there {
                continue;
            }
            let wanted = usize::try_from(step.min(length.saturating_sub(offset))).unwrap_or(0);
            let content = buffer.get_mut(..wanted).unwrap_or_default();
            read_padded(&self.image, content, u64::from(region.start) * step + offset)
                .map_err(self.io("read"))?;
            file.write_all_at(content, offset).map_err(self.io("write"))?;
        }
        tree.finish(path, &file, *length, *mode)
    }

    /// Gives the state that was placed its name; what had it before is gone. Then ends this staging.
    ///
    /// # Errors
    /// [`StateError`]; the target is what it was then, or what it is to be.
    pub fn commit(mut self, digests: &[Digest], target: &Path) -> Result<(), StateError> {
        self.place(digests)?;
        let tree = self.folder.join("tree");
        exchange(&tree, target)?;
        self.discard()
    }

    /// Forgets it all.
    ///
    /// # Errors
    /// [`StateError::Io`] if something of it is left.
    pub fn discard(self) -> Result<(), StateError> {
        erase(&self.folder)
    }

    fn table(&self) -> Result<Table, StateError> {
        let read = |offset: u64, length: usize| {
            let mut bytes = vec![0; length];
            self.image.read_exact_at(&mut bytes, offset).map_err(self.io("read"))?;
            Ok::<_, StateError>(bytes)
        };
        let (offset, length) = locate(&read(0, HEAD_BYTES)?, self.chunk_bytes, self.image_bytes)?;
        decode(&read(offset, length)?, self.chunk_bytes, self.chunks())
    }

    fn zero(&self) -> Digest {
        digest(&[&vec![0; self.chunk_bytes as usize]])
    }

    fn chunks(&self) -> u32 {
        u32::try_from(chunks_for(self.image_bytes, self.chunk_bytes)).unwrap_or(0)
    }

    fn io(&self, action: &'static str) -> impl FnOnce(io::Error) -> StateError + use<> {
        StateError::io(action, &self.folder)
    }
}

/// Digests of the round that was placed last, and of the one that is to be.
struct Rounds<'a> {
    old: &'a [Digest],
    new: &'a [Digest],
    zero: Digest,
}

impl Rounds<'_> {
    fn same(&self, at: u32) -> bool {
        self.old.get(at as usize).is_some_and(|old| self.new.get(at as usize) == Some(old))
    }

    fn is_zero(&self, at: u32) -> bool {
        self.new.get(at as usize) == Some(&self.zero)
    }
}
