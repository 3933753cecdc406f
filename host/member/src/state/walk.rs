//! What is in a state directory now.
//!
//! Invariant: links are not followed, and what changes while it is walked is found or not found, never misread. A file counts as
//! unchanged only if its stamp is the same and was *settled*: older than the clock of the file system when it was read, so that a
//! later write cannot have left the same times.

use std::collections::BTreeMap;
use std::fs::{FileType, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::time::{ClockId, clock_gettime};

use super::table::MODE_MASK;
use super::{ENTRIES_MAX, StateError, path};

/// Ticks of the clock of file systems are not longer.
const TICK_NS: i128 = 20_000_000;

/// What tells one content of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified_ns: i128,
    changed_ns: i128,
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let ns = |seconds: i64, ns: i64| i128::from(seconds) * 1_000_000_000 + i128::from(ns);
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether a write at `now_ns` or later is sure to change it.
    pub(super) fn settled(&self, now_ns: i128) -> bool {
        self.changed_ns.max(self.modified_ns) < now_ns - TICK_NS
    }
}

/// The clock that file systems stamp with.
pub(super) fn file_clock_ns() -> i128 {
    let now = clock_gettime(ClockId::RealtimeCoarse);
    i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec)
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    Directory { mode: u32 },
    File { mode: u32, length: u64, stamp: Stamp },
    Link { target: String },
}

/// Everything under a root, by path.
pub(super) fn walk(root: &Path) -> Result<BTreeMap<String, Found>, StateError> {
    let mut found = BTreeMap::new();
    let mut directories: Vec<(PathBuf, String)> = vec![(root.to_path_buf(), String::new())];
    while let Some((directory, prefix)) = directories.pop() {
        let entries = match std::fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !prefix.is_empty() => continue,
            entries => entries.map_err(StateError::io("read", &directory))?,
        };
        for entry in entries {
            let entry = entry.map_err(StateError::io("read", &directory))?;
            let name = entry.file_name();
            let name = name.to_str().ok_or_else(|| {
                StateError::entry(&name.to_string_lossy(), "its name is not UTF-8: rename it")
            })?;
            let path = format!("{prefix}{name}");
            path::check(&path)?;
            if let Some(thing) = look(&entry.path(), &path)? {
                if matches!(thing, Found::Directory { .. }) {
                    directories.push((entry.path(), format!("{path}/")));
                }
                found.insert(path, thing);
            }
            if found.len() > ENTRIES_MAX {
                return Err(StateError::TooLarge { limit: ENTRIES_MAX as u64, what: "files" });
            }
        }
    }
    Ok(found)
}

/// `None` = it is gone, or nothing that is carried.
fn look(real: &Path, path: &str) -> Result<Option<Found>, StateError> {
    let read = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Ok(None),
        _ => Err(StateError::io("read", real)(error)),
    };
    let metadata = match std::fs::symlink_metadata(real) {
        Ok(metadata) => metadata,
        Err(error) => return read(error),
    };
    let (kind, mode) = (metadata.file_type(), metadata.mode() & MODE_MASK);
    if kind.is_dir() {
        // Without them nothing could be made in it.
        return Ok(Some(Found::Directory { mode: mode | 0o700 }));
    }
    if kind.is_symlink() {
        let target = match std::fs::read_link(real) {
            Ok(target) => target,
            Err(error) => return read(error),
        };
        let target = target.to_str().ok_or_else(|| StateError::entry(path, "its target is not UTF-8"))?;
        path::check_target(path, target)?;
        return Ok(Some(Found::Link { target: target.to_owned() }));
    }
    if kind.is_file() {
        return Ok(Some(Found::File { mode, length: metadata.len(), stamp: Stamp::of(&metadata) }));
    }
    other(kind, path)
}

/// Sockets and pipes are made anew by whoever uses them; a device is a mistake.
fn other(kind: FileType, path: &str) -> Result<Option<Found>, StateError> {
    if kind.is_socket() || kind.is_fifo() {
        return Ok(None);
    }
    Err(StateError::entry(path, "it is a device: keep devices out of the state directory"))
}
