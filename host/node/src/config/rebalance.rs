//! `[rebalance]`: when work is moved to make the fleet more even, and how much of it.

use pilothouse_core::rebalance::Rules;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happens when the fleet has been out of balance for some windows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RebalanceMode {
    /// Nothing: plans are made only when somebody asks.
    Off,
    /// A plan is made and told as an event; somebody executes it.
    #[default]
    Suggest,
    /// A plan is made and executed.
    Execute,
}

/// Rebalancing: when to act, and how much.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RebalanceConfig {
    /// off, suggest or execute.
    pub mode: RebalanceMode,
    /// Highest utilisation of a member over the mean from which the fleet is out of balance.
    pub imbalance_max: f32,
    /// Utilisation from which a single member is too full, 0..1.
    pub full_share: f32,
    /// Windows in a row in which that must hold.
    pub windows: u32,
    /// Length of a window, ms.
    pub window_ms: u64,
    /// How far a move's target must end below its source, as a share of the source's utilisation.
    pub margin: f32,
    /// Most share of all workloads moved in a window; one may always move.
    pub moved_share_max: f32,
    /// Time in which a workload is not moved again, ms.
    pub cooldown_ms: u64,
    /// How long a plan may wait for its execution, ms.
    pub valid_ms: u64,
    /// Most moves at a time.
    pub parallel_max: usize,
}

impl Default for RebalanceConfig {
    fn default() -> Self {
        let rules = Rules::default();
        #[expect(clippy::cast_possible_truncation, reason = "settings are written with few digits")]
        Self {
            mode: RebalanceMode::default(),
            imbalance_max: rules.imbalance_max as f32,
            full_share: rules.full_share as f32,
            windows: rules.windows,
            window_ms: rules.window_ms,
            margin: rules.margin as f32,
            moved_share_max: rules.moved_share_max as f32,
            cooldown_ms: rules.cooldown_ms,
            valid_ms: rules.valid_ms,
            parallel_max: rules.parallel_max,
        }
    }
}

impl RebalanceConfig {
    /// The rules.
    #[must_use]
    pub fn rules(&self) -> Rules {
        Rules {
            imbalance_max: self.imbalance_max.into(),
            full_share: self.full_share.into(),
            windows: self.windows,
            window_ms: self.window_ms,
            margin: self.margin.into(),
            moved_share_max: self.moved_share_max.into(),
            cooldown_ms: self.cooldown_ms,
            valid_ms: self.valid_ms,
            parallel_max: self.parallel_max,
            ..Rules::default()
        }
    }
}
