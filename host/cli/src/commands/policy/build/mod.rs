//! `policy build`: sources -> the language's own tools -> component -> metadata -> the server's checks -> `target/NAME.wasm`.
//!
//! Invariant: what is written passed the same pre-check and bounded compile as on a server, says of itself what
//! `pilothouse.toml` says, and an older component stays in place if anything fails.

mod c;
mod component;
mod python;
mod rust;
mod typescript;
mod words;

use std::time::Instant;

use anyhow::Context as _;
use pilothouse_engine::LoadedPolicy;
use serde_json::{Value, json};

use super::engine::{self, Engine};
use super::project::{Language, Project};
use super::{embedded, tools};
use crate::output::Report;

/// A component that was built.
pub(super) struct Built {
    pub(super) loaded: LoadedPolicy,
    pub(super) is_large: bool,
    took_ms: u128,
}

/// Builds a project.
pub(super) fn build(project: &Project, release: bool) -> anyhow::Result<Built> {
    let started = now();
    embedded::supplies(project)?;
    std::fs::create_dir_all(project.target()).context("cannot make the folder `target`")?;
    let (bytes, language) = match project.language {
        Language::Rust => rust::component(project, release),
        Language::C => c::component(project, release),
        Language::Typescript => typescript::component(project, release),
        Language::Python => python::component(project),
    }?;
    let bytes = component::with_metadata(project, &bytes, language)?;
    let Engine { loaded, is_large, .. } = engine::load(&bytes, Some(&project.target().join(super::CODE)))
        .context("the component was built, but a server would refuse it")?;
    check(project, &loaded)?;
    let fresh = project.component().with_extension("wasm.new");
    std::fs::write(&fresh, &bytes)
        .and_then(|()| std::fs::rename(&fresh, project.component()))
        .with_context(|| format!("cannot write {}", project.component().display()))?;
    Ok(Built { loaded, is_large, took_ms: started.elapsed().as_millis() })
}

/// Runs the tests that the author wrote, without Wasm.
pub(super) fn native_tests(project: &Project) -> anyhow::Result<String> {
    embedded::supplies(project)?;
    match project.language {
        Language::Rust => rust::tests(project),
        Language::C => c::tests(project),
        Language::Typescript => typescript::tests(project),
        Language::Python => python::tests(project),
    }
}

/// What it says of itself must be what the project says.
fn check(project: &Project, loaded: &LoadedPolicy) -> anyhow::Result<()> {
    let (about, kind) = (&loaded.description, loaded.family().name());
    for (what, said, wanted) in [
        ("name", about.name.as_str(), project.name.as_str()),
        ("version", &about.version, &project.version),
        ("kind", kind, &project.kind),
    ] {
        anyhow::ensure!(
            said == wanted,
            "the policy says that its {what} is `{said}`, pilothouse.toml says `{wanted}`; make them the same"
        );
    }
    Ok(())
}

/// What was built, for people and programs.
pub(super) fn report(project: &Project, built: &Built) -> Report {
    let LoadedPolicy { digest, size_bytes, outline, .. } = &built.loaded;
    let file = project.component();
    let json: Value = json!({
        "name": project.name,
        "version": project.version,
        "kind": project.kind,
        "language": project.language.name(),
        "file": file,
        "size_bytes": size_bytes,
        "digest": digest.to_string(),
        "imports": outline.imports,
        "large": built.is_large,
        "took_ms": built.took_ms as u64,
    });
    let large = if built.is_large {
        "\n  needs `large-components = true` under `[policies]` of the server"
    } else {
        ""
    };
    let text = format!(
        "{kind}/{name} {version}: {kib:.1} KiB in {seconds:.1} s\n  imports {imports}\n  {file}{large}",
        kind = project.kind,
        name = project.name,
        version = project.version,
        kib = *size_bytes as f64 / 1024.0,
        seconds = built.took_ms as f64 / 1000.0,
        imports = if outline.imports.is_empty() { "nothing".to_owned() } else { outline.imports.join(", ") },
        file = file.display(),
    );
    Report::new(json, text)
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "a build says how long it took")]
    Instant::now()
}
