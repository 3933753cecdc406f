//! Where everything of a state is in its image, so that what did not change stays where it was.
//!
//! Invariant: regions do not overlap, and a file keeps its region from scan to scan as long as it fits; only files that outgrow theirs
//! move, to twice the room, so that a file that grows for ever moves rarely. If more than half of an image would be
//! empty, it is laid out anew.

use std::collections::BTreeMap;

use super::table::{HEAD_BYTES, Region, Table, chunks_for};
use super::walk::Stamp;
use super::{CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, CHUNKS_MAX, Digest, StateError};

/// Chunks are lengthened until there are no more of them, unless files are many: then lists of digests are short, and deltas fine.
const CHUNKS_AIM: u64 = 4_096;
/// Length of chunks of ordinary states: little to send again for one changed byte, little to say for each.
const CHUNK_BYTES_USUAL: u32 = 16 << 10;
/// Room that may be empty besides half of the image.
const EMPTY_CHUNKS_FREE: u64 = 64;

/// An image without its bytes: 32 bytes per chunk and what tells whether files changed.
#[derive(Debug, Clone)]
pub struct Layout {
    pub(super) chunk_bytes: u32,
    pub(super) table: Table,
    /// Of files that were settled when they were read.
    pub(super) stamps: BTreeMap<String, Stamp>,
    pub(super) places: Places,
    pub(super) digests: Vec<Digest>,
    pub(super) zero: Digest,
}

impl Layout {
    /// Length of every chunk, bytes.
    #[must_use]
    pub const fn chunk_bytes(&self) -> u32 {
        self.chunk_bytes
    }

    /// Length of the image, bytes: whole chunks.
    #[must_use]
    pub fn image_bytes(&self) -> u64 {
        self.digests.len() as u64 * u64::from(self.chunk_bytes)
    }

    /// Digests of the chunks, in order.
    #[must_use]
    pub fn digests(&self) -> &[Digest] {
        &self.digests
    }

    /// What its files hold together, bytes.
    #[must_use]
    pub fn content_bytes(&self) -> u64 {
        let lengths = self.table.values().map(|entry| match entry {
            super::table::Entry::File { length, .. } => *length,
            _ => 0,
        });
        lengths.fold(0, u64::saturating_add)
    }

    /// How much of this image differs from an older one, bytes: what a round would send.
    #[must_use]
    pub fn dirty_bytes(&self, older: &Self) -> u64 {
        if self.chunk_bytes != older.chunk_bytes {
            return self.image_bytes();
        }
        let differs = |(at, digest): &(usize, &Digest)| older.digests.get(*at) != Some(digest);
        self.digests.iter().enumerate().filter(differs).count() as u64 * u64::from(self.chunk_bytes)
    }

    pub(super) fn digests_of(&self, region: Region) -> &[Digest] {
        self.digests.get(region.start as usize..region.end() as usize).unwrap_or_default()
    }
}

/// Which chunks hold what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Places {
    /// Head, and the table if it fits behind it.
    pub(super) head: u32,
    /// The table, if it does not.
    pub(super) table: Option<Region>,
    pub(super) files: BTreeMap<String, Region>,
    /// In all.
    pub(super) chunks: u32,
}

/// Lays a state out: the length of its chunks, and their places.
pub(super) fn arrange(
    lengths: &BTreeMap<String, u64>,
    table_bytes: u64,
    previous: Option<&Layout>,
) -> Result<(u32, Places), StateError> {
    if let Some(previous) = previous {
        let chunk_bytes = previous.chunk_bytes;
        let places = rearrange(lengths, table_bytes, chunk_bytes, &previous.places);
        let needed = chunks_in_all(lengths, table_bytes, chunk_bytes);
        let dense = |places: &Places| u64::from(places.chunks) <= needed * 2 + EMPTY_CHUNKS_FREE;
        if let Some(places) = places.filter(dense) {
            return Ok((chunk_bytes, places));
        }
    }
    let chunk_bytes = chunk_bytes_for(lengths);
    // Room for twice as many names, so that the table seldom moves.
    let head = chunks_for(table_bytes * 2 + HEAD_BYTES as u64, chunk_bytes);
    let nothing = Places {
        head: u32::try_from(head).unwrap_or(CHUNKS_MAX),
        table: None,
        files: BTreeMap::new(),
        chunks: 0,
    };
    let limit = u64::from(CHUNKS_MAX) * u64::from(CHUNK_BYTES_MAX);
    let places = rearrange(lengths, table_bytes, chunk_bytes, &nothing);
    places.map(|places| (chunk_bytes, places)).ok_or(StateError::TooLarge { limit, what: "bytes" })
}

