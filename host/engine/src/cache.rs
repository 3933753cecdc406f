//! Compiled code on disk, authenticated: mapping it runs it, so only what this host wrote is ever mapped.
//!
//! code -> `<dir>/<digest>-<engine>.code` = tag (HMAC-SHA256) + code; key in `<dir>/key`, both for the owner only
//!
//! Invariant: an entry with a wrong tag, of another engine or another component is never used; it is deleted, counted and
//! made again. At most [`ENTRIES_MAX`] entries are kept.

use std::fs;
use std::hash::{Hash as _, Hasher};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use hmac::{Hmac, KeyInit as _, Mac as _};
use pilothouse_core::id::Digest;
use sha2::Sha256;

/// Most entries; the oldest leaves.
const ENTRIES_MAX: usize = 256;
const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 32;

/// A folder of compiled code, or nothing.
#[derive(Debug)]
pub struct Cache {
    place: Option<(PathBuf, [u8; KEY_BYTES])>,
    rejected: AtomicU64,
}

impl Cache {
    /// Keeps nothing.
    #[must_use]
    pub fn none() -> Self {
        Self { place: None, rejected: AtomicU64::new(0) }
    }

    /// Opens a folder, making it and its key if needed.
    ///
    /// # Errors
    /// The system's reason.
    pub fn open(dir: &Path) -> io::Result<Self> {
        use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
        let path = dir.join("key");
        let key = match fs::read(&path).ok().and_then(|bytes| bytes.try_into().ok()) {
            Some(key) => key,
            None => {
                let mut key = [0; KEY_BYTES];
                rustix::rand::getrandom(&mut key, rustix::rand::GetRandomFlags::empty())?;
                write_whole(dir, &path, &[&key])?;
                key
            }
        };
        Ok(Self { place: Some((dir.to_owned(), key)), rejected: AtomicU64::new(0) })
    }

    /// Entries that were not what this host wrote.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.rejected.load(Ordering::Relaxed)
    }

    pub(crate) fn get(&self, engine: &wasmtime::Engine, component: Digest) -> Option<Vec<u8>> {
        let (dir, key) = self.place.as_ref()?;
        let name = entry_name(engine, component);
        let path = dir.join(&name);
        let entry = fs::read(&path).ok()?;
        let genuine = entry.split_at_checked(TAG_BYTES).filter(|(tag, code)| {
            authenticator(key, &name, code).is_some_and(|mac| mac.verify_slice(tag).is_ok())
        });
        let Some((_, code)) = genuine else {
            self.rejected.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(entry = name, "compiled code was not written by this host and is deleted");
            let _ = fs::remove_file(&path);
            return None;
        };
        Some(code.to_vec())
    }

    /// Keeps code; a full disk only costs the next start some time.
    pub(crate) fn put(&self, engine: &wasmtime::Engine, component: Digest, code: &[u8]) {
        let Some((dir, key)) = &self.place else { return };
        let name = entry_name(engine, component);
        let Some(mac) = authenticator(key, &name, code) else { return };
        let tag = mac.finalize().into_bytes();
        if let Err(error) = write_whole(dir, &dir.join(&name), &[&tag, code]) {
            tracing::warn!(%error, entry = name, "compiled code could not be kept");
        }
        self.trim(dir);
    }

    fn trim(&self, dir: &Path) {
        let Ok(entries) = fs::read_dir(dir) else { return };
        let mut codes: Vec<_> = entries
            .flatten()
            .filter(|entry| entry.path().extension().is_some_and(|end| end == "code"))
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        codes.sort();
        let surplus = codes.len().saturating_sub(ENTRIES_MAX);
        for (_, path) in codes.into_iter().take(surplus) {
            let _ = fs::remove_file(path);
        }
    }
}

fn authenticator(key: &[u8], name: &str, code: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(name.as_bytes());
    mac.update(&[0]);
    mac.update(code);
    Some(mac)
}

fn entry_name(engine: &wasmtime::Engine, component: Digest) -> String {
    struct Collect(Vec<u8>);
    impl Hasher for Collect {
        fn finish(&self) -> u64 {
            0
        }
        fn write(&mut self, bytes: &[u8]) {
            self.0.extend_from_slice(bytes);
        }
    }
    let mut bytes = Collect(Vec::new());
    engine.precompile_compatibility_hash().hash(&mut bytes);
    let hex = component.to_string();
    format!("{}-{}.code", hex.trim_start_matches("sha256:"), crate::digest(&bytes.0).short())
}

fn write_whole(dir: &Path, path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    for part in parts {
        file.write_all(part)?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|error| error.error)
}
