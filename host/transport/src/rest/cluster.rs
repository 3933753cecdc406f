//! The documented cluster API: paths, fields and shapes as in the Go wrapper's document.
//!
//! Percentages are 0..100 here and 0..1 inside. `load` is the mean of CPU, memory and agents in use, in percent; lower is
//! better; what is unknown is left out of the mean.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use pilothouse_core::assignment::Assignment;
use pilothouse_core::eligible::Requirement;
use pilothouse_core::member::{
    Health, LoadReport, Member, MemberKind, Registration, Resources, Role, Status,
};
use pilothouse_core::policy::Family;
use pilothouse_core::slot::SlotId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::Problem;
use super::extract::{Body, Query, agent_name, labels, member_id, optional_label};
use super::{Plane, views};
use crate::service::{Activation, RouteQuery, ServiceError};

/// Agents of a node that does not say how many it can run (as in the document's own node).
const MAX_AGENTS_DEFAULT: u32 = 10;

/// `{"success": false, "error": …}`
pub(crate) struct Failure(Problem);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, error) = self.0.parts();
        (status, Json(json!({ "success": false, "error": error }))).into_response()
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

type Answer = Result<Json<Value>, Failure>;

fn node(member: &Member) -> Value {
    let capacity = member.capacity();
    let active = member.active();
    let used = if capacity == 0 { 0.0 } else { f64::from(active) / f64::from(capacity) };
    let percent = |share: Option<f32>| share.map_or(0.0, |share| round(f64::from(share) * 100.0));
    let known = [member.load.cpu.map(f64::from), member.load.memory.map(f64::from), Some(used)];
    let (sum, count) =
        known.into_iter().flatten().fold((0.0, 0.0), |(sum, count), share| (sum + share, count + 1.0));
    let started = member.registered_at.0;
    let uptime_ms =
        member.last_seen.0.saturating_sub(started).max(if member.status == Status::Online { 1 } else { 0 });
    json!({
        "id": member.id().as_str(),
        "hostname": member.registration.hostname,
        "address": member.registration.endpoint,
        "role": views::role_name(member.role),
        "status": views::status_name(member.status),
        "healthy": member.health != Health::Unhealthy && !matches!(member.status, Status::Offline),
        "active_agents": active,
        "max_agents": capacity,
        "capacity": round(1.0 - used.min(1.0)),
        "load": round(100.0 * sum / count),
        "cpu_usage": percent(member.load.cpu),
        "memory_usage": percent(member.load.memory),
        "disk_usage": percent(member.load.disk),
        "load_average": member.load.load_average.unwrap_or(0.0),
        "services": member.registration.services.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "uptime": go_duration(uptime_ms),
        "last_seen": views::time(member.last_seen),
    })
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

pub(crate) async fn list(State(plane): State<Plane>) -> Json<Value> {
    let nodes: Vec<Value> = plane.members(Some(MemberKind::Node)).iter().map(node).collect();
    Json(json!({ "count": nodes.len(), "nodes": nodes }))
}

#[derive(Deserialize)]
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
    #[serde(default)]
    capabilities: Vec<String>,
    role: Option<String>,
    region: Option<String>,
    zone: Option<String>,
    weight: Option<f32>,
}

pub(crate) async fn register(
    State(plane): State<Plane>,
    Body(body): Body<NodeBody>,
) -> Result<(StatusCode, Json<Value>), Failure> {
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
        cost_per_hour: f32::NAN,
        carbon_g_per_kwh: f32::NAN,
        resources: Resources::default(),
    };
    let member = plane.register(registration).await?;
    Ok((StatusCode::OK, Json(json!({ "success": true, "node": node(&member) }))))
}

