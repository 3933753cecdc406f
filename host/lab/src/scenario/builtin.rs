//! The scenarios that come with the lab: files in `scenarios/`, embedded.
//!
//! Invariant: every one of them parses, and is named as its file.

/// Pairs of name and text.
macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../scenarios/", $name, ".toml")))),*]
    };
}

/// Every file, in the order of reports.
const FILES: &[(&str, &str)] = files![
    "placement-mixed",
    "placement-shares",
    "placement-several",
    "placement-picky",
    "openb-default",
    "openb-cpu050",
    "openb-cpu250",
    "openb-gpushare40",
    "openb-gpushare100",
    "openb-multigpu50",
    "openb-gpuspec33",
    "balancing-even",
    "balancing-busy",
    "balancing-reports",
    "balancing-late",
    "balancing-sessions",
    "balancing-loss",
    "routing-drift",
    "routing-late",
    "routing-crowded",
    "routing-bills",
    "azure-drift",
    "seattle",
    "seattle-late",
    "scaling-daily",
    "scaling-step",
    "scaling-spikes",
    "scaling-surges",
    "scaling-gap",
    "twitter-day",
    "twitter-month",
    "llm-hour",
];

/// The names and texts of all built-in scenarios.
#[must_use]
pub const fn builtin() -> &'static [(&'static str, &'static str)] {
    FILES
}
