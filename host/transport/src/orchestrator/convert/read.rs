//! JSON of a peer to core's words.
//!
//! Invariant: no text of a peer makes this panic or recurse deeper than [`NESTING_MAX`].

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
use super::{
    CAPABILITIES_MAX, DecodeError, MESSAGE_BYTES_MAX, NESTING_MAX, Received, TEXT_BYTES_MAX, WORD_BYTES_MAX,
};

type Read<T> = Result<T, DecodeError>;

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

fn bounded(text: &str) -> Read<()> {
    if text.len() > MESSAGE_BYTES_MAX {
        return Err(DecodeError::TooLarge(text.len()));
    }
    if depth(text) > NESTING_MAX { Err(DecodeError::TooDeep) } else { Ok(()) }
}

/// How deep brackets are nested outside of strings; no more than a bound on what a parser would do.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => depth += 1,
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
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

fn wrong<T>(field: &'static str, problem: impl Into<String>) -> Read<T> {
    Err(DecodeError::Field { field, problem: problem.into() })
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

fn bounded_text(field: &'static str, text: String, most: usize) -> Read<String> {
    if text.len() > most {
        return wrong(field, format!("has {} bytes, at most {most} are taken", text.len()));
    }
    Ok(text)
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

fn object(fields: Map<String, Value>) -> Arc<str> {
    Value::Object(fields).to_string().into()
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
    Ok(Delegation {
        from: id("fromOrchestratorId", OrchestratorId::parse(&request.from_orchestrator_id))?,
        to: id("toOrchestratorId", OrchestratorId::parse(&request.to_orchestrator_id))?,
        priority: priority("priority", &request.priority)?,
        demands: required_capabilities.map_or(Ok(Demands::default()), demands)?,
        passed: passed?,
        context: context.map(|context| context.other).filter(|other| !other.is_empty()).map(object),
        timeout_ms: request.timeout,
        callback_id: callback_id.map(|text| bounded_text("callbackId", text, WORD_BYTES_MAX)).transpose()?,
        task: Task {
            id: id("task.id", TaskId::parse(&task.id))?,
            kind: bounded_text("task.type", task.kind, WORD_BYTES_MAX)?,
            description: bounded_text("task.description", task.description, TEXT_BYTES_MAX)?,
            priority: priority("task.priority", &task.priority)?,
            status: bounded_text("task.status", task.status, WORD_BYTES_MAX)?,
            created_at: time("task.createdAt", &task.created_at)?,
            updated_at: time("task.updatedAt", &task.updated_at)?,
            other: object(task.other),
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
        let reason = bounded_text("reason", response.reason.unwrap_or_default(), TEXT_BYTES_MAX)?;
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
        wire::CallbackStatus::Progress => {
            if callback.progress.is_some_and(|percent| !(0.0..=100.0).contains(&percent)) {
                return wrong("progress", "use percent, 0 to 100");
            }
            Progress::Running(callback.progress)
        }
        wire::CallbackStatus::Completed => {
            Progress::Completed(callback.result.map(|result| result.to_string().into()))
        }
        wire::CallbackStatus::Failed => {
            Progress::Failed(bounded_text("error", callback.error.unwrap_or_default(), TEXT_BYTES_MAX)?)
        }
    };
    Ok(Callback { task: id("taskId", TaskId::parse(&callback.task_id))?, progress })
}

fn broadcast(payload: wire::BroadcastPayload) -> Read<Broadcast> {
    Ok(Broadcast {
        topic: bounded_text("topic", payload.topic, WORD_BYTES_MAX)?,
        data: payload.data.to_string().into(),
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
            code: bounded_text("error.code", code, WORD_BYTES_MAX)?,
            detail: bounded_text("error.detail", detail, TEXT_BYTES_MAX)?,
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
