//! `[policies]`: where policies come from and what a call may use.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TrustConfig;

/// Policies: where they come from and what they may use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct PoliciesConfig {
    /// Watched folder. `balancing/default.wasm` in it becomes active in the slot `balancing/default`.
    pub policy_dir: Option<PathBuf>,
    /// How often the folder is read even if no change was notified, ms.
    pub poll_interval_ms: u64,
    /// Instances per active policy; 0 = one per worker thread.
    pub seats: usize,
    /// Keep compiled policies in the data folder.
    pub cache: bool,
    /// Compile in a child process that can be killed. Only tests and tools turn it off.
    pub compile_in_child: bool,
    /// How often counters, pins and cells of policies are written to the store, ms. A crash loses at most this much.
    pub state_flush_ms: u64,
    /// Decisions kept in memory for `GET /api/v1/decisions`.
    pub decisions_kept: usize,
    /// What one balancing decision may use.
    pub balancing_budget: BudgetConfig,
    /// What one placement decision may use.
    pub placement_budget: BudgetConfig,
    /// What one routing decision may use.
    pub routing_budget: BudgetConfig,
    /// What one scaling decision may use.
    pub scaling_budget: BudgetConfig,
    /// Whose policies may come in.
    pub trust: TrustConfig,
}

impl Default for PoliciesConfig {
    fn default() -> Self {
        Self {
            policy_dir: None,
            poll_interval_ms: 2_000,
            seats: 0,
            cache: true,
            compile_in_child: true,
            state_flush_ms: 500,
            decisions_kept: 4_096,
            balancing_budget: BudgetConfig { fuel: 2_000_000, deadline_ms: 2, memory_mib: 16 },
            placement_budget: BudgetConfig { fuel: 50_000_000, deadline_ms: 50, memory_mib: 16 },
            routing_budget: BudgetConfig { fuel: 20_000_000, deadline_ms: 20, memory_mib: 16 },
            scaling_budget: BudgetConfig { fuel: 20_000_000, deadline_ms: 20, memory_mib: 16 },
            trust: TrustConfig::default(),
        }
    }
}

/// What one call may use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BudgetConfig {
    /// Fuel: roughly instructions; the deterministic bound.
    pub fuel: u64,
    /// Wall clock, ms; the backstop.
    pub deadline_ms: u64,
    /// Linear memory of an instance, MiB, at most 64.
    pub memory_mib: u32,
}
