//! Core's values as JSON of `/api/v1`.

use pilothouse_core::event::{Event, EventKind};
use pilothouse_core::member::{Health, Member, MemberKind, Role, Status};
use pilothouse_core::registry::Change;
use pilothouse_core::slot::{Happening, HistoryEntry, Revision};
use pilothouse_core::time::WallMs;
use serde_json::{Value, json};

use crate::service::{Decided, PolicyInfo, SlotInfo};

pub(crate) fn time(at: WallMs) -> String {
    humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + std::time::Duration::from_millis(at.0))
        .to_string()
}

pub(crate) fn status_name(status: Status) -> &'static str {
    match status {
        Status::Online => "online",
        Status::Offline => "offline",
        Status::Draining => "draining",
        Status::Unknown => "unknown",
    }
}

pub(crate) fn health_name(health: Health) -> &'static str {
    match health {
        Health::Healthy => "healthy",
        Health::Degraded => "degraded",
        Health::Unhealthy => "unhealthy",
        Health::Unknown => "unknown",
    }
}

pub(crate) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Leader => "leader",
        Role::Worker => "worker",
        Role::Replica => "replica",
        Role::Standby => "standby",
    }
}

pub(crate) fn member(member: &Member) -> Value {
    let registration = &member.registration;
    let load = &member.load;
    json!({
        "id": member.id().as_str(),
        "kind": match registration.kind { MemberKind::Cluster => "cluster", MemberKind::Node => "node" },
        "endpoint": registration.endpoint,
        "hostname": registration.hostname,
        "region": registration.region.as_ref().map(ToString::to_string),
        "zone": registration.zone.as_ref().map(ToString::to_string),
        "cluster": registration.cluster.as_ref().map(ToString::to_string),
        "role": role_name(member.role),
        "status": status_name(member.status),
        "health": health_name(member.health),
        "draining": member.draining,
        "weight": registration.weight,
        "active_agents": member.active(),
        "max_agents": member.capacity(),
        "capabilities": registration.capabilities.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "services": registration.services.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "cost_per_hour": number(registration.cost_per_hour),
        "carbon_g_per_kwh": number(registration.carbon_g_per_kwh),
        "load": {
            "cpu": load.cpu, "memory": load.memory, "disk": load.disk, "load_average": load.load_average,
            "queue_depth": load.queue_depth, "latency_ms": load.latency_ms, "error_rate": load.error_rate,
        },
        "registered_at": time(member.registered_at),
        "last_seen": time(member.last_seen),
    })
}

fn number(value: f32) -> Option<f32> {
    value.is_finite().then_some(value)
}

pub(crate) fn decided(decided: &Decided) -> Value {
    json!({
        "id": decided.id.to_string(),
        "at": time(decided.at),
        "slot": decided.slot.to_string(),
        "member": decided.member.as_str(),
        "endpoint": decided.endpoint,
        "region": decided.region,
        "score": number(decided.score),
        "reason": decided.reason,
        "policy": decided.policy,
        "version": decided.version,
        "revision": decided.revision.map(|id| id.to_string()),
        "generation": decided.generation,
        "answered_by": decided.link,
        "faults": decided.faults,
        "eligible": decided.eligible,
        "epoch": decided.epoch,
        "seed": decided.seed.to_string(),
        "took_us": decided.took_ns / 1_000,
        "alternatives": decided.alternatives.iter().map(|alternative| json!({
            "member": alternative.member.as_str(),
            "score": number(alternative.score),
            "factors": alternative.factors.iter()
                .map(|(name, value)| (name.clone(), json!(number(*value)))).collect::<serde_json::Map<_, _>>(),
        })).collect::<Vec<_>>(),
    })
}

fn revision(revision: &Revision) -> Value {
    json!({
        "id": revision.id.to_string(),
        "policy": revision.name,
        "version": revision.version,
        "digest": revision.id.component.to_string(),
        "origin": revision.origin.to_string(),
        "settings": serde_json::from_str::<Value>(&revision.settings).unwrap_or_default(),
    })
}

