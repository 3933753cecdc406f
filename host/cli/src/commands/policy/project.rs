//! A policy project: a folder with a `pilothouse.toml`.
//!
//! Invariant: name, version, kind and language are known and valid before any tool is started.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use pilothouse_core::id::PolicyName;
use pilothouse_core::policy::Family;
use serde::{Deserialize, Serialize};

/// The file that makes a folder a project.
pub(super) const MANIFEST: &str = "pilothouse.toml";

/// What policies may be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Language {
    /// Rust, with the SDK.
    Rust,
    /// TypeScript or JavaScript, on QuickJS.
    Typescript,
    /// Python, on CPython.
    Python,
    /// C.
    C,
}

impl Language {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Typescript => "typescript",
            Self::Python => "python",
            Self::C => "c",
        }
    }
}

/// `pilothouse.toml`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    name: String,
    version: String,
    kind: String,
    language: Language,
}

/// A project.
#[derive(Debug, Clone)]
pub(super) struct Project {
    /// Its folder, absolute.
    pub(super) dir: PathBuf,
    /// The policy's name.
    pub(super) name: String,
    /// The policy's version.
    pub(super) version: String,
    /// `balancing`, `placement`, `routing` or `scaling`.
    pub(super) kind: String,
    /// What it is written in.
    pub(super) language: Language,
}

impl Project {
    /// Reads the project in a folder.
    pub(super) fn open(dir: &Path) -> anyhow::Result<Self> {
        let dir = dir.canonicalize().with_context(|| format!("there is no folder {}", dir.display()))?;
        let path = dir.join(MANIFEST);
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!(
                "{} is no policy project: it has no {MANIFEST}; `pilothouse policy new` makes one",
                dir.display()
            )
        })?;
        let Manifest { name, version, kind, language } =
            toml::from_str(&text).with_context(|| format!("{} is not as expected", path.display()))?;
        let project = Self { dir, name, version, kind, language };
        project.check().with_context(|| format!("in {}", path.display()))?;
        Ok(project)
    }

    /// Whether the name and the kind are ones that a server takes.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        PolicyName::parse(&self.name)?;
        // Cargo, npm and Python want more of a name than the contract does.
        anyhow::ensure!(
            self.name.starts_with(|first: char| first.is_ascii_lowercase()),
            "`{}` does not begin with a letter",
            self.name
        );
        anyhow::ensure!(
            Family::ALL.iter().any(|family| family.name() == self.kind),
            "`{}` is no kind; it is balancing, placement, routing or scaling",
            self.kind
        );
        Ok(())
    }

    /// Writes the manifest.
    pub(super) fn write(&self) -> anyhow::Result<()> {
        let Self { name, version, kind, language, .. } = self.clone();
        let text = toml::to_string(&Manifest { name, version, kind, language })?;
        let path = self.dir.join(MANIFEST);
        std::fs::write(&path, format!("# What `pilothouse policy build` reads.\n{text}"))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Where builds go.
    pub(super) fn target(&self) -> PathBuf {
        self.dir.join("target")
    }

    /// The finished component.
    pub(super) fn component(&self) -> PathBuf {
        self.target().join(format!("{}.wasm", self.name))
    }
}
