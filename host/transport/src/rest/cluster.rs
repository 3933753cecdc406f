//! The documented cluster API: paths, fields and shapes as in the Go wrapper's document.
//!
//! Percentages are 0..100 here and 0..1 inside.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use pilothouse_core::assignment::Assignment;
use pilothouse_core::eligible::Requirement;
use pilothouse_core::member::{LoadReport, Member, MemberKind, Registration, Role, Status};
use pilothouse_core::policy::Family;
use pilothouse_core::slot::SlotId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Plane;
use super::error::Problem;
use super::extract::{Body, Query, agent_name, labels, member_id, optional_label};
use super::v1::members::ResourcesBody;
use super::views::{self, ClusterNodesView, ClusterStatsView, NodeView};
use crate::service::{Activation, RouteQuery, ServiceError};

/// Agents of a node that does not say how many it can run (as in the document's own node).
const MAX_AGENTS_DEFAULT: u32 = 10;

/// An error in this API's own form.
pub(crate) struct Failure(Problem);

/// An error as the documented cluster API writes it.
#[derive(Serialize, ToSchema)]
pub(super) struct FailureView {
    success: bool,
    /// What was wrong, where, and what to do.
    error: String,
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, error) = self.0.parts();
        (status, Json(FailureView { success: false, error })).into_response()
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        Self(error.into())
    }
}

type Answer<T> = Result<Json<T>, Failure>;

/// Done.
#[derive(Serialize, ToSchema)]
pub(crate) struct DoneView {
    success: bool,
}

const DONE: Json<DoneView> = Json(DoneView { success: true });

/// Done, and how the node is now.
#[derive(Serialize, ToSchema)]
pub(crate) struct NodeDoneView {
    success: bool,
    node: NodeView,
}

impl From<&Member> for NodeDoneView {
    fn from(member: &Member) -> Self {
        Self { success: true, node: member.into() }
    }
}

/// All nodes.
#[utoipa::path(get, path = "/api/cluster/nodes", responses((status = 200, body = ClusterNodesView)))]
pub(crate) async fn list(State(plane): State<Plane>) -> Json<ClusterNodesView> {
    let nodes: Vec<_> = plane.members(Some(MemberKind::Node)).iter().map(NodeView::from).collect();
    Json(ClusterNodesView { count: nodes.len(), nodes })
}

/// A node that wants to be part of the cluster.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodeBody {
    id: String,
    #[serde(default)]
    hostname: String,
    #[serde(default)]
    ip_address: String,
    #[serde(default)]
    port: u16,
    max_agents: Option<u32>,
    #[serde(default)]
    services: Vec<String>,
    /// What it is certified for, for example `gdpr`.
    #[serde(default)]
    compliance: Vec<String>,
    /// Model of its accelerators.
    accelerator_model: Option<String>,
    /// What it has in all; 0 = unknown, not enforced.
    #[serde(default)]
    resources: ResourcesBody,
    #[serde(default)]
    capabilities: Vec<String>,
    role: Option<String>,
    region: Option<String>,
    zone: Option<String>,
    weight: Option<f32>,
}

/// Registers a node, or updates one with the same address.
#[utoipa::path(post, path = "/api/cluster/nodes", request_body = NodeBody, responses((status = 200, body = NodeDoneView)))]
pub(crate) async fn register(State(plane): State<Plane>, Body(body): Body<NodeBody>) -> Answer<NodeDoneView> {
    let id = member_id(&body.id)?;
    let role = match body.role.as_deref() {
        None | Some("worker") => Role::Worker,
        Some("leader") => Role::Leader,
        Some("replica") => Role::Replica,
        Some("standby") => Role::Standby,
        Some(other) => {
            let problem = format!("`{other}` is not a role; use leader, worker, replica or standby");
            return Err(ServiceError::Invalid { field: "role".to_owned(), problem }.into());
        }
    };
    let host = if body.ip_address.is_empty() { &body.hostname } else { &body.ip_address };
    let endpoint = match (host.is_empty(), body.port) {
        (true, _) => {
            let problem = "give the address where the node answers, for example 10.0.0.2".to_owned();
            return Err(ServiceError::Invalid { field: "ip_address".to_owned(), problem }.into());
        }
        (false, 0) => format!("{host}:8151"),
        (false, port) => format!("{host}:{port}"),
    };
    let registration = Registration {
        id,
        kind: MemberKind::Node,
        endpoint,
        hostname: body.hostname.chars().filter(|c| !c.is_control()).take(253).collect(),
        region: optional_label("region", body.region.as_deref())?,
        zone: optional_label("zone", body.zone.as_deref())?,
        cluster: None,
        role,
        capacity: body.max_agents.unwrap_or(MAX_AGENTS_DEFAULT),
        weight: body.weight.unwrap_or(1.0),
        capabilities: labels("capabilities", &body.capabilities)?,
        services: labels("services", &body.services)?,
        compliance: labels("compliance", &body.compliance)?,
        accelerator_model: optional_label("accelerator_model", body.accelerator_model.as_deref())?,
        cost_per_hour: f32::NAN,
        carbon_g_per_kwh: f32::NAN,
        resources: body.resources.into(),
    };
    Ok(Json((&plane.register(registration).await?).into()))
}

