//! JSON of a peer to core's words.
//!
//! Invariant: no text of a peer makes this panic or recurse deeper than [`super::NESTING_MAX`].

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use pilothouse_core::id::{IdError, Label, OrchestratorId, TaskId};
use pilothouse_core::orchestrator::{
    Broadcast, Callback, Complaint, Condition, ConnectionStatus, Delegation, Demands, Grant, Heartbeat,
    Message, Offer, PASSED_MAX, Priority, Progress, Refusal, RefusalKind, Reply, Task,
};
use pilothouse_core::time::WallMs;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::super::wire;
use super::bounds::{Read, bounded, data, percent, text, together, word, wrong};
use super::{CAPABILITIES_MAX, DecodeError, Received, WORD_BYTES_MAX};

/// Reads one message. With an error comes the correlation id of the message, if it could be read.
///
/// # Errors
/// [`DecodeError`].
pub fn decode(text: &str) -> Result<Received, (DecodeError, Option<String>)> {
    let envelope: wire::Envelope = bounded(text)
        .and_then(|()| serde_json::from_str(text).map_err(|error| DecodeError::Envelope(error.to_string())))
        .map_err(|error| (error, None))?;
    let about = envelope.correlation_id.clone().filter(|id| id.len() <= WORD_BYTES_MAX);
    opened(envelope, about.clone()).map_err(|error| (error, about))
}

fn opened(envelope: wire::Envelope, about: Option<String>) -> Read<Received> {
    let wire::Envelope { kind, payload, from, to, timestamp, correlation_id: _ } = envelope;
    time("timestamp", &timestamp)?;
    let from = id("from", OrchestratorId::parse(&from))?;
    let (payload, nested) = match payload {
        Value::String(text) => {
            bounded(&text)?;
            (serde_json::from_str(&text).map_err(|error| DecodeError::Payload(error.to_string()))?, true)
        }
        payload => (payload, false),
    };
    let message = match kind.as_str() {
        "delegation" => Message::Delegation(Box::new(delegation(payload_as(payload)?)?)),
        "callback" if payload.get("accepted").is_some() => Message::Reply(reply(payload_as(payload)?)?),
        "callback" => Message::Callback(callback(payload_as(payload)?)?),
        "broadcast" => Message::Broadcast(broadcast(payload_as(payload)?)?),
        "heartbeat" if payload.is_null() => Message::Heartbeat(heartbeat(&Default::default())?),
        "heartbeat" => Message::Heartbeat(heartbeat(&payload_as(payload)?)?),
        "status" => status(payload_as(payload)?, about)?,
        other => {
            let shown: String = other.chars().take(64).collect();
            return Err(DecodeError::UnknownType(shown.escape_debug().to_string()));
        }
    };
    Ok(Received { message, from, to, nested })
}

fn payload_as<T: DeserializeOwned>(payload: Value) -> Read<T> {
    serde_json::from_value(payload).map_err(|error| DecodeError::Payload(error.to_string()))
}

fn id<T>(field: &'static str, parsed: Result<T, IdError>) -> Read<T> {
    parsed.or_else(|error| wrong(field, error.to_string()))
}

fn time(field: &'static str, text: &str) -> Read<WallMs> {
    let parsed = humantime::parse_rfc3339(text).ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    match parsed.map(|since: Duration| u64::try_from(since.as_millis())) {
        Some(Ok(ms)) => Ok(WallMs(ms)),
        _ => wrong(field, "use a time such as 2026-01-31T12:00:00.000Z"),
    }
}

fn named<T: Copy>(field: &'static str, text: &str, all: &[T], name: impl Fn(T) -> &'static str) -> Read<T> {
    match all.iter().copied().find(|&value| name(value) == text) {
        Some(value) => Ok(value),
        None => {
            let names: Vec<&str> = all.iter().map(|&value| name(value)).collect();
            wrong(field, format!("use one of {}", names.join(", ")))
        }
    }
}

fn labels(field: &'static str, texts: &[String]) -> Read<BTreeSet<Label>> {
    if texts.len() > CAPABILITIES_MAX {
        return wrong(field, format!("has {} entries, at most {CAPABILITIES_MAX} are taken", texts.len()));
    }
    texts.iter().map(|text| id(field, Label::parse(text))).collect()
}

fn object(field: &'static str, fields: Map<String, Value>) -> Read<Arc<str>> {
    data(field, &Value::Object(fields))
}

