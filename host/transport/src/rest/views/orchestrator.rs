//! The federation of orchestrators: peers and delegated tasks.

use pilothouse_core::orchestrator::{Executor, Stage};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::time;
use crate::orchestrator::port::{DelegationInfo, FederationInfo, HealthInfo, PeerInfo, Sent};

/// This orchestrator and its peers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FederationView {
    id: String,
    /// What it offers to peers.
    capabilities: Vec<String>,
    active_sessions: u32,
    /// 0 = unlimited.
    max_sessions: u32,
    /// Delegated tasks that are not finished.
    outstanding: usize,
    completed: u64,
    failed: u64,
    refused: u64,
    pub(crate) count: usize,
    peers: Vec<PeerView>,
}

/// A peer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PeerView {
    id: String,
    /// Where it is dialled; `null` = it dials.
    url: Option<String>,
    /// `connecting`, `connected`, `active`, `idle`, `degraded`, `disconnected` or `error`.
    status: &'static str,
    uptime_ms: u64,
    messages_sent: u64,
    messages_received: u64,
    errors: u64,
    last_heartbeat: Option<String>,
    /// Messages that wait for it.
    queued: usize,
    capabilities: Vec<String>,
    active_sessions: u32,
    max_sessions: u32,
    /// Our tasks that it was asked to take, or has.
    outstanding: usize,
}

impl From<&FederationInfo> for FederationView {
    fn from(info: &FederationInfo) -> Self {
        let [completed, failed, refused] = info.outcomes.map(|(_, count)| count);
        Self {
            id: info.id.to_string(),
            capabilities: info.offer.capabilities.iter().map(ToString::to_string).collect(),
            active_sessions: info.offer.sessions,
            max_sessions: info.offer.sessions_max,
            outstanding: info.outstanding,
            completed,
            failed,
            refused,
            count: info.peers.len(),
            peers: info.peers.iter().map(PeerView::from).collect(),
        }
    }
}

impl From<&PeerInfo> for PeerView {
    fn from(peer: &PeerInfo) -> Self {
        let HealthInfo { status, uptime_ms, sent, received, errors, last_heartbeat, queued } = peer.health;
        Self {
            id: peer.id.to_string(),
            url: peer.url.clone(),
            status: status.name(),
            uptime_ms,
            messages_sent: sent,
            messages_received: received,
            errors,
            last_heartbeat: last_heartbeat.map(time),
            queued,
            capabilities: peer.offer.capabilities.iter().map(ToString::to_string).collect(),
            active_sessions: peer.offer.sessions,
            max_sessions: peer.offer.sessions_max,
            outstanding: peer.outstanding,
        }
    }
}

/// Delegated tasks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TasksView {
    pub(crate) count: usize,
    pub(crate) tasks: Vec<TaskView>,
}

/// A delegated task.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TaskView {
    id: String,
    /// The orchestrator that asked.
    origin: String,
    #[serde(rename = "type")]
    kind: String,
    description: String,
    priority: &'static str,
    capabilities: Vec<String>,
    /// `choosing`, `asked`, `accepted`, `running`, `completed`, `failed` or `refused`.
    status: &'static str,
    /// The member that has it.
    member: Option<String>,
    /// The peer that was asked to take it, or has it.
    orchestrator: Option<String>,
    /// Percent, if it runs and says so.
    progress: Option<f32>,
    /// What it came to, if it is completed and not too large to be kept.
    result: Option<Value>,
    /// Why it failed or was refused.
    reason: Option<String>,
    estimated_completion: Option<String>,
    /// Tokens that it may use.
    tokens: Option<u64>,
    asked_at: String,
    deadline: String,
}

impl From<&DelegationInfo> for TaskView {
    fn from(info: &DelegationInfo) -> Self {
        let DelegationInfo { record, asked_at, deadline } = info;
        let delegation = &record.delegation;
        let (member, orchestrator) = match &record.executor {
            None => (None, None),
            Some(Executor::Member(member)) => (Some(member.to_string()), None),
            Some(Executor::Orchestrator(peer)) => (None, Some(peer.to_string())),
        };
        let (progress, result, reason) = match &record.stage {
            Stage::Choosing | Stage::Asked | Stage::Accepted => (None, None, None),
            Stage::Running(percent) => (*percent, None, None),
            Stage::Completed(result) => (None, result.as_deref(), None),
            Stage::Failed(error) => (None, None, Some(error.clone())),
            Stage::Refused(refusal) => (None, None, Some(refusal.to_string())),
        };
        Self {
            id: record.key.task.to_string(),
            origin: record.key.origin.to_string(),
            kind: delegation.task.kind.clone(),
            description: delegation.task.description.clone(),
            priority: delegation.priority.name(),
            capabilities: delegation.demands.capabilities.iter().map(ToString::to_string).collect(),
            status: record.stage.name(),
            member,
            orchestrator,
            progress,
            result: result.and_then(|text| serde_json::from_str(text).ok()),
            reason,
            estimated_completion: record.grant.and_then(|grant| grant.estimated_completion).map(time),
            tokens: record.grant.map(|grant| grant.tokens),
            asked_at: time(*asked_at),
            deadline: time(*deadline),
        }
    }
}

/// What became of a broadcast.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SentView {
    /// Peers that are connected.
    sent: Vec<String>,
    /// Peers for which it waits.
    queued: Vec<String>,
    /// Peers whose queue is full.
    refused: Vec<String>,
}

impl From<&Sent> for SentView {
    fn from(sent: &Sent) -> Self {
        let names =
            |peers: &[pilothouse_core::id::OrchestratorId]| peers.iter().map(ToString::to_string).collect();
        Self { sent: names(&sent.sent), queued: names(&sent.queued), refused: names(&sent.refused) }
    }
}
