//! Decisions: ask for one, look at recent ones, report how the work went.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use pilothouse_core::eligible::Requirement;
use pilothouse_core::id::DecisionId;
use pilothouse_core::member::MemberKind;
use serde::Deserialize;
use serde_json::json;

use super::Answer;
use super::members::ResourcesBody;
use crate::rest::error::Problem;
use crate::rest::extract::{Body, Query, labels, member_id, optional_label};
use crate::rest::{Plane, views};
use crate::service::{PlaceQuery, RouteQuery, ServiceError};

/// Most decisions listed at once.
const LIMIT_MAX: usize = 1_000;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RequirementBody {
    kind: Option<String>,
    cluster: Option<String>,
    required_capabilities: Vec<String>,
    preferred_capabilities: Vec<String>,
    services: Vec<String>,
    allowed_regions: Vec<String>,
    denied_regions: Vec<String>,
    excluded: Vec<String>,
    preferred_region: Option<String>,
    source_zone: Option<String>,
}

impl RequirementBody {
    fn parse(self, default_kind: Option<MemberKind>) -> Result<Requirement, Problem> {
        let kind = match self.kind.as_deref() {
            None => default_kind,
            Some("cluster") => Some(MemberKind::Cluster),
            Some("node") => Some(MemberKind::Node),
            Some("any") => None,
            Some(other) => {
                let problem = format!("`{}` is not a kind; use cluster, node or any", other.escape_debug());
                return Err(ServiceError::Invalid { field: "kind".to_owned(), problem }.into());
            }
        };
        Ok(Requirement {
            kind,
            cluster: self.cluster.as_deref().map(member_id).transpose()?,
            capabilities: labels("required_capabilities", &self.required_capabilities)?,
            preferred_capabilities: labels("preferred_capabilities", &self.preferred_capabilities)?,
            services: labels("services", &self.services)?,
            allowed_regions: labels("allowed_regions", &self.allowed_regions)?,
            denied_regions: labels("denied_regions", &self.denied_regions)?,
            excluded: self.excluded.iter().map(|id| member_id(id)).collect::<Result<_, _>>()?,
            needs: Default::default(),
            source_region: optional_label("preferred_region", self.preferred_region.as_deref())?,
            source_zone: optional_label("source_zone", self.source_zone.as_deref())?,
        })
    }
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RouteBody {
    task_type: Option<String>,
    strategy: Option<String>,
    session: Option<String>,
    alternatives: u32,
    requirement: RequirementBody,
}

pub(crate) async fn route(State(plane): State<Plane>, Body(body): Body<RouteBody>) -> Answer {
    // The kind of task is for people and logs; what it demands is in the requirement.
    let RouteBody { task_type: _, strategy, session, alternatives, requirement } = body;
    let requirement = requirement.parse(Some(MemberKind::Cluster))?;
    let decided = plane.route(&RouteQuery { requirement, strategy, session, alternatives })?;
    Ok(Json(views::decided(&decided)))
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PlaceBody {
    needs: ResourcesBody,
    priority: i32,
    alternatives: u32,
    requirement: RequirementBody,
}

pub(crate) async fn place(State(plane): State<Plane>, Body(body): Body<PlaceBody>) -> Answer {
    let PlaceBody { needs, priority, alternatives, requirement } = body;
    let requirement = requirement.parse(Some(MemberKind::Cluster))?;
    let decided = plane.place(&PlaceQuery { requirement, needs: needs.into(), priority, alternatives })?;
    Ok(Json(views::decided(&decided)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OutcomeBody {
    member: String,
    success: bool,
}

pub(crate) async fn outcome(State(plane): State<Plane>, Body(body): Body<OutcomeBody>) -> Answer {
    plane.outcome(&member_id(&body.member)?, body.success)?;
    Ok(Json(json!({ "accepted": true })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    limit: Option<usize>,
}

pub(crate) async fn list(State(plane): State<Plane>, Query(query): Query<ListQuery>) -> Answer {
    let decisions: Vec<_> =
        plane.decisions(query.limit.unwrap_or(100).min(LIMIT_MAX)).iter().map(views::decided).collect();
    Ok(Json(json!({ "count": decisions.len(), "decisions": decisions })))
}

pub(crate) async fn one(State(plane): State<Plane>, Path(id): Path<String>) -> Answer {
    let found = DecisionId::parse(&id).and_then(|id| plane.decision(id));
    let found = found.ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "there is no such decision, or it is older than those that are kept",
        )
    })?;
    Ok(Json(views::decided(&found)))
}