pub(crate) fn slot(slot: &SlotInfo) -> Value {
    let candidate = slot.candidate.as_ref().map(|candidate| {
        json!({
            "revision": revision(&candidate.revision),
            "phase": candidate.phase.name(),
            "by": candidate.by,
            "workers_ready": candidate.workers.0,
            "workers": candidate.workers.1,
        })
    });
    json!({
        "id": slot.id.to_string(),
        "family": slot.id.family.name(),
        "generation": slot.generation,
        "desired": slot.candidate.as_ref().map(|candidate| revision(&candidate.revision))
            .or_else(|| slot.active.as_ref().map(revision)),
        "active": slot.active.as_ref().map(revision),
        "previous": slot.previous.as_ref().map(revision),
        "candidate": candidate,
        "serving": { "workers": slot.serving.0, "of": slot.serving.1 },
        "quarantined": slot.quarantined.iter()
            .map(|(id, left_ms)| json!({ "revision": id.to_string(), "left_ms": left_ms })).collect::<Vec<_>>(),
        "answers": slot.answers.iter().map(|(link, count)| ((*link).to_owned(), json!(count)))
            .collect::<serde_json::Map<_, _>>(),
        "faults": slot.faults.iter().filter(|(_, count)| *count > 0)
            .map(|(kind, count)| (kind.name().to_owned(), json!(count))).collect::<serde_json::Map<_, _>>(),
        "usage": {
            "calls": slot.usage.calls,
            "fuel": slot.usage.fuel,
            "memory_bytes": slot.usage.memory_bytes,
            "instances": slot.usage.instances,
        },
    })
}

pub(crate) fn history(entry: &HistoryEntry) -> Value {
    let (what, detail) = match &entry.what {
        Happening::Requested => ("requested", String::new()),
        Happening::Refused(reason) => ("refused", reason.clone()),
        Happening::Superseded => ("superseded", String::new()),
        Happening::Activated => ("activated", String::new()),
        Happening::NotServing(reason) => ("not-serving", reason.clone()),
        Happening::RolledBack => ("rolled-back", String::new()),
        Happening::Faulted { kind, detail, count } => {
            ("faulted", format!("{}: {detail} ({count} times)", kind.name()))
        }
        Happening::Quarantined { for_ms } => ("quarantined", format!("for {} s", for_ms / 1_000)),
        Happening::Restored => ("restored", String::new()),
    };
    json!({
        "number": entry.number,
        "at": time(entry.at),
        "what": what,
        "detail": detail,
        "by": entry.by,
        "revision": entry.revision.as_ref().map(revision),
    })
}

pub(crate) fn policy(policy: &PolicyInfo) -> Value {
    let about = &policy.description;
    json!({
        "name": about.name,
        "family": policy.family.name(),
        "version": about.version,
        "summary": about.summary,
        "digest": policy.digest.to_string(),
        "size_bytes": policy.size_bytes,
        "origin": policy.origin,
        "builtin": policy.builtin,
        "imports": policy.imports,
        "columns": about.columns,
        "reasons": about.reasons,
        "factors": about.factors,
        "settings_schema": serde_json::from_str::<Value>(&about.settings_schema).ok(),
    })
}

/// The name of an event, for example `cluster.status`, and what it is about.
pub(crate) fn event(event: &Event) -> Value {
    let (name, subject, detail) = match &event.kind {
        EventKind::Member(change) => {
            let (name, detail) = change_parts(&change.change);
            (format!("member.{name}"), change.member.as_ref().map(ToString::to_string), detail)
        }
        EventKind::Slot(slot, entry) => {
            let entry = history(entry);
            let name = format!("slot.{}", entry.get("what").and_then(Value::as_str).unwrap_or_default());
            (name, Some(slot.to_string()), entry)
        }
        EventKind::Assigned(assignment) => (
            "agent.assigned".to_owned(),
            Some(assignment.agent.to_string()),
            json!({ "member": assignment.member.as_str(), "epoch": assignment.epoch }),
        ),
        EventKind::Unassigned(assignment) => (
            "agent.unassigned".to_owned(),
            Some(assignment.agent.to_string()),
            json!({ "member": assignment.member.as_str() }),
        ),
    };
    json!({ "sequence": event.sequence, "at": time(event.at), "type": name, "subject": subject, "detail": detail })
}

fn change_parts(change: &Change) -> (&'static str, Value) {
    match change {
        Change::Registered { .. } => ("registered", Value::Null),
        Change::Updated => ("updated", Value::Null),
        Change::Unregistered { why } => ("unregistered", json!({ "why": format!("{why:?}").to_lowercase() })),
        Change::Status { from, to } => {
            ("status", json!({ "from": status_name(*from), "to": status_name(*to) }))
        }
        Change::Health { from, to } => {
            ("health", json!({ "from": health_name(*from), "to": health_name(*to) }))
        }
        Change::Role { from, to } => ("role", json!({ "from": role_name(*from), "to": role_name(*to) })),
        Change::Breaker { from, to } => ("breaker", json!({ "from": from, "to": to })),
        Change::MassLoss { lost, of } => ("mass-loss", json!({ "lost": lost, "of": of })),
        Change::MassLossOver => ("mass-loss-over", Value::Null),
    }
}
