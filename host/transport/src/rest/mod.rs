//! REST: the documented cluster API, `/api/v1`, health and metrics.
//!
//! Invariant: bodies are bounded, unknown fields are refused with their name, and every error is a problem+json (the
//! documented cluster API has its own form, `{"success": false, "error": …}`).

mod cluster;
pub mod error;
mod events;
mod extract;
mod v1;
mod views;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use crate::service::ControlPlane;

/// Largest body of an API request, bytes.
const BODY_BYTES_MAX: usize = 64 << 10;
/// Largest component, bytes; the loader refuses more than 4 MiB with a better text.
const COMPONENT_BYTES_MAX: usize = (4 << 20) + 1_024;

pub(crate) type Plane = Arc<dyn ControlPlane>;

/// All routes.
pub fn routes(plane: Arc<dyn ControlPlane>) -> Router {
    let uploads = Router::new()
        .route("/api/v1/policies", get(v1::policies::list).post(v1::policies::load))
        .layer(DefaultBodyLimit::max(COMPONENT_BYTES_MAX));
    Router::new()
        .route("/api/cluster/nodes", get(cluster::list).post(cluster::register))
        .route(
            "/api/cluster/nodes/{id}",
            get(cluster::one).post(cluster::heartbeat).delete(cluster::unregister),
        )
        .route("/api/cluster/nodes/{id}/drain", post(cluster::drain).delete(cluster::undrain))
        .route("/api/cluster/assignments", get(cluster::assignments).post(cluster::assign))
        .route("/api/cluster/assignments/{agent}", get(cluster::assignment).delete(cluster::unassign))
        .route("/api/cluster/stats", get(cluster::stats))
        .route("/api/cluster/leader", get(cluster::leader).post(cluster::promote))
        .route("/api/cluster/balance", post(cluster::balance))
        .route("/api/v1/status", get(v1::status))
        .route("/api/v1/clusters", get(v1::members::list_clusters).post(v1::members::register))
        .route("/api/v1/clusters/{id}", get(v1::members::one).delete(v1::members::unregister))
        .route("/api/v1/clusters/{id}/load", post(v1::members::report))
        .route("/api/v1/clusters/{id}/drain", post(v1::members::drain).delete(v1::members::undrain))
        .route("/api/v1/nodes", get(v1::members::list_nodes))
        .route("/api/v1/nodes/{id}", get(v1::members::one).delete(v1::members::unregister))
        .route("/api/v1/route", post(v1::decisions::route))
        .route("/api/v1/place", post(v1::decisions::place))
        .route("/api/v1/outcomes", post(v1::decisions::outcome))
        .route("/api/v1/decisions", get(v1::decisions::list))
        .route("/api/v1/decisions/{id}", get(v1::decisions::one))
        .route("/api/v1/slots", get(v1::slots::list))
        .route("/api/v1/slots/{family}/{name}", get(v1::slots::one))
        .route("/api/v1/slots/{family}/{name}/history", get(v1::slots::history))
        .route("/api/v1/slots/{family}/{name}/activate", post(v1::slots::activate))
        .route("/api/v1/slots/{family}/{name}/rollback", post(v1::slots::roll_back))
        .route("/api/v1/policies/{name}", get(v1::policies::one))
        .route("/api/v1/events", get(events::follow))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .merge(uploads)
        .fallback(|| async {
            error::Problem::new(StatusCode::NOT_FOUND, "there is no such path; see README for the API")
        })
        .with_state(plane)
}

async fn ready(State(plane): State<Plane>) -> Response {
    match plane.ready() {
        Ok(()) => "ready\n".into_response(),
        Err(reason) => error::Problem::new(StatusCode::SERVICE_UNAVAILABLE, &reason).into_response(),
    }
}

async fn metrics(State(plane): State<Plane>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], plane.metrics()).into_response()
}

pub(crate) use views::{event as event_view, status_name};
