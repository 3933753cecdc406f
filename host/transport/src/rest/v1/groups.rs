//! Scaling groups.

use axum::Json;
use axum::extract::{Path, State};
use pilothouse_core::id::Label;
use pilothouse_core::policy::request::ScalingSample;
use pilothouse_core::scaling::GroupSpec;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Answer;
use crate::rest::Plane;
use crate::rest::error::Problem;
use crate::rest::extract::{Body, label, optional_label};
use crate::rest::views::{GroupView, GroupsView};
use crate::service::group::GroupDefaults;
use crate::service::{GroupInfo, ServiceError, Wanted};

/// A scaling group; what is left out takes the server's default (`[scaling]`).
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupBody {
    pub(crate) name: String,
    /// 5 unless configured otherwise.
    pub(crate) min_replicas: Option<u32>,
    /// 100 unless configured otherwise.
    pub(crate) max_replicas: Option<u32>,
    /// Where a new group starts; `min_replicas` if left out.
    pub(crate) replicas: Option<u32>,
    /// Time between decisions; 15,000 if left out.
    pub(crate) period_ms: Option<u32>,
    /// How long a replica takes to become ready; 30,000 if left out.
    pub(crate) start_ms: Option<u32>,
    /// Time after any change in which the count does not go down; 120,000 unless configured otherwise.
    pub(crate) cooldown_ms: Option<u64>,
    /// Most replicas added by one decision; 1,000 if left out.
    pub(crate) step_up_max: Option<u32>,
    /// Most replicas taken off by one decision; 1,000 if left out.
    pub(crate) step_down_max: Option<u32>,
    /// How sure a policy must be to take replicas off, 0..1; 0.5 if left out.
    pub(crate) confidence_min: Option<f32>,
    /// Slot that decides: `queue-depth`, `predictive`, `hybrid` or another scaling slot. If left out, the slot with the
    /// group's name if there is one, else the default one.
    pub(crate) strategy: Option<String>,
    /// Region whose clusters are filled first.
    pub(crate) region: Option<String>,
    /// Members that run this service feed the group with their load reports.
    pub(crate) service: Option<String>,
}

impl GroupBody {
    /// The specification, and where a new group starts.
    pub(crate) fn parse(self, defaults: GroupDefaults) -> Result<(GroupSpec, Option<u32>), Problem> {
        let Self { name, replicas, strategy, region, service, .. } = self;
        let spec = GroupSpec {
            name: label("name", &name)?,
            min_replicas: self.min_replicas.unwrap_or(defaults.min_replicas),
            max_replicas: self.max_replicas.unwrap_or(defaults.max_replicas),
            period_ms: self.period_ms.unwrap_or(defaults.period_ms),
            start_ms: self.start_ms.unwrap_or(defaults.start_ms),
            cooldown_ms: self.cooldown_ms.unwrap_or(defaults.cooldown_ms),
            step_up_max: self.step_up_max.unwrap_or(defaults.step_max),
            step_down_max: self.step_down_max.unwrap_or(defaults.step_max),
            confidence_min: self.confidence_min.unwrap_or(defaults.confidence_min),
            strategy: optional_label("strategy", strategy.as_deref())?,
            region: optional_label("region", region.as_deref())?,
            service: optional_label("service", service.as_deref())?,
        };
        Ok((spec, replicas))
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
    let (spec, replicas) = body.parse(plane.group_defaults())?;
    Ok(Json((&plane.put_group(spec, replicas).await?).into()))
}

/// The name of a group in a path or message.
pub(crate) fn name(text: &str) -> Result<Label, Problem> {
    label("name", text)
}

/// A group by name.
pub(crate) fn find(plane: &Plane, text: &str) -> Result<GroupInfo, Problem> {
    let name = name(text)?;
    let missing = || ServiceError::NotFound { what: "group", name: name.to_string() };
    Ok(plane.group(&name).ok_or_else(missing)?)
}

/// One group.
#[utoipa::path(get, path = "/api/v1/groups/{name}", responses((status = 200, body = GroupView)))]
pub(crate) async fn one(State(plane): State<Plane>, Path(name): Path<String>) -> Answer<GroupView> {
    Ok(Json((&find(&plane, &name)?).into()))
}

/// The group that was removed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RemovedView {
    removed: String,
}

/// Forgets a group; its replicas stay as they are.
#[utoipa::path(delete, path = "/api/v1/groups/{name}", responses((status = 200, body = RemovedView)))]
pub(crate) async fn remove(State(plane): State<Plane>, Path(id): Path<String>) -> Answer<RemovedView> {
    plane.remove_group(name(&id)?).await?;
    Ok(Json(RemovedView { removed: id }))
}

/// What was measured of a group since the last sample; leave out what is unknown.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SampleBody {
    pub(crate) arrivals_per_s: Option<f32>,
    pub(crate) completions_per_s: Option<f32>,
    pub(crate) queue_depth: Option<f32>,
    /// 0..1.
    pub(crate) utilisation: Option<f32>,
    pub(crate) service_ms: Option<f32>,
    /// The group's count if left out.
    pub(crate) ready_replicas: Option<u32>,
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
    take(&plane, &name, body)?;
    Ok(Json(SampledView { accepted: true }))
}

/// Takes a sample of the group with this name.
pub(crate) fn take(plane: &Plane, group: &str, body: SampleBody) -> Result<(), Problem> {
    let SampleBody { arrivals_per_s, completions_per_s, queue_depth, utilisation, service_ms, .. } = body;
    let ready_replicas = match body.ready_replicas {
        Some(count) => count,
        None => find(plane, group)?.replicas,
    };
    let known = |value: Option<f32>| value.unwrap_or(f32::NAN);
    let sample = ScalingSample {
        at_ms: 0,
        arrivals_per_s: known(arrivals_per_s),
        completions_per_s: known(completions_per_s),
        queue_depth: known(queue_depth),
        utilisation: known(utilisation),
        service_ms: known(service_ms),
        ready_replicas,
    };
    Ok(plane.sample_group(&name(group)?, sample)?)
}

/// A count by hand: one of both.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScaleBody {
    /// This many.
    pub(crate) replicas: Option<u32>,
    /// So many more; negative = fewer.
    pub(crate) by: Option<i64>,
}

impl ScaleBody {
    pub(crate) fn parse(&self) -> Result<Wanted, Problem> {
        match (self.replicas, self.by) {
            (Some(count), None) => Ok(Wanted::Exactly(count)),
            (None, Some(by)) => Ok(Wanted::By(by)),
            _ => {
                let problem = "give either `replicas` or `by`".to_owned();
                Err(ServiceError::Invalid { field: "replicas".to_owned(), problem }.into())
            }
        }
    }
}

/// Sets the count by hand, within the group's limits.
#[utoipa::path(post, path = "/api/v1/groups/{name}/scale", request_body = ScaleBody, responses((status = 200, body = GroupView)))]
pub(crate) async fn scale(
    State(plane): State<Plane>,
    Path(group): Path<String>,
    Body(body): Body<ScaleBody>,
) -> Answer<GroupView> {
    Ok(Json((&plane.scale_group(name(&group)?, body.parse()?).await?).into()))
}