fn chunks_in_all(lengths: &BTreeMap<String, u64>, table_bytes: u64, chunk_bytes: u32) -> u64 {
    let content = lengths.values().map(|length| chunks_for(*length, chunk_bytes));
    content.fold(chunks_for(table_bytes + HEAD_BYTES as u64, chunk_bytes), u64::saturating_add)
}

fn chunk_bytes_for(lengths: &BTreeMap<String, u64>) -> u32 {
    let (files, bytes) =
        (lengths.len() as u64, lengths.values().fold(0u64, |sum, length| sum.saturating_add(*length)));
    // Many small files would be mostly padding.
    let small = files > 64 && bytes / files < u64::from(CHUNK_BYTES_MIN * 2);
    let mut chunk_bytes = if small { CHUNK_BYTES_MIN } else { CHUNK_BYTES_USUAL };
    let aim = CHUNKS_AIM.max(files * 2);
    while chunk_bytes < CHUNK_BYTES_MAX && chunks_in_all(lengths, 0, chunk_bytes) > aim {
        chunk_bytes *= 2;
    }
    chunk_bytes
}

/// Keeps what fits where it was, and gives the rest room in gaps, else at the end. `None` = more than [`CHUNKS_MAX`].
fn rearrange(
    lengths: &BTreeMap<String, u64>,
    table_bytes: u64,
    chunk_bytes: u32,
    old: &Places,
) -> Option<Places> {
    let needs = |bytes: u64| u32::try_from(chunks_for(bytes, chunk_bytes)).ok();
    let (mut files, mut homeless) = (BTreeMap::new(), Vec::new());
    for (path, length) in lengths {
        let chunks = needs(*length)?;
        match old.files.get(path) {
            Some(region) if chunks <= region.chunks => drop(files.insert(path.clone(), *region)),
            _ if chunks == 0 => drop(files.insert(path.clone(), Region { start: 0, chunks: 0 })),
            // An empty file that grows is no older than a new one.
            Some(region) if region.chunks > 0 => homeless.push((path, chunks.saturating_mul(2))),
            _ => homeless.push((path, chunks)),
        }
    }
    let inline = needs(table_bytes + HEAD_BYTES as u64)? <= old.head;
    let table_chunks = needs(table_bytes)?;
    let kept_table = old.table.filter(|region| !inline && table_chunks <= region.chunks);
    let taken = files.values().copied().chain(kept_table).filter(|region| region.chunks > 0);
    let mut room = Room::new(old.head, taken.collect());
    let table = match kept_table {
        None if !inline => Some(room.take(table_chunks.saturating_mul(2))),
        kept => kept,
    };
    // Small ones first: they fit into gaps.
    homeless.sort_unstable_by_key(|(path, chunks)| (*chunks, *path));
    for (path, chunks) in homeless {
        files.insert(path.clone(), room.take(chunks));
    }
    (room.end <= CHUNKS_MAX).then_some(Places { head: old.head, table, files, chunks: room.end })
}

/// Chunks that are free: gaps in order, then everything behind the end.
struct Room {
    gaps: std::vec::IntoIter<Region>,
    gap: Option<Region>,
    end: u32,
}

