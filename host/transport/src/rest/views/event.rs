//! Events.

use pilothouse_core::assignment::Assignment;
use pilothouse_core::chaos;
use pilothouse_core::event::{Event, EventKind};
use pilothouse_core::failback::Ending;
use pilothouse_core::failover;
use pilothouse_core::id::Label;
use pilothouse_core::orchestrator::Notice;
use pilothouse_core::placement::ledger::Reservation;
use pilothouse_core::registry::Change;
use pilothouse_core::scaling::{self, Why};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::failover::victim_name;
use super::slot::HistoryView;
use super::trust;
use super::{health_name, role_name, standing_name, status_name, time};

/// Something that happened.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventView {
    /// Counts up; follow from here with `since`.
    pub(crate) sequence: u64,
    at: String,
    /// For example `member.status` or `slot.activated`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Whom it is about.
    pub(crate) subject: Option<String>,
    /// Depends on the type.
    pub(crate) detail: Value,
}

impl From<&Event> for EventView {
    fn from(event: &Event) -> Self {
        let (kind, subject, detail) = match &event.kind {
            EventKind::Member(change) => {
                let (name, detail) = change_parts(&change.change);
                (format!("member.{name}"), change.member.as_ref().map(ToString::to_string), detail)
            }
            EventKind::Slot(slot, entry) => {
                let entry = HistoryView::from(&**entry);
                let name = format!("slot.{}", entry.what);
                (name, Some(slot.to_string()), serde_json::to_value(entry).unwrap_or_default())
            }
            EventKind::Assigned(assignment) => {
                agent("assigned", assignment, ("epoch", assignment.epoch.into()))
            }
            EventKind::Unassigned(assignment) => {
                agent("unassigned", assignment, ("epoch", assignment.epoch.into()))
            }
            EventKind::Evicted(assignment, by) => agent("evicted", assignment, ("by", by.as_str().into())),
            EventKind::Reserved(held) => ("reservation.made".to_owned(), None, reservation(held)),
            EventKind::Released(held) => ("reservation.released".to_owned(), None, reservation(held)),
            EventKind::Planned(plan) => (
                "rebalance.planned".to_owned(),
                Some(plan.id.to_string()),
                json!({ "moves": plan.moves.len(), "before": plan.before.ratio(), "after": plan.after.ratio() }),
            ),
            EventKind::Rebalanced(summary) => (
                "rebalance.executed".to_owned(),
                Some(summary.plan.to_string()),
                json!({ "moved": summary.moved.len(), "failed": summary.failed.len() }),
            ),
            EventKind::Scaled(group, change) => {
                ("group.scaled".to_owned(), Some(group.to_string()), scaled(change))
            }
            EventKind::Failover(id, phase) => {
                (format!("failover.{}", phase.name()), Some(id.to_string()), Value::Null)
            }
            EventKind::FailedOver(summary) => {
                ("failover.ended".to_owned(), Some(summary.id.to_string()), failed_over(summary))
            }
            EventKind::Failback(workload, ending) => {
                let ending = match ending {
                    Ending::Home => "home",
                    Ending::RolledBack => "rolled-back",
                    Ending::Gone => "gone",
                };
                (format!("failback.{ending}"), Some(workload.to_string()), Value::Null)
            }
            EventKind::BrakeOn { region, lost, of } => {
                ("brake.on".to_owned(), text(region), json!({ "lost": lost, "of": of }))
            }
            EventKind::BrakeOff { region } => ("brake.off".to_owned(), text(region), Value::Null),
            EventKind::RegionDown(region, down) => {
                let name = if *down { "region.down" } else { "region.reached" };
                (name.to_owned(), Some(region.to_string()), Value::Null)
            }
            EventKind::RegionDead(region, dead) => {
                let name = if *dead { "region.dead" } else { "region.back" };
                (name.to_owned(), Some(region.to_string()), Value::Null)
            }
            EventKind::FaultBegan(id, fault) => {
                ("chaos.began".to_owned(), Some(id.to_string()), fired(fault))
            }
            EventKind::FaultEnded(id, fault) => {
                ("chaos.ended".to_owned(), Some(id.to_string()), fired(fault))
            }
            EventKind::Orchestrator(peer, notice) => {
                let (name, detail) = notice_parts(notice);
                (format!("orchestrator.{name}"), Some(peer.to_string()), detail)
            }
            EventKind::Trust(notice) => {
                let (name, subject, detail) = trust::notice_parts(notice);
                (name.to_owned(), Some(subject), detail)
            }
        };
        Self { sequence: event.sequence, at: time(event.at), kind, subject, detail }
    }
}

type Parts = (String, Option<String>, Value);

fn agent(what: &str, assignment: &Assignment, (key, value): (&str, Value)) -> Parts {
    let detail = json!({ "member": assignment.member.as_str(), key: value });
    (format!("agent.{what}"), Some(assignment.agent.to_string()), detail)
}

fn scaled(change: &scaling::Change) -> Value {
    let why = match &change.why {
        Why::Advice(_) => "advice",
        Why::Manual => "manual",
        Why::Limits => "limits",
    };
    json!({ "from": change.from, "to": change.to, "why": why })
}

fn failed_over(summary: &failover::Summary) -> Value {
    json!({
        "outcome": summary.outcome.name(),
        "placed": summary.placed.len(),
        "left": summary.left.len(),
        "took_ms": summary.took_ms,
    })
}

fn text(label: &Option<Label>) -> Option<String> {
    label.as_ref().map(ToString::to_string)
}

fn fired(fault: &chaos::Planned) -> Value {
    json!({ "victim": victim_name(&fault.victim), "by": fault.by, "fired": fault.fired })
}

fn notice_parts(notice: &Notice) -> (&'static str, Value) {
    match notice {
        Notice::Connected => ("connected", Value::Null),
        Notice::Degraded => ("degraded", Value::Null),
        Notice::Recovered => ("recovered", Value::Null),
        Notice::Disconnected { why } => ("disconnected", json!({ "why": why })),
        Notice::Delegated { task, to } => ("delegated", json!({ "task": task.as_str(), "to": to })),
        Notice::Refused { task, reason } => ("refused", json!({ "task": task.as_str(), "why": reason })),
        Notice::Callback { task, status, percent } => {
            ("callback", json!({ "task": task.as_str(), "status": status, "progress": percent }))
        }
        Notice::Broadcast { topic, data } => {
            let data: Value = serde_json::from_str(data).unwrap_or_default();
            ("broadcast", json!({ "topic": topic, "data": data }))
        }
    }
}

fn reservation(held: &Reservation) -> Value {
    json!({ "reservation": held.id.0, "member": held.member.as_str() })
}

fn change_parts(change: &Change) -> (&'static str, Value) {
    match change {
        Change::Registered { .. } => ("registered", Value::Null),
        Change::Updated => ("updated", Value::Null),
        Change::Unregistered { why } => ("unregistered", json!({ "why": format!("{why:?}").to_lowercase() })),
        Change::Status { from, to } => {
            ("status", json!({ "from": status_name(*from), "to": status_name(*to) }))
        }
        Change::Standing { from, to } => {
            ("standing", json!({ "from": standing_name(*from), "to": standing_name(*to) }))
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

/// Kept events after a number.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventsView {
    pub(crate) count: usize,
    /// Some after `since` are no longer kept.
    pub(crate) missed: bool,
    pub(crate) events: Vec<EventView>,
}
