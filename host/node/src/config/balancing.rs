//! `[balancing]`: which policy answers who takes a task.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Balancing: which member takes a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct BalancingConfig {
    /// Policy that a new server starts with; `pilothouse policy list` shows all.
    pub algorithm: String,
}

impl Default for BalancingConfig {
    fn default() -> Self {
        Self { algorithm: "least-loaded".to_owned() }
    }
}