impl Room {
    fn new(head: u32, mut taken: Vec<Region>) -> Self {
        taken.sort_unstable();
        let (mut gaps, mut end) = (Vec::new(), head);
        for region in taken {
            if region.start > end {
                gaps.push(Region { start: end, chunks: region.start - end });
            }
            end = end.max(region.end());
        }
        Self { gaps: gaps.into_iter(), gap: None, end }
    }

    /// The next gap that is large enough; gaps that were too small are not tried again, so that this stays linear.
    fn take(&mut self, chunks: u32) -> Region {
        while let Some(gap) = self.gap.take().or_else(|| self.gaps.next()) {
            if gap.chunks >= chunks {
                self.gap = Some(Region { start: gap.start + chunks, chunks: gap.chunks - chunks });
                return Region { start: gap.start, chunks };
            }
        }
        let region = Region { start: self.end, chunks };
        self.end = region.end();
        region
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(files: &[(&str, u64)]) -> BTreeMap<String, u64> {
        files.iter().map(|(path, length)| ((*path).to_owned(), *length)).collect()
    }

    fn laid_out(files: &[(&str, u64)], previous: Option<&Layout>) -> Layout {
        let (chunk_bytes, places) = arrange(&lengths(files), 100, previous).unwrap();
        let mut taken: Vec<Region> = places.files.values().copied().filter(|it| it.chunks > 0).collect();
        taken.sort_unstable();
        assert!(taken.windows(2).all(|pair| pair[0].end() <= pair[1].start), "{taken:?}");
        assert!(taken.iter().all(|it| it.start >= places.head && it.end() <= places.chunks), "{places:?}");
        let digests = vec![[0; 32]; places.chunks as usize];
        Layout { chunk_bytes, table: Table::new(), stamps: BTreeMap::new(), places, digests, zero: [0; 32] }
    }

    #[test]
    fn files_keep_their_places_and_gaps_are_used_again() {
        const C: u64 = CHUNK_BYTES_USUAL as u64;
        let first = laid_out(&[("a", 3 * C), ("b", 2 * C), ("c", C), ("e", 0)], None);
        let second = laid_out(&[("a", 3 * C + 1), ("b", C), ("c", C), ("d", 2 * C), ("e", 0)], Some(&first));
        let place = |layout: &Layout, path: &str| layout.places.files[path];
        assert_eq!(place(&second, "b"), place(&first, "b"));
        assert_eq!(place(&second, "c"), place(&first, "c"));
        assert_eq!(place(&second, "a").chunks, 8, "what outgrew its place has room to grow");
        assert_eq!(place(&second, "d").start, place(&first, "a").start, "the gap is used");
        let third = laid_out(&[("a", 8 * C), ("d", C)], Some(&second));
        assert_eq!(place(&third, "a"), place(&second, "a"));
    }

    #[test]
    fn a_state_that_shrank_is_laid_out_anew_and_chunks_fit_the_state() {
        let large = laid_out(&[("a", 64 << 20), ("b", 1)], None);
        assert_eq!(laid_out(&[("b", 1)], Some(&large)).places.chunks, 2);
        for (files, chunk_bytes) in [
            (vec![("state".to_owned(), 64 << 10)], CHUNK_BYTES_USUAL),
            (vec![("a".to_owned(), 250 << 20)], 64 << 10),
            (vec![("a".to_owned(), 200 << 30)], CHUNK_BYTES_MAX),
            ((0..60_000).map(|at| (format!("{at}"), 100)).collect(), CHUNK_BYTES_MIN),
        ] {
            let lengths: BTreeMap<String, u64> = files.into_iter().collect();
            assert_eq!(arrange(&lengths, 100, None).unwrap().0, chunk_bytes);
        }
        assert!(matches!(arrange(&lengths(&[("a", 257 << 30)]), 9, None), Err(StateError::TooLarge { .. })));
        assert!(matches!(
            arrange(&lengths(&[("a", u64::MAX), ("b", u64::MAX)]), 9, None),
            Err(StateError::TooLarge { .. })
        ));
    }
}
