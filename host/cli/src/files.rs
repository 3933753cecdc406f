//! Files that people name on the command line.
//!
//! Invariant: no more of a file is read than its kind may have, whatever the path is (a pipe has no size to ask for).

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, ensure};
use pilothouse_engine::precheck::Bounds;

/// Largest text file (workloads, settings, a scenario, certificates), bytes.
pub(crate) const TEXT_BYTES_MAX: u64 = 1 << 20;
/// Largest component file, bytes: as much as a server takes that takes large ones.
pub(crate) const COMPONENT_BYTES_MAX: u64 = Bounds::LARGE.component_bytes as u64;

/// A text file; `content` is what it should hold.
pub(crate) fn text(path: &Path, content: &str) -> anyhow::Result<String> {
    let bytes = bytes(path, TEXT_BYTES_MAX, content)?;
    String::from_utf8(bytes).map_err(|_| anyhow::anyhow!("{} is no text; give {content}", path.display()))
}

/// A component.
pub(crate) fn component(path: &Path) -> anyhow::Result<Vec<u8>> {
    bytes(path, COMPONENT_BYTES_MAX, "a component")
}

fn bytes(path: &Path, bytes_max: u64, content: &str) -> anyhow::Result<Vec<u8>> {
    let name = path.display();
    let unreadable = || format!("cannot read {name}");
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(unreadable)?;
    // One byte more than allowed, so that a file at the bound and one beyond it differ.
    file.take(bytes_max + 1).read_to_end(&mut bytes).with_context(unreadable)?;
    let kib = bytes_max >> 10;
    ensure!(bytes.len() as u64 <= bytes_max, "{name} is larger than {kib} KiB; {content} has at most that");
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_at_the_bound_is_read_and_one_beyond_it_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.toml");
        let most = usize::try_from(TEXT_BYTES_MAX).unwrap();
        std::fs::write(&path, vec![b'#'; most]).unwrap();
        assert_eq!(text(&path, "a scenario").unwrap().len(), most);
        std::fs::write(&path, vec![b'#'; most + 1]).unwrap();
        let refused = text(&path, "a scenario").unwrap_err().to_string();
        assert!(
            refused.ends_with("a.toml is larger than 1024 KiB; a scenario has at most that"),
            "{refused}"
        );
    }

    #[test]
    fn what_is_no_text_and_what_is_not_there_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.toml");
        assert!(text(&path, "settings").unwrap_err().to_string().starts_with("cannot read"));
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(text(&path, "settings").unwrap_err().to_string().contains("is no text; give settings"));
    }
}
