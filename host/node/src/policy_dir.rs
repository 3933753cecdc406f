//! A watched folder of policies: dropping a file activates it.
//!
//! `NAME.wasm` goes to the slot `<its family>/default`, `FAMILY/SLOT.wasm` to that slot; settings stand beside it
//! as `NAME.json`, a signature as `NAME.wasm.sig`. change notice | poll -> [`PolicyDir::scan`] -> [`Found`] -> `slots`
//!
//! Invariant: a file is handed on once per content, only after two readings a debounce apart were equal, and what is
//! handed on are the bytes that were hashed. A half-written file that pauses is refused by the loader and tried again
//! when it changes. Removing a file changes nothing: the slot keeps serving.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode, EventKind};
use pilothouse_core::id::Digest;
use pilothouse_core::policy::Family;
use pilothouse_core::slot::SlotId;
use pilothouse_core::time::Now;
use pilothouse_trust::SIGNATURE_BYTES_MAX;

/// Most files looked at; more are ignored with a warning, so that a wrong folder does no harm.
const FILES_MAX: usize = 256;

/// Two equal readings this far apart make a file complete, ms.
pub(crate) const DEBOUNCE_MS: u64 = 100;

/// Largest settings file, bytes.
const SETTINGS_BYTES_MAX: u64 = 64 << 10;

/// A complete new or changed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Path below the folder, for history and messages.
    pub path: String,
    /// The slot, if the path names one; else the family's default.
    pub slot: Option<SlotId>,
    /// The component's bytes, cut one byte above the limit so that the loader refuses them.
    pub bytes: Vec<u8>,
    /// The settings beside it.
    pub settings: Option<String>,
    /// The signature beside it, cut one byte above the limit so that it is refused.
    pub signature: Option<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    content: Digest,
    since: Now,
    handed_on: bool,
}

/// The folder's state between scans.
#[derive(Debug)]
pub(crate) struct PolicyDir {
    dir: PathBuf,
    bytes_max: u64,
    seen: BTreeMap<String, Seen>,
}

impl PolicyDir {
    /// Watches a folder; components are read up to `bytes_max`.
    #[must_use]
    pub(crate) fn new(dir: PathBuf, bytes_max: u64) -> Self {
        Self { dir, bytes_max, seen: BTreeMap::new() }
    }

    /// Marks contents as handed on in an earlier run, so that a restart does not activate them again.
    pub(crate) fn remember(&mut self, handed_on: impl IntoIterator<Item = (String, Digest)>) {
        for (path, content) in handed_on {
            self.seen.insert(path, Seen { content, since: Now(0), handed_on: true });
        }
    }

    /// What was handed on, for the store.
    pub(crate) fn handed_on(&self) -> impl Iterator<Item = (&str, Digest)> {
        self.seen.iter().filter(|(_, seen)| seen.handed_on).map(|(path, seen)| (path.as_str(), seen.content))
    }

    /// Reads the folder. The second value says that a file is still settling: scan again after the debounce.
    pub(crate) fn scan(&mut self, now: Now) -> (Vec<Found>, bool) {
        let mut found = Vec::new();
        let mut settling = false;
        for path in self.files() {
            let Some(candidate) = self.read(&path) else { continue };
            let content = content_digest(&candidate);
            match self.seen.get_mut(&path) {
                Some(seen) if seen.content == content => {
                    if !seen.handed_on && now.since_ms(seen.since) >= DEBOUNCE_MS {
                        seen.handed_on = true;
                        found.push(candidate);
                    } else if !seen.handed_on {
                        settling = true;
                    }
                }
                _ => {
                    self.seen.insert(path, Seen { content, since: now, handed_on: false });
                    settling = true;
                }
            }
        }
        (found, settling)
    }

    fn files(&self) -> Vec<String> {
        let mut paths = Vec::new();
        for (folder, prefix) in std::iter::once((self.dir.clone(), String::new())).chain(
            Family::ALL.iter().map(|family| (self.dir.join(family.name()), format!("{}/", family.name()))),
        ) {
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for entry in entries.flatten() {
                let name = entry.file_name();
                let Some(name) = name.to_str() else { continue };
                if Path::new(name).extension().is_some_and(|end| end == "wasm") && !name.starts_with('.') {
                    paths.push(format!("{prefix}{name}"));
                }
            }
        }
        paths.sort();
        if paths.len() > FILES_MAX {
            tracing::warn!(files = paths.len(), limit = FILES_MAX, "too many files in the policy folder");
            paths.truncate(FILES_MAX);
        }
        paths
    }

    fn read(&self, path: &str) -> Option<Found> {
        let full = self.dir.join(path);
        let bytes = read_bounded(&full, self.bytes_max.saturating_add(1))?;
        let settings = read_bounded(&full.with_extension("json"), SETTINGS_BYTES_MAX)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let slot = path.strip_suffix(".wasm").and_then(|stem| SlotId::parse(stem).ok());
        let signature = read_bounded(&self.dir.join(format!("{path}.sig")), SIGNATURE_BYTES_MAX as u64 + 1);
        Some(Found { path: path.to_owned(), slot, bytes, settings, signature })
    }
}

