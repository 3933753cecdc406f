//! Protobuf to core and back.

use std::collections::BTreeMap;

use pilothouse_core::eligible::Requirement;
use pilothouse_core::event::Event;
use pilothouse_core::id::{Label, MemberId};
use pilothouse_core::member::{
    Health, LoadReport, Member, MemberKind, Registration, Resources, Role, Status as Presence,
};
use pilothouse_proto::federation as wire;
use tonic::Status;

use crate::service::{Decided, RouteQuery};

/// Agents of a cluster that does not say how many it can run.
const MAX_AGENTS_DEFAULT: u32 = 100;

fn label(field: &str, text: &str) -> Result<Label, Status> {
    Label::parse(text).map_err(|error| Status::invalid_argument(format!("{field}: {error}")))
}

fn optional(field: &str, text: &str) -> Result<Option<Label>, Status> {
    if text.is_empty() { Ok(None) } else { label(field, text).map(Some) }
}

pub(super) fn registration(request: wire::RegisterClusterRequest) -> Result<Registration, Status> {
    let wire::RegisterClusterRequest {
        cluster_id,
        endpoint,
        region,
        zone,
        max_agents,
        capabilities,
        weight,
        cost_per_hour,
        carbon_g_per_kwh,
    } = request;
    let id = if cluster_id.is_empty() { super::id_of_endpoint(&endpoint) } else { cluster_id };
    let present = capabilities.iter().filter(|(_, has)| **has);
    Ok(Registration {
        id: MemberId::parse(&id).map_err(|error| Status::invalid_argument(format!("cluster_id: {error}")))?,
        kind: MemberKind::Cluster,
        endpoint,
        hostname: String::new(),
        region: optional("region", &region)?,
        zone: optional("zone", &zone)?,
        cluster: None,
        role: Role::Worker,
        capacity: if max_agents == 0 { MAX_AGENTS_DEFAULT } else { max_agents },
        weight: weight.unwrap_or(1.0),
        capabilities: present.map(|(name, _)| label("capabilities", name)).collect::<Result<_, _>>()?,
        services: Default::default(),
        compliance: Default::default(),
        accelerator_model: None,
        cost_per_hour: cost_per_hour.unwrap_or(f32::NAN),
        carbon_g_per_kwh: carbon_g_per_kwh.unwrap_or(f32::NAN),
        resources: Resources::default(),
    })
}

pub(super) fn load_in(load: wire::Load) -> LoadReport {
    let wire::Load {
        cpu_utilization,
        memory_utilization,
        active_agents,
        max_agents,
        queue_depth,
        latency_ms,
        error_rate,
    } = load;
    LoadReport {
        cpu: cpu_utilization,
        memory: memory_utilization,
        disk: None,
        load_average: None,
        active: active_agents,
        capacity: max_agents,
        queue_depth,
        latency_ms,
        error_rate,
        ..LoadReport::default()
    }
}

pub(super) fn load_out(member: &Member) -> wire::Load {
    let load = &member.load;
    wire::Load {
        cpu_utilization: load.cpu,
        memory_utilization: load.memory,
        active_agents: Some(member.active()),
        max_agents: Some(member.capacity()),
        queue_depth: load.queue_depth,
        latency_ms: load.latency_ms,
        error_rate: load.error_rate,
    }
}

pub(super) fn health(health: Health) -> wire::HealthStatus {
    match health {
        Health::Healthy => wire::HealthStatus::Healthy,
        Health::Degraded => wire::HealthStatus::Degraded,
        Health::Unhealthy => wire::HealthStatus::Unhealthy,
        Health::Unknown => wire::HealthStatus::Unknown,
    }
}

pub(super) fn status_name(status: Presence) -> &'static str {
    crate::rest::status_name(status)
}

fn available(member: &Member) -> u32 {
    match member.capacity() {
        0 => u32::MAX,
        capacity => capacity.saturating_sub(member.active()),
    }
}

