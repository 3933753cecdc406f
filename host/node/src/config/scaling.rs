//! `[scaling]`: keys of the documented queue scaler (Godel, phase 4), whose own spelling is accepted as well. Groups
//! themselves are made by API and kept in the store.
//!
//! Invariant: a key that is not a setting of the chosen policy is refused, so no key is without effect.

use pilothouse_transport::service::group::GroupDefaults;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The policy whose settings the documented keys are.
const DOCUMENTED: &str = "queue-depth";

/// Scaling: how many replicas groups get, and who is told of changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ScalingConfig {
    /// Policy that a new server starts with; `pilothouse policy list` shows all.
    pub algorithm: String,
    /// Fewest replicas of a group that does not say.
    #[serde(alias = "minAgents")]
    pub min_agents: u32,
    /// Most replicas of a group that does not say.
    #[serde(alias = "maxAgents")]
    pub max_agents: u32,
    /// Time after any change in which the count does not go down, of a group that does not say, ms.
    #[serde(alias = "cooldownMs")]
    pub cooldown_ms: u32,
    /// Whether a group's replicas may be on several clusters.
    #[serde(alias = "multiClusterScaling")]
    pub multi_cluster_scaling: bool,
    /// Setting of queue-depth: replicas added when the queue is deep or grows; 5 if left out.
    #[serde(alias = "scaleUpIncrement")]
    pub scale_up_increment: Option<u32>,
    /// Setting of queue-depth: replicas added when the queue is very deep; 15 if left out.
    #[serde(alias = "scaleUpAggressiveIncrement")]
    pub scale_up_aggressive_increment: Option<u32>,
    /// Setting of queue-depth: replicas taken away when the queue is shallow; 3 if left out.
    #[serde(alias = "scaleDownIncrement")]
    pub scale_down_increment: Option<u32>,
    /// Setting of queue-depth: scale up for a queue that a regression foresees; true if left out.
    #[serde(alias = "enablePredictiveScaling")]
    pub enable_predictive_scaling: Option<bool>,
    /// Address that gets a POST with every change of a group, for example `http://127.0.0.1:9000/scaled`.
    pub webhook: Option<String>,
    /// Waiting work at which the size changes; settings of queue-depth.
    pub thresholds: QueueThresholds,
}

/// Waiting work at which the size changes; settings of queue-depth.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct QueueThresholds {
    /// Deep from here on; 50 if left out.
    #[serde(alias = "scaleUpQueueDepth")]
    pub scale_up_queue_depth: Option<f32>,
    /// Very deep from here on; 200 if left out.
    #[serde(alias = "scaleUpAggressiveQueueDepth")]
    pub scale_up_aggressive_queue_depth: Option<f32>,
    /// Shallow up to here; 10 if left out.
    #[serde(alias = "scaleDownQueueDepth")]
    pub scale_down_queue_depth: Option<f32>,
}

impl Default for ScalingConfig {
    fn default() -> Self {
        Self {
            algorithm: DOCUMENTED.to_owned(),
            min_agents: 5,
            max_agents: 100,
            cooldown_ms: 120_000,
            multi_cluster_scaling: true,
            scale_up_increment: None,
            scale_up_aggressive_increment: None,
            scale_down_increment: None,
            enable_predictive_scaling: None,
            webhook: None,
            thresholds: QueueThresholds::default(),
        }
    }
}

impl ScalingConfig {
    /// What a group takes for what it does not say.
    #[must_use]
    pub fn group_defaults(&self) -> GroupDefaults {
        GroupDefaults {
            min_replicas: self.min_agents,
            max_replicas: self.max_agents,
            cooldown_ms: self.cooldown_ms.into(),
            ..GroupDefaults::default()
        }
    }

    /// Keys that only `queue-depth` has and that are set here, with their values.
    #[must_use]
    pub fn own_settings(&self) -> Vec<(String, Value)> {
        let integer = |name: &str, value: Option<u32>| Some((name.to_owned(), value?.into()));
        let depth = |name: &str, value: Option<f32>| Some((format!("thresholds.{name}"), value?.into()));
        let predictive = self.enable_predictive_scaling;
        let settings = [
            integer("scale-up-increment", self.scale_up_increment),
            integer("scale-up-aggressive-increment", self.scale_up_aggressive_increment),
            integer("scale-down-increment", self.scale_down_increment),
            predictive.map(|predictive| ("enable-predictive-scaling".to_owned(), predictive.into())),
            depth("scale-up-queue-depth", self.thresholds.scale_up_queue_depth),
            depth("scale-up-aggressive-queue-depth", self.thresholds.scale_up_aggressive_queue_depth),
            depth("scale-down-queue-depth", self.thresholds.scale_down_queue_depth),
        ];
        settings.into_iter().flatten().collect()
    }

    /// Whether the documented keys are settings of the chosen policy.
    #[must_use]
    pub fn is_documented(&self) -> bool {
        self.algorithm.replace('_', "-") == DOCUMENTED
    }

    /// Settings that the policy starts with, JSON text: only what differs from its own defaults.
    #[must_use]
    pub fn settings(&self) -> String {
        let mut settings = Map::new();
        if self.is_documented() {
            let defaults = Self::default();
            let limits = [
                ("min-agents", self.min_agents, defaults.min_agents),
                ("max-agents", self.max_agents, defaults.max_agents),
                ("cooldown-ms", self.cooldown_ms, defaults.cooldown_ms),
            ];
            let changed = limits.into_iter().filter(|(_, value, default)| value != default);
            settings.extend(changed.map(|(name, value, _)| (name.to_owned(), value.into())));
            for (name, value) in self.own_settings() {
                match name.strip_prefix("thresholds.") {
                    None => drop(settings.insert(name, value)),
                    Some(threshold) => {
                        let thresholds = settings.entry("thresholds").or_insert_with(|| Map::new().into());
                        thresholds
                            .as_object_mut()
                            .into_iter()
                            .for_each(|all| drop(all.insert(threshold.to_owned(), value.clone())));
                    }
                }
            }
        }
        Value::Object(settings).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_changed_becomes_a_setting_of_the_policy() {
        let default = ScalingConfig::default();
        assert_eq!(default.settings(), "{}");
        let thresholds = QueueThresholds { scale_up_queue_depth: Some(70.0), ..QueueThresholds::default() };
        let changed = ScalingConfig { max_agents: 500, scale_down_increment: Some(2), thresholds, ..default };
        let settings: Value = serde_json::from_str(&changed.settings()).unwrap();
        let wanted = serde_json::json!({
            "max-agents": 500, "scale-down-increment": 2, "thresholds": { "scale-up-queue-depth": 70.0 },
        });
        assert_eq!(settings, wanted);
        let other = ScalingConfig { algorithm: "hybrid".to_owned(), ..changed };
        assert_eq!(other.settings(), "{}", "hybrid has other settings");
    }
}
