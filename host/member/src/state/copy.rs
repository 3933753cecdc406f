//! A second copy of a state, kept for another member.
//!
//! delta -> log (from here on it may be acknowledged) -> [`SecondCopy::settle`] -> files -> marker -> log emptied
//! whole copy -> a tree beside -> marker names it -> the old tree goes
//!
//! Invariant: a copy always is exactly one version: what the marker names, and the complete versions in the log behind it. Files that a kill
//! left half changed are made whole by applying the log again, which may be done any number of times. A version counts when all of
//! its parts are there.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::record::{Record, decode, encode};
use super::tree::{Tree, erase, exchange};
use super::{Change, Delta, StateError};

/// Longest log; it is settled before it grows beyond, and a version that does not fit is to be sent whole.
pub const LOG_BYTES_MAX: u64 = 64 << 20;

/// Which state a copy is; versions of one owner only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Of the owner.
    pub epoch: u64,
    /// Within the epoch.
    pub number: u64,
}

/// Which part of a version comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Changes to the version before.
    Change,
    /// A part of a copy that is built upon nothing.
    Whole,
}

/// Why a part is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It is not newer than what is there.
    #[error("version {} of epoch {} is there already", .0.number, .0.epoch)]
    Stale(Version),
    /// There is nothing that it could change: a whole copy is needed.
    #[error("there is no copy that could be changed")]
    Missing,
    /// Parts of its version before it did not come: the version is to be sent anew.
    #[error("part {0} of the version comes before the parts in front of it")]
    Gap(u32),
    /// It does not fit the log: a whole copy is needed.
    #[error("a version of more than {LOG_BYTES_MAX} B has to be sent whole")]
    TooLarge,
    /// It is wrong, or the system refused.
    #[error(transparent)]
    State(#[from] StateError),
}

/// What the marker says.
#[derive(Debug, Clone, Copy)]
struct Marker {
    version: Version,
    tree: u64,
}

/// A copy, opened.
#[derive(Debug)]
pub struct SecondCopy {
    folder: PathBuf,
    marker: Option<Marker>,
    log: File,
    /// Length of the log as far as versions in it are complete, and with parts of an incomplete one.
    complete_bytes: u64,
    log_bytes: u64,
    newest: Option<Version>,
    /// A version whose parts come, and which part is the next.
    pending: Option<(Version, Part, u32)>,
}

impl SecondCopy {
    /// Opens a folder with what an earlier run left there, which is made one whole version.
    ///
    /// # Errors
    /// [`StateError`] if it cannot be read or made.
    pub fn open(folder: &Path) -> Result<Self, StateError> {
        std::fs::create_dir_all(folder).map_err(StateError::io("make", folder))?;
        let path = folder.join("log");
        let log = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let log = log.map_err(StateError::io("open", &path))?;
        let mut copy = Self {
            folder: folder.to_path_buf(),
            marker: read_marker(folder),
            log,
            complete_bytes: 0,
            log_bytes: 0,
            newest: None,
            pending: None,
        };
        copy.newest = copy.marker.map(|marker| marker.version);
        copy.settle()?;
        copy.clear_others()?;
        Ok(copy)
    }

    /// Which version this is; `None` = there is no copy yet.
    #[must_use]
    pub const fn version(&self) -> Option<Version> {
        self.newest
    }

    /// Takes a part of a version; parts are counted from 0. `Ok(true)` = with it the version is complete, and survives this process.
    ///
    /// # Errors
    /// [`Refused`]; the copy is what it was.
    pub fn write(
        &mut self,
        version: Version,
        part: Part,
        at: u32,
        last: bool,
        delta: &Delta,
    ) -> Result<bool, Refused> {
        delta.check()?;
        if let Some(newest) = self.newest.filter(|newest| *newest >= version) {
            return Err(Refused::Stale(newest));
        }
        if at == 0 {
            self.abandon()?;
        } else if self.pending != Some((version, part, at)) {
            return Err(Refused::Gap(at));
        }
        match part {
            Part::Change => self.append(version, last, delta)?,
            Part::Whole => self.build(version, last, delta)?,
        }
        self.pending = (!last).then_some((version, part, at.saturating_add(1)));
        if last {
            self.newest = Some(version);
        }
        Ok(last)
    }

    /// Forgets parts of a version that is not complete: its sender begins anew.
    ///
    /// # Errors
    /// [`StateError::Io`] if they cannot be removed.
    pub fn abandon(&mut self) -> Result<(), StateError> {
        if let Some((_, Part::Whole, _)) = self.pending.take() {
            erase(&self.tree(self.next_tree()))?;
        }
        self.cut_log(self.complete_bytes)
    }

    fn append(&mut self, version: Version, last: bool, delta: &Delta) -> Result<(), Refused> {
        if self.newest.is_none() {
            return Err(Refused::Missing);
        }
        let record = encode(version, last, delta);
        let grown = |bytes: u64| bytes + record.len() as u64;
        if self.pending.is_none() && grown(self.log_bytes) > LOG_BYTES_MAX {
            self.settle()?;
        }
        if grown(self.log_bytes) > LOG_BYTES_MAX {
            self.abandon()?;
            return Err(Refused::TooLarge);
        }
        if let Err(source) = self.log.write_all_at(&record, self.log_bytes) {
            // A full disk: what was written of it is no record.
            self.abandon()?;
            return Err(StateError::io("write", &self.folder.join("log"))(source).into());
        }
        self.log_bytes = grown(self.log_bytes);
        if last {
            self.complete_bytes = self.log_bytes;
        }
        Ok(())
    }

