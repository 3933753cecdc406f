//! The grammar of `pilothouse lab`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum LabCommand {
    /// Run a scenario. Example: pilothouse lab run placement-mixed --wasm mine.wasm --report mine.html
    Run(RunArgs),
    /// Which of two policies is better? Example: pilothouse lab compare old.wasm new.wasm
    Compare(CompareArgs),
    /// All default policies in all scenarios. Example: pilothouse lab leaderboard --report lab.html
    Leaderboard(LeaderboardArgs),
    /// List the scenarios. Example: pilothouse lab scenarios --show placement-mixed > mine.toml
    Scenarios {
        /// Print the file of this one, to copy.
        #[arg(long)]
        show: Option<String>,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RunArgs {
    /// A built-in scenario or a file.
    pub(crate) scenario: String,
    /// Only this default policy, FAMILY/NAME; without it and --wasm all of the scenario's family.
    #[arg(long)]
    pub(crate) policy: Vec<String>,
    /// A component; may be given several times, and beside --policy.
    #[arg(long)]
    pub(crate) wasm: Vec<PathBuf>,
    /// TOML file with the settings of the policy or component.
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct CompareArgs {
    /// A component (.wasm) or a default policy, FAMILY/NAME.
    pub(crate) first: String,
    /// The one to compare it with.
    pub(crate) second: String,
    /// Only this scenario; may be given several times. Without it, all of their family.
    #[arg(long)]
    pub(crate) scenario: Vec<String>,
    /// Long scenarios as well.
    #[arg(long)]
    pub(crate) full: bool,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct LeaderboardArgs {
    /// Only this family; may be given several times.
    #[arg(long)]
    pub(crate) family: Vec<String>,
    /// Long scenarios as well.
    #[arg(long)]
    pub(crate) full: bool,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct CommonArgs {
    /// Folder of recorded data; without it, scenarios that want recordings run a synthetic twin and say so.
    #[arg(long, env = "PILOTHOUSE_LAB_DATA")]
    pub(crate) data: Option<PathBuf>,
    /// Seeds, instead of each scenario's own number.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) seeds: Option<u32>,
    /// The first seed; others than 1 show whether a policy was tuned to the usual ones.
    #[arg(long, default_value_t = 1)]
    pub(crate) first_seed: u64,
    /// Write an HTML report to this file.
    #[arg(long)]
    pub(crate) report: Option<PathBuf>,
    /// Threads; as many as there are cores if left out. Results do not depend on it.
    #[arg(long)]
    pub(crate) threads: Option<usize>,
}
