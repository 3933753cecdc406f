//! REST: the documented cluster API, `/api/v1`, health and metrics.
//!
//! Invariant: bodies are bounded, unknown fields are refused with their name, and every error is a problem+json (the
//! documented cluster API has its own form, `{"success": false, "error": …}`).

mod cluster;
pub mod error;
mod events;
pub(crate) mod extract;
mod openapi;
pub(crate) mod v1;
mod views;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::orchestrator;
use crate::service::ControlPlane;

/// Largest body of an API request, bytes.
pub(crate) const BODY_BYTES_MAX: usize = 64 << 10;
/// Largest component, bytes; the loader refuses more than 4 MiB with a better text.
pub(crate) const COMPONENT_BYTES_MAX: usize = (4 << 20) + 1_024;

/// Whether a request says that its body is longer; one that does not say is bounded while it is read.
pub(crate) fn is_too_long(headers: &HeaderMap, most: usize) -> bool {
    let length =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    length.is_some_and(|length| length > most as u64)
}

pub(crate) type Plane = Arc<dyn ControlPlane>;

/// All routes, and what they are to programs.
fn described() -> (Router<Plane>, OpenApi) {
    use v1::{
        chaos, decisions, failover, groups, keys, members, orchestrator as federation, placements, policies,
        rebalance, regions, rtt, slots,
    };
    let uploads = OpenApiRouter::new()
        .routes(routes!(policies::list, policies::load))
        .layer(DefaultBodyLimit::max(COMPONENT_BYTES_MAX));
    OpenApiRouter::with_openapi(openapi::about())
        .routes(routes!(cluster::list, cluster::register))
        .routes(routes!(cluster::one, cluster::heartbeat, cluster::unregister))
        .routes(routes!(cluster::drain, cluster::undrain))
        .routes(routes!(cluster::assignments, cluster::assign))
        .routes(routes!(cluster::assignment, cluster::unassign))
        .routes(routes!(cluster::stats))
        .routes(routes!(cluster::leader, cluster::promote))
        .routes(routes!(cluster::balance))
        .routes(routes!(v1::status))
        .routes(routes!(members::list_clusters, members::register))
        .routes(routes!(members::cluster, members::unregister_cluster))
        .routes(routes!(members::report))
        .routes(routes!(members::drain, members::undrain))
        .routes(routes!(members::list_nodes))
        .routes(routes!(members::node, members::unregister_node))
        .routes(routes!(decisions::route))
        .routes(routes!(placements::place))
        .routes(routes!(placements::place_bulk))
        .routes(routes!(placements::reservations))
        .routes(routes!(placements::confirm))
        .routes(routes!(placements::release))
        .routes(routes!(rebalance::suggest, rebalance::plans))
        .routes(routes!(rebalance::execute))
        .routes(routes!(failover::execute, failover::list))
        .routes(routes!(failover::plan))
        .routes(routes!(failover::status, failover::cancel))
        .routes(routes!(failover::confirm))
        .routes(routes!(failover::lift))
        .routes(routes!(failover::opinion))
        .routes(routes!(failover::displaced))
        .routes(routes!(failover::bring_home, failover::forget))
        .routes(routes!(chaos::inject, chaos::list))
        .routes(routes!(chaos::end))
        .routes(routes!(decisions::flow))
        .routes(routes!(decisions::outcome))
        .routes(routes!(decisions::list))
        .routes(routes!(decisions::one))
        .routes(routes!(slots::list))
        .routes(routes!(slots::one))
        .routes(routes!(slots::history))
        .routes(routes!(slots::activate))
        .routes(routes!(slots::roll_back))
        .routes(routes!(policies::one))
        .routes(routes!(keys::list, keys::add))
        .routes(routes!(keys::revoke))
        .routes(routes!(policies::of_family))
        .routes(routes!(groups::list, groups::put))
        .routes(routes!(groups::one, groups::remove))
        .routes(routes!(groups::sample))
        .routes(routes!(groups::scale))
        .routes(routes!(rtt::list, rtt::sample))
        .routes(routes!(regions::list))
        .routes(routes!(regions::one))
        .routes(routes!(regions::lag_matrix))
        .routes(routes!(federation::peers))
        .routes(routes!(federation::tasks, federation::delegate))
        .routes(routes!(federation::task))
        .routes(routes!(federation::progress))
        .routes(routes!(federation::broadcast))
        .routes(routes!(events::follow))
        .routes(routes!(healthy))
        .routes(routes!(ready))
        .routes(routes!(metrics))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .merge(uploads)
        .split_for_parts()
}

/// All routes.
pub fn routes(plane: Arc<dyn ControlPlane>) -> Router {
    let (router, described) = described();
    let document: Arc<str> = openapi::document(described).into();
    let openapi = move || async move { ([(header::CONTENT_TYPE, "application/json")], document.to_string()) };
    router
        .route("/openapi.json", get(openapi))
        .route(orchestrator::endpoint::PATH, get(orchestrator::endpoint::open))
        .fallback(|| async {
            let text = "there is no such path; `/openapi.json` lists those that are";
            error::Problem::new(StatusCode::NOT_FOUND, text)
        })
        .with_state(plane)
}

/// The process answers.
#[utoipa::path(get, path = "/healthz", responses((status = 200, body = String, content_type = "text/plain")))]
async fn healthy() -> &'static str {
    "ok\n"
}

/// The server can take requests.
#[utoipa::path(get, path = "/readyz", responses((status = 200, body = String, content_type = "text/plain")))]
async fn ready(State(plane): State<Plane>) -> Response {
    match plane.ready() {
        Ok(()) => "ready\n".into_response(),
        Err(reason) => error::Problem::new(StatusCode::SERVICE_UNAVAILABLE, &reason).into_response(),
    }
}

/// Figures in the text format of Prometheus.
#[utoipa::path(get, path = "/metrics", responses((status = 200, body = String, content_type = "text/plain")))]
async fn metrics(State(plane): State<Plane>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], plane.metrics()).into_response()
}

pub(crate) use v1::members::devices;
pub(crate) use views::{EventView, cause_text, origin_name, reasoning, role_name, status_name};
