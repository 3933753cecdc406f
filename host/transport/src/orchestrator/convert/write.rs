//! Core's words to the document's JSON.
//!
//! Invariant: every message has the envelope's five fields, and a correlation id where it belongs to a task or answers a message.

use std::time::{Duration, UNIX_EPOCH};

use pilothouse_core::orchestrator::{
    Broadcast, Callback, Complaint, ConnectionStatus, Delegation, Heartbeat, Message, Offer, Progress, Reply,
};
use pilothouse_core::time::WallMs;
use serde::Serialize;
use serde_json::{Map, Value};

use super::super::port::{HealthInfo, Letter};
use super::super::wire;

/// The end of the year 9999, beyond which RFC 3339 has no words.
const TIME_MS_MAX: u64 = 253_402_300_799_999;

/// Writes one message; `nested` = the payload as JSON text, as the document's own class reads it.
#[must_use]
pub fn encode(letter: &Letter, nested: bool) -> String {
    let Letter { message, from, to, at, health } = letter;
    let (kind, payload) = match message {
        Message::Delegation(delegation) => ("delegation", value(&request(delegation))),
        Message::Reply(reply) => ("callback", value(&response(reply))),
        Message::Callback(callback) => ("callback", value(&news(callback))),
        Message::Broadcast(Broadcast { topic, data, ttl_ms }) => (
            "broadcast",
            value(&wire::BroadcastPayload { topic: topic.clone(), data: json(data), ttl: *ttl_ms }),
        ),
        Message::Heartbeat(Heartbeat { condition, connections }) => {
            let payload = wire::HeartbeatPayload {
                orchestrator_id: Some(from.to_string()),
                timestamp: Some(time(*at)),
                status: Some(condition.name().to_owned()),
                active_connections: Some(*connections),
            };
            ("heartbeat", value(&payload))
        }
        Message::Status(offer) => ("status", value(&status(health, offer.as_ref()))),
        Message::Complaint(Complaint { code, detail, .. }) => {
            let error = wire::Fault { code: code.clone(), detail: detail.clone() };
            let name = ConnectionStatus::Error.name().to_owned();
            (
                "status",
                value(&wire::ConnectionHealth { status: name, error: Some(error), ..status(health, None) }),
            )
        }
    };
    let envelope = wire::Envelope {
        kind: kind.to_owned(),
        payload: if nested { Value::String(payload.to_string()) } else { payload },
        from: from.to_string(),
        to: to.to_string(),
        timestamp: time(*at),
        correlation_id: correlation(message),
    };
    value(&envelope).to_string()
}

fn correlation(message: &Message) -> Option<String> {
    match message {
        Message::Delegation(delegation) => Some(delegation.task.id.to_string()),
        Message::Reply(reply) => Some(reply.task.to_string()),
        Message::Callback(callback) => Some(callback.task.to_string()),
        Message::Complaint(complaint) => complaint.about.clone(),
        Message::Broadcast(_) | Message::Heartbeat(_) | Message::Status(_) => None,
    }
}

/// Our own types have text keys and finite numbers only: they always are JSON.
fn value(of: &impl Serialize) -> Value {
    serde_json::to_value(of).unwrap_or_default()
}

/// JSON text that was read before; should it ever not be JSON, it is passed on as text.
fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

fn object(text: &str) -> Map<String, Value> {
    match json(text) {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// As JavaScript's `toISOString` writes it.
fn time(at: WallMs) -> String {
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(at.0.min(TIME_MS_MAX))).to_string()
}

fn request(delegation: &Delegation) -> wire::DelegationRequest {
    let Delegation { from, to, task, priority, demands, passed, context, timeout_ms, callback_id } =
        delegation;
    let history = passed.iter().map(|passed| wire::Passed {
        task_id: task.id.to_string(),
        orchestrator_id: passed.to_string(),
        timestamp: time(task.updated_at),
        outcome: "delegated".to_owned(),
    });
    let context = wire::SharedContext {
        task_history: history.collect(),
        other: context.as_deref().map(object).unwrap_or_default(),
    };
    let required = (!demands.capabilities.is_empty() || demands.tokens.is_some()).then(|| {
        wire::Required::Object(wire::Capabilities {
            specializations: demands.capabilities.iter().map(ToString::to_string).collect(),
            token_budget: demands.tokens.map(|remaining| wire::TokenBudget { remaining }),
            ..wire::Capabilities::default()
        })
    });
    wire::DelegationRequest {
        from_orchestrator_id: from.to_string(),
        to_orchestrator_id: to.to_string(),
        priority: priority.name().to_owned(),
        required_capabilities: required,
        context: (!context.task_history.is_empty() || !context.other.is_empty()).then_some(context),
        timeout: *timeout_ms,
        callback_id: callback_id.clone(),
        task: wire::Task {
            id: task.id.to_string(),
            kind: task.kind.clone(),
            description: task.description.clone(),
            priority: task.priority.name().to_owned(),
            status: task.status.clone(),
            created_at: time(task.created_at),
            updated_at: time(task.updated_at),
            other: object(&task.other),
        },
    }
}

fn response(reply: &Reply) -> wire::DelegationResponse {
    let grant = reply.answer.as_ref().ok();
    wire::DelegationResponse {
        task_id: reply.task.to_string(),
        accepted: grant.is_some(),
        reason: reply.answer.as_ref().err().map(ToString::to_string),
        estimated_completion: grant.and_then(|grant| grant.estimated_completion).map(time),
        assigned_resources: grant
            .map(|grant| wire::AssignedResources { sessions: grant.sessions, tokens: grant.tokens }),
    }
}

fn news(callback: &Callback) -> wire::TaskCallback {
    let (status, result, error, progress) = match &callback.progress {
        Progress::Running(percent) => (wire::CallbackStatus::Progress, None, None, *percent),
        Progress::Completed(result) => {
            (wire::CallbackStatus::Completed, result.as_deref().map(json), None, None)
        }
        Progress::Failed(error) => (wire::CallbackStatus::Failed, None, Some(error.clone()), None),
    };
    wire::TaskCallback { task_id: callback.task.to_string(), status, result, error, progress }
}

fn status(health: &HealthInfo, offer: Option<&Offer>) -> wire::ConnectionHealth {
    #[expect(clippy::cast_precision_loss, reason = "JSON has no other numbers; exact for 285,000 years")]
    let uptime = health.uptime_ms as f64;
    wire::ConnectionHealth {
        status: health.status.name().to_owned(),
        uptime,
        last_heartbeat: health.last_heartbeat.map(time),
        messages_sent: health.sent,
        messages_received: health.received,
        errors: health.errors,
        capabilities: offer.map(|offer| offer.capabilities.iter().map(ToString::to_string).collect()),
        max_sessions: offer.map(|offer| offer.sessions_max),
        active_sessions: offer.map(|offer| offer.sessions),
        error: None,
    }
}
