//! `[federation]`: this orchestrator among its peers.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