fn delegation(request: wire::DelegationRequest) -> Read<Delegation> {
    let priority = |field, text: &str| named(field, text, &Priority::ALL, Priority::name);
    let wire::DelegationRequest { task, context, required_capabilities, callback_id, .. } = request;
    let passed = context.as_ref().map_or(&[][..], |context| &context.task_history);
    if passed.len() > PASSED_MAX {
        return wrong("context.taskHistory", format!("a task may pass {PASSED_MAX} orchestrators"));
    }
    let passed: Read<Vec<OrchestratorId>> = passed
        .iter()
        .map(|passed| {
            id("context.taskHistory.orchestratorId", OrchestratorId::parse(&passed.orchestrator_id))
        })
        .collect();
    let context = context.map(|context| context.other).filter(|other| !other.is_empty());
    let context = context.map(|other| object("context", other)).transpose()?;
    let other = object("task", task.other)?;
    together("context", context.as_ref().map_or(0, |context| context.len()) + other.len())?;
    Ok(Delegation {
        from: id("fromOrchestratorId", OrchestratorId::parse(&request.from_orchestrator_id))?,
        to: id("toOrchestratorId", OrchestratorId::parse(&request.to_orchestrator_id))?,
        priority: priority("priority", &request.priority)?,
        demands: required_capabilities.map_or(Ok(Demands::default()), demands)?,
        passed: passed?,
        context,
        timeout_ms: request.timeout,
        callback_id: callback_id.map(|text| word("callbackId", text)).transpose()?,
        task: Task {
            id: id("task.id", TaskId::parse(&task.id))?,
            kind: word("task.type", task.kind)?,
            description: text("task.description", task.description)?,
            priority: priority("task.priority", &task.priority)?,
            status: word("task.status", task.status)?,
            created_at: time("task.createdAt", &task.created_at)?,
            updated_at: time("task.updatedAt", &task.updated_at)?,
            other,
        },
    })
}

/// What is demanded. A demand that this host cannot check is not swallowed: it is refused by name.
fn demands(required: wire::Required) -> Read<Demands> {
    let capabilities = match required {
        wire::Required::List(list) => {
            return Ok(Demands { capabilities: labels("requiredCapabilities", &list)?, tokens: None });
        }
        wire::Required::Object(object) => object,
    };
    if let Some(name) = capabilities.other.keys().next() {
        let shown: String = name.chars().take(64).collect();
        let problem = format!(
            "`{}` is not something this orchestrator can check; use specializations, supportedTaskTypes or tokenBudget",
            shown.escape_debug()
        );
        return wrong("requiredCapabilities", problem);
    }
    let mut wanted = labels("requiredCapabilities.specializations", &capabilities.specializations)?;
    for kind in &capabilities.supported_task_types {
        // The document's task types are its capabilities, but for `code`.
        let name = if kind == "code" { "code-generation" } else { kind };
        wanted.insert(id("requiredCapabilities.supportedTaskTypes", Label::parse(name))?);
    }
    Ok(Demands { capabilities: wanted, tokens: capabilities.token_budget.map(|budget| budget.remaining) })
}

fn reply(response: wire::DelegationResponse) -> Read<Reply> {
    let task = id("taskId", TaskId::parse(&response.task_id))?;
    let answer = if response.accepted {
        let resources =
            response.assigned_resources.unwrap_or(wire::AssignedResources { sessions: 0, tokens: 0 });
        let estimated = response.estimated_completion.as_deref();
        Ok(Grant {
            estimated_completion: estimated.map(|text| time("estimatedCompletion", text)).transpose()?,
            sessions: resources.sessions,
            tokens: resources.tokens,
        })
    } else {
        let reason = text("reason", response.reason.unwrap_or_default())?;
        let kind = RefusalKind::ALL.into_iter().find(|kind| reason.starts_with(kind.name()));
        let kind = kind.unwrap_or(RefusalKind::Rejected);
        let detail =
            reason.strip_prefix(kind.name()).map_or(reason.as_str(), |rest| rest.trim_start_matches(": "));
        Err(Refusal::new(kind, detail))
    };
    Ok(Reply { task, answer })
}

fn callback(callback: wire::TaskCallback) -> Read<Callback> {
    let progress = match callback.status {
        wire::CallbackStatus::Progress => Progress::Running(percent(callback.progress)?),
        wire::CallbackStatus::Completed => {
            Progress::Completed(callback.result.map(|result| data("result", &result)).transpose()?)
        }
        wire::CallbackStatus::Failed => Progress::Failed(text("error", callback.error.unwrap_or_default())?),
    };
    Ok(Callback { task: id("taskId", TaskId::parse(&callback.task_id))?, progress })
}

fn broadcast(payload: wire::BroadcastPayload) -> Read<Broadcast> {
    Ok(Broadcast {
        topic: word("topic", payload.topic)?,
        data: data("data", &payload.data)?,
        ttl_ms: payload.ttl,
    })
}

fn heartbeat(payload: &wire::HeartbeatPayload) -> Read<Heartbeat> {
    let condition = match payload.status.as_deref() {
        None => Condition::Healthy,
        Some(text) => named("status", text, &Condition::ALL, Condition::name)?,
    };
    Ok(Heartbeat { condition, connections: payload.active_connections.unwrap_or(0) })
}

fn status(health: wire::ConnectionHealth, about: Option<String>) -> Read<Message> {
    named("status", &health.status, &ConnectionStatus::ALL, ConnectionStatus::name)?;
    if let Some(wire::Fault { code, detail }) = health.error {
        return Ok(Message::Complaint(Complaint {
            code: word("error.code", code)?,
            detail: text("error.detail", detail)?,
            about,
        }));
    }
    let offer = health.capabilities.map(|capabilities| {
        Ok(Offer {
            capabilities: labels("capabilities", &capabilities)?,
            sessions_max: health.max_sessions.unwrap_or(0),
            sessions: health.active_sessions.unwrap_or(0),
        })
    });
    Ok(Message::Status(offer.transpose()?))
}