    fn build(&mut self, version: Version, last: bool, delta: &Delta) -> Result<(), StateError> {
        let number = self.next_tree();
        if self.pending.is_none() {
            erase(&self.tree(number))?;
        }
        apply(&Tree::open(self.tree(number))?, delta)?;
        if last {
            let old = self.marker;
            self.mark(Marker { version, tree: number })?;
            self.cut_log(0)?;
            if let Some(old) = old {
                erase(&self.tree(old.tree))?;
            }
        }
        Ok(())
    }

    /// Brings the versions of the log into the files. May be done at any time.
    ///
    /// # Errors
    /// [`StateError`]; nothing is lost then, it may be done again.
    pub fn settle(&mut self) -> Result<(), StateError> {
        let path = self.folder.join("log");
        let mut log = Vec::new();
        self.log
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.log.read_to_end(&mut log))
            .map_err(StateError::io("read", &path))?;
        let mut rest = log.as_slice();
        let (mut parts, mut settled) = (Vec::<Record>::new(), self.marker);
        while let Some((record, length)) = decode(rest) {
            rest = rest.get(length..).unwrap_or_default();
            if parts.first().is_some_and(|first| first.version != record.version) {
                parts.clear();
            }
            let last = record.last;
            parts.push(record);
            if let (true, Some(marker)) = (last, &mut settled) {
                let version = parts.first().map_or(marker.version, |part| part.version);
                if version > marker.version {
                    let tree = Tree::open(self.tree(marker.tree))?;
                    parts.iter().try_for_each(|part| apply(&tree, &part.delta))?;
                    marker.version = version;
                }
                parts.clear();
            }
        }
        if let Some(marker) =
            settled.filter(|marker| self.marker.is_some_and(|old| old.version != marker.version))
        {
            self.mark(marker)?;
        }
        self.newest = self.marker.map(|marker| marker.version);
        if let Some((_, Part::Change, _)) = self.pending {
            self.pending = None;
        }
        self.cut_log(0)
    }

    /// Gives the newest version to a workload: its state directory is this then, and this copy is gone.
    ///
    /// # Errors
    /// [`Refused::Missing`] without a copy; [`Refused::State`] if it cannot be moved.
    pub fn take(mut self, target: &Path) -> Result<Version, Refused> {
        self.abandon()?;
        self.settle()?;
        let marker = self.marker.ok_or(Refused::Missing)?;
        let tree = self.tree(marker.tree);
        exchange(&tree, target)?;
        erase(&self.folder)?;
        Ok(marker.version)
    }

    /// Where the files of the newest version are, for reading: valid until the next write.
    ///
    /// # Errors
    /// [`Refused::Missing`] without a copy; [`Refused::State`] if it cannot be settled.
    pub fn files(&mut self) -> Result<PathBuf, Refused> {
        self.settle()?;
        self.marker.map(|marker| self.tree(marker.tree)).ok_or(Refused::Missing)
    }

    fn tree(&self, number: u64) -> PathBuf {
        self.folder.join(format!("tree-{number}"))
    }

    fn next_tree(&self) -> u64 {
        self.marker.map_or(0, |marker| marker.tree.wrapping_add(1))
    }

    fn cut_log(&mut self, bytes: u64) -> Result<(), StateError> {
        if self.log.metadata().is_ok_and(|metadata| metadata.len() == bytes) && self.log_bytes == bytes {
            return Ok(());
        }
        self.log.set_len(bytes).map_err(StateError::io("cut", &self.folder.join("log")))?;
        self.log_bytes = bytes;
        self.complete_bytes = self.complete_bytes.min(bytes);
        Ok(())
    }

    fn mark(&mut self, marker: Marker) -> Result<(), StateError> {
        let (path, temporary) = (self.folder.join("marker"), self.folder.join("marker.new"));
        let text = format!("{} {} {}\n", marker.version.epoch, marker.version.number, marker.tree);
        let written = File::create(&temporary).and_then(|mut file| file.write_all(text.as_bytes()));
        written.and_then(|()| std::fs::rename(&temporary, &path)).map_err(StateError::io("write", &path))?;
        self.marker = Some(marker);
        Ok(())
    }

    /// Trees that the marker does not name are of no version.
    fn clear_others(&self) -> Result<(), StateError> {
        let entries = std::fs::read_dir(&self.folder).map_err(StateError::io("read", &self.folder))?;
        let named = self.marker.map(|marker| self.tree(marker.tree));
        for path in entries.flatten().map(|entry| entry.path()) {
            let is_tree = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("tree-"));
            if is_tree && Some(&path) != named.as_ref() {
                erase(&path)?;
            }
        }
        Ok(())
    }
}

fn read_marker(folder: &Path) -> Option<Marker> {
    let text = std::fs::read_to_string(folder.join("marker")).ok()?;
    let mut numbers = text.split_whitespace().map(str::parse);
    let mut next = || numbers.next()?.ok();
    Some(Marker { version: Version { epoch: next()?, number: next()? }, tree: next()? })
}

fn apply(tree: &Tree, delta: &Delta) -> Result<(), StateError> {
    for (path, change) in &delta.changes {
        match change {
            Change::Removed => tree.remove(path)?,
            Change::Directory { mode } => tree.directory(path, *mode)?,
            Change::Link { target } => tree.link(path, target)?,
            Change::File { mode, offset, bytes, length } => {
                let file = tree.file(path)?;
                file.write_all_at(bytes, *offset).map_err(StateError::io("write", Path::new(path)))?;
                tree.finish(path, &file, *length, *mode)?;
            }
        }
    }
    Ok(())
}
