//! The table of an image: what is in the state, and in which chunks the content of each file is.
//!
//! Invariant: a table that was read has safe paths in ascending order, each in a directory that is listed, no more than
//! [`ENTRIES_MAX`], regions that hold their files, and together no more chunks than the image. It is the only part of an image that is
//! believed, so nothing of it is believed unchecked.

use std::collections::{BTreeMap, BTreeSet};

use super::{CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, CHUNKS_MAX, ENTRIES_MAX, StateError, TABLE_BYTES_MAX, path};

/// Before every image.
const MAGIC: [u8; 8] = *b"phstate1";
/// Magic, length of chunks, first chunk of the table (0 = behind this head), length of the table, two zeros.
pub(super) const HEAD_BYTES: usize = 32;
/// Rights that are kept.
pub(super) const MODE_MASK: u32 = 0o777;

/// Whole chunks in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Region {
    pub(super) start: u32,
    pub(super) chunks: u32,
}

impl Region {
    pub(super) const fn end(self) -> u32 {
        self.start.saturating_add(self.chunks)
    }
}

/// One entry of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    Directory { mode: u32 },
    File { mode: u32, length: u64, region: Region },
    Link { target: String },
}

/// By path.
pub(super) type Table = BTreeMap<String, Entry>;

/// How many chunks hold so many bytes.
pub(super) fn chunks_for(bytes: u64, chunk_bytes: u32) -> u64 {
    bytes.div_ceil(u64::from(chunk_bytes.max(1)))
}

/// The head of an image; `start` 0 = the table follows it.
pub(super) fn head(chunk_bytes: u32, start: u32, table_bytes: u32) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    let parts =
        MAGIC.into_iter().chain([chunk_bytes, start, table_bytes].into_iter().flat_map(u32::to_le_bytes));
    head.iter_mut().zip(parts).for_each(|(out, byte)| *out = byte);
    head
}

/// Where the table of an image is, in bytes from its beginning.
pub(super) fn locate(head: &[u8], chunk_bytes: u32, image_bytes: u64) -> Result<(u64, usize), StateError> {
    let mut input = Input(head);
    if input.take(MAGIC.len())? != MAGIC {
        return Err(StateError::Malformed("it does not begin like one"));
    }
    if input.u32()? != chunk_bytes || !(CHUNK_BYTES_MIN..=CHUNK_BYTES_MAX).contains(&chunk_bytes) {
        return Err(StateError::Malformed("the length of its chunks differs"));
    }
    let (start, length) = (u64::from(input.u32()?), u64::from(input.u32()?));
    let offset = if start == 0 { HEAD_BYTES as u64 } else { start.saturating_mul(u64::from(chunk_bytes)) };
    if length > TABLE_BYTES_MAX || offset.saturating_add(length) > image_bytes {
        return Err(StateError::Malformed("its table is too long"));
    }
    usize::try_from(length)
        .map(|length| (offset, length))
        .map_err(|_| StateError::Malformed("its table is too long"))
}

/// The bytes of a table.
pub(super) fn encode(table: &Table) -> Result<Vec<u8>, StateError> {
    let mut bytes = u32::try_from(table.len()).unwrap_or(u32::MAX).to_le_bytes().to_vec();
    for (path, entry) in table {
        let text = |bytes: &mut Vec<u8>, text: &str| {
            bytes.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
            bytes.extend(text.as_bytes());
        };
        text(&mut bytes, path);
        match entry {
            Entry::Directory { mode } => {
                bytes.push(0);
                bytes.extend(mode.to_le_bytes());
            }
            Entry::File { mode, length, region } => {
                bytes.push(1);
                bytes.extend(mode.to_le_bytes());
                bytes.extend(length.to_le_bytes());
                bytes.extend(region.start.to_le_bytes());
                bytes.extend(region.chunks.to_le_bytes());
            }
            Entry::Link { target } => {
                bytes.push(2);
                text(&mut bytes, target);
            }
        }
    }
    if bytes.len() as u64 > TABLE_BYTES_MAX {
        return Err(StateError::TooLarge { limit: TABLE_BYTES_MAX, what: "bytes of names" });
    }
    Ok(bytes)
}

