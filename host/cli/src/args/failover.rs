//! The grammar of `failover`, `failback` and `chaos`.
//!
//! Invariant: times are written with their unit; what has two meanings at once (a victim, a command with a by-hand failover) is
//! refused by the grammar.

use clap::{Args as ClapArgs, Subcommand};

#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct FailoverArgs {
    /// All members of this region; may be given several times, or separated by commas.
    #[arg(long = "from-region", value_delimiter = ',')]
    pub(crate) from_regions: Vec<String>,
    /// This member; may be given several times, or separated by commas.
    #[arg(long = "from-member", value_delimiter = ',')]
    pub(crate) from_members: Vec<String>,
    /// Only to these regions, separated by commas; without it, to any.
    #[arg(long = "to-regions", value_delimiter = ',')]
    pub(crate) to_regions: Vec<String>,
    /// Only show what would move where, and what would be left and why.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(subcommand)]
    pub(crate) command: Option<FailoverCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum FailoverCommand {
    /// Failovers and brakes.
    List,
    /// One failover. Example: pilothouse failover status f-1
    Status {
        /// The failover.
        id: String,
    },
    /// Let a failover go on that waits for you.
    Confirm {
        /// The failover.
        id: String,
    },
    /// Stop a failover; owners that were changed stay changed.
    Cancel {
        /// The failover.
        id: String,
    },
    /// Confirm that the members that are missing now are gone, so that the brake does not hold their failover.
    LiftBrake {
        /// Only those of this region.
        #[arg(long)]
        region: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum FailbackCommand {
    /// Workloads away from home.
    List,
    /// Bring a home's workloads back. Example: pilothouse failback approve c-1
    Approve {
        /// The home.
        home: String,
    },
    /// Let a home's workloads stay where they are.
    Forget {
        /// The home.
        home: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ChaosCommand {
    /// Nothing of the victim arrives. Example: pilothouse chaos inject-failure --region us-east-1 --duration 5m
    InjectFailure(VictimArgs),
    /// Everything takes longer. Example: pilothouse chaos inject-latency --source us-east-1 --target eu-west-1 --latency 500ms
    InjectLatency {
        /// On whom.
        #[command(flatten)]
        victim: VictimArgs,
        /// How much longer, for example 500ms.
        #[arg(long, value_parser = duration_ms)]
        latency: u64,
    },
    /// A share of reports is lost. Example: pilothouse chaos inject-loss --member c-1 --share 0.2
    InjectLoss {
        /// On whom.
        #[command(flatten)]
        victim: VictimArgs,
        /// The share, 0..1.
        #[arg(long)]
        share: f64,
    },
    /// Faults that are not over, with what each has hit so far.
    List,
    /// End a fault early. Example: pilothouse chaos end x-1
    End {
        /// The fault.
        id: String,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct VictimArgs {
    /// One member.
    #[arg(long, group = "victim", required_unless_present_any = ["region", "source"])]
    pub(crate) member: Option<String>,
    /// All members of a region.
    #[arg(long, group = "victim")]
    pub(crate) region: Option<String>,
    /// Messages from this region.
    #[arg(long, group = "victim", requires = "target")]
    pub(crate) source: Option<String>,
    /// To this region.
    #[arg(long, requires = "source")]
    pub(crate) target: Option<String>,
    /// For how long, for example 5m.
    #[arg(long, value_parser = duration_ms, default_value = "5m")]
    pub(crate) duration: u64,
}

/// A time such as `500ms`, `30s`, `5m` or `1h`, in ms.
fn duration_ms(text: &str) -> Result<u64, String> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let factor = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("use a number with ms, s, m or h, for example 500ms".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "use a whole number, for example 5m".to_owned())?;
    number.checked_mul(factor).ok_or_else(|| "that is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_a_unit() {
        for (text, expected) in
            [("500ms", Some(500)), ("30s", Some(30_000)), ("5m", Some(300_000)), ("1h", Some(3_600_000))]
        {
            assert_eq!(duration_ms(text).ok(), expected, "{text}");
        }
        for text in ["", "5", "m", "1.5s", "-1s", "5d", "99999999999999999999h", "18446744073709551615h"] {
            assert!(duration_ms(text).is_err(), "{text}");
        }
    }
}
