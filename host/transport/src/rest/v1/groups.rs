//! Scaling groups.

use axum::Json;
use axum::extract::{Path, State};
use pilothouse_core::policy::request::ScalingSample;
use pilothouse_core::scaling::GroupSpec;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Answer;
use crate::rest::Plane;
use crate::rest::extract::{Body, label, optional_label};
use crate::rest::views::{GroupView, GroupsView};
use crate::service::{ServiceError, Wanted};

/// A scaling group; what is left out takes its default.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupBody {
    name: String,
    #[serde(default = "default::min_replicas")]
    min_replicas: u32,
    #[serde(default = "default::max_replicas")]
    max_replicas: u32,
    /// Where a new group starts; `min_replicas` if left out.
    replicas: Option<u32>,
    /// Time between decisions.
    #[serde(default = "default::period_ms")]
    period_ms: u32,
    /// How long a replica takes to become ready.
    #[serde(default = "default::start_ms")]
    start_ms: u32,
    /// Time after any change in which the count does not go down.
    #[serde(default = "default::cooldown_ms")]
    cooldown_ms: u64,
    /// Most replicas added by one decision.
    #[serde(default = "default::step_up_max")]
    step_up_max: u32,
    /// Most replicas taken off by one decision.
    #[serde(default = "default::step_down_max")]
    step_down_max: u32,
    /// How sure a policy must be to take replicas off, 0..1.
    #[serde(default = "default::confidence_min")]
    confidence_min: f32,
    /// Region whose clusters are filled first.
    region: Option<String>,
    /// Members that run this service feed the group with their load reports.
    service: Option<String>,
}

/// Defaults of a group: the documented queue scaler's where it has one.
mod default {
    pub(super) fn min_replicas() -> u32 {
        5
    }
    pub(super) fn max_replicas() -> u32 {
        100
    }
    pub(super) fn period_ms() -> u32 {
        15_000
    }
    pub(super) fn start_ms() -> u32 {
        30_000
    }
    pub(super) fn cooldown_ms() -> u64 {
        120_000
    }
    pub(super) fn step_up_max() -> u32 {
        1_000
    }
    pub(super) fn step_down_max() -> u32 {
        1_000
    }
    pub(super) fn confidence_min() -> f32 {
        0.5
    }
}

/// All scaling groups.
#[utoipa::path(get, path = "/api/v1/groups", responses((status = 200, body = GroupsView)))]
pub(crate) async fn list(State(plane): State<Plane>) -> Json<GroupsView> {
    let groups: Vec<_> = plane.groups().iter().map(GroupView::from).collect();
    Json(GroupsView { count: groups.len(), groups })
}

/// Makes a group, or changes the one of this name.
#[utoipa::path(post, path = "/api/v1/groups", request_body = GroupBody, responses((status = 200, body = GroupView)))]
pub(crate) async fn put(State(plane): State<Plane>, Body(body): Body<GroupBody>) -> Answer<GroupView> {
    let spec = GroupSpec {
        name: label("name", &body.name)?,
        min_replicas: body.min_replicas,
        max_replicas: body.max_replicas,
        period_ms: body.period_ms,
        start_ms: body.start_ms,
        cooldown_ms: body.cooldown_ms,
        step_up_max: body.step_up_max,
        step_down_max: body.step_down_max,
        confidence_min: body.confidence_min,
        region: optional_label("region", body.region.as_deref())?,
        service: optional_label("service", body.service.as_deref())?,
    };
    Ok(Json((&plane.put_group(spec, body.replicas).await?).into()))
}

/// One group.
#[utoipa::path(get, path = "/api/v1/groups/{name}", responses((status = 200, body = GroupView)))]
pub(crate) async fn one(State(plane): State<Plane>, Path(name): Path<String>) -> Answer<GroupView> {
    let name = label("name", &name)?;
    let group = plane.group(&name).ok_or(ServiceError::NotFound { what: "group", name: name.to_string() })?;
    Ok(Json((&group).into()))
}

/// The group that was removed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RemovedView {
    removed: String,
}

/// Forgets a group; its replicas stay as they are.
#[utoipa::path(delete, path = "/api/v1/groups/{name}", responses((status = 200, body = RemovedView)))]
pub(crate) async fn remove(State(plane): State<Plane>, Path(name): Path<String>) -> Answer<RemovedView> {
    plane.remove_group(label("name", &name)?).await?;
    Ok(Json(RemovedView { removed: name }))
}

/// What was measured of a group since the last sample; leave out what is unknown.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SampleBody {
    arrivals_per_s: Option<f32>,
    completions_per_s: Option<f32>,
    queue_depth: Option<f32>,
    /// 0..1.
    utilisation: Option<f32>,
    service_ms: Option<f32>,
    /// The group's count if left out.
    ready_replicas: Option<u32>,
}

/// It is in the window.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SampledView {
    accepted: bool,
}

/// Takes a sample.
#[utoipa::path(post, path = "/api/v1/groups/{name}/samples", request_body = SampleBody, responses((status = 200, body = SampledView)))]
pub(crate) async fn sample(
    State(plane): State<Plane>,
    Path(name): Path<String>,
    Body(body): Body<SampleBody>,
) -> Answer<SampledView> {
    let name = label("name", &name)?;
    let missing = || ServiceError::NotFound { what: "group", name: name.to_string() };
    let ready_replicas = match body.ready_replicas {
        Some(count) => count,
        None => plane.group(&name).ok_or_else(missing)?.replicas,
    };
    let known = |value: Option<f32>| value.unwrap_or(f32::NAN);
    let sample = ScalingSample {
        at_ms: 0,
        arrivals_per_s: known(body.arrivals_per_s),
        completions_per_s: known(body.completions_per_s),
        queue_depth: known(body.queue_depth),
        utilisation: known(body.utilisation),
        service_ms: known(body.service_ms),
        ready_replicas,
    };
    plane.sample_group(&name, sample)?;
    Ok(Json(SampledView { accepted: true }))
}

/// A count by hand: one of both.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScaleBody {
    /// This many.
    replicas: Option<u32>,
    /// So many more; negative = fewer.
    by: Option<i64>,
}

/// Sets the count by hand, within the group's limits.
#[utoipa::path(post, path = "/api/v1/groups/{name}/scale", request_body = ScaleBody, responses((status = 200, body = GroupView)))]
pub(crate) async fn scale(
    State(plane): State<Plane>,
    Path(name): Path<String>,
    Body(body): Body<ScaleBody>,
) -> Answer<GroupView> {
    let wanted = match (body.replicas, body.by) {
        (Some(count), None) => Wanted::Exactly(count),
        (None, Some(by)) => Wanted::By(by),
        _ => {
            let problem = "give either `replicas` or `by`".to_owned();
            return Err(ServiceError::Invalid { field: "replicas".to_owned(), problem }.into());
        }
    };
    Ok(Json((&plane.scale_group(label("name", &name)?, wanted).await?).into()))
}