pub(crate) async fn one(State(plane): State<Plane>, Path(id): Path<String>) -> Answer {
    let id = member_id(&id)?;
    let member = plane.member(&id).ok_or(ServiceError::NotFound { what: "node", name: id.to_string() })?;
    Ok(Json(node(&member)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeartbeatBody {
    cpu_usage: Option<f32>,
    memory_usage: Option<f32>,
    disk_usage: Option<f32>,
    load_average: Option<f32>,
    active_agents: Option<u32>,
}

pub(crate) async fn heartbeat(
    State(plane): State<Plane>,
    Path(id): Path<String>,
    Body(body): Body<HeartbeatBody>,
) -> Answer {
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
    Ok(Json(json!({ "success": true })))
}

pub(crate) async fn unregister(State(plane): State<Plane>, Path(id): Path<String>) -> Answer {
    plane.unregister(member_id(&id)?).await?;
    Ok(Json(json!({ "success": true })))
}

pub(crate) async fn drain(State(plane): State<Plane>, Path(id): Path<String>) -> Answer {
    let member = plane.drain(member_id(&id)?, true).await?;
    Ok(Json(json!({ "success": true, "node": node(&member) })))
}

pub(crate) async fn undrain(State(plane): State<Plane>, Path(id): Path<String>) -> Answer {
    let member = plane.drain(member_id(&id)?, false).await?;
    Ok(Json(json!({ "success": true, "node": node(&member) })))
}

fn assignment_view(plane: &Plane, assignment: &Assignment) -> Value {
    let gone = plane.member(&assignment.member).is_none_or(|member| member.status == Status::Offline);
    json!({
        "agent_name": assignment.agent.as_str(),
        "node_id": assignment.member.as_str(),
        "assigned_at": views::time(assignment.assigned_at),
        "status": if gone { "orphaned" } else { "running" },
    })
}

pub(crate) async fn assignments(State(plane): State<Plane>) -> Json<Value> {
    let all: Vec<Value> =
        plane.assignments().iter().map(|assignment| assignment_view(&plane, assignment)).collect();
    Json(json!({ "count": all.len(), "assignments": all }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AssignBody {
    agent_name: String,
    #[serde(default)]
    services: Vec<String>,
    #[serde(default)]
    capabilities: Vec<String>,
    strategy: Option<String>,
}

pub(crate) async fn assign(State(plane): State<Plane>, Body(body): Body<AssignBody>) -> Answer {
    let requirement = Requirement {
        kind: Some(MemberKind::Node),
        services: labels("services", &body.services)?,
        capabilities: labels("capabilities", &body.capabilities)?,
        ..Requirement::default()
    };
    let query = RouteQuery { requirement, strategy: body.strategy, ..RouteQuery::default() };
    let assignment = plane.assign(agent_name(&body.agent_name)?, query).await?;
    Ok(Json(json!({ "success": true, "assignment": assignment_view(&plane, &assignment) })))
}

pub(crate) async fn assignment(State(plane): State<Plane>, Path(agent): Path<String>) -> Answer {
    let agent = agent_name(&agent)?;
    let found =
        plane.assignment(&agent).ok_or(ServiceError::NotFound { what: "agent", name: agent.to_string() })?;
    Ok(Json(assignment_view(&plane, &found)))
}

pub(crate) async fn unassign(State(plane): State<Plane>, Path(agent): Path<String>) -> Answer {
    plane.unassign(agent_name(&agent)?).await?;
    Ok(Json(json!({ "success": true })))
}

pub(crate) async fn stats(State(plane): State<Plane>) -> Json<Value> {
    let stats = plane.stats(MemberKind::Node);
    let identity = plane.identity();
    let by_role: serde_json::Map<_, _> = stats
        .by_role
        .iter()
        .map(|(role, count)| (views::role_name(*role).to_owned(), json!(count)))
        .collect();
    let by_status: serde_json::Map<_, _> = stats
        .by_status
        .iter()
        .map(|(status, count)| (views::status_name(*status).to_owned(), json!(count)))
        .collect();
    let slot = plane.slot(&SlotId::default_of(Family::Balancing));
    let strategy = slot
        .as_ref()
        .and_then(|slot| slot.active.as_ref())
        .map_or("native".to_owned(), |active| active.name.replace('-', "_"));
    let answered: u64 = slot.iter().flat_map(|slot| &slot.answers).map(|(_, count)| count).sum();
    Json(json!({
        "local_node": identity.node_id.as_str(),
        "is_leader": plane.leader().is_some_and(|leader| *leader.id() == identity.node_id),
        "total_assignments": plane.assignments().len(),
        "registry": {
            "total_nodes": stats.members,
            "healthy_nodes": stats.healthy,
            "online_nodes": stats.online,
            "total_agents": stats.active,
            "max_agents": stats.capacity,
            "utilization_pct": (stats.utilisation_percent() * 10.0).round() / 10.0,
            "nodes_by_role": by_role,
            "nodes_by_status": by_status,
        },
        "balancer": { "strategy": strategy, "round_robin_index": if strategy == "round_robin" { answered } else { 0 } },
    }))
}

pub(crate) async fn leader(State(plane): State<Plane>) -> Answer {
    let leader = plane.leader().ok_or(ServiceError::NotFound { what: "leader", name: "node".to_owned() })?;
    Ok(Json(json!({ "leader": node(&leader) })))
}

/// Promotes the node that answers.
pub(crate) async fn promote(State(plane): State<Plane>) -> Answer {
    plane.promote(plane.identity().node_id).await?;
    Ok(Json(json!({ "success": true, "is_leader": true })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BalanceQuery {
    strategy: String,
}

pub(crate) async fn balance(State(plane): State<Plane>, Query(query): Query<BalanceQuery>) -> Answer {
    let activation = Activation {
        slot: SlotId::default_of(Family::Balancing),
        policy: query.strategy.replace('_', "-"),
        settings: String::new(),
        force: false,
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
    Ok(Json(json!({ "success": true, "strategy": query.strategy })))
}
