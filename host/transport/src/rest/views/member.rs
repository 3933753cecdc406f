//! Members, their load, and sums over them.

use pilothouse_core::member::{Member, MemberKind};
use pilothouse_core::registry::{Recommendation, Stats};
use serde::Serialize;
use utoipa::ToSchema;

use super::{ServingView, health_name, number, role_name, standing_name, status_name, time};
use crate::rest::v1::members::ResourcesBody;

/// A cluster or a node.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MemberView {
    id: String,
    /// `cluster` or `node`.
    kind: &'static str,
    /// Where it answers, `host:port`.
    endpoint: String,
    hostname: String,
    region: Option<String>,
    zone: Option<String>,
    /// The cluster that a node belongs to.
    cluster: Option<String>,
    /// `leader`, `worker`, `replica` or `standby`.
    role: &'static str,
    /// `online`, `offline`, `draining` or `unknown`.
    status: &'static str,
    /// What the failure detector thinks: `sound`, `suspect`, `dead`, or `held` (heard again, but gets no work yet).
    standing: &'static str,
    /// `healthy`, `degraded`, `unhealthy` or `unknown`.
    health: &'static str,
    draining: bool,
    weight: f32,
    active_agents: u32,
    /// 0 = unlimited.
    max_agents: u32,
    capabilities: Vec<String>,
    services: Vec<String>,
    compliance: Vec<String>,
    accelerator_model: Option<String>,
    /// What it has in all; 0 = unknown.
    resources: ResourcesBody,
    /// What the host assigned and reserved of it.
    used: ResourcesBody,
    cost_per_hour: Option<f32>,
    carbon_g_per_kwh: Option<f32>,
    load: LoadView,
    registered_at: String,
    last_seen: String,
}

/// The last report; what was never reported is `null`.
#[derive(Debug, Serialize, ToSchema)]
struct LoadView {
    /// 0..1.
    cpu: Option<f32>,
    /// 0..1.
    memory: Option<f32>,
    /// 0..1.
    disk: Option<f32>,
    load_average: Option<f32>,
    queue_depth: Option<u32>,
    latency_ms: Option<f32>,
    /// 0..1.
    error_rate: Option<f32>,
}

impl From<&Member> for MemberView {
    fn from(member: &Member) -> Self {
        let registration = &member.registration;
        let load = &member.load;
        let label = |label: &Option<_>| label.as_ref().map(ToString::to_string);
        Self {
            id: member.id().to_string(),
            kind: match registration.kind {
                MemberKind::Cluster => "cluster",
                MemberKind::Node => "node",
            },
            endpoint: registration.endpoint.clone(),
            hostname: registration.hostname.clone(),
            region: label(&registration.region),
            zone: label(&registration.zone),
            cluster: registration.cluster.as_ref().map(ToString::to_string),
            role: role_name(member.role),
            status: status_name(member.status),
            standing: standing_name(member.standing),
            health: health_name(member.health),
            draining: member.draining,
            weight: registration.weight,
            active_agents: member.active(),
            max_agents: member.capacity(),
            capabilities: registration.capabilities.iter().map(ToString::to_string).collect(),
            services: registration.services.iter().map(ToString::to_string).collect(),
            compliance: registration.compliance.iter().map(ToString::to_string).collect(),
            accelerator_model: label(&registration.accelerator_model),
            resources: registration.resources.into(),
            used: member.used.into(),
            cost_per_hour: number(registration.cost_per_hour),
            carbon_g_per_kwh: number(registration.carbon_g_per_kwh),
            load: LoadView {
                cpu: load.cpu,
                memory: load.memory,
                disk: load.disk,
                load_average: load.load_average,
                queue_depth: load.queue_depth,
                latency_ms: load.latency_ms,
                error_rate: load.error_rate,
            },
            registered_at: time(member.registered_at),
            last_seen: time(member.last_seen),
        }
    }
}

/// All clusters.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClustersView {
    pub(crate) count: usize,
    pub(crate) clusters: Vec<MemberView>,
}

/// All nodes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NodesView {
    pub(crate) count: usize,
    pub(crate) nodes: Vec<MemberView>,
}

/// Who was removed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UnregisteredView {
    pub(crate) unregistered: String,
}

/// What the host thinks of a report.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReportedView {
    accepted: bool,
    health: &'static str,
    accepts_work: bool,
    /// `scale-up`, `scale-down` or `drain`.
    recommendations: Vec<&'static str>,
    /// When the next report is due.
    report_again_ms: u64,
}

impl From<Recommendation> for ReportedView {
    fn from(told: Recommendation) -> Self {
        let Recommendation { health, accepts_work, advice, report_again_ms } = told;
        Self {
            accepted: true,
            health: health_name(health),
            accepts_work,
            recommendations: advice,
            report_again_ms,
        }
    }
}

/// The server and what it knows.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatusView {
    pub(crate) node_id: String,
    pub(crate) version: &'static str,
    pub(crate) uptime_ms: u64,
    /// Counts starts on this data folder.
    pub(crate) boot: u32,
    /// Version of the snapshot that decisions see.
    pub(crate) fleet_epoch: u64,
    pub(crate) clusters: SumsView,
    pub(crate) nodes: SumsView,
    pub(crate) assignments: usize,
    pub(crate) slots: Vec<StatusSlotView>,
}

/// A slot in a line.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatusSlotView {
    pub(crate) id: String,
    /// Name of the policy that serves; `native` = the host's own choice.
    pub(crate) active: String,
    pub(crate) generation: u64,
    pub(crate) serving: ServingView,
}

/// Sums over a kind of members.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SumsView {
    members: u64,
    online: u64,
    healthy: u64,
    active_agents: u64,
    max_agents: u64,
    utilization_pct: f64,
}

impl From<Stats> for SumsView {
    fn from(stats: Stats) -> Self {
        Self {
            members: stats.members,
            online: stats.online,
            healthy: stats.healthy,
            active_agents: stats.active,
            max_agents: stats.capacity,
            utilization_pct: stats.utilisation_percent(),
        }
    }
}
