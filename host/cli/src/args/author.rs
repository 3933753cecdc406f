//! The grammar of what authors of policies do.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use crate::commands::Language;

#[derive(Debug, ClapArgs)]
pub(crate) struct NewArgs {
    /// Name of the policy: lower-case letters, digits and hyphens.
    pub(crate) name: String,
    /// What it decides.
    #[arg(long, value_parser = ["balancing", "placement", "routing", "scaling"])]
    pub(crate) kind: String,
    /// What it is written in.
    #[arg(long, value_enum)]
    pub(crate) lang: Language,
    /// Folder of the project, if not the policy's name.
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct BuildArgs {
    /// The project.
    #[arg(default_value = ".")]
    pub(crate) dir: PathBuf,
    /// Smaller and faster code, for a longer build.
    #[arg(long)]
    pub(crate) release: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct BenchArgs {
    /// A component, or a project whose component is built.
    #[arg(default_value = ".")]
    pub(crate) policy: PathBuf,
    /// The policy to compare with, if not the default one of its kind.
    #[arg(long)]
    pub(crate) against: Option<String>,
    /// Runs of each scenario.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) seeds: u32,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct DevArgs {
    /// The project.
    #[arg(default_value = ".")]
    pub(crate) dir: PathBuf,
    /// Slot that the policy becomes active in, if not `default` of its kind.
    #[arg(long)]
    pub(crate) slot: Option<String>,
    /// Build with optimisations.
    #[arg(long)]
    pub(crate) release: bool,
}
