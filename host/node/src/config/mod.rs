//! The server's configuration: one struct per section, defaults once, unknown keys refused.
//!
//! file (TOML) -> [`load`] -> [`Config`] -> `wire`; flags of the command line win over the file
//!
//! Invariant: `Config::default()` is valid, and the commented default file (`config default`) is made from these
//! structs and their comments, so it cannot be out of date.

mod balancing;
mod check;
mod document;
mod failover;
mod federation;
mod load;
mod placement;
mod policies;
mod rebalance;
mod regions;
mod registry;
mod routing;
mod scaling;
mod server;
mod trust;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use balancing::BalancingConfig;
pub use check::check;
pub use document::{default_toml, schema_json};
pub use failover::{ChaosConfig, DetectionConfig, FailbackConfig, FailbackMode, FailoverConfig};
pub use federation::{FederationConfig, PeerConfig};
pub use load::{ConfigError, load, parse};
pub use placement::PlacementConfig;
pub use policies::{BudgetConfig, PoliciesConfig};
pub use rebalance::{RebalanceConfig, RebalanceMode};
pub use regions::{RegionConfig, RttConfig};
pub use registry::{HealthConfig, RegistryConfig, ThresholdsConfig};
pub use routing::RoutingConfig;
pub use scaling::{QueueThresholds, ScalingConfig};
pub use server::{ServerConfig, TlsConfig};
pub use trust::{Required, TrustConfig};

/// Configuration of a Pilothouse server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// Where the server listens and keeps its data.
    pub server: ServerConfig,
    /// Members: heartbeats, staleness, health, breaker.
    pub registry: RegistryConfig,
    /// Policies: where they come from and what they may use.
    pub policies: PoliciesConfig,
    /// Balancing: which member takes a task.
    pub balancing: BalancingConfig,
    /// Placement: where workloads live, and what may be done for a place.
    pub placement: PlacementConfig,
    /// Routing: where flows go, and measuring how far members are.
    pub routing: RoutingConfig,
    /// Scaling: how many replicas groups get, and who is told of changes.
    pub scaling: ScalingConfig,
    /// Orchestrator federation: who this host is to its peers, and which peers it dials.
    pub federation: FederationConfig,
    /// Rebalancing: when to act, and how much.
    pub rebalance: RebalanceConfig,
    /// Failover: when members are dead, and how their work goes elsewhere.
    pub failover: FailoverConfig,
    /// Failback: whether and how fast work goes home.
    pub failback: FailbackConfig,
    /// Chaos: faults on purpose.
    pub chaos: ChaosConfig,
    /// Regions with their coordinates, by name: `[regions.us-east-1]`. Needed for distances that nobody measured.
    pub regions: std::collections::BTreeMap<String, RegionConfig>,
    /// Measured round-trip times between regions.
    pub rtt: Vec<RttConfig>,
}
