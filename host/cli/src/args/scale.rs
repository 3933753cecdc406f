//! Arguments of `scale …`.

use clap::{Args as ClapArgs, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum ScaleCommand {
    /// Make, change, show and remove groups.
    #[command(subcommand)]
    Group(GroupCommand),
    /// Set a group's count. Example: pilothouse scale to web 25
    To {
        /// The group.
        group: String,
        /// This many.
        replicas: u32,
    },
    /// More replicas. Example: pilothouse scale up web 5
    Up {
        /// The group.
        group: String,
        /// So many more.
        by: u32,
    },
    /// Fewer replicas. Example: pilothouse scale down web 3
    Down {
        /// The group.
        group: String,
        /// So many fewer.
        by: u32,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// All groups.
    List,
    /// One group.
    Get {
        /// Its name.
        name: String,
    },
    /// Make a group, or change one. Example: pilothouse scale group set web --min 5 --max 100 --region eu-west-1
    Set(GroupArgs),
    /// Forget a group; its replicas stay.
    Remove {
        /// Its name.
        name: String,
    },
    /// Tell what was measured. Example: pilothouse scale group sample web --queue-depth 70
    Sample(SampleArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct GroupArgs {
    /// Its name.
    pub(crate) name: String,
    /// Fewest replicas; 5 unless the server is configured otherwise.
    #[arg(long)]
    pub(crate) min: Option<u32>,
    /// Most replicas; 100 unless the server is configured otherwise.
    #[arg(long)]
    pub(crate) max: Option<u32>,
    /// Where a new group starts; the fewest if left out.
    #[arg(long)]
    pub(crate) replicas: Option<u32>,
    /// Time between decisions, ms; 15000 if left out.
    #[arg(long)]
    pub(crate) period_ms: Option<u32>,
    /// How long a replica takes to become ready, ms; 30000 if left out.
    #[arg(long)]
    pub(crate) start_ms: Option<u32>,
    /// Time after any change in which the count does not go down, ms; 120000 unless the server is configured otherwise.
    #[arg(long)]
    pub(crate) cooldown_ms: Option<u64>,
    /// Slot that decides: queue-depth, predictive, hybrid or another one of the family scaling.
    #[arg(long)]
    pub(crate) strategy: Option<String>,
    /// Region whose clusters are filled first.
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// Members that run this service feed the group with their load reports.
    #[arg(long)]
    pub(crate) service: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct SampleArgs {
    /// The group.
    pub(crate) name: String,
    /// Waiting work.
    #[arg(long, value_parser = measured, allow_negative_numbers = true)]
    pub(crate) queue_depth: Option<f32>,
    /// Arriving work per second.
    #[arg(long, value_parser = measured, allow_negative_numbers = true)]
    pub(crate) arrivals_per_s: Option<f32>,
    /// Finished work per second.
    #[arg(long, value_parser = measured, allow_negative_numbers = true)]
    pub(crate) completions_per_s: Option<f32>,
    /// Mean utilisation of ready replicas, 0..1.
    #[arg(long, value_parser = measured, allow_negative_numbers = true)]
    pub(crate) utilisation: Option<f32>,
    /// Mean time to serve one piece of work, ms.
    #[arg(long, value_parser = measured, allow_negative_numbers = true)]
    pub(crate) service_ms: Option<f32>,
}

/// A figure that somebody measured.
fn measured(text: &str) -> Result<f32, String> {
    let figure: f32 = text.parse().map_err(|_| "it is not a number".to_owned())?;
    let sound = figure.is_finite() && figure >= 0.0;
    sound
        .then_some(figure)
        .ok_or_else(|| "use a number from 0 on; leave out what was not measured".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_have_been_measured_is_refused() {
        assert_eq!(measured("70.5"), Ok(70.5));
        for text in ["nan", "inf", "-5", "1e99"] {
            assert!(measured(text).unwrap_err().contains("from 0 on"), "{text}");
        }
        assert!(measured("many").unwrap_err().contains("not a number"));
    }
}
