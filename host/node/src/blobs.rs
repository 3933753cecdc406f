//! Components on disk, by digest: what slots point to after a restart.
//!
//! bytes -> `<data>/policies/<digest>.wasm` (temporary file, fsync, rename, fsync of the folder)
//!
//! Invariant: a file under its final name has exactly the bytes of its digest; anything else is refused when read
//! and written again when offered. Compiled code is not here, see the engine's cache.

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;

use pilothouse_core::id::Digest;

/// Why a component could not be kept or found.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// No component with this digest was ever kept.
    #[error("component {0} is not on disk")]
    Missing(Digest),
    /// The file does not have the bytes of its name.
    #[error("component {0} is damaged on disk; load it again")]
    Damaged(Digest),
    /// The disk refused.
    #[error("cannot use {}", path.display())]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

/// A folder of components.
#[derive(Debug)]
pub struct Blobs {
    dir: PathBuf,
}

impl Blobs {
    /// Opens the folder, making it if needed and removing half-written files.
    ///
    /// # Errors
    /// [`BlobError::Disk`].
    pub fn open(dir: PathBuf) -> Result<Self, BlobError> {
        let disk = |source| BlobError::Disk { path: dir.clone(), source };
        fs::create_dir_all(&dir).map_err(disk)?;
        for entry in fs::read_dir(&dir).map_err(disk)?.flatten() {
            if entry.path().extension().is_some_and(|extension| extension == "tmp") {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(Self { dir })
    }

    /// Keeps bytes durably. Keeping them again costs one read.
    ///
    /// # Errors
    /// [`BlobError::Disk`].
    pub fn put(&self, digest: Digest, bytes: &[u8]) -> Result<(), BlobError> {
        if self.get(digest).is_ok() {
            return Ok(());
        }
        let path = self.path(digest);
        let disk = |source| BlobError::Disk { path: path.clone(), source };
        let mut file = tempfile::Builder::new().suffix(".tmp").tempfile_in(&self.dir).map_err(disk)?;
        file.write_all(bytes).map_err(disk)?;
        file.as_file().sync_all().map_err(disk)?;
        file.persist(&path).map_err(|error| disk(error.error))?;
        fs::File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(disk)
    }

    /// The bytes of a digest, checked.
    ///
    /// # Errors
    /// [`BlobError`].
    pub fn get(&self, digest: Digest) -> Result<Vec<u8>, BlobError> {
        let path = self.path(digest);
        let bytes = fs::read(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => BlobError::Missing(digest),
            _ => BlobError::Disk { path, source },
        })?;
        if pilothouse_engine::digest(&bytes) == digest { Ok(bytes) } else { Err(BlobError::Damaged(digest)) }
    }

    fn path(&self, digest: Digest) -> PathBuf {
        let hex = digest.to_string();
        self.dir.join(format!("{}.wasm", hex.trim_start_matches("sha256:")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_bytes_come_back_and_damage_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path().join("policies")).unwrap();
        let digest = pilothouse_engine::digest(b"abc");
        assert!(matches!(blobs.get(digest), Err(BlobError::Missing(_))));
        blobs.put(digest, b"abc").unwrap();
        assert_eq!(blobs.get(digest).unwrap(), b"abc");
        fs::write(blobs.path(digest), b"abd").unwrap();
        assert!(matches!(blobs.get(digest), Err(BlobError::Damaged(_))));
        blobs.put(digest, b"abc").unwrap();
        assert_eq!(blobs.get(digest).unwrap(), b"abc", "offered again, it is repaired");
    }
}
