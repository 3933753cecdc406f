//! Rebalancing: ask for a plan, look at plans, execute one.
//!
//! Invariant: nothing moves without a plan that was shown, and a plan is executed at most once.

use axum::Json;
use axum::extract::{Path, State};
use pilothouse_core::member::MemberKind;
use pilothouse_core::rebalance::PlanId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Answer;
use crate::rest::Plane;
use crate::rest::extract::Body;
use crate::rest::views::{PlanView, PlansView, RebalancedView};
use crate::service::ServiceError;

/// What should be made more even.
#[derive(Deserialize, Default, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SuggestBody {
    /// `cluster` (default) or `node`.
    kind: Option<String>,
}

/// Asks the placement policy what would be better; the plan waits for its execution.
#[utoipa::path(post, path = "/api/v1/rebalance", request_body = SuggestBody, responses((status = 200, body = PlanView)))]
pub(crate) async fn suggest(State(plane): State<Plane>, Body(body): Body<SuggestBody>) -> Answer<PlanView> {
    let kind = match body.kind.as_deref() {
        None | Some("cluster") => MemberKind::Cluster,
        Some("node") => MemberKind::Node,
        Some(other) => {
            let problem = format!("`{}` is not a kind; use cluster or node", other.escape_debug());
            return Err(ServiceError::Invalid { field: "kind".to_owned(), problem }.into());
        }
    };
    Ok(Json((&plane.suggest(kind, "api".to_owned()).await?).into()))
}

/// Plans that wait for their execution, oldest first.
#[utoipa::path(get, path = "/api/v1/rebalance", responses((status = 200, body = PlansView)))]
pub(crate) async fn plans(State(plane): State<Plane>) -> Json<PlansView> {
    let plans: Vec<_> = plane.plans().iter().map(PlanView::from).collect();
    Json(PlansView { count: plans.len(), plans })
}

/// Executes a plan once, if everything in it still holds.
#[utoipa::path(post, path = "/api/v1/rebalance/{id}/execute", responses((status = 200, body = RebalancedView)))]
pub(crate) async fn execute(State(plane): State<Plane>, Path(id): Path<String>) -> Answer<RebalancedView> {
    let plan = PlanId::parse(&id);
    let plan = plan.ok_or(ServiceError::NotFound { what: "plan", name: id.escape_debug().to_string() })?;
    Ok(Json((&plane.execute(plan).await?).into()))
}
