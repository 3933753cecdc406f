//! Core's values as JSON: the shapes of `/api/v1`, which `/openapi.json` describes from these very types.
//!
//! Invariant: times are RFC 3339, numbers that can be unknown are `null`, ids are text.

mod cluster;
mod decision;
mod event;
mod failover;
mod group;
mod member;
mod orchestrator;
mod placement;
mod policy;
mod rebalance;
mod region;
mod rtt;
mod slot;
mod trust;

use pilothouse_core::member::{Health, Role, Standing, Status};
use pilothouse_core::time::WallMs;

pub(crate) use cluster::{ClusterNodesView, ClusterStatsView, NodeView};
pub(crate) use decision::{DecidedView, DecisionsView, FlowView};
pub(crate) use event::{EventView, EventsView};
pub(crate) use failover::{
    BrakeView, BrakesView, DisplacedView, DisplacedsView, FailoverView, FailoversView, FaultView, FaultsView,
    HomewardView,
};
pub(crate) use group::{GroupView, GroupsView};
pub(crate) use member::{
    ClustersView, MemberView, NodesView, ReportedView, StatusSlotView, StatusView, UnregisteredView,
};
pub(crate) use orchestrator::{FederationView, SentView, TaskView, TasksView};
pub(crate) use placement::{BulkView, PlacedView, ReservationView, ReservationsView, reasoning};
pub(crate) use policy::{LoadedView, PoliciesView, PolicyView};
pub(crate) use rebalance::{PlanView, PlansView, RebalancedView, cause_text};
pub(crate) use region::{LagMatrixView, LagView, RegionStatusView, RegionView, RegionsView, origin_name};
pub(crate) use rtt::{RttListView, RttView};
pub(crate) use slot::{HistoriesView, HistoryView, ServingView, SlotView, SlotsView};
pub(crate) use trust::{KeyView, KeysView, TrustView};

pub(crate) fn time(at: WallMs) -> String {
    humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + std::time::Duration::from_millis(at.0))
        .to_string()
}

/// JSON has no NaN: what is unknown is `null`.
fn number(value: f32) -> Option<f32> {
    value.is_finite().then_some(value)
}

pub(crate) fn status_name(status: Status) -> &'static str {
    match status {
        Status::Online => "online",
        Status::Offline => "offline",
        Status::Draining => "draining",
        Status::Unknown => "unknown",
    }
}

pub(crate) fn standing_name(standing: Standing) -> &'static str {
    match standing {
        Standing::Sound => "sound",
        Standing::Suspect => "suspect",
        Standing::Dead => "dead",
        Standing::Held => "held",
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
