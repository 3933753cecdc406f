//! `[registry]`: when a member counts as gone, degraded or unhealthy.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Members: heartbeats, staleness, health, breaker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RegistryConfig {
    /// How often members should report, ms. Told to them in replies.
    pub heartbeat_interval_ms: u64,
    /// Without a report for this long a member is offline, ms.
    pub offline_after_ms: u64,
    /// Without a report for this long a member is removed, ms.
    pub remove_after_ms: u64,
    /// If more than this share of members (at least 3) would be lost in one window, nobody is removed.
    pub mass_loss_share: f32,
    /// Shortest time between two snapshots of the fleet, ms.
    pub publish_interval_ms: u64,
    /// How often this node reads its own load, ms.
    pub probe_interval_ms: u64,
    /// Health thresholds.
    pub health: HealthConfig,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self {
            heartbeat_interval_ms: 30_000,
            offline_after_ms: 90_000,
            remove_after_ms: 600_000,
            mass_loss_share: 0.33,
            publish_interval_ms: 20,
            probe_interval_ms: 5_000,
            health: HealthConfig::default(),
        }
    }
}

/// Health thresholds: above `degraded` a member is degraded, above `unhealthy` it takes no new work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct HealthConfig {
    /// From here on a member is degraded.
    pub degraded: ThresholdsConfig,
    /// From here on a member is unhealthy.
    pub unhealthy: ThresholdsConfig,
}

/// One set of thresholds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ThresholdsConfig {
    /// CPU utilisation, 0..1.
    pub cpu: f32,
    /// Memory utilisation, 0..1.
    pub memory: f32,
    /// Disk utilisation, 0..1.
    pub disk: f32,
    /// Response time, ms.
    pub latency_ms: f32,
    /// Share of failed requests, 0..1.
    pub error_rate: f32,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            degraded: ThresholdsConfig {
                cpu: 0.80,
                memory: 0.85,
                disk: 0.90,
                latency_ms: 1_000.0,
                error_rate: 0.05,
            },
            unhealthy: ThresholdsConfig {
                cpu: 0.95,
                memory: 0.95,
                disk: 0.98,
                latency_ms: 5_000.0,
                error_rate: 0.5,
            },
        }
    }
}
