//! Artifacts that were pulled, on disk by the digest of their manifest.
//!
//! `$XDG_CACHE_HOME/pilothouse/registry/<digest>.json` and `<digest>.wasm`
//!
//! Invariant: what comes out has the digests it was asked by, whatever happened to the files; at most
//! [`CACHE_BYTES_MAX`] are kept, the ones longest unused leave first.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context as _;
use pilothouse_core::id::Digest;
use pilothouse_engine::digest;

use super::artifact::{Artifact, describe};

/// Most bytes kept.
const CACHE_BYTES_MAX: u64 = 256 << 20;

/// The folder.
pub(in crate::commands) struct Cache {
    dir: PathBuf,
    bytes_max: u64,
}

impl Cache {
    /// The user's.
    pub(in crate::commands) fn open() -> anyhow::Result<Self> {
        let named = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = named("XDG_CACHE_HOME").or_else(|| named("HOME").map(|home| home.join(".cache")));
        let base = base.context("neither XDG_CACHE_HOME nor HOME names a folder for the cache")?;
        Ok(Self { dir: base.join("pilothouse/registry"), bytes_max: CACHE_BYTES_MAX })
    }

    /// Where it is.
    pub(in crate::commands) fn dir(&self) -> &Path {
        &self.dir
    }

    /// An artifact by its manifest's digest; what is damaged counts as absent.
    pub(in crate::commands) fn get(&self, manifest: Digest) -> Option<Artifact> {
        let path = self.path(manifest, "json");
        let text = fs::read(&path).ok().filter(|text| digest(text) == manifest)?;
        let described = describe(&text).ok()?;
        let component = self.path(described.digest, "wasm");
        let bytes = fs::read(&component).ok().filter(|bytes| digest(bytes) == described.digest)?;
        for path in [path, component] {
            #[expect(
                clippy::disallowed_methods,
                reason = "the order of use, for who looks at the folder next"
            )]
            let now = SystemTime::now();
            let _ = fs::File::options().append(true).open(path).and_then(|file| file.set_modified(now));
        }
        Some(Artifact::of(text, described, bytes))
    }

    /// Keeps an artifact.
    pub(in crate::commands) fn put(&self, manifest: Digest, artifact: &Artifact) -> anyhow::Result<()> {
        fs::create_dir_all(&self.dir).with_context(|| format!("cannot make {}", self.dir.display()))?;
        self.write(&self.path(digest(&artifact.component), "wasm"), &artifact.component)?;
        self.write(&self.path(manifest, "json"), &artifact.manifest)?;
        self.trim()
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
        let unwritable = || format!("cannot write {}", path.display());
        let mut file = tempfile::NamedTempFile::new_in(&self.dir).with_context(unwritable)?;
        file.write_all(bytes).with_context(unwritable)?;
        file.persist(path).with_context(unwritable)?;
        Ok(())
    }

    fn trim(&self) -> anyhow::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.dir)?.flatten() {
            // Another process may remove it meanwhile.
            let Ok(about) = entry.metadata() else { continue };
            files.push((about.modified().unwrap_or(SystemTime::UNIX_EPOCH), about.len(), entry.path()));
        }
        files.sort();
        let mut sum: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, bytes, path) in files {
            if sum <= self.bytes_max {
                break;
            }
            let _ = fs::remove_file(path);
            sum -= bytes;
        }
        Ok(())
    }

    fn path(&self, digest: Digest, ending: &str) -> PathBuf {
        let hex = digest.to_string();
        self.dir.join(format!("{}.{ending}", hex.trim_start_matches("sha256:")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact(component: &[u8]) -> (Digest, Artifact) {
        let layer = digest(component);
        let manifest = format!(
            r#"{{"layers":[{{"mediaType":"application/wasm","digest":"{layer}","size":{}}}]}}"#,
            component.len()
        );
        let manifest = manifest.into_bytes();
        let described = describe(&manifest).unwrap();
        (digest(&manifest), Artifact::of(manifest, described, component.to_vec()))
    }

    #[test]
    fn what_is_kept_comes_back_and_what_was_changed_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache { dir: dir.path().join("c"), bytes_max: CACHE_BYTES_MAX };
        let (name, kept) = artifact(b"component");
        assert_eq!(cache.get(name), None);
        cache.put(name, &kept).unwrap();
        assert_eq!(cache.get(name).as_ref(), Some(&kept));
        for path in [cache.path(digest(b"component"), "wasm"), cache.path(name, "json")] {
            let good = fs::read(&path).unwrap();
            fs::write(&path, b"other").unwrap();
            assert_eq!(cache.get(name), None, "{} was changed", path.display());
            fs::write(&path, good).unwrap();
        }
        assert_eq!(cache.get(name), Some(kept));
    }

    #[test]
    fn the_cache_is_bounded_and_forgets_what_was_unused_longest() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache { dir: dir.path().to_owned(), bytes_max: 5_000 };
        let all: Vec<_> = (0..3).map(|number| artifact(&[number; 2_000])).collect();
        for (age, (name, kept)) in (0..3).rev().zip(&all) {
            cache.put(*name, kept).unwrap();
            for path in [cache.path(*name, "json"), cache.path(digest(&kept.component), "wasm")] {
                let then = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(100 - age);
                // Those that the bound has already taken are gone.
                let _ = fs::File::options().append(true).open(path).and_then(|file| file.set_modified(then));
            }
        }
        let found: Vec<bool> = all.iter().map(|(name, _)| cache.get(*name).is_some()).collect();
        assert_eq!(found, [false, true, true]);
    }
}