/// One node.
#[utoipa::path(get, path = "/api/cluster/nodes/{id}", responses((status = 200, body = NodeView)))]
pub(crate) async fn one(State(plane): State<Plane>, Path(id): Path<String>) -> Answer<NodeView> {
    let id = member_id(&id)?;
    let member = plane.member(&id).ok_or(ServiceError::NotFound { what: "node", name: id.to_string() })?;
    Ok(Json((&member).into()))
}

/// Percentages are 0..100; what is left out keeps its value.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeartbeatBody {
    cpu_usage: Option<f32>,
    memory_usage: Option<f32>,
    disk_usage: Option<f32>,
    load_average: Option<f32>,
    active_agents: Option<u32>,
}

/// Takes a heartbeat.
#[utoipa::path(post, path = "/api/cluster/nodes/{id}", request_body = HeartbeatBody, responses((status = 200, body = DoneView)))]
pub(crate) async fn heartbeat(
    State(plane): State<Plane>,
    Path(id): Path<String>,
    Body(body): Body<HeartbeatBody>,
) -> Answer<DoneView> {
    let share = |percent: Option<f32>| percent.map(|percent| percent / 100.0);
    let report = LoadReport {
        cpu: share(body.cpu_usage),
        memory: share(body.memory_usage),
        disk: share(body.disk_usage),
        load_average: body.load_average,
        active: body.active_agents,
        ..LoadReport::default()
    };
    plane.report(&member_id(&id)?, &report)?;
    Ok(DONE)
}

/// Removes a node.
#[utoipa::path(delete, path = "/api/cluster/nodes/{id}", responses((status = 200, body = DoneView)))]
pub(crate) async fn unregister(State(plane): State<Plane>, Path(id): Path<String>) -> Answer<DoneView> {
    plane.unregister(member_id(&id)?).await?;
    Ok(DONE)
}

/// No new work goes to the node from now on.
#[utoipa::path(post, path = "/api/cluster/nodes/{id}/drain", responses((status = 200, body = NodeDoneView)))]
pub(crate) async fn drain(State(plane): State<Plane>, Path(id): Path<String>) -> Answer<NodeDoneView> {
    Ok(Json((&plane.drain(member_id(&id)?, true).await?).into()))
}

/// Work may go to the node again.
#[utoipa::path(delete, path = "/api/cluster/nodes/{id}/drain", responses((status = 200, body = NodeDoneView)))]
pub(crate) async fn undrain(State(plane): State<Plane>, Path(id): Path<String>) -> Answer<NodeDoneView> {
    Ok(Json((&plane.drain(member_id(&id)?, false).await?).into()))
}

/// Where an agent is.
#[derive(Serialize, ToSchema)]
pub(crate) struct AssignmentView {
    agent_name: String,
    node_id: String,
    assigned_at: String,
    /// `running`, or `orphaned` if its node is gone.
    status: &'static str,
}

impl AssignmentView {
    pub(super) fn of(plane: &Plane, assignment: &Assignment) -> Self {
        let gone = plane.member(&assignment.member).is_none_or(|member| member.status == Status::Offline);
        Self {
            agent_name: assignment.agent.to_string(),
            node_id: assignment.member.to_string(),
            assigned_at: views::time(assignment.assigned_at),
            status: if gone { "orphaned" } else { "running" },
        }
    }
}

/// All assignments.
#[derive(Serialize, ToSchema)]
pub(crate) struct AssignmentsView {
    count: usize,
    assignments: Vec<AssignmentView>,
}

/// Where every agent is.
#[utoipa::path(get, path = "/api/cluster/assignments", responses((status = 200, body = AssignmentsView)))]
pub(crate) async fn assignments(State(plane): State<Plane>) -> Json<AssignmentsView> {
    let assignments = plane.assignments();
    let assignments: Vec<_> =
        assignments.iter().map(|assignment| AssignmentView::of(&plane, assignment)).collect();
    Json(AssignmentsView { count: assignments.len(), assignments })
}

/// An agent that needs a node.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AssignBody {
    agent_name: String,
    #[serde(default)]
    services: Vec<String>,
    #[serde(default)]
    capabilities: Vec<String>,
    strategy: Option<String>,
}

