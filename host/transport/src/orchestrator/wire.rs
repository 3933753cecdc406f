//! The document's messages, field by field, as JSON types.
//!
//! Invariant: names are the document's. Fields it does not name are let through where it says `unknown` or leaves the type open,
//! and travel with the task; optional ones that are missing stay missing.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `FederationMessage`, before its type is known.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Envelope {
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// An object, or (as the document's own class writes it) the JSON text of one.
    #[serde(default)]
    pub(super) payload: Value,
    pub(super) from: String,
    pub(super) to: String,
    /// RFC 3339.
    pub(super) timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) correlation_id: Option<String>,
}

/// `DelegationRequest`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DelegationRequest {
    pub(super) from_orchestrator_id: String,
    pub(super) to_orchestrator_id: String,
    pub(super) task: Task,
    pub(super) priority: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) required_capabilities: Option<Required>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) context: Option<SharedContext>,
    /// ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) timeout: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) callback_id: Option<String>,
}

/// `Task`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Task {
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) description: String,
    pub(super) priority: String,
    pub(super) status: String,
    pub(super) created_at: String,
    pub(super) updated_at: String,
    #[serde(flatten)]
    pub(super) other: Map<String, Value>,
}

/// `Partial<OrchestratorCapabilities>`, or the plain list that `checkCapability` takes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Required {
    List(Vec<String>),
    Object(Capabilities),
}

/// `Partial<OrchestratorCapabilities>`: what this host can check; anything else is refused by its name.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Capabilities {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) specializations: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) supported_task_types: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) token_budget: Option<TokenBudget>,
    #[serde(flatten)]
    pub(super) other: Map<String, Value>,
}

/// `tokenBudget`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct TokenBudget {
    pub(super) remaining: u64,
}

/// `SharedContext`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SharedContext {
    /// Orchestrators that had the task, first one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) task_history: Vec<Passed>,
    #[serde(flatten)]
    pub(super) other: Map<String, Value>,
}

/// One entry of `taskHistory`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Passed {
    pub(super) task_id: String,
    pub(super) orchestrator_id: String,
    pub(super) timestamp: String,
    pub(super) outcome: String,
}

/// `DelegationResponse`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DelegationResponse {
    pub(super) task_id: String,
    pub(super) accepted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) estimated_completion: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) assigned_resources: Option<AssignedResources>,
}

/// `assignedResources`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct AssignedResources {
    pub(super) sessions: u32,
    pub(super) tokens: u64,
}

/// `TaskCallback`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TaskCallback {
    pub(super) task_id: String,
    pub(super) status: CallbackStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) result: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    /// Percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) progress: Option<f32>,
}

/// How a task goes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum CallbackStatus {
    Progress,
    Completed,
    Failed,
}

/// `BroadcastPayload`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct BroadcastPayload {
    pub(super) topic: String,
    #[serde(default)]
    pub(super) data: Value,
    /// ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ttl: Option<u64>,
}

/// `HeartbeatPayload`; every field may be left out.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct HeartbeatPayload {
    pub(super) orchestrator_id: Option<String>,
    pub(super) timestamp: Option<String>,
    pub(super) status: Option<String>,
    pub(super) active_connections: Option<u32>,
}

/// `ConnectionHealth`, and what this host adds: an offer, and complaints.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConnectionHealth {
    pub(super) status: String,
    /// ms.
    #[serde(default)]
    pub(super) uptime: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_heartbeat: Option<String>,
    #[serde(default)]
    pub(super) messages_sent: u64,
    #[serde(default)]
    pub(super) messages_received: u64,
    #[serde(default)]
    pub(super) errors: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) capabilities: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_sessions: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) active_sessions: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<Fault>,
}

/// What was wrong with a message.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Fault {
    pub(super) code: String,
    pub(super) detail: String,
}