/// Reads a table and checks all of it.
pub(super) fn decode(bytes: &[u8], chunk_bytes: u32, image_chunks: u32) -> Result<Table, StateError> {
    let mut input = Input(bytes);
    let count = input.u32()? as usize;
    if count > ENTRIES_MAX {
        return Err(StateError::Malformed("it has too many entries"));
    }
    let (mut table, mut directories, mut chunks) = (Table::new(), BTreeSet::new(), 0u64);
    for _ in 0..count {
        let path = input.text()?;
        path::check(&path)?;
        if table.last_key_value().is_some_and(|(last, _)| *last >= path) {
            return Err(StateError::Malformed("its entries are not in order"));
        }
        if path::parent(&path).is_some_and(|parent| !directories.contains(parent)) {
            return Err(StateError::entry(&path, "its directory is not listed"));
        }
        let entry = input.entry(&path)?;
        match &entry {
            Entry::Directory { .. } => drop(directories.insert(path.clone())),
            Entry::File { length, region, .. } => {
                chunks = chunks.saturating_add(u64::from(region.chunks));
                let fits = chunks_for(*length, chunk_bytes) <= u64::from(region.chunks);
                let inside = u64::from(region.start) + u64::from(region.chunks) <= u64::from(image_chunks);
                if !fits || !inside || chunks > u64::from(CHUNKS_MAX) {
                    return Err(StateError::entry(&path, "its content is outside the image"));
                }
            }
            Entry::Link { target } => path::check_target(&path, target)?,
        }
        table.insert(path, entry);
    }
    if input.0.is_empty() { Ok(table) } else { Err(StateError::Malformed("its table has a rest")) }
}

/// What is left to be read.
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], StateError> {
        let (taken, rest) =
            self.0.split_at_checked(length).ok_or(StateError::Malformed("its table ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], StateError> {
        self.take(N)?.try_into().map_err(|_| StateError::Malformed("its table ends too early"))
    }

    pub(super) fn u32(&mut self) -> Result<u32, StateError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, StateError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn text(&mut self) -> Result<String, StateError> {
        let length = usize::from(u16::from_le_bytes(self.array()?));
        let text = String::from_utf8(self.take(length)?.to_vec());
        text.map_err(|_| StateError::Malformed("a name in it is not UTF-8"))
    }

    fn entry(&mut self, path: &str) -> Result<Entry, StateError> {
        let [kind] = self.array()?;
        if kind == 2 {
            return Ok(Entry::Link { target: self.text()? });
        }
        let mode = self.u32()?;
        if mode & !MODE_MASK != 0 {
            return Err(StateError::entry(path, "it has rights that states do not have"));
        }
        match kind {
            0 => Ok(Entry::Directory { mode }),
            1 => {
                let length = self.u64()?;
                let region = Region { start: self.u32()?, chunks: self.u32()? };
                Ok(Entry::File { mode, length, region })
            }
            _ => Err(StateError::entry(path, "it is of an unknown kind")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(start: u32, chunks: u32, length: u64) -> Entry {
        Entry::File { mode: 0o644, length, region: Region { start, chunks } }
    }

    fn read_back(entries: &[(&str, Entry)]) -> Result<Table, StateError> {
        let table = entries.iter().map(|(path, entry)| ((*path).to_owned(), entry.clone())).collect();
        decode(&encode(&table).unwrap(), 4096, 16)
    }

    #[test]
    fn a_table_that_lies_is_refused() {
        let link = |target: &str| Entry::Link { target: target.into() };
        let directory = || Entry::Directory { mode: 0o755 };
        assert!(
            read_back(&[("d", directory()), ("d/a", file(1, 15, 15 * 4096)), ("d/l", link("../x"))]).is_ok()
        );
        for (why, entries) in [
            ("no directory", vec![("d/a", file(1, 1, 1))]),
            ("parent is a link", vec![("d", link("x")), ("d/a", file(1, 1, 1))]),
            ("parent is a file", vec![("d", file(1, 1, 1)), ("d/a", file(1, 1, 1))]),
            ("escapes", vec![("..", directory())]),
            ("absolute", vec![("/a", directory())]),
            ("link escapes", vec![("l", link("../x"))]),
            ("outside", vec![("a", file(15, 2, 1))]),
            ("outside, wrapping", vec![("a", file(u32::MAX, u32::MAX, 1))]),
            ("too short", vec![("a", file(1, 1, 4097))]),
            ("setuid", vec![("a", Entry::Directory { mode: 0o4755 })]),
        ] {
            assert!(read_back(&entries).is_err(), "{why}");
        }
        // Names that sort between a directory and what is in it do not hide it.
        assert!(read_back(&[("d", directory()), ("d-", file(1, 1, 1)), ("d/a", file(1, 1, 1))]).is_ok());
    }

    #[test]
    fn content_is_not_multiplied_by_regions_that_overlap() {
        let entries: Table = (0..20_000).map(|at| (format!("{at:05}"), file(0, 16, 16 * 4096))).collect();
        assert!(decode(&encode(&entries).unwrap(), 4096, 16).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_table_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200), count in 0u32..4) {
            let _ = decode(&bytes, 4096, 16);
            let _ = decode(&[&count.to_le_bytes(), &bytes[..]].concat(), 4096, 16);
            let _ = locate(&bytes, 4096, 65_536);
        }
    }
}
