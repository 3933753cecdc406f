//! The rules by which a member counts as healthy or gone; all thresholds are the operator's.

use crate::member::{Health, LoadReport};

/// Thresholds above which a member is not well. Shares are 0..1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// CPU utilisation.
    pub cpu: f32,
    /// Memory utilisation.
    pub memory: f32,
    /// Disk utilisation.
    pub disk: f32,
    /// Response time, ms.
    pub latency_ms: f32,
    /// Share of failed requests.
    pub error_rate: f32,
}

/// All rules of the registry.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// How often members should report, ms.
    pub heartbeat_interval_ms: u64,
    /// Without a report for this long a member is offline, ms.
    pub offline_after_ms: u64,
    /// Without a report for this long a member is removed, ms.
    pub remove_after_ms: u64,
    /// If more than this share of members (at least [`MASS_LOSS_MEMBERS_MIN`]) is offline, nobody is removed: it is more likely that we are cut off.
    pub mass_loss_share: f32,
    /// From here on a member is degraded.
    pub degraded: Thresholds,
    /// From here on a member is unhealthy.
    pub unhealthy: Thresholds,
}

/// Fewer lost members than this are never a mass loss.
pub const MASS_LOSS_MEMBERS_MIN: usize = 3;

impl Default for Rules {
    fn default() -> Self {
        Self {
            heartbeat_interval_ms: 30_000,
            offline_after_ms: 90_000,
            remove_after_ms: 600_000,
            mass_loss_share: 0.33,
            degraded: Thresholds {
                cpu: 0.80,
                memory: 0.85,
                disk: 0.90,
                latency_ms: 1_000.0,
                error_rate: 0.05,
            },
            unhealthy: Thresholds {
                cpu: 0.95,
                memory: 0.95,
                disk: 0.98,
                latency_ms: 5_000.0,
                error_rate: 0.5,
            },
        }
    }
}

impl Rules {
    /// Health by what was reported; a member's own worse opinion of itself counts.
    #[must_use]
    pub fn health(&self, load: &LoadReport) -> Health {
        let measured = if exceeds(load, &self.unhealthy) {
            Health::Unhealthy
        } else if exceeds(load, &self.degraded) {
            Health::Degraded
        } else {
            Health::Healthy
        };
        match (load.health, measured) {
            (Some(Health::Unhealthy), _) | (_, Health::Unhealthy) => Health::Unhealthy,
            (Some(Health::Degraded), _) | (_, Health::Degraded) => Health::Degraded,
            _ => Health::Healthy,
        }
    }
}

fn exceeds(load: &LoadReport, limit: &Thresholds) -> bool {
    let above = |value: Option<f32>, limit: f32| value.is_some_and(|value| value > limit);
    above(load.cpu, limit.cpu)
        || above(load.memory, limit.memory)
        || above(load.disk, limit.disk)
        || above(load.latency_ms, limit.latency_ms)
        || above(load.error_rate, limit.error_rate)
}
