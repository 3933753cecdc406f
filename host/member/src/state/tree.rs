//! Makes and changes a state directory from what came from elsewhere.
//!
//! Invariant: every path was checked, every directory on the way is a real one, and links are never followed: nothing outside the root is
//! touched, whatever came. Nobody else writes there meanwhile.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};

use super::table::MODE_MASK;
use super::{StateError, path};

/// A directory that is being made.
#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
}

impl Tree {
    /// Opens it; makes it if it is missing.
    pub(super) fn open(root: PathBuf) -> Result<Self, StateError> {
        std::fs::create_dir_all(&root).map_err(StateError::io("make", &root))?;
        Ok(Self { root })
    }

    /// The real path of a checked one whose directories are real.
    fn place(&self, path: &str) -> Result<PathBuf, StateError> {
        path::check(path)?;
        let mut real = self.root.clone();
        for name in path::parent(path).iter().flat_map(|parent| parent.split('/')) {
            real.push(name);
            let metadata = std::fs::symlink_metadata(&real).map_err(StateError::io("find", &real))?;
            if !metadata.is_dir() {
                return Err(StateError::entry(path, "its directory is something else"));
            }
        }
        Ok(self.root.join(path))
    }

    /// A directory at the path; what else is there goes.
    pub(super) fn directory(&self, path: &str, mode: u32) -> Result<(), StateError> {
        let real = self.place(path)?;
        if !std::fs::symlink_metadata(&real).is_ok_and(|metadata| metadata.is_dir()) {
            erase(&real)?;
            std::fs::create_dir(&real).map_err(StateError::io("make", &real))?;
        }
        set_mode(&real, mode & MODE_MASK | 0o700)
    }

    /// A link at the path; what else is there goes.
    pub(super) fn link(&self, path: &str, target: &str) -> Result<(), StateError> {
        let real = self.place(path)?;
        path::check_target(path, target)?;
        if std::fs::read_link(&real).is_ok_and(|there| there == Path::new(target)) {
            return Ok(());
        }
        erase(&real)?;
        std::os::unix::fs::symlink(target, &real).map_err(StateError::io("link", &real))
    }

    /// The file at the path, to be written; what else is there goes.
    pub(super) fn file(&self, path: &str) -> Result<File, StateError> {
        let real = self.place(path)?;
        match std::fs::symlink_metadata(&real) {
            Ok(metadata) if metadata.is_file() => {
                if metadata.permissions().mode() & 0o200 == 0 {
                    set_mode(&real, 0o600)?;
                }
            }
            Ok(_) => erase(&real)?,
            Err(_) => {}
        }
        let flags = OFlags::NOFOLLOW.bits().cast_signed();
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600).custom_flags(flags);
        options.open(&real).map_err(StateError::io("write", &real))
    }

    /// Ends the writing of a file.
    pub(super) fn finish(&self, path: &str, file: &File, length: u64, mode: u32) -> Result<(), StateError> {
        let done = file.set_len(length);
        let done = done.and_then(|()| file.set_permissions(Permissions::from_mode(mode & MODE_MASK)));
        done.map_err(StateError::io("write", &self.root.join(path)))
    }

    /// Nothing at the path, and nothing under it.
    pub(super) fn remove(&self, path: &str) -> Result<(), StateError> {
        match self.place(path) {
            Ok(real) => erase(&real),
            Err(StateError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(()),
            // Something else took the place of its directory: it is gone with it.
            Err(StateError::Entry { .. }) if path::check(path).is_ok() => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Removes whatever is there, if anything.
pub(super) fn erase(real: &Path) -> Result<(), StateError> {
    let removed = match std::fs::symlink_metadata(real) {
        Err(error) => Err(error),
        Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(real),
        Ok(_) => std::fs::remove_file(real),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StateError::io("remove", real)(error)),
        _ => Ok(()),
    }
}

/// Puts a directory in the place of another, which is at the first one's place then; or in a place where nothing is.
pub(super) fn exchange(from: &Path, to: &Path) -> Result<(), StateError> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::EXCHANGE) {
        Err(rustix::io::Errno::NOENT) => std::fs::rename(from, to).map_err(StateError::io("rename", from)),
        // A file system without an exchange: the moment in between is a state that is missing, not a wrong one.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            erase(to)?;
            std::fs::rename(from, to).map_err(StateError::io("rename", from))
        }
        other => other.map_err(|error| StateError::io("rename", from)(error.into())),
    }
}

fn set_mode(real: &Path, mode: u32) -> Result<(), StateError> {
    std::fs::set_permissions(real, Permissions::from_mode(mode))
        .map_err(StateError::io("set rights of", real))
}
