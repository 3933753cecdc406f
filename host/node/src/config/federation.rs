//! `[federation]`: this orchestrator among its peers.

use pilothouse_core::id::{Label, OrchestratorId};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::check::{at_least, at_most, bad, name};
use crate::orchestrator::PEERS_MAX;

/// Orchestrator federation: who this host is to its peers, and which peers it dials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct FederationConfig {
    /// Name of this orchestrator among its peers; `server.node-id` if left out.
    pub id: Option<String>,
    /// What this node itself can do, for example `["code-generation", "testing"]`; its members' capabilities are offered as well.
    pub capabilities: Vec<String>,
    /// Balancing slot that decides who takes a task: members and connected peers are its candidates.
    pub strategy: String,
    /// Silence after which a peer is degraded, ms; after twice as long it is disconnected.
    pub heartbeat_timeout_ms: u64,
    /// Most messages that wait for one peer.
    pub queue_max: usize,
    /// How long a delegated task may take if its origin does not say, ms.
    pub task_timeout_ms: u64,
    /// Tokens that tasks executed here may use at once; each gets what it asks for, or an equal share.
    pub tokens: u64,
    /// Peers that this host dials: `peers = [{ id = "east", url = "wss://east.example/federation", token-file = "east.token" }]`.
    pub peers: Vec<PeerConfig>,
}

impl Default for FederationConfig {
    fn default() -> Self {
        Self {
            id: None,
            capabilities: Vec::new(),
            strategy: "capability-match".to_owned(),
            heartbeat_timeout_ms: 60_000,
            queue_max: 1_000,
            task_timeout_ms: 300_000,
            tokens: 1_000_000,
            peers: Vec::new(),
        }
    }
}

/// A peer that this host dials.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct PeerConfig {
    /// Its name among its peers.
    pub id: String,
    /// Where it answers, `ws://HOST:PORT/federation` or `wss://…`.
    pub url: String,
    /// File with the bearer token that it demands.
    pub token_file: Option<PathBuf>,
    /// PEM file with the certificates that it may have, instead of the public ones.
    pub ca_file: Option<PathBuf>,
    /// What it can do, if it does not say so itself.
    pub capabilities: Vec<String>,
}

/// Checks peers, bounds and names.
///
/// # Errors
/// The first bad value.
pub(super) fn check(federation: &FederationConfig) -> Result<(), ConfigError> {
    let FederationConfig { id, capabilities, strategy, heartbeat_timeout_ms, queue_max, .. } = federation;
    if let Some(id) = id {
        name("federation.id", id, |text| OrchestratorId::parse(text).map(drop))?;
    }
    name("federation.strategy", strategy, |text| Label::parse(text).map(drop))?;
    for capability in capabilities.iter().chain(federation.peers.iter().flat_map(|peer| &peer.capabilities)) {
        name("federation.capabilities", capability, |text| Label::parse(text).map(drop))?;
    }
    at_least("federation.heartbeat-timeout-ms", *heartbeat_timeout_ms, 100)?;
    at_least("federation.queue-max", *queue_max as u64, 1)?;
    at_most("federation.queue-max", *queue_max as u64, 100_000)?;
    at_least("federation.task-timeout-ms", federation.task_timeout_ms, 100)?;
    at_most("federation.peers", federation.peers.len() as u64, PEERS_MAX as u64)?;
    for (index, peer) in federation.peers.iter().enumerate() {
        name(&format!("federation.peers.{index}.id"), &peer.id, |text| {
            OrchestratorId::parse(text).map(drop)
        })?;
        if federation.peers.iter().take(index).any(|other| other.id == peer.id) {
            return Err(bad(&format!("federation.peers.{index}.id"), &peer.id, "it is there twice"));
        }
        if !(peer.url.starts_with("ws://") || peer.url.starts_with("wss://")) {
            let problem = "use ws://HOST:PORT/federation or wss://HOST/federation";
            return Err(bad(&format!("federation.peers.{index}.url"), &peer.url, problem));
        }
    }
    Ok(())
}
