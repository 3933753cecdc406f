//! `policy push`, `pull` and `publish`: a component with its signature to and from a registry.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use pilothouse_engine::LoadedPolicy;
use pilothouse_trust::Signature;
use serde_json::json;

use super::sign::{self, Signed};
use super::verify::{self, Keys};
use super::{beside, component, signature_of, write};
use crate::args::trust::{RegistryArgs, SignArgs};
use crate::commands::inspect;
use crate::commands::registry::{Artifact, Cache, Pinned, Reference, Registry};
use crate::output::Report;

/// A component from a registry or the cache.
pub(super) struct Pulled {
    /// Where exactly it is.
    pub(super) pinned: Pinned,
    pub(super) component: Vec<u8>,
    pub(super) signature: Option<Vec<u8>>,
}

pub(super) fn push(
    file: &Path,
    reference: &str,
    signature: Option<&Path>,
    args: &RegistryArgs,
) -> anyhow::Result<Report> {
    let reference = Reference::parse(reference)?;
    ensure!(reference.tag().is_some(), "name a tag: {}/{}:TAG", reference.host(), reference.name());
    let bytes = component(file)?;
    let loaded = inspect::load(&file.display().to_string(), &bytes)?;
    let signature = signature_of(file, signature)?;
    deliver(&reference, &bytes, &loaded, signature, args)
}

pub(super) fn publish(sign: &SignArgs, reference: &str, args: &RegistryArgs) -> anyhow::Result<Report> {
    let reference = Reference::parse(reference)?;
    ensure!(reference.is_bare(), "name REGISTRY/NAME only; the tag is the policy's version");
    let Signed { component, loaded, signature, .. } = sign::run(sign)?;
    let version = &loaded.description.version;
    // A tag has no `+`, which a semantic version may have.
    let reference = reference.with_tag(&version.replace('+', "_"))?;
    deliver(&reference, &component, &loaded, Some(signature), args)
}

fn deliver(
    reference: &Reference,
    bytes: &[u8],
    loaded: &LoadedPolicy,
    signature: Option<Vec<u8>>,
    args: &RegistryArgs,
) -> anyhow::Result<Report> {
    let key = match &signature {
        None => None,
        Some(text) => {
            let signature = Signature::parse(text)?;
            let (about, manifest) = (&loaded.description, signature.manifest());
            manifest.describes(&about.name, &about.version, loaded.family())?;
            ensure!(
                manifest.digest == loaded.digest,
                "the signature is for another component; sign this one"
            );
            Some(signature.key().to_string())
        }
    };
    let artifact = Artifact::new(bytes, loaded, signature.as_deref())?;
    let digest = Registry::connect(reference, args)?.push(reference, &artifact)?;
    let pinned = reference.pinned(digest);
    let signed = key.as_ref().map_or("unsigned".to_owned(), |key| format!("signed by key {key}"));
    let line = format!("pushed {reference}, {signed}\n{pinned}");
    let told = json!({ "reference": reference.to_string(), "pinned": pinned.to_string(), "digest": digest.to_string(), "key": key });
    Ok(Report::new(told, line))
}

/// Gets a component; nothing of it is believed but its digests.
pub(super) fn fetch(reference: &str, offline: bool, args: &RegistryArgs) -> anyhow::Result<Pulled> {
    let reference = Reference::parse(reference)?;
    let cache = Cache::open()?;
    if let Some(digest) = reference.digest()
        && let Some(kept) = cache.get(digest)
    {
        return Ok(pulled(reference.pinned(digest), kept));
    }
    ensure!(
        !offline,
        match reference.digest() {
            Some(digest) => format!(
                "{digest} is not in the cache ({}); pull it once without --offline",
                cache.dir().display()
            ),
            None => "a tag may mean something else by now; offline, name a digest: REGISTRY/NAME@sha256:…"
                .to_owned(),
        }
    );
    let (digest, artifact) = Registry::connect(&reference, args)?.pull(&reference)?;
    if let Err(error) = cache.put(digest, &artifact) {
        crate::output::note(&format!("not kept in the cache: {error:#}"));
    }
    Ok(pulled(reference.pinned(digest), artifact))
}

fn pulled(pinned: Pinned, artifact: Artifact) -> Pulled {
    let (component, signature) = artifact.into_parts();
    Pulled { pinned, component, signature }
}

pub(super) fn pull(
    reference: &str,
    out: Option<&Path>,
    keys: Option<&Path>,
    offline: bool,
    args: &RegistryArgs,
) -> anyhow::Result<Report> {
    let keys = keys.map(Keys::read).transpose()?;
    let Pulled { pinned, component, signature } = fetch(reference, offline, args)?;
    let parsed = signature.as_deref().map(Signature::parse).transpose();
    let standing = match (&keys, parsed) {
        (Some(keys), parsed) => {
            let signature = parsed?.context("it is not signed; nothing was written")?;
            let name = keys.verify(&signature, &component).context("nothing was written")?;
            format!("signed by `{name}`")
        }
        (None, Ok(Some(signature))) => {
            format!("signed by key {}, not checked (--keys, or `policy verify`)", signature.key())
        }
        (None, Ok(None)) => "unsigned".to_owned(),
        (None, Err(error)) => format!("with a bad signature: {error}"),
    };
    let out = out.map_or_else(|| PathBuf::from(format!("{}.wasm", pinned.last())), Path::to_owned);
    write(&out, &component)?;
    if let Some(signature) = &signature {
        write(&beside(&out), signature)?;
    }
    let digest = pilothouse_engine::digest(&component);
    let told = json!({
        "pinned": pinned.to_string(),
        "component": digest.to_string(),
        "file": out.display().to_string(),
        "signature": signature.as_deref().map(Signature::parse).and_then(Result::ok).map(|read| verify::told(&read)).transpose()?,
        "standing": standing,
    });
    let line = format!("pulled {}, {} bytes, {standing}\n{pinned}", out.display(), component.len());
    Ok(Report::new(told, line))
}
