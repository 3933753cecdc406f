//! Keys, signatures and the way of a component into a registry or a server.
//!
//! Invariant: what is signed, pushed or uploaded is read once, bounded, and is the very bytes that were looked at.

pub(super) mod bring;
mod deliver;
pub(super) mod keys;
mod sign;
pub(super) mod verify;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use pilothouse_trust::SIGNATURE_BYTES_MAX;

use crate::args::trust::TrustCommand;
use crate::files;
use crate::output::Report;

pub(super) fn run(command: TrustCommand) -> anyhow::Result<Report> {
    match command {
        TrustCommand::Keygen { out } => sign::keygen(&out),
        TrustCommand::Sign(args) => Ok(sign::run(&args)?.report),
        TrustCommand::Verify { file, signature, keys } => verify::run(&file, signature.as_deref(), &keys),
        TrustCommand::Push { file, reference, signature, registry } => {
            deliver::push(&file, &reference, signature.as_deref(), &registry)
        }
        TrustCommand::Pull { reference, out, keys, offline, registry } => {
            deliver::pull(&reference, out.as_deref(), keys.as_deref(), offline, &registry)
        }
        TrustCommand::Publish { sign, reference, registry } => deliver::publish(&sign, &reference, &registry),
    }
}

/// A file of at most so many bytes.
fn read(path: &Path, limit: usize) -> anyhow::Result<Vec<u8>> {
    let unreadable = || format!("cannot read {}", path.display());
    let file = std::fs::File::open(path).with_context(unreadable)?;
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes).with_context(unreadable)?;
    anyhow::ensure!(bytes.len() <= limit, "{} has more than {limit} bytes", path.display());
    Ok(bytes)
}

fn component(path: &Path) -> anyhow::Result<Vec<u8>> {
    files::component(path)
}

/// Where the signature of a component lies if nobody said otherwise.
fn beside(component: &Path) -> PathBuf {
    let mut name = component.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

/// The signature that was named, or the one beside the component if there is one.
fn signature_of(component: &Path, named: Option<&Path>) -> anyhow::Result<Option<Vec<u8>>> {
    let beside = beside(component);
    match named {
        Some(path) => read(path, SIGNATURE_BYTES_MAX).map(Some),
        None if beside.exists() => read(&beside, SIGNATURE_BYTES_MAX).map(Some),
        None => Ok(None),
    }
}

/// Writes a file that is there wholly or not at all.
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    use std::io::Write as _;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let unwritable = || format!("cannot write {}", path.display());
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(unwritable)?;
    file.write_all(bytes).with_context(unwritable)?;
    file.persist(path).with_context(unwritable)?;
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).with_context(unwritable)
}
