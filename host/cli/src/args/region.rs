//! Arguments of `region …` and `rtt …`.

use clap::{Args as ClapArgs, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum RegionCommand {
    /// All regions.
    List,
    /// Health and load. Example: pilothouse region status --region us-east1 --verbose
    Status {
        #[command(flatten)]
        region: RegionArg,
        /// Also how far the region is from the others.
        #[arg(long)]
        verbose: bool,
    },
    /// Resources: total, used, free, and the largest holes. Example: pilothouse region capacity us-east1
    Capacity {
        #[command(flatten)]
        region: RegionArg,
    },
    /// How far regions are from each other.
    Lag,
}

/// One region, or all of them.
#[derive(Debug, ClapArgs)]
pub(crate) struct RegionArg {
    /// One region; all if left out.
    id: Option<String>,
    /// The same by name.
    #[arg(long = "region", conflicts_with = "id")]
    named: Option<String>,
}

impl RegionArg {
    pub(crate) fn id(self) -> Option<String> {
        self.id.or(self.named)
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum RttCommand {
    /// What is known, by region and member. Example: pilothouse rtt list --from us-east1
    List {
        /// Only from this region.
        #[arg(long)]
        from: Option<String>,
        /// Only to this member.
        #[arg(long)]
        to: Option<String>,
        /// At most so many, and never more than 10000.
        #[arg(long, default_value_t = 1_000)]
        limit: usize,
    },
    /// Tell what was measured. Example: pilothouse rtt sample us-east1 c1 42.5
    Sample {
        /// Region it was measured from.
        from: String,
        /// The member.
        to: String,
        /// Time until the answer, ms; left out = no answer came.
        rtt_ms: Option<f32>,
    },
}
