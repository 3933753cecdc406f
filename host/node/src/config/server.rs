//! `[server]`: address, data, identity, protection.

use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the server listens and keeps its data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ServerConfig {
    /// Address for REST, gRPC and events. Beyond loopback it needs a token or TLS.
    pub listen: SocketAddr,
    /// Folder of the store, policies and caches. Made if missing, readable by its owner only.
    pub data_dir: PathBuf,
    /// Name of this node in the cluster API.
    pub node_id: String,
    /// Most agents that this node takes itself.
    pub max_agents: u32,
    /// File with the bearer token that every request must carry; without it only loopback may be used.
    pub token_file: Option<PathBuf>,
    /// Certificate and key for TLS.
    pub tls: Option<TlsConfig>,
    /// How many times as fast as the world the host's clock runs, for rehearsals and tests: heartbeats, staleness, cool-downs,
    /// quarantine and scaling periods, and the loops that look at them. Deadlines of policies, time-outs of the port, the policy
    /// folder, the webhook and the disk keep the world's time. Only on loopback.
    pub time_factor: u32,
    /// Threads that answer requests; 0 = one per core.
    pub workers: usize,
    /// Names besides localhost and loopback addresses to which a server on loopback without a token answers. Others could be
    /// names of web pages that were made to point here.
    pub allowed_hosts: Vec<String>,
    /// Most connections at once; more wait.
    pub connections_max: usize,
    /// Most connections of one address at once (IPv6: of one /64 network); more are closed. Behind a proxy all come from one.
    pub connections_per_address: usize,
    /// Time for a TLS handshake and to send a request's head, ms. HTTP/1 counts it from the end of the request before.
    pub header_timeout_ms: u64,
    /// How long a connection stays open on which no request or stream is under way, ms.
    pub idle_timeout_ms: u64,
    /// Time to send a request's body and get the answer's head, ms. Streams of events are not bounded by it.
    pub request_timeout_ms: u64,
    /// How long a shutdown waits for requests in flight, ms.
    pub drain_ms: u64,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8151)),
            data_dir: PathBuf::from(".pilothouse"),
            node_id: "node-1".to_owned(),
            max_agents: 10,
            token_file: None,
            tls: None,
            time_factor: 1,
            workers: 0,
            allowed_hosts: Vec::new(),
            connections_max: 4_096,
            connections_per_address: 1_024,
            header_timeout_ms: 10_000,
            idle_timeout_ms: 60_000,
            request_timeout_ms: 30_000,
            drain_ms: 10_000,
        }
    }
}

/// Certificate and key for TLS, PEM files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TlsConfig {
    /// Certificate chain, leaf first.
    pub cert_file: PathBuf,
    /// Private key.
    pub key_file: PathBuf,
}
