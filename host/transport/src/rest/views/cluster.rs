//! The documented cluster API's own shapes. Percentages are 0..100 here and 0..1 inside.

use std::collections::BTreeMap;

use pilothouse_core::member::{Health, Member, MemberKind, Status};
use pilothouse_core::policy::Family;
use pilothouse_core::slot::SlotId;
use serde::Serialize;
use utoipa::ToSchema;

use super::{role_name, status_name, time};
use crate::rest::Plane;

/// A node.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NodeView {
    id: String,
    hostname: String,
    /// `host:port`.
    address: String,
    role: &'static str,
    status: &'static str,
    healthy: bool,
    active_agents: u32,
    max_agents: u32,
    /// Share of agents that it can still take, 0..1.
    capacity: f64,
    /// Mean of CPU, memory and agents in use, percent; lower is better; what is unknown is left out of the mean.
    load: f64,
    cpu_usage: f64,
    memory_usage: f64,
    disk_usage: f64,
    load_average: f32,
    services: Vec<String>,
    /// As Go prints durations, for example `2h15m30s`.
    uptime: String,
    last_seen: String,
}

impl From<&Member> for NodeView {
    fn from(member: &Member) -> Self {
        let (active, capacity) = (member.active(), member.capacity());
        let used = if capacity == 0 { 0.0 } else { f64::from(active) / f64::from(capacity) };
        let percent = |share: Option<f32>| share.map_or(0.0, |share| round(f64::from(share) * 100.0));
        let online = member.status == Status::Online;
        let uptime_ms = member.last_seen.0.saturating_sub(member.registered_at.0).max(u64::from(online));
        Self {
            id: member.id().to_string(),
            hostname: member.registration.hostname.clone(),
            address: member.registration.endpoint.clone(),
            role: role_name(member.role),
            status: status_name(member.status),
            healthy: member.health != Health::Unhealthy && member.status != Status::Offline,
            active_agents: active,
            max_agents: capacity,
            capacity: round(1.0 - used.min(1.0)),
            load: mean_load(member, used),
            cpu_usage: percent(member.load.cpu),
            memory_usage: percent(member.load.memory),
            disk_usage: percent(member.load.disk),
            load_average: member.load.load_average.unwrap_or(0.0),
            services: member.registration.services.iter().map(ToString::to_string).collect(),
            uptime: go_duration(uptime_ms),
            last_seen: time(member.last_seen),
        }
    }
}

fn mean_load(member: &Member, used: f64) -> f64 {
    let known = [member.load.cpu.map(f64::from), member.load.memory.map(f64::from), Some(used)];
    let (sum, count) =
        known.into_iter().flatten().fold((0.0, 0.0), |(sum, count), share| (sum + share, count + 1.0));
    round(100.0 * sum / count)
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// `2h15m30s`, as Go prints durations.
fn go_duration(ms: u64) -> String {
    let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// All nodes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClusterNodesView {
    pub(crate) count: usize,
    pub(crate) nodes: Vec<NodeView>,
}

/// The cluster in numbers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClusterStatsView {
    local_node: String,
    is_leader: bool,
    total_assignments: usize,
    registry: RegistryView,
    balancer: BalancerView,
}

#[derive(Debug, Serialize, ToSchema)]
struct RegistryView {
    total_nodes: u64,
    healthy_nodes: u64,
    online_nodes: u64,
    total_agents: u64,
    max_agents: u64,
    utilization_pct: f64,
    nodes_by_role: BTreeMap<&'static str, u64>,
    nodes_by_status: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Serialize, ToSchema)]
struct BalancerView {
    strategy: String,
    /// Decisions so far while the strategy is `round_robin`, else 0.
    round_robin_index: u64,
}

impl ClusterStatsView {
    pub(crate) fn of(plane: &Plane) -> Self {
        let stats = plane.stats(MemberKind::Node);
        let identity = plane.identity();
        let by_role = stats.by_role.iter().map(|(role, count)| (role_name(*role), *count));
        let by_status = stats.by_status.iter().map(|(status, count)| (status_name(*status), *count));
        Self {
            is_leader: plane.leader().is_some_and(|leader| *leader.id() == identity.node_id),
            local_node: identity.node_id.to_string(),
            total_assignments: plane.assignments().len(),
            registry: RegistryView {
                total_nodes: stats.members,
                healthy_nodes: stats.healthy,
                online_nodes: stats.online,
                total_agents: stats.active,
                max_agents: stats.capacity,
                utilization_pct: (stats.utilisation_percent() * 10.0).round() / 10.0,
                nodes_by_role: by_role.collect(),
                nodes_by_status: by_status.collect(),
            },
            balancer: balancer(plane),
        }
    }
}

fn balancer(plane: &Plane) -> BalancerView {
    let slot = plane.slot(&SlotId::default_of(Family::Balancing));
    let active = slot.as_ref().and_then(|slot| slot.active.as_ref());
    let strategy = active.map_or("native".to_owned(), |active| active.name.replace('-', "_"));
    let answered: u64 = slot.iter().flat_map(|slot| &slot.answers).map(|(_, count)| count).sum();
    let round_robin_index = if strategy == "round_robin" { answered } else { 0 };
    BalancerView { strategy, round_robin_index }
}