/// Done, and where the agent is.
#[derive(Serialize, ToSchema)]
pub(crate) struct AssignedView {
    success: bool,
    assignment: AssignmentView,
}

/// Assigns an agent to the node that the strategy picks.
#[utoipa::path(post, path = "/api/cluster/assignments", request_body = AssignBody, responses((status = 200, body = AssignedView)))]
pub(crate) async fn assign(State(plane): State<Plane>, Body(body): Body<AssignBody>) -> Answer<AssignedView> {
    let requirement = Requirement {
        kind: Some(MemberKind::Node),
        services: labels("services", &body.services)?,
        capabilities: labels("capabilities", &body.capabilities)?,
        ..Requirement::default()
    };
    let query = RouteQuery { requirement, strategy: body.strategy, ..RouteQuery::default() };
    let assignment = plane.assign(agent_name(&body.agent_name)?, query).await?;
    Ok(Json(AssignedView { success: true, assignment: AssignmentView::of(&plane, &assignment) }))
}

/// Where one agent is.
#[utoipa::path(get, path = "/api/cluster/assignments/{agent}", responses((status = 200, body = AssignmentView)))]
pub(crate) async fn assignment(
    State(plane): State<Plane>,
    Path(agent): Path<String>,
) -> Answer<AssignmentView> {
    let agent = agent_name(&agent)?;
    let found =
        plane.assignment(&agent).ok_or(ServiceError::NotFound { what: "agent", name: agent.to_string() })?;
    Ok(Json(AssignmentView::of(&plane, &found)))
}

/// Takes an agent off its node.
#[utoipa::path(delete, path = "/api/cluster/assignments/{agent}", responses((status = 200, body = DoneView)))]
pub(crate) async fn unassign(State(plane): State<Plane>, Path(agent): Path<String>) -> Answer<DoneView> {
    plane.unassign(agent_name(&agent)?).await?;
    Ok(DONE)
}

/// The cluster in numbers.
#[utoipa::path(get, path = "/api/cluster/stats", responses((status = 200, body = ClusterStatsView)))]
pub(crate) async fn stats(State(plane): State<Plane>) -> Json<ClusterStatsView> {
    Json(ClusterStatsView::of(&plane))
}

/// Who leads.
#[derive(Serialize, ToSchema)]
pub(crate) struct LeaderView {
    leader: NodeView,
}

/// The node that leads.
#[utoipa::path(get, path = "/api/cluster/leader", responses((status = 200, body = LeaderView)))]
pub(crate) async fn leader(State(plane): State<Plane>) -> Answer<LeaderView> {
    let leader = plane.leader().ok_or(ServiceError::NotFound { what: "leader", name: "node".to_owned() })?;
    Ok(Json(LeaderView { leader: (&leader).into() }))
}

/// Done, and whether this node leads.
#[derive(Serialize, ToSchema)]
pub(crate) struct PromotedView {
    success: bool,
    is_leader: bool,
}

/// Promotes the node that answers.
#[utoipa::path(post, path = "/api/cluster/leader", responses((status = 200, body = PromotedView)))]
pub(crate) async fn promote(State(plane): State<Plane>) -> Answer<PromotedView> {
    plane.promote(plane.identity().node_id).await?;
    Ok(Json(PromotedView { success: true, is_leader: true }))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct BalanceQuery {
    /// `round_robin`, `least_loaded`, `least_agents`, `random`, `weighted`, …
    strategy: String,
}

/// Done, and the strategy in force.
#[derive(Serialize, ToSchema)]
pub(crate) struct BalanceView {
    success: bool,
    strategy: String,
}

/// Switches the balancing strategy.
#[utoipa::path(post, path = "/api/cluster/balance", params(BalanceQuery), responses((status = 200, body = BalanceView)))]
pub(crate) async fn balance(
    State(plane): State<Plane>,
    Query(query): Query<BalanceQuery>,
) -> Answer<BalanceView> {
    let activation = Activation {
        slot: SlotId::default_of(Family::Balancing),
        policy: query.strategy.replace('_', "-"),
        settings: String::new(),
        force: false,
        signature: None,
        allow_downgrade: false,
        by: "api/cluster/balance".to_owned(),
    };
    plane.activate(activation).await.map_err(|error| match error {
        ServiceError::NotFound { .. } => ServiceError::Invalid {
            field: "strategy".to_owned(),
            problem: format!(
                "`{}` is not a strategy; use round_robin, least_loaded, least_agents, random, weighted, \
                 session_affinity, capability_match or regional",
                query.strategy.escape_debug()
            ),
        },
        other => other,
    })?;
    Ok(Json(BalanceView { success: true, strategy: query.strategy }))
}
