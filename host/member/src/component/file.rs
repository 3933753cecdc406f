//! An agent's state on disk: one file, replaced as a whole.
//!
//! Invariant: under its name there is always a whole state, or nothing (a fresh agent). A process that is killed
//! leaves a half-written file only where no copy and no start looks. Not synced: see the port.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::STATE_BYTES_MAX;

/// Name of the file in the state directory.
pub(super) const NAME: &str = "state";

#[derive(Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    new: PathBuf,
}

impl StateFile {
    pub(super) fn new(state_dir: &Path, work_dir: &Path) -> Self {
        Self { path: state_dir.join(NAME), new: work_dir.join("state.new") }
    }

    /// The state; `None` if there is none.
    pub(super) fn read(&self) -> io::Result<Option<Vec<u8>>> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut state = Vec::new();
        file.take(STATE_BYTES_MAX as u64 + 1).read_to_end(&mut state)?;
        if state.len() > STATE_BYTES_MAX {
            return Err(io::Error::other(format!("the state has more than {STATE_BYTES_MAX} bytes")));
        }
        Ok(Some(state))
    }

    /// Replaces the state.
    pub(super) fn write(&self, state: &[u8]) -> io::Result<()> {
        fs::write(&self.new, state)?;
        fs::rename(&self.new, &self.path)
    }
}
