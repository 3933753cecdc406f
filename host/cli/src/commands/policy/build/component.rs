//! Core module -> component, and what a component says of how it was made.

use std::path::Path;

use anyhow::Context as _;
use wasm_metadata::{AddMetadata, AddMetadataField};
use wit_component::ComponentEncoder;

use super::super::project::Project;

/// A language and its compiler's version.
pub(super) type Made = (&'static str, String);

/// Makes a component of a module that has its world embedded.
pub(super) fn encode(module: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = std::fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
    let mut encoder = ComponentEncoder::default().module(&bytes)?.validate(true);
    encoder.encode().context("the module does not become a component")
}

/// Name, version, language and tools, in the sections where other tools look for them.
pub(super) fn with_metadata(project: &Project, bytes: &[u8], language: Made) -> anyhow::Result<Vec<u8>> {
    let mut add = AddMetadata::default();
    add.name = AddMetadataField::Set(project.name.clone());
    add.language = vec![(language.0.to_owned(), language.1)];
    add.processed_by = vec![("pilothouse".to_owned(), env!("CARGO_PKG_VERSION").to_owned())];
    let mut bytes = add.to_wasm(bytes)?;
    bytes.extend(custom_section("version", &project.version));
    Ok(bytes)
}

/// A custom section as the binary format has it: id 0, length, name with its length, content.
fn custom_section(name: &str, content: &str) -> Vec<u8> {
    let mut body = length(name.len());
    body.extend(name.as_bytes());
    body.extend(content.as_bytes());
    let mut section = vec![0];
    section.extend(length(body.len()));
    section.extend(body);
    section
}

/// LEB128.
fn length(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}
