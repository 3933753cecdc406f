//! `policy dev`: whenever a file of the project is saved, it is built, checked and made active in a server.
//!
//! files -> looked at every [`LOOK_MS`] -> quiet for a look -> build -> upload and activate -> one line
//!
//! Invariant: nothing that goes wrong with sources, tools or server ends it; only Ctrl-C does. A save during a build is seen after
//! it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;

use super::build;
use super::project::Project;
use crate::args::author::DevArgs;
use crate::client::Client;
use crate::output::{note, text};

/// How often files are looked at, ms. Notices of the system would not be sooner than people notice.
const LOOK_MS: u64 = 200;
/// Most files that are looked at.
const FILES_MAX: usize = 10_000;
/// Folders that are made by tools.
const MADE: [&str; 4] = ["target", "node_modules", "vendor", "wit"];

type Seen = BTreeMap<PathBuf, (SystemTime, u64)>;

pub(super) fn run(args: &DevArgs, client: &Client) -> anyhow::Result<()> {
    let project = Project::open(&args.dir)?;
    let slot = args.slot.clone().unwrap_or_else(|| format!("{}/default", project.kind));
    note(&format!("watching {}; Ctrl-C ends it", project.dir.display()));
    let mut built = Seen::new();
    let mut last = Seen::new();
    loop {
        let seen = look(&project.dir);
        // Editors write in several steps: two equal looks make one save.
        if seen == last && seen != built {
            built = seen.clone();
            match turn(args, client, &slot) {
                Ok(line) => note(&line),
                Err(error) => note(&format!("not live: {error:#}")),
            }
        }
        last = seen;
        std::thread::park_timeout(Duration::from_millis(LOOK_MS));
    }
}

/// Builds and loads once. The manifest is read anew, for it may be what was saved.
fn turn(args: &DevArgs, client: &Client, slot: &str) -> anyhow::Result<String> {
    let project = Project::open(&args.dir)?;
    let made = build::build(&project, args.release)?;
    let (_, about) = build::report(&project, &made).into_parts();
    let bytes = std::fs::read(project.component()).context("the component is gone")?;
    let answer = client
        .upload(&format!("/api/v1/policies?activate={slot}"), &bytes, None)
        .context("it was built, but the server did not take it")?;
    let loaded = answer.get("policy").unwrap_or(&answer);
    Ok(format!("{about}\n  live in {slot} as {} {}", text(loaded, "name"), text(loaded, "version")))
}

fn look(dir: &Path) -> Seen {
    let mut seen = Seen::new();
    visit(dir, &mut seen);
    seen
}

fn visit(dir: &Path, seen: &mut Seen) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') || MADE.contains(&&*name) || name == "__pycache__" || seen.len() >= FILES_MAX
        {
            continue;
        }
        let Ok(about) = entry.metadata() else { continue };
        if about.is_dir() {
            visit(&entry.path(), seen);
        } else if let Ok(modified) = about.modified() {
            seen.insert(entry.path(), (modified, about.len()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_seen_and_what_tools_make_is_not() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["src/lib.rs", "target/mine.wasm", "vendor/a.c", ".venv/x", "pilothouse.toml"] {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        let seen: Vec<_> = look(dir.path()).into_keys().collect();
        assert_eq!(seen, [dir.path().join("pilothouse.toml"), dir.path().join("src/lib.rs")]);
    }
}
