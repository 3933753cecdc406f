//! Recorded data on disk: plain files, `.gz`, and `.tar.gz` archives of numbered members.
//!
//! Invariant: what comes out of a compressed file is bounded by [`TEXT_BYTES_MAX`], so that a small file cannot fill the
//! memory; a path from a scenario stays in the folder.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Component, Path, PathBuf};

use flate2::read::GzDecoder;
use pilothouse_lab::judge::{Data, DataError};

/// Most text that one file may hold.
const TEXT_BYTES_MAX: u64 = 512 << 20;

/// A folder of recorded data.
#[derive(Debug)]
pub(super) struct Folder(pub(super) PathBuf);

impl Data for Folder {
    fn texts(&self, path: &str) -> Result<Vec<String>, DataError> {
        let error = |problem: String| DataError::unusable(path, problem);
        let inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        if !inside {
            return Err(error("use a path inside of the data folder, without `..`".to_owned()));
        }
        let file = match File::open(self.0.join(path)) {
            Ok(file) => file,
            Err(missing) if missing.kind() == ErrorKind::NotFound => {
                return Err(DataError::Missing { path: path.to_owned() });
            }
            Err(other) => return Err(error(other.to_string())),
        };
        let texts = if path.ends_with(".tar.gz") {
            members(GzDecoder::new(file))
        } else if path.ends_with(".gz") {
            text(GzDecoder::new(file)).map(|text| vec![text])
        } else {
            text(file).map(|text| vec![text])
        };
        texts.map_err(|problem| error(problem.to_string()))
    }
}

fn text(reader: impl Read) -> std::io::Result<String> {
    let mut text = String::new();
    reader.take(TEXT_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > TEXT_BYTES_MAX {
        return Err(too_large());
    }
    Ok(text)
}

fn too_large() -> std::io::Error {
    std::io::Error::new(ErrorKind::FileTooLarge, format!("more than {} MiB of text", TEXT_BYTES_MAX >> 20))
}

/// The members of an archive, by the numbers in their names.
fn members(reader: impl Read) -> std::io::Result<Vec<String>> {
    // One byte more than allowed, so that an archive at the bound and one beyond it differ.
    let mut archive = tar::Archive::new(reader.take(TEXT_BYTES_MAX + 1));
    let mut found = Vec::new();
    let mut bytes = 0;
    for member in archive.entries()? {
        let member = member?;
        if !member.header().entry_type().is_file() {
            continue;
        }
        let name = member.path()?.to_string_lossy().into_owned();
        let number: String = name.chars().filter(char::is_ascii_digit).collect();
        let text = text(member)?;
        bytes += text.len() as u64;
        if bytes > TEXT_BYTES_MAX {
            return Err(too_large());
        }
        found.push((number.parse::<u64>().unwrap_or(u64::MAX), name, text));
    }
    found.sort();
    Ok(found.into_iter().map(|(_, _, text)| text).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write as _;

    fn folder() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder(dir.path().to_owned());
        (dir, folder)
    }

    #[test]
    fn plain_compressed_and_archived_files_are_read() {
        let (dir, folder) = folder();
        std::fs::write(dir.path().join("a.csv"), "x").unwrap();
        let gz = |name: &str, bytes: &[u8]| {
            let mut encoder =
                GzEncoder::new(File::create(dir.path().join(name)).unwrap(), Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap();
        };
        gz("b.txt.gz", b"y");
        let mut archive = tar::Builder::new(Vec::new());
        for name in ["10", "9"] {
            let mut header = tar::Header::new_gnu();
            header.set_size(name.len() as u64);
            header.set_cksum();
            archive.append_data(&mut header, name, name.as_bytes()).unwrap();
        }
        gz("c.tar.gz", &archive.into_inner().unwrap());
        for (path, expected) in [("a.csv", &["x"][..]), ("b.txt.gz", &["y"]), ("c.tar.gz", &["9", "10"])] {
            assert_eq!(folder.texts(path).unwrap(), expected, "{path}");
        }
        std::fs::write(dir.path().join("d.gz"), "no gzip").unwrap();
        assert!(matches!(folder.texts("d.gz"), Err(DataError::Unusable { .. })));
        assert!(matches!(folder.texts("missing.csv"), Err(DataError::Missing { .. })));
    }

    #[test]
    fn paths_stay_in_the_folder() {
        let (_dir, folder) = folder();
        for path in ["../secret", "/etc/hostname", "a/../../b"] {
            assert!(matches!(folder.texts(path), Err(DataError::Unusable { .. })), "{path}");
        }
    }
}
