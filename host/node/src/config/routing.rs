//! `[routing]`: which policy routes flows, and the budget with which it is measured how far members are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Routing: where flows go, and measuring how far members are. Probes start at the region that `[server]` names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RoutingConfig {
    /// Policy that a new server starts with; `pilothouse policy list` shows all.
    pub algorithm: String,
    /// Members probed in a period; 0 = none. Without `server.region` none are probed.
    pub probes_per_period: usize,
    /// Length of a period, ms.
    pub probe_period_ms: u64,
    /// A probe without an answer for this long is lost, ms.
    pub probe_timeout_ms: u64,
    /// Most probes at once.
    pub probes_in_flight: usize,
    /// Path that a member must answer with success, for example `/healthz`; without it a connection is enough.
    pub probe_path: Option<String>,
    /// A measured time is used for this long, ms; then configured and estimated ones are.
    pub measured_for_ms: u64,
}

impl Default for RoutingConfig {
    fn default() -> Self {
        Self {
            algorithm: "hybrid".to_owned(),
            probes_per_period: 16,
            probe_period_ms: 5_000,
            probe_timeout_ms: 1_000,
            probes_in_flight: 8,
            probe_path: None,
            measured_for_ms: 300_000,
        }
    }
}
