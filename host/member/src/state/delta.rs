//! What changed between two scans, as changes of files: for second copies, which have no image.
//!
//! two layouts -> [`Differences`] -> deltas of bounded length -> [`super::SecondCopy`]
//!
//! Invariant: all deltas of one comparison, applied in order to a directory that is as the older scan says, make it as the newer one says;
//! with no older scan, any directory that is empty.

use super::table::{Entry, Region, chunks_for};
use super::{ChunkError, Image, Layout, StateError, path};

/// Longest content of one delta, bytes.
pub const DELTA_BYTES_MAX: usize = 1 << 20;
/// Most changes of one delta.
pub const DELTA_CHANGES_MAX: usize = 4_096;

/// What becomes of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Nothing is there any more, nor below it.
    Removed,
    /// A directory; what is in it stays.
    Directory {
        /// Rights, nine bits.
        mode: u32,
    },
    /// A symbolic link.
    Link {
        /// Where it leads, within the state.
        target: String,
    },
    /// A file, some of whose bytes are given; the others stay, and are zero behind its old end.
    File {
        /// Rights, nine bits.
        mode: u32,
        /// Where `bytes` go.
        offset: u64,
        /// New content.
        bytes: Vec<u8>,
        /// Length of the file afterwards.
        length: u64,
    },
}

/// Changes, in the order in which they are to be made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Delta {
    /// Paths and what becomes of them.
    pub changes: Vec<(String, Change)>,
}

impl Delta {
    /// Checks paths, links and bounds; nothing that comes from elsewhere is kept before.
    ///
    /// # Errors
    /// [`StateError`] names the first that is wrong.
    pub fn check(&self) -> Result<(), StateError> {
        if self.changes.len() > DELTA_CHANGES_MAX || self.bytes() > DELTA_BYTES_MAX {
            return Err(StateError::Malformed("the delta is too long"));
        }
        for (path, change) in &self.changes {
            path::check(path)?;
            match change {
                Change::Link { target } => path::check_target(path, target)?,
                Change::File { offset, bytes, length, .. } => {
                    if offset.saturating_add(bytes.len() as u64) > *length
                        || *length > super::CONTENT_BYTES_MAX
                    {
                        return Err(StateError::entry(path, "its content is outside of it"));
                    }
                }
                Change::Removed | Change::Directory { .. } => {}
            }
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        let content = self.changes.iter().map(|(_, change)| match change {
            Change::File { bytes, .. } => bytes.len(),
            _ => 0,
        });
        content.sum()
    }
}

/// One thing to be said; content is read when it is its turn.
#[derive(Debug)]
enum Step<'a> {
    Say(&'a str, Change),
    /// A chunk of a file, and its place in the image.
    Chunk {
        path: &'a str,
        at: u32,
        index: u32,
    },
}

/// The deltas from an older scan to a newer one, one after the other.
#[derive(Debug)]
pub struct Differences<'a> {
    image: &'a Image,
    steps: std::iter::Peekable<std::vec::IntoIter<Step<'a>>>,
}

impl<'a> Differences<'a> {
    /// Compares. Without an older scan everything is new.
    #[must_use]
    pub fn new(image: &'a Image, older: Option<&'a Layout>) -> Self {
        let layout = image.layout();
        let mut steps = Vec::new();
        let kind = std::mem::discriminant::<Entry>;
        for (path, entry) in older.iter().flat_map(|older| older.table.iter().rev()) {
            if layout.table.get(path).is_none_or(|new| kind(new) != kind(entry)) {
                steps.push(Step::Say(path, Change::Removed));
            }
        }
        for (path, entry) in &layout.table {
            let old = older.and_then(|older| older.table.get(path));
            match entry {
                Entry::Directory { mode } if old != Some(entry) => {
                    steps.push(Step::Say(path, Change::Directory { mode: *mode }));
                }
                Entry::Link { target } if old != Some(entry) => {
                    steps.push(Step::Say(path, Change::Link { target: target.clone() }));
                }
                Entry::File { mode, length, region } => {
                    file_steps(&mut steps, layout, older, path, (*mode, *length, *region));
                }
                Entry::Directory { .. } | Entry::Link { .. } => {}
            }
        }
        Self { image, steps: steps.into_iter().peekable() }
    }

    fn change(&self, step: Step<'a>) -> Result<(String, Change), ChunkError> {
        match step {
            Step::Say(path, change) => Ok((path.to_owned(), change)),
            Step::Chunk { path, at, index } => {
                let layout = self.image.layout();
                let mut bytes = self.image.read_chunk(index)?;
                let Some(Entry::File { mode, length, .. }) = layout.table.get(path) else {
                    return Err(ChunkError::OutOfRange(index));
                };
                let offset = u64::from(at) * u64::from(layout.chunk_bytes);
                bytes.truncate(usize::try_from(length.saturating_sub(offset)).unwrap_or(usize::MAX));
                Ok((path.to_owned(), Change::File { mode: *mode, offset, bytes, length: *length }))
            }
        }
    }
}

fn file_steps<'a>(
    steps: &mut Vec<Step<'a>>,
    layout: &Layout,
    older: Option<&Layout>,
    path: &'a str,
    (mode, length, region): (u32, u64, Region),
) {
    let old = older.filter(|older| older.chunk_bytes == layout.chunk_bytes).and_then(|older| {
        let Some(Entry::File { mode, length, region }) = older.table.get(path) else { return None };
        let used = chunks_for(*length, older.chunk_bytes);
        Some((*mode, *length, older.digests_of(*region).get(..usize::try_from(used).ok()?)?))
    });
    let empty = |length| Change::File { mode, offset: 0, bytes: Vec::new(), length };
    match old {
        // Whatever is there is not built upon.
        None => {
            steps.push(Step::Say(path, empty(0)));
            steps.push(Step::Say(path, empty(length)));
        }
        Some((old_mode, old_length, _)) if (old_mode, old_length) != (mode, length) => {
            steps.push(Step::Say(path, empty(length)));
        }
        Some(_) => {}
    }
    let old_digests = old.map_or(&[][..], |(_, _, digests)| digests);
    let used = chunks_for(length, layout.chunk_bytes);
    for (at, digest) in (0..u32::try_from(used).unwrap_or(0)).zip(layout.digests_of(region)) {
        if old_digests.get(at as usize).unwrap_or(&layout.zero) != digest {
            steps.push(Step::Chunk { path, at, index: region.start + at });
        }
    }
}

impl Iterator for Differences<'_> {
    type Item = Result<Delta, ChunkError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.steps.peek()?;
        let chunk_bytes = self.image.layout().chunk_bytes as usize;
        let (mut delta, mut room) = (Delta::default(), DELTA_BYTES_MAX);
        while delta.changes.len() < DELTA_CHANGES_MAX && room >= chunk_bytes {
            let Some(step) = self.steps.next() else { break };
            match self.change(step) {
                Ok(change) => {
                    if let Change::File { bytes, .. } = &change.1 {
                        room = room.saturating_sub(bytes.len());
                    }
                    delta.changes.push(change);
                }
                Err(error) => return Some(Err(error)),
            }
        }
        Some(Ok(delta))
    }
}
