//! `policy keygen` and `policy sign`.
//!
//! Invariant: a secret key is written for its owner alone, never over something that is there, and is not used if others
//! could read it.

use std::fs::{File, OpenOptions};
use std::io::{Cursor, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use minisign::{KeyPair, SecretKey, SecretKeyBox};
use pilothouse_core::id::PolicyName;
use pilothouse_engine::{Budget, LoadedPolicy};
use pilothouse_trust::{Limits, Manifest, PublicKey, Signature, Version};
use serde_json::json;

use super::{beside, component, write};
use crate::args::trust::SignArgs;
use crate::commands::inspect;
use crate::output::Report;

/// Largest file of a secret key, bytes; a real one has some 400.
const SECRET_BYTES_MAX: u64 = 4_096;
/// Password of a secret key that has one.
const PASSWORD: &str = "PILOTHOUSE_KEY_PASSWORD";

pub(super) fn keygen(out: &Path) -> anyhow::Result<Report> {
    let named = |ending: &str| {
        let mut name = out.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let (secret, public) = (named(".key"), named(".pub"));
    // The secret first: a public key without one is of no use to anybody.
    ensure!(!public.exists(), "{} exists; choose another name", public.display());
    let pair = KeyPair::generate_unencrypted_keypair()?;
    let public_text = pair.pk.to_box()?.to_string();
    let key = PublicKey::parse(&public_text)?;
    let comment = format!("Pilothouse secret key {}", key.id());
    new_file(&secret, 0o600, pair.sk.to_box(Some(&comment))?.to_string().as_bytes())?;
    new_file(&public, 0o644, public_text.as_bytes())?;
    let text = format!(
        "key {}\n{} is the secret: keep it where only you read it\n{} is for servers: pilothouse keys add NAME {}",
        key.id(),
        secret.display(),
        public.display(),
        public.display()
    );
    let (secret, public) = (secret.display().to_string(), public.display().to_string());
    Ok(Report::new(json!({ "key": key.id().to_string(), "secret": secret, "public": public }), text))
}

/// Refuses what exists, links included.
fn new_file(path: &Path, mode: u32, bytes: &[u8]) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(mode).open(path);
    let mut file = file.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            anyhow::anyhow!("{} exists; keys are not overwritten, choose another name", path.display())
        }
        _ => anyhow::Error::new(error).context(format!("cannot write {}", path.display())),
    })?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .with_context(|| format!("cannot write {}", path.display()))
}

/// What was signed, for whoever goes on with it.
pub(super) struct Signed {
    pub(super) report: Report,
    pub(super) component: Vec<u8>,
    pub(super) loaded: LoadedPolicy,
    pub(super) signature: Vec<u8>,
}

pub(super) fn run(args: &SignArgs) -> anyhow::Result<Signed> {
    let secret = secret(&args.key)?;
    let bytes = component(&args.file)?;
    let (loaded, _) = inspect::load(&args.file.display().to_string(), &bytes)?;
    let manifest = manifest(args, &loaded)?;
    let comment = "signature of a Pilothouse policy";
    let made =
        minisign::sign(None, &secret, Cursor::new(&bytes), Some(&manifest.canonical()), Some(comment))?;
    let text = made.to_string().trim_end().to_owned() + "\n";
    // What a server would not read is not written either.
    let signature = Signature::parse(text.as_bytes())?;
    let public = minisign::PublicKey::from_secret_key(&secret)?;
    signature.verify(&PublicKey::parse(&public.to_base64())?, &bytes, loaded.digest)?;
    let out = args.out.clone().unwrap_or_else(|| beside(&args.file));
    write(&out, text.as_bytes())?;
    let line = format!(
        "{} {} is signed by key {}: {}",
        manifest.name,
        manifest.version,
        signature.key(),
        out.display()
    );
    let told = json!({
        "signature": out.display().to_string(),
        "key": signature.key().to_string(),
        "manifest": serde_json::from_str::<serde_json::Value>(&manifest.canonical())?,
    });
    Ok(Signed { report: Report::new(told, line), component: bytes, loaded, signature: text.into_bytes() })
}

fn manifest(args: &SignArgs, loaded: &LoadedPolicy) -> anyhow::Result<Manifest> {
    let (about, budget) = (&loaded.description, Budget::of(loaded.family()));
    let version = Version::parse(&about.version).with_context(|| {
        format!("version `{}` of the policy is not a semantic version such as 1.0.0", about.version)
    })?;
    Ok(Manifest {
        name: PolicyName::parse(&about.name)?,
        version,
        family: loaded.family(),
        digest: loaded.digest,
        limits: Limits {
            fuel: args.fuel.unwrap_or(budget.fuel),
            deadline_ms: args.deadline_ms.unwrap_or(budget.deadline_ms),
            memory_mib: args.memory_mib.unwrap_or(u32::try_from(budget.memory_bytes >> 20)?),
        },
    })
}

fn secret(path: &Path) -> anyhow::Result<SecretKey> {
    let shown = path.display();
    let file = File::open(path).with_context(|| format!("cannot read the key {shown}"))?;
    let about = file.metadata()?;
    ensure!(about.is_file(), "{shown} is not a file");
    let mode = about.mode() & 0o777;
    ensure!(
        mode & 0o077 == 0,
        "others may read or change {shown} (mode {mode:o}); if nobody did, `chmod 600 {shown}`, else make a new key"
    );
    let mut text = String::new();
    file.take(SECRET_BYTES_MAX).read_to_string(&mut text).with_context(|| format!("{shown} is not a key"))?;
    let parse = || SecretKeyBox::from_string(&text).with_context(|| format!("{shown} is not a secret key"));
    if let Ok(key) = parse()?.into_unencrypted_secret_key() {
        return Ok(key);
    }
    let password = std::env::var(PASSWORD).with_context(|| {
        format!("{shown} is not a secret key, or has a password; give that in {PASSWORD}")
    })?;
    parse()?.into_secret_key(Some(password)).with_context(|| format!("{PASSWORD} does not open {shown}"))
}
