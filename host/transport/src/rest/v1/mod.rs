//! `/api/v1`: clusters, regions, decisions, slots, policies, scaling groups, failover and chaos.

pub(crate) mod chaos;
pub(crate) mod decisions;
pub(crate) mod failover;
pub(crate) mod groups;
pub(crate) mod keys;
pub(crate) mod members;
pub(crate) mod orchestrator;
pub(crate) mod placements;
pub(crate) mod policies;
pub(crate) mod rebalance;
pub(crate) mod regions;
pub(crate) mod requirement;
pub(crate) mod rtt;
pub(crate) mod slots;

use axum::Json;
use axum::extract::State;
use pilothouse_core::member::MemberKind;

use super::Plane;
use super::error::Problem;
use super::views::{StatusSlotView, StatusView};

pub(super) type Answer<T> = Result<Json<T>, Problem>;

/// The server in numbers.
#[utoipa::path(get, path = "/api/v1/status", responses((status = 200, body = StatusView)))]
pub(crate) async fn status(State(plane): State<Plane>) -> Json<StatusView> {
    let identity = plane.identity();
    let slots = plane.slots().into_iter().map(|slot| StatusSlotView {
        id: slot.id.to_string(),
        active: slot.active.map_or("native".to_owned(), |active| active.name),
        generation: slot.generation,
        serving: slot.serving.into(),
    });
    Json(StatusView {
        node_id: identity.node_id.to_string(),
        version: identity.version,
        uptime_ms: identity.uptime_ms,
        boot: identity.boot,
        fleet_epoch: identity.epoch,
        clusters: plane.stats(MemberKind::Cluster).into(),
        nodes: plane.stats(MemberKind::Node).into(),
        assignments: plane.assignments().len(),
        slots: slots.collect(),
    })
}
