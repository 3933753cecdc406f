//! `policy new`: a project that builds and passes its own tests at once.

use anyhow::Context as _;
use serde_json::json;

use super::embedded;
use super::project::{Language, Project};
use crate::args::author::NewArgs;
use crate::output::Report;

pub(super) fn run(args: NewArgs) -> anyhow::Result<Report> {
    let NewArgs { name, kind, lang, dir } = args;
    let dir = dir.unwrap_or_else(|| name.clone().into());
    let is_new = std::fs::read_dir(&dir).map_or(true, |mut entries| entries.next().is_none());
    anyhow::ensure!(is_new, "{} exists and is not empty; name another folder with --dir", dir.display());
    let project = Project { dir: dir.clone(), name, version: "0.1.0".to_owned(), kind, language: lang };
    project.check()?;
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    project.write()?;
    embedded::scaffold(&project)?;
    let Project { name, kind, .. } = &project;
    let install = match install(lang) {
        "" => String::new(),
        command => format!("  {command}\n"),
    };
    let next = format!(
        "made {kind} policy {name} in {folder}; next:\n  cd {folder}\n{install}  pilothouse policy test\n  \
         pilothouse policy build --release\n  pilothouse policy load target/{name}.wasm --activate {kind}/default",
        folder = dir.display(),
    );
    let json = json!({ "name": name, "kind": kind, "language": lang.name(), "dir": dir });
    Ok(Report::new(json, next))
}

/// How the tools of a language come into its project.
fn install(language: Language) -> &'static str {
    match language {
        Language::Rust => "",
        Language::Typescript => "npm ci",
        Language::Python | Language::C => {
            "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt"
        }
    }
}
