//! Clusters and nodes.

use axum::Json;
use axum::extract::{Path, State};
use pilothouse_core::device::{DEVICE_MILLIS, DEVICES_MAX, Devices};
use pilothouse_core::member::{LoadReport, MemberKind, Registration, Resources, Role};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Answer;
use crate::rest::Plane;
use crate::rest::extract::{Body, labels, member_id, optional_label};
use crate::rest::views::{ClustersView, MemberView, NodesView, ReportedView, UnregisteredView};
use crate::service::ServiceError;

/// Agents of a cluster that does not say how many it can run.
const MAX_AGENTS_DEFAULT: u32 = 100;

fn members(plane: &Plane, kind: MemberKind) -> Vec<MemberView> {
    plane.members(Some(kind)).iter().map(MemberView::from).collect()
}

/// All clusters.
#[utoipa::path(get, path = "/api/v1/clusters", responses((status = 200, body = ClustersView)))]
pub(crate) async fn list_clusters(State(plane): State<Plane>) -> Json<ClustersView> {
    let clusters = members(&plane, MemberKind::Cluster);
    Json(ClustersView { count: clusters.len(), clusters })
}

/// All nodes.
#[utoipa::path(get, path = "/api/v1/nodes", responses((status = 200, body = NodesView)))]
pub(crate) async fn list_nodes(State(plane): State<Plane>) -> Json<NodesView> {
    let nodes = members(&plane, MemberKind::Node);
    Json(NodesView { count: nodes.len(), nodes })
}

/// A cluster that wants to be part of the federation.
#[derive(Deserialize, ToSchema)]
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
    /// What it is certified for, for example `gdpr`.
    #[serde(default)]
    compliance: Vec<String>,
    /// Model of its accelerators.
    accelerator_model: Option<String>,
    cost_per_hour: Option<f32>,
    carbon_g_per_kwh: Option<f32>,
    #[serde(default)]
    resources: ResourcesBody,
}

/// What a member has, or a workload takes.
#[derive(Debug, Deserialize, Serialize, Default, Clone, Copy, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ResourcesBody {
    cpu_millis: u32,
    memory_mib: u32,
    storage_mib: u32,
    /// Thousandths of a device.
    accelerator_millis: u32,
}

impl From<ResourcesBody> for Resources {
    fn from(body: ResourcesBody) -> Self {
        let ResourcesBody { cpu_millis, memory_mib, storage_mib, accelerator_millis } = body;
        Self { cpu_millis, memory_mib, storage_mib, accelerator_millis }
    }
}

impl From<Resources> for ResourcesBody {
    fn from(resources: Resources) -> Self {
        let Resources { cpu_millis, memory_mib, storage_mib, accelerator_millis } = resources;
        Self { cpu_millis, memory_mib, storage_mib, accelerator_millis }
    }
}

/// Registers a cluster, or updates one with the same endpoint.
#[utoipa::path(post, path = "/api/v1/clusters", request_body = ClusterBody, responses((status = 200, body = MemberView)))]
pub(crate) async fn register(
    State(plane): State<Plane>,
    Body(body): Body<ClusterBody>,
) -> Answer<MemberView> {
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
        compliance: labels("compliance", &body.compliance)?,
        accelerator_model: optional_label("accelerator_model", body.accelerator_model.as_deref())?,
        cost_per_hour: body.cost_per_hour.unwrap_or(f32::NAN),
        carbon_g_per_kwh: body.carbon_g_per_kwh.unwrap_or(f32::NAN),
        resources: body.resources.into(),
    };
    Ok(Json((&plane.register(registration).await?).into()))
}

fn member(plane: &Plane, what: &'static str, id: &str) -> Answer<MemberView> {
    let id = member_id(id)?;
    let member = plane.member(&id).ok_or(ServiceError::NotFound { what, name: id.to_string() })?;
    Ok(Json((&member).into()))
}

/// One cluster.
#[utoipa::path(get, path = "/api/v1/clusters/{id}", responses((status = 200, body = MemberView)))]
pub(crate) async fn cluster(State(plane): State<Plane>, Path(id): Path<String>) -> Answer<MemberView> {
    member(&plane, "cluster", &id)
}

/// One node.
#[utoipa::path(get, path = "/api/v1/nodes/{id}", responses((status = 200, body = MemberView)))]
pub(crate) async fn node(State(plane): State<Plane>, Path(id): Path<String>) -> Answer<MemberView> {
    member(&plane, "node", &id)
}

async fn remove(plane: &Plane, id: String) -> Answer<UnregisteredView> {
    plane.unregister(member_id(&id)?).await?;
    Ok(Json(UnregisteredView { unregistered: id }))
}

/// Removes a cluster.
#[utoipa::path(delete, path = "/api/v1/clusters/{id}", responses((status = 200, body = UnregisteredView)))]
pub(crate) async fn unregister_cluster(
    State(plane): State<Plane>,
    Path(id): Path<String>,
) -> Answer<UnregisteredView> {
    remove(&plane, id).await
}

/// Removes a node.
#[utoipa::path(delete, path = "/api/v1/nodes/{id}", responses((status = 200, body = UnregisteredView)))]
pub(crate) async fn unregister_node(
    State(plane): State<Plane>,
    Path(id): Path<String>,
) -> Answer<UnregisteredView> {
    remove(&plane, id).await
}

/// No new work goes to the cluster from now on.
#[utoipa::path(post, path = "/api/v1/clusters/{id}/drain", responses((status = 200, body = MemberView)))]
pub(crate) async fn drain(State(plane): State<Plane>, Path(id): Path<String>) -> Answer<MemberView> {
    Ok(Json((&plane.drain(member_id(&id)?, true).await?).into()))
}

/// Work may go to the cluster again.
#[utoipa::path(delete, path = "/api/v1/clusters/{id}/drain", responses((status = 200, body = MemberView)))]
pub(crate) async fn undrain(State(plane): State<Plane>, Path(id): Path<String>) -> Answer<MemberView> {
    Ok(Json((&plane.drain(member_id(&id)?, false).await?).into()))
}

/// Shares are 0..1; what is left out keeps its value.
#[derive(Deserialize, ToSchema)]
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
    /// Free thousandths of each accelerator device, at most 16.
    #[schema(max_items = 16)]
    free_devices: Option<Vec<u16>>,
}

/// Takes a load report; the answer says what the host makes of it.
#[utoipa::path(post, path = "/api/v1/clusters/{id}/load", request_body = LoadBody, responses((status = 200, body = ReportedView)))]
pub(crate) async fn report(
    State(plane): State<Plane>,
    Path(id): Path<String>,
    Body(body): Body<LoadBody>,
) -> Answer<ReportedView> {
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
        free_devices,
    } = body;
    let devices = free_devices.as_deref().map(devices).transpose()?;
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
        devices,
        ..LoadReport::default()
    };
    Ok(Json(plane.report(&member_id(&id)?, &report)?.into()))
}

/// What is free of each device, checked.
fn devices(free_millis: &[u16]) -> Result<Devices, ServiceError> {
    let problem = if free_millis.len() > DEVICES_MAX {
        format!("there are {} devices; at most {DEVICES_MAX} are told apart", free_millis.len())
    } else if let Some(millis) = free_millis.iter().find(|&&millis| millis > DEVICE_MILLIS) {
        format!("{millis} is more than one device ({DEVICE_MILLIS})")
    } else {
        return Ok(Devices::new(free_millis.iter().copied()));
    };
    Err(ServiceError::Invalid { field: "free_devices".to_owned(), problem })
}
