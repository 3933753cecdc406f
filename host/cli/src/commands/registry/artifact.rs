//! A component as an OCI artifact: a manifest, a small configuration, one layer that is the component.
//!
//! Invariant: the signature is an annotation of the manifest, so that every registry keeps it, clients that expect one layer
//! read the rest, and a pinned manifest pins its signature. The same component and signature give the same bytes.

use anyhow::{Context as _, ensure};
use pilothouse_core::id::Digest;
use pilothouse_engine::{LoadedPolicy, digest};
use pilothouse_trust::SIGNATURE_BYTES_MAX;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::files::COMPONENT_BYTES_MAX;

/// Media type of the manifest.
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of the configuration.
const CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// Media type of the layer.
const LAYER: &str = "application/wasm";
/// Annotation with the signature file.
const SIGNATURE: &str = "dev.pilothouse.policy.signature";
/// Annotation with the family.
const FAMILY: &str = "dev.pilothouse.policy.family";
/// Largest manifest that is read, bytes.
pub(super) const MANIFEST_BYTES_MAX: usize = 64 << 10;
/// When it was made: the same for all, so that pushing again changes nothing.
const CREATED: &str = "1970-01-01T00:00:00Z";

/// An artifact, as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::commands) struct Artifact {
    pub(super) manifest: Vec<u8>,
    /// Only needed to push.
    pub(super) config: Vec<u8>,
    pub(super) component: Vec<u8>,
    signature: Option<Vec<u8>>,
}

/// A manifest of a registry, as far as it matters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    media_type: Option<String>,
    layers: Option<Vec<LayerWire>>,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LayerWire {
    media_type: String,
    digest: String,
    size: u64,
}

/// What a manifest says of its layer; nothing was downloaded yet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Described {
    pub(super) digest: Digest,
    pub(super) size: usize,
    signature: Option<Vec<u8>>,
}

impl Artifact {
    pub(in crate::commands) fn new(
        component: &[u8],
        loaded: &LoadedPolicy,
        signature: Option<&[u8]>,
    ) -> anyhow::Result<Self> {
        let layer = loaded.digest.to_string();
        let config = serde_json::to_vec(&json!({
            "created": CREATED,
            "architecture": "wasm",
            "os": "wasip2",
            "layerDigests": [layer],
            "component": { "exports": loaded.outline.exports, "imports": loaded.outline.imports, "target": null },
        }))?;
        let about = &loaded.description;
        let mut annotations = json!({
            "org.opencontainers.image.title": format!("{}.wasm", about.name),
            "org.opencontainers.image.version": about.version,
            "org.opencontainers.image.description": about.summary,
            FAMILY: loaded.family().name(),
        });
        if let (Some(signature), Some(fields)) = (signature, annotations.as_object_mut()) {
            fields.insert(SIGNATURE.to_owned(), Value::String(String::from_utf8(signature.to_vec())?));
        }
        let manifest = serde_json::to_vec(&json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": { "mediaType": CONFIG, "digest": digest(&config).to_string(), "size": config.len() },
            "layers": [{ "mediaType": LAYER, "digest": layer, "size": component.len() }],
            "annotations": annotations,
        }))?;
        let signature = signature.map(<[u8]>::to_vec);
        Ok(Self { manifest, config, component: component.to_vec(), signature })
    }

    /// What came for a manifest; the component was checked against its digest.
    pub(super) fn of(manifest: Vec<u8>, described: Described, component: Vec<u8>) -> Self {
        Self { manifest, config: Vec::new(), component, signature: described.signature }
    }

    /// Component and signature.
    pub(in crate::commands) fn into_parts(self) -> (Vec<u8>, Option<Vec<u8>>) {
        (self.component, self.signature)
    }
}

/// Reads a manifest; refuses what is not one component before anything of it is downloaded.
pub(super) fn describe(manifest: &[u8]) -> anyhow::Result<Described> {
    ensure!(manifest.len() <= MANIFEST_BYTES_MAX, "the manifest has more than {MANIFEST_BYTES_MAX} bytes");
    let mut wire: Wire =
        serde_json::from_slice(manifest).context("the registry's answer is not a manifest")?;
    let kind = wire.media_type.as_deref().unwrap_or(MANIFEST);
    ensure!(kind == MANIFEST, "that is not a component but a `{}`", kind.escape_debug());
    let layers = wire.layers.unwrap_or_default();
    let [layer] = layers.as_slice() else {
        anyhow::bail!("that is not a component: it has {} layers, a component has one", layers.len())
    };
    ensure!(
        layer.media_type == LAYER,
        "that is not a component: its layer is `{}`, a component's is `{LAYER}`",
        layer.media_type.escape_debug()
    );
    ensure!(
        layer.size <= COMPONENT_BYTES_MAX,
        "the component has {} bytes, at most {COMPONENT_BYTES_MAX} are taken",
        layer.size
    );
    let is_strict = layer.digest.starts_with("sha256:");
    let digest = Digest::parse(&layer.digest).filter(|_| is_strict).context("the layer's digest is none")?;
    let signature = wire.annotations.remove(SIGNATURE).map(String::into_bytes);
    ensure!(
        signature.as_ref().is_none_or(|signature| signature.len() <= SIGNATURE_BYTES_MAX),
        "the signature has more than {SIGNATURE_BYTES_MAX} bytes"
    );
    Ok(Described { digest, size: usize::try_from(layer.size)?, signature })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let digest = Digest([1; 32]).to_string();
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {},
            "layers": [{ "mediaType": LAYER, "digest": digest, "size": 7 }],
            "annotations": { SIGNATURE: "signed" },
        });
        change(&mut manifest);
        manifest.to_string().into_bytes()
    }

    #[test]
    fn a_manifest_of_one_component_is_read() {
        let described = describe(&manifest(|_| ())).unwrap();
        let expected = Described { digest: Digest([1; 32]), size: 7, signature: Some(b"signed".to_vec()) };
        assert_eq!(described, expected);
    }

    #[test]
    fn anything_else_is_refused_before_a_download() {
        let index = "application/vnd.oci.image.index.v1+json";
        for (bad, wanted) in [
            (b"<html>".to_vec(), "not a manifest"),
            (manifest(|it| it["mediaType"] = index.into()), "image.index"),
            (manifest(|it| it["layers"] = json!([])), "0 layers"),
            (manifest(|it| it["layers"] = json!([it["layers"][0], it["layers"][0]])), "2 layers"),
            (manifest(|it| it["layers"][0]["mediaType"] = "application/gzip\u{1b}".into()), r"gzip\u{1b}"),
            (manifest(|it| it["layers"][0]["size"] = (4_u64 << 30).into()), "at most 33554432"),
            (manifest(|it| it["layers"][0]["size"] = (-1).into()), "not a manifest"),
            (manifest(|it| it["layers"][0]["digest"] = "sha256:../../x".into()), "digest is none"),
            (manifest(|it| it["annotations"][SIGNATURE] = "x".repeat(9_000).into()), "more than 8192"),
            (manifest(|it| it["annotations"]["x"] = "x".repeat(70_000).into()), "more than 65536"),
        ] {
            let said = format!("{:#}", describe(&bad).unwrap_err());
            assert!(said.contains(wanted), "{} said {said}", String::from_utf8_lossy(&bad));
        }
    }
}
