//! `policy verify`: a signature against keys, without a server; and what a signature says without any.

use std::path::Path;

use anyhow::{Context as _, bail};
use pilothouse_core::trust::KeyId;
use pilothouse_trust::{PublicKey, Signature};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{component, read, signature_of};
use crate::commands::inspect;
use crate::output::Report;

/// Largest file of keys, bytes.
const KEYS_BYTES_MAX: usize = 1 << 20;

/// Keys that count, by what operators call them.
pub(super) struct Keys(Vec<(String, PublicKey, bool)>);

/// What `keys list --output json` prints, as far as it matters here.
#[derive(Deserialize)]
struct Listed {
    keys: Vec<ListedKey>,
}

#[derive(Deserialize)]
struct ListedKey {
    name: String,
    public_key: String,
    revoked: Option<Value>,
}

impl Keys {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let text =
            String::from_utf8(read(path, KEYS_BYTES_MAX)?).with_context(|| format!("{shown} is no text"))?;
        if text.trim_start().starts_with('{') {
            let listed: Listed = serde_json::from_str(&text).with_context(|| {
                format!("{shown} is not what `pilothouse keys list --output json` prints")
            })?;
            let keys = listed.keys.into_iter().map(|key| {
                let public =
                    PublicKey::parse(&key.public_key).with_context(|| format!("key `{}`", key.name))?;
                Ok((key.name, public, key.revoked.is_some()))
            });
            return Ok(Self(keys.collect::<anyhow::Result<_>>()?));
        }
        let key = PublicKey::parse(&text).with_context(|| format!("cannot use {shown}"))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self(vec![(name, key, false)]))
    }

    /// Name of the key that made the signature over the component.
    pub(super) fn verify(&self, signature: &Signature, component: &[u8]) -> anyhow::Result<&str> {
        let id = signature.key();
        let Some((name, key, revoked)) = self.0.iter().find(|(_, key, _)| key.id() == id) else {
            let ids: Vec<KeyId> = self.0.iter().map(|(_, key, _)| key.id()).collect();
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            bail!("it is signed by key {id}, and the keys that count are {}", ids.join(", "));
        };
        if *revoked {
            bail!("it is signed by key `{name}` ({id}), which was revoked");
        }
        signature.verify(key, component, pilothouse_engine::digest(component))?;
        Ok(name)
    }
}

pub(super) fn run(file: &Path, signature: Option<&Path>, keys: &Path) -> anyhow::Result<Report> {
    let (keys, bytes) = (Keys::read(keys)?, component(file)?);
    let text = signature_of(file, signature)?;
    let text = text.with_context(|| {
        format!("there is no {}.sig; name the signature with --signature", file.display())
    })?;
    let signature = Signature::parse(&text)?;
    let name = keys.verify(&signature, &bytes)?;
    let loaded = inspect::load(&file.display().to_string(), &bytes)?;
    let (about, manifest) = (&loaded.description, signature.manifest());
    manifest.describes(&about.name, &about.version, loaded.family())?;
    let line =
        format!("{} {} is signed by `{name}` (key {})", manifest.name, manifest.version, signature.key());
    Ok(Report::new(told(&signature)?, line))
}

/// What a signature says, believed or not.
pub(super) fn told(signature: &Signature) -> anyhow::Result<Value> {
    let manifest: Value = serde_json::from_str(&signature.manifest().canonical())?;
    Ok(json!({ "key": signature.key().to_string(), "manifest": manifest }))
}

/// For `policy inspect`: the signature beside a component, if there is one.
pub(in crate::commands) fn beside(file: &Path) -> Value {
    let told = signature_of(file, None).and_then(|text| {
        let Some(text) = text else { return Ok(Value::Null) };
        let mut told = told(&Signature::parse(&text)?)?;
        let fields = told.as_object_mut().context("a signature is an object")?;
        fields.insert("checked".to_owned(), "no; `pilothouse policy verify` does".into());
        Ok(told)
    });
    told.unwrap_or_else(|error| json!({ "problem": error.to_string() }))
}
