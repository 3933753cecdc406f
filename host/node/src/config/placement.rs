//! `[placement]`: keys of the federation configuration (DWCP v3, phase 8), whose own spelling is accepted as well.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Placement: where workloads live, and what may be done for a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct PlacementConfig {
    /// Policy that a new server starts with; `pilothouse policy list` shows all.
    pub algorithm: String,
    /// Whether a request may evict less important workloads when nobody has room.
    #[serde(alias = "enable_preemption")]
    pub enable_preemption: bool,
    /// Most workloads that rebalancing moves at a time.
    #[serde(alias = "max_concurrent_migrations")]
    pub max_concurrent_migrations: usize,
}

impl Default for PlacementConfig {
    fn default() -> Self {
        Self { algorithm: "multi-factor".to_owned(), enable_preemption: true, max_concurrent_migrations: 10 }
    }
}
