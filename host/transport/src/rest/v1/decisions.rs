//! Decisions: ask for one, look at recent ones, report how the work went.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use pilothouse_core::id::DecisionId;
use pilothouse_core::member::MemberKind;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Answer;
use super::requirement::RequirementBody;
use crate::rest::Plane;
use crate::rest::error::Problem;
use crate::rest::extract::{Body, Query, member_id};
use crate::rest::views::{DecidedView, DecisionsView, FlowView};
use crate::service::{FlowQuery, RouteQuery, ServiceError};

/// Least urgent traffic class.
const TRAFFIC_CLASS_MAX: u8 = 7;
/// Longest round-trip time that makes sense as a goal, ms.
const LATENCY_GOAL_MS_MAX: f32 = 60_000.0;
/// Most decisions listed at once.
const LIMIT_MAX: usize = 1_000;

/// A task that needs a member now.
#[derive(Deserialize, Default, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RouteBody {
    task_type: Option<String>,
    /// Slot or policy, if not the default one.
    strategy: Option<String>,
    /// Tasks of one session stay together, if the strategy can.
    session: Option<String>,
    alternatives: u32,
    requirement: RequirementBody,
}

/// Which member takes this task?
#[utoipa::path(post, path = "/api/v1/route", request_body = RouteBody, responses((status = 200, body = DecidedView)))]
pub(crate) async fn route(State(plane): State<Plane>, Body(body): Body<RouteBody>) -> Answer<DecidedView> {
    // The kind of task is for people and logs; what it demands is in the requirement.
    let RouteBody { task_type: _, strategy, session, alternatives, requirement } = body;
    let requirement = requirement.parse(Some(MemberKind::Cluster))?;
    let decided = plane.route(&RouteQuery { requirement, strategy, session, alternatives })?;
    Ok(Json((&decided).into()))
}

/// A flow that needs a way.
#[derive(Deserialize, Default, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct FlowBody {
    /// Slot or policy, if not the default one.
    strategy: Option<String>,
    /// 0 = most urgent .. 7 = scavenger.
    #[schema(maximum = 7)]
    traffic_class: u8,
    /// Wanted round-trip time; 0 = no wish.
    latency_goal_ms: f32,
    requirement: RequirementBody,
}

/// Which members serve this flow, and with which shares?
#[utoipa::path(post, path = "/api/v1/flows", request_body = FlowBody, responses((status = 200, body = FlowView)))]
pub(crate) async fn flow(State(plane): State<Plane>, Body(body): Body<FlowBody>) -> Answer<FlowView> {
    let FlowBody { strategy, traffic_class, latency_goal_ms, requirement } = body;
    if traffic_class > TRAFFIC_CLASS_MAX {
        let problem = format!("{traffic_class} is out of range; 0 is most urgent, {TRAFFIC_CLASS_MAX} least");
        return Err(ServiceError::Invalid { field: "traffic_class".to_owned(), problem }.into());
    }
    if !(0.0..=LATENCY_GOAL_MS_MAX).contains(&latency_goal_ms) {
        let problem = format!("{latency_goal_ms} is out of range; use 0 (no wish) to {LATENCY_GOAL_MS_MAX}");
        return Err(ServiceError::Invalid { field: "latency_goal_ms".to_owned(), problem }.into());
    }
    let requirement = requirement.parse(Some(MemberKind::Cluster))?;
    let route = plane.route_flow(&FlowQuery { requirement, strategy, traffic_class, latency_goal_ms })?;
    Ok(Json((&route).into()))
}

/// How work went; the breaker counts it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OutcomeBody {
    member: String,
    success: bool,
}

/// It was counted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AcceptedView {
    accepted: bool,
}

/// Takes the result of work.
#[utoipa::path(post, path = "/api/v1/outcomes", request_body = OutcomeBody, responses((status = 200, body = AcceptedView)))]
pub(crate) async fn outcome(
    State(plane): State<Plane>,
    Body(body): Body<OutcomeBody>,
) -> Answer<AcceptedView> {
    plane.outcome(&member_id(&body.member)?, body.success)?;
    Ok(Json(AcceptedView { accepted: true }))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// At most 1,000; 100 if left out.
    limit: Option<usize>,
}

/// Recent decisions, newest first.
#[utoipa::path(get, path = "/api/v1/decisions", params(ListQuery), responses((status = 200, body = DecisionsView)))]
pub(crate) async fn list(State(plane): State<Plane>, Query(query): Query<ListQuery>) -> Json<DecisionsView> {
    let decisions = plane.decisions(query.limit.unwrap_or(100).min(LIMIT_MAX));
    let decisions: Vec<_> = decisions.iter().map(DecidedView::from).collect();
    Json(DecisionsView { count: decisions.len(), decisions })
}

/// One decision that is still kept.
#[utoipa::path(get, path = "/api/v1/decisions/{id}", responses((status = 200, body = DecidedView)))]
pub(crate) async fn one(State(plane): State<Plane>, Path(id): Path<String>) -> Answer<DecidedView> {
    let found = DecisionId::parse(&id).and_then(|id| plane.decision(id));
    let found = found.ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "there is no such decision, or it is older than those that are kept",
        )
    })?;
    Ok(Json((&found).into()))
}
