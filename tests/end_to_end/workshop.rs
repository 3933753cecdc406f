//! What an author has: a folder with keys and components, and the command line without a server.

use std::path::{Path, PathBuf};
use std::process::Command;

use pilothouse_policies::find;
use pilothouse_tests::binary;
use tempfile::TempDir;

/// A folder of an author, with a cache of its own.
pub(crate) struct Workshop {
    dir: TempDir,
}

impl Workshop {
    pub(crate) fn new() -> Self {
        Self { dir: TempDir::new().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The policy `weighted` under another version: a component that does not ship with the host.
    pub(crate) fn component(&self, file: &str, version: &str) -> Vec<u8> {
        let mut bytes = find("balancing", "weighted").unwrap().bytes.to_vec();
        let own = b"1.0.0";
        assert_eq!(version.len(), own.len());
        // Versions of interfaces stand behind an @.
        let places: Vec<usize> = (1..bytes.len() - own.len())
            .filter(|&place| bytes[place..].starts_with(own) && bytes[place - 1] != b'@')
            .collect();
        assert!(!places.is_empty());
        for place in places {
            bytes[place..place + own.len()].copy_from_slice(version.as_bytes());
        }
        std::fs::write(self.path(file), &bytes).unwrap();
        bytes
    }

    /// Makes `NAME.key` and `NAME.pub`.
    pub(crate) fn key(&self, name: &str) {
        self.ok(&["policy", "keygen", "--out", name]);
    }

    /// A component with this version and a signature beside it; gives its bytes and the signature's text.
    pub(crate) fn signed(&self, file: &str, version: &str, key: &str) -> (Vec<u8>, String) {
        let bytes = self.component(file, version);
        self.ok(&["policy", "sign", file, "--key", &format!("{key}.key")]);
        (bytes, std::fs::read_to_string(self.path(&format!("{file}.sig"))).unwrap())
    }

    /// Runs the command line in the folder: what it printed, or its complaint.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let done = Command::new(binary().unwrap())
            .args(arguments)
            .current_dir(self.dir.path())
            .env("XDG_CACHE_HOME", self.dir.path().join("cache"))
            .env("USER", "ann")
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        if done.status.success() { Ok(text(done.stdout)) } else { Err(text(done.stderr)) }
    }

    #[track_caller]
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        self.run(arguments).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
    }

    /// It fails, and the complaint has all of this in it.
    #[track_caller]
    pub(crate) fn refused(&self, arguments: &[&str], wanted: &[&str]) {
        let said = match self.run(arguments) {
            Ok(said) => panic!("{arguments:?} was done: {said}"),
            Err(said) => said,
        };
        for wanted in wanted {
            assert!(said.contains(wanted), "{arguments:?} does not say {wanted:?} but {said}");
        }
    }
}

/// Whether tests with this program can run. Without it they are skipped aloud, and fail in CI.
pub(crate) fn has(program: &str) -> bool {
    let dirs = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&dirs).any(|dir| Path::new(&dir).join(program).is_file()) {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "{program} is missing; `make deps` installs it");
    println!("SKIPPED: {program} is missing; `make deps` installs it");
    false
}
