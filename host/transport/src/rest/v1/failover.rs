//! Failover by hand, failovers under way, brakes, opinions of other observers, and the way home.
//!
//! Invariant: a plan moves nothing; what was begun answers when it is under way and is followed by its id.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{Path, State};
use pilothouse_core::failover::FailoverId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Answer;
use crate::rest::Plane;
use crate::rest::error::Problem;
use crate::rest::extract::{Body, label, labels, member_id, optional_label};
use crate::rest::views::{
    BrakeView, BrakesView, DisplacedView, DisplacedsView, FailoverView, FailoversView, HomewardView,
};
use crate::service::ServiceError;
use crate::service::failover::FailoverQuery;

/// What shall run elsewhere.
#[derive(Deserialize, Default, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct FailoverBody {
    /// All members of these regions.
    from_regions: Vec<String>,
    /// These members.
    from_members: Vec<String>,
    /// Only to these regions; empty = to any.
    to_regions: Vec<String>,
}

impl FailoverBody {
    fn parse(self) -> Result<FailoverQuery, Problem> {
        let members: Result<BTreeSet<_>, _> = self.from_members.iter().map(|id| member_id(id)).collect();
        Ok(FailoverQuery {
            from_regions: labels("from_regions", &self.from_regions)?,
            from_members: members?,
            to_regions: labels("to_regions", &self.to_regions)?,
            by: "api".to_owned(),
        })
    }
}

/// What a failover would move where, and what it would leave and why. Nothing moves.
#[utoipa::path(post, path = "/api/v1/failover/plan", operation_id = "failover_plan", request_body = FailoverBody, responses((status = 200, body = FailoverView)))]
pub(crate) async fn plan(State(plane): State<Plane>, Body(body): Body<FailoverBody>) -> Answer<FailoverView> {
    Ok(Json((&plane.plan_failover(body.parse()?).await?).into()))
}

/// Moves the work of members elsewhere, whether they are there or not.
#[utoipa::path(post, path = "/api/v1/failover", operation_id = "failover_execute", request_body = FailoverBody, responses((status = 200, body = FailoverView)))]
pub(crate) async fn execute(
    State(plane): State<Plane>,
    Body(body): Body<FailoverBody>,
) -> Answer<FailoverView> {
    Ok(Json((&plane.fail_over(body.parse()?).await?).into()))
}

/// Failovers under way and newest ones that ended, and brakes that are on.
#[utoipa::path(get, path = "/api/v1/failover", operation_id = "failover_list", responses((status = 200, body = FailoversView)))]
pub(crate) async fn list(State(plane): State<Plane>) -> Json<FailoversView> {
    let failovers: Vec<_> = plane.failovers().iter().map(FailoverView::from).collect();
    let brakes = plane.brakes().iter().map(BrakeView::from).collect();
    Json(FailoversView { count: failovers.len(), failovers, brakes })
}

/// One failover.
#[utoipa::path(get, path = "/api/v1/failover/{id}", operation_id = "failover_status", responses((status = 200, body = FailoverView)))]
pub(crate) async fn status(State(plane): State<Plane>, Path(id): Path<String>) -> Answer<FailoverView> {
    let found = plane.failover(parse(&id)?).ok_or_else(|| missing(&id))?;
    Ok(Json((&found).into()))
}

/// Lets a failover go on that waits for an operator.
#[utoipa::path(post, path = "/api/v1/failover/{id}/confirm", operation_id = "failover_confirm", responses((status = 200, body = FailoverView)))]
pub(crate) async fn confirm(State(plane): State<Plane>, Path(id): Path<String>) -> Answer<FailoverView> {
    Ok(Json((&plane.confirm_failover(parse(&id)?).await?).into()))
}

/// Stops a failover; owners that were changed stay changed.
#[utoipa::path(delete, path = "/api/v1/failover/{id}", operation_id = "failover_cancel", responses((status = 200, body = FailoverView)))]
pub(crate) async fn cancel(State(plane): State<Plane>, Path(id): Path<String>) -> Answer<FailoverView> {
    Ok(Json((&plane.cancel_failover(parse(&id)?).await?).into()))
}

/// Whose absence is confirmed.
#[derive(Deserialize, Default, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LiftBody {
    /// Only those of this region.
    region: Option<String>,
}

/// Confirms that the members that are missing now are gone, so that the brake does not hold their failover.
#[utoipa::path(post, path = "/api/v1/brakes/lift", operation_id = "brake_lift", request_body = LiftBody, responses((status = 200, body = BrakesView)))]
pub(crate) async fn lift(State(plane): State<Plane>, Body(body): Body<LiftBody>) -> Answer<BrakesView> {
    plane.lift_brake(optional_label("region", body.region.as_deref())?, "api".to_owned());
    let brakes: Vec<_> = plane.brakes().iter().map(BrakeView::from).collect();
    Ok(Json(BrakesView { count: brakes.len(), brakes }))
}

/// What another observer thinks.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpinionBody {
    /// Region of the observer.
    place: String,
    /// The region that it looks at.
    region: String,
    /// Whether it finds it down. That somebody reaches a region keeps it from being dead.
    down: bool,
}

/// Takes another observer's opinion of a region; it counts for `failover.detection.opinion-ms`.
#[utoipa::path(post, path = "/api/v1/opinions", operation_id = "opinion_tell", request_body = OpinionBody, responses((status = 200, body = BrakesView)))]
pub(crate) async fn opinion(State(plane): State<Plane>, Body(body): Body<OpinionBody>) -> Answer<BrakesView> {
    plane.hear_opinion(label("place", &body.place)?, label("region", &body.region)?, body.down);
    let brakes: Vec<_> = plane.brakes().iter().map(BrakeView::from).collect();
    Ok(Json(BrakesView { count: brakes.len(), brakes }))
}

/// Workloads that live away from home since a failover.
#[utoipa::path(get, path = "/api/v1/failback", operation_id = "failback_list", responses((status = 200, body = DisplacedsView)))]
pub(crate) async fn displaced(State(plane): State<Plane>) -> Json<DisplacedsView> {
    let displaced: Vec<_> = plane.displaced().iter().map(DisplacedView::from).collect();
    Json(DisplacedsView { count: displaced.len(), displaced })
}

/// Brings a home's workloads back, at the configured rate, when the home is well.
#[utoipa::path(post, path = "/api/v1/failback/{home}", operation_id = "failback_approve", responses((status = 200, body = HomewardView)))]
pub(crate) async fn bring_home(State(plane): State<Plane>, Path(home): Path<String>) -> Answer<HomewardView> {
    homeward(&plane, home, true).await
}

/// Lets a home's workloads stay where they are for good.
#[utoipa::path(delete, path = "/api/v1/failback/{home}", operation_id = "failback_forget", responses((status = 200, body = HomewardView)))]
pub(crate) async fn forget(State(plane): State<Plane>, Path(home): Path<String>) -> Answer<HomewardView> {
    homeward(&plane, home, false).await
}

async fn homeward(plane: &Plane, home: String, back: bool) -> Answer<HomewardView> {
    let workloads = plane.bring_home(member_id(&home)?, back).await?;
    Ok(Json(HomewardView { home, workloads }))
}

fn parse(id: &str) -> Result<FailoverId, ServiceError> {
    FailoverId::parse(id).ok_or_else(|| missing(id))
}

fn missing(id: &str) -> ServiceError {
    ServiceError::NotFound { what: "failover", name: id.escape_debug().to_string() }
}
