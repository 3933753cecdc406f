//! What `policy new` writes, from the binary: templates, the contract, the SDK.
//!
//! templates/LANG/common and templates/LANG/KIND -> the author's own files; `wit/` and the SDK -> `wit/` and `vendor/`,
//! which belong to Pilothouse and are written again if they are missing
//!
//! Invariant: nothing of the author's is ever overwritten.

use std::path::Path;

use anyhow::Context as _;

use super::project::{Language, Project};

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The files below a folder, with their paths inside of it.
fn below(folder: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    ALL.iter().filter_map(move |(path, text)| Some((path.strip_prefix(folder)?.strip_prefix('/')?, *text)))
}

fn write(dir: &Path, path: &str, text: &str) -> anyhow::Result<()> {
    let target = dir.join(path);
    if target.exists() {
        return Ok(());
    }
    if let Some(folder) = target.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    std::fs::write(&target, text).with_context(|| format!("cannot write {}", target.display()))
}

/// Writes the author's files.
pub(super) fn scaffold(project: &Project) -> anyhow::Result<()> {
    let language = project.language.name();
    for folder in [format!("templates/{language}/common"), format!("templates/{language}/{}", project.kind)] {
        for (path, text) in below(&folder) {
            // A file named so would hide other templates from git.
            let path = if path == "gitignore" { ".gitignore" } else { path };
            let text = text.replace("{{name}}", &project.name).replace("{{kind}}", &project.kind);
            write(&project.dir, path, &text)?;
        }
    }
    supplies(project)
}

/// Writes what the project needs of Pilothouse, where it is missing.
pub(super) fn supplies(project: &Project) -> anyhow::Result<()> {
    let Project { dir, kind, language, .. } = project;
    if *language == Language::Rust {
        for (path, text) in below("wit") {
            write(dir, &format!("wit/{path}"), text)?;
        }
        for (path, text) in below("sdk") {
            write(dir, &format!("vendor/pilothouse-sdk/src/{path}"), text)?;
        }
    } else {
        for (path, text) in below("wit/host") {
            write(dir, &format!("wit/deps/host/{path}"), text)?;
        }
        for (path, text) in below(&format!("wit/{kind}")) {
            write(dir, &format!("wit/{path}"), text)?;
        }
    }
    let language = language.name();
    for folder in
        [format!("templates/{language}/vendor/common"), format!("templates/{language}/vendor/{kind}")]
    {
        for (path, text) in below(&folder) {
            write(dir, &format!("vendor/{path}"), text)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vendored SDK has no workspace to take versions from.
    #[test]
    fn the_vendored_sdk_asks_for_the_versions_of_ours() {
        let of = |text: &str| -> toml::Table { toml::from_str(text).unwrap() };
        let root =
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml")).unwrap();
        let ours = of(&root)["workspace"]["dependencies"].clone();
        let (_, vendored) = below("templates/rust/vendor/common/pilothouse-sdk").next().unwrap();
        for (name, wanted) in of(vendored)["dependencies"].as_table().unwrap() {
            assert_eq!(ours[name]["version"], wanted["version"], "{name}");
        }
    }
}