fn region_of(member: &Member) -> String {
    member.registration.region.as_ref().map(ToString::to_string).unwrap_or_default()
}

pub(super) fn cluster(member: &Member) -> wire::Cluster {
    let registration = &member.registration;
    wire::Cluster {
        cluster_id: member.id().to_string(),
        endpoint: registration.endpoint.clone(),
        region: region_of(member),
        zone: registration.zone.as_ref().map(ToString::to_string).unwrap_or_default(),
        capabilities: registration.capabilities.iter().map(ToString::to_string).collect(),
        health: health(member.health).into(),
        status: status_name(member.status).to_owned(),
        load: Some(load_out(member)),
        available_slots: available(member),
        weight: registration.weight,
    }
}

pub(super) fn is_wanted(member: &Member, request: &wire::ListClustersRequest) -> bool {
    let healthy = member.status != Presence::Offline && member.health != Health::Unhealthy;
    (request.region.is_empty() || region_of(member) == request.region) && (!request.healthy_only || healthy)
}

pub(super) fn capacity(clusters: &[Member], region: &str) -> wire::CapacityResponse {
    let mut regions: BTreeMap<String, wire::RegionCapacity> = BTreeMap::new();
    for member in clusters.iter().filter(|member| region.is_empty() || region_of(member) == region) {
        let name = region_of(member);
        let sums = regions
            .entry(name.clone())
            .or_insert_with(|| wire::RegionCapacity { region: name, ..Default::default() });
        sums.clusters += 1;
        sums.max_agents += u64::from(member.capacity());
        sums.active_agents += u64::from(member.active());
        if member.capacity() > 0 && member.takes_work() {
            sums.available_slots += u64::from(available(member));
        }
    }
    let regions: Vec<_> = regions.into_values().collect();
    wire::CapacityResponse {
        max_agents: regions.iter().map(|sums| sums.max_agents).sum(),
        active_agents: regions.iter().map(|sums| sums.active_agents).sum(),
        available_slots: regions.iter().map(|sums| sums.available_slots).sum(),
        regions,
    }
}

pub(super) fn route_query(request: wire::RouteTaskRequest) -> Result<RouteQuery, Status> {
    let wire::RouteTaskRequest {
        // For people and logs; what it demands is in the other fields.
        task_type: _,
        preferred_region,
        required_capabilities,
        strategy,
        session_id,
        alternatives,
    } = request;
    let capabilities = required_capabilities.iter().map(|name| label("required_capabilities", name));
    Ok(RouteQuery {
        requirement: Requirement {
            kind: Some(MemberKind::Cluster),
            capabilities: capabilities.collect::<Result<_, _>>()?,
            source_region: optional("preferred_region", &preferred_region)?,
            ..Requirement::default()
        },
        strategy: (!strategy.is_empty()).then_some(strategy),
        session: (!session_id.is_empty()).then_some(session_id),
        alternatives,
    })
}

pub(super) fn routed(decided: Decided) -> wire::RouteTaskResponse {
    wire::RouteTaskResponse {
        cluster_id: decided.member.to_string(),
        endpoint: decided.endpoint,
        region: decided.region.unwrap_or_default(),
        score: decided.score,
        reason: decided.reason,
        strategy: decided.policy,
        decision_id: decided.id.to_string(),
        alternative_cluster_ids: decided
            .alternatives
            .iter()
            .map(|alternative| alternative.member.to_string())
            .collect(),
        answered_by: decided.link.to_owned(),
    }
}

pub(super) fn event(event: &Event) -> wire::ClusterEvent {
    let view = crate::rest::EventView::from(event);
    wire::ClusterEvent {
        sequence: event.sequence,
        timestamp_ms: event.at.0,
        cluster_id: view.subject.unwrap_or_default(),
        r#type: view.kind,
        payload: view.detail.to_string(),
    }
}