fn read_bounded(path: &Path, limit: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    // A pipe or a device would keep the reader waiting; opened so, it does not, and is then told apart.
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = fs::File::options().read(true).custom_flags(nonblocking).open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    file.take(limit).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn content_digest(found: &Found) -> Digest {
    let mut bytes = found.bytes.clone();
    bytes.push(0);
    bytes.extend_from_slice(found.settings.as_deref().unwrap_or_default().as_bytes());
    // Without a signature as it was before there were any, so that a newer server does not activate anew.
    if let Some(signature) = &found.signature {
        bytes.push(0);
        bytes.extend_from_slice(signature);
    }
    pilothouse_engine::digest(&bytes)
}

/// Whether a notice can mean that a file is another one. Looking at the folder is noticed as well: were that a hint, every
/// look would cause the next.
pub(crate) fn may_be_a_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_at_the_folder_is_no_reason_to_look_again() {
        use notify::event::{CreateKind, DataChange, ModifyKind, RemoveKind};
        for (kind, expected) in [
            (EventKind::Access(AccessKind::Open(AccessMode::Any)), false),
            (EventKind::Access(AccessKind::Read), false),
            (EventKind::Access(AccessKind::Close(AccessMode::Read)), false),
            (EventKind::Access(AccessKind::Close(AccessMode::Write)), true),
            (EventKind::Create(CreateKind::File), true),
            (EventKind::Modify(ModifyKind::Data(DataChange::Any)), true),
            (EventKind::Remove(RemoveKind::File), true),
            (EventKind::Any, true),
            (EventKind::Other, true),
        ] {
            assert_eq!(may_be_a_change(kind), expected, "{kind:?}");
        }
    }

    struct Folder {
        dir: tempfile::TempDir,
        watched: PolicyDir,
        now: Now,
    }

    impl Folder {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let watched = PolicyDir::new(dir.path().to_owned(), 1 << 10);
            Self { dir, watched, now: Now(1_000) }
        }

        fn write(&self, path: &str, bytes: &[u8]) {
            let path = self.dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }

        /// Scans after a debounce; names what was handed on and to which slot.
        fn scan(&mut self) -> Vec<(String, Option<String>)> {
            self.now = self.now.plus_ms(DEBOUNCE_MS);
            let (found, _) = self.watched.scan(self.now);
            found.into_iter().map(|found| (found.path, found.slot.map(|slot| slot.to_string()))).collect()
        }
    }

    #[test]
    fn a_file_is_handed_on_once_when_two_readings_agree() {
        let mut folder = Folder::new();
        folder.write("a.wasm", b"half");
        assert_eq!(folder.scan(), []);
        folder.write("a.wasm", b"half and the rest");
        assert_eq!(folder.scan(), [], "it changed, so it settles again");
        assert_eq!(folder.scan(), [("a.wasm".to_owned(), None)]);
        assert_eq!(folder.scan(), []);
    }

    #[test]
    fn the_path_names_the_slot_and_settings_stand_beside_it() {
        let mut folder = Folder::new();
        folder.write("balancing/default.wasm", b"x");
        folder.write("notes.txt", b"x");
        folder.scan();
        assert_eq!(
            folder.scan(),
            [("balancing/default.wasm".to_owned(), Some("balancing/default".to_owned()))]
        );
        folder.write("balancing/default.json", b"{}");
        folder.scan();
        assert_eq!(folder.scan().len(), 1, "new settings make a new revision");
    }

    #[test]
    fn a_signature_beside_it_makes_it_new_and_pipes_are_not_waited_for() {
        let mut folder = Folder::new();
        folder.write("a.wasm", b"x");
        folder.scan();
        assert_eq!(folder.scan().len(), 1);
        folder.write("a.wasm.sig", b"signature");
        folder.scan();
        assert_eq!(folder.scan().len(), 1, "with a signature it is asked again");
        for name in ["b.wasm", "a.wasm.sig"] {
            let path = folder.dir.path().join(name);
            let _ = fs::remove_file(&path);
            let mode = rustix::fs::Mode::RWXU;
            rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        }
        std::os::unix::fs::symlink("/dev/zero", folder.dir.path().join("c.wasm")).unwrap();
        folder.scan();
        assert_eq!(folder.scan(), [("a.wasm".to_owned(), None)], "as without a signature");
    }

    #[test]
    fn what_an_earlier_run_handed_on_is_not_activated_again() {
        let mut folder = Folder::new();
        folder.write("a.wasm", b"x");
        folder.scan();
        folder.scan();
        let kept: Vec<_> =
            folder.watched.handed_on().map(|(path, digest)| (path.to_owned(), digest)).collect();
        folder.watched = PolicyDir::new(folder.dir.path().to_owned(), 1 << 10);
        folder.watched.remember(kept);
        assert_eq!((folder.scan(), folder.scan()), (vec![], vec![]));
    }
}
