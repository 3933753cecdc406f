//! Clusters and nodes.

use axum::Json;
use axum::extract::{Path, State};
use pilothouse_core::member::{LoadReport, MemberKind, Registration, Resources, Role};
use serde::Deserialize;
use serde_json::json;

use super::Answer;
use crate::rest::extract::{Body, labels, member_id, optional_label};
use crate::rest::{Plane, views};
use crate::service::ServiceError;

/// Agents of a cluster that does not say how many it can run.
const MAX_AGENTS_DEFAULT: u32 = 100;

fn list(plane: &Plane, kind: MemberKind, name: &str) -> Answer {
    let members: Vec<_> = plane.members(Some(kind)).iter().map(views::member).collect();
    Ok(Json(json!({ "count": members.len(), name: members })))
}

pub(crate) async fn list_clusters(State(plane): State<Plane>) -> Answer {
    list(&plane, MemberKind::Cluster, "clusters")
}

pub(crate) async fn list_nodes(State(plane): State<Plane>) -> Answer {
    list(&plane, MemberKind::Node, "nodes")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClusterBody {
    /// Made from the endpoint if left out.
    id: Option<String>,
    endpoint: String,
    region: Option<String>,
    zone: Option<String>,
    max_agents: Option<u32>,
    weight: Option<f32>,
    #[serde(default)]
    capabilities: Vec<String>,
    #[serde(default)]
    services: Vec<String>,
    cost_per_hour: Option<f32>,
    carbon_g_per_kwh: Option<f32>,
    #[serde(default)]
    resources: ResourcesBody,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ResourcesBody {
    cpu_millis: u32,
    memory_mib: u32,
    storage_mib: u32,
    accelerator_millis: u32,
}

impl From<ResourcesBody> for Resources {
    fn from(body: ResourcesBody) -> Self {
        let ResourcesBody { cpu_millis, memory_mib, storage_mib, accelerator_millis } = body;
        Self { cpu_millis, memory_mib, storage_mib, accelerator_millis }
    }
}

pub(crate) async fn register(State(plane): State<Plane>, Body(body): Body<ClusterBody>) -> Answer {
    let id =
        body.id.filter(|id| !id.is_empty()).unwrap_or_else(|| crate::grpc::id_of_endpoint(&body.endpoint));
    let registration = Registration {
        id: member_id(&id)?,
        kind: MemberKind::Cluster,
        endpoint: body.endpoint,
        hostname: String::new(),
        region: optional_label("region", body.region.as_deref())?,
        zone: optional_label("zone", body.zone.as_deref())?,
        cluster: None,
        role: Role::Worker,
        capacity: body.max_agents.unwrap_or(MAX_AGENTS_DEFAULT),
        weight: body.weight.unwrap_or(1.0),
        capabilities: labels("capabilities", &body.capabilities)?,
        services: labels("services", &body.services)?,
        cost_per_hour: body.cost_per_hour.unwrap_or(f32::NAN),
        carbon_g_per_kwh: body.carbon_g_per_kwh.unwrap_or(f32::NAN),
        resources: body.resources.into(),
    };
    Ok(Json(views::member(&plane.register(registration).await?)))
}

pub(crate) async fn one(State(plane): State<Plane>, Path(id): Path<String>) -> Answer {
    let id = member_id(&id)?;
    let member = plane.member(&id).ok_or(ServiceError::NotFound { what: "member", name: id.to_string() })?;
    Ok(Json(views::member(&member)))
}

pub(crate) async fn unregister(State(plane): State<Plane>, Path(id): Path<String>) -> Answer {
    plane.unregister(member_id(&id)?).await?;
    Ok(Json(json!({ "unregistered": id })))
}

pub(crate) async fn drain(State(plane): State<Plane>, Path(id): Path<String>) -> Answer {
    Ok(Json(views::member(&plane.drain(member_id(&id)?, true).await?)))
}

pub(crate) async fn undrain(State(plane): State<Plane>, Path(id): Path<String>) -> Answer {
    Ok(Json(views::member(&plane.drain(member_id(&id)?, false).await?)))
}

/// Shares are 0..1; what is left out keeps its value.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoadBody {
    cpu: Option<f32>,
    memory: Option<f32>,
    disk: Option<f32>,
    load_average: Option<f32>,
    active_agents: Option<u32>,
    max_agents: Option<u32>,
    queue_depth: Option<u32>,
    latency_ms: Option<f32>,
    error_rate: Option<f32>,
}

pub(crate) async fn report(
    State(plane): State<Plane>,
    Path(id): Path<String>,
    Body(body): Body<LoadBody>,
) -> Answer {
    let LoadBody {
        cpu,
        memory,
        disk,
        load_average,
        active_agents,
        max_agents,
        queue_depth,
        latency_ms,
        error_rate,
    } = body;
    let report = LoadReport {
        cpu,
        memory,
        disk,
        load_average,
        active: active_agents,
        capacity: max_agents,
        queue_depth,
        latency_ms,
        error_rate,
        ..LoadReport::default()
    };
    let told = plane.report(&member_id(&id)?, &report)?;
    Ok(Json(json!({
        "accepted": true,
        "health": views::health_name(told.health),
        "accepts_work": told.accepts_work,
        "recommendations": told.advice,
        "report_again_ms": told.report_again_ms,
    })))
}
