//! `/api/v1`: clusters, decisions, slots and policies.

pub(crate) mod decisions;
pub(crate) mod members;
pub(crate) mod policies;
pub(crate) mod slots;

use axum::Json;
use axum::extract::State;
use pilothouse_core::member::MemberKind;
use serde_json::{Value, json};

use super::Plane;
use super::error::Problem;

pub(super) type Answer = Result<Json<Value>, Problem>;

pub(crate) async fn status(State(plane): State<Plane>) -> Json<Value> {
    let identity = plane.identity();
    let sums = |kind| {
        let stats = plane.stats(kind);
        json!({
            "members": stats.members, "online": stats.online, "healthy": stats.healthy,
            "active_agents": stats.active, "max_agents": stats.capacity,
            "utilization_pct": stats.utilisation_percent(),
        })
    };
    Json(json!({
        "node_id": identity.node_id.as_str(),
        "version": identity.version,
        "uptime_ms": identity.uptime_ms,
        "boot": identity.boot,
        "fleet_epoch": identity.epoch,
        "clusters": sums(MemberKind::Cluster),
        "nodes": sums(MemberKind::Node),
        "assignments": plane.assignments().len(),
        "slots": plane.slots().iter().map(|slot| json!({
            "id": slot.id.to_string(),
            "active": slot.active.as_ref().map_or("native", |active| &active.name),
            "generation": slot.generation,
            "serving": { "workers": slot.serving.0, "of": slot.serving.1 },
        })).collect::<Vec<_>>(),
    }))
}
