//! The grammar of `pilothouse lab`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum LabCommand {
    /// List the scenarios. Example: pilothouse lab scenarios --show placement-mixed > mine.toml
    Scenarios(ScenariosArgs),
    /// How good is a policy? Example: pilothouse lab run mine.wasm --scenario placement-mixed --html mine.html
    Run(RunArgs),
    /// Which of two policies is better? Example: pilothouse lab compare old.wasm new.wasm
    Compare(CompareArgs),
    /// All default policies in all scenarios. Example: pilothouse lab leaderboard --html lab.html
    Leaderboard(LeaderboardArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ScenariosArgs {
    /// Print the file of this one, to copy.
    #[arg(long)]
    pub(crate) show: Option<String>,
    #[command(flatten)]
    pub(crate) data: DataArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RunArgs {
    /// Components (.wasm) or default policies, NAME or FAMILY/NAME; all of one family.
    #[arg(required = true)]
    pub(crate) policies: Vec<String>,
    /// A built-in scenario or a file; may be given several times. Without it, all of their family.
    #[arg(long)]
    pub(crate) scenario: Vec<String>,
    /// TOML file with the settings of the policies.
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct CompareArgs {
    /// A component (.wasm) or a default policy, NAME or FAMILY/NAME.
    pub(crate) first: String,
    /// The one to compare it with.
    pub(crate) second: String,
    /// A built-in scenario or a file; may be given several times. Without it, all of their family.
    #[arg(long)]
    pub(crate) scenario: Vec<String>,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct LeaderboardArgs {
    /// Only this family; may be given several times.
    #[arg(long)]
    pub(crate) family: Vec<String>,
    /// A component that competes with the default policies; may be given several times.
    #[arg(long)]
    pub(crate) with: Vec<String>,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct DataArgs {
    /// Folder of recorded data; without it, scenarios on recordings are left out and named.
    #[arg(long = "data", value_name = "DIR", env = "PILOTHOUSE_DATA")]
    pub(crate) folder: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct CommonArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Number of seeds, instead of each scenario's own.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) seeds: Option<u32>,
    /// The first seed; others than 1 show whether a policy was tuned to the usual ones.
    #[arg(long, default_value_t = 1)]
    pub(crate) first_seed: u64,
    /// Write a report with plots to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Threads; as many as there are cores if left out. Results do not depend on it.
    #[arg(long)]
    pub(crate) threads: Option<usize>,
}
