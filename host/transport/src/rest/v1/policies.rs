//! Policies: list them, load one.

use axum::Json;
use axum::extract::{Path, State};
use bytes::Bytes;
use pilothouse_core::slot::SlotId;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Answer;
use crate::rest::Plane;
use crate::rest::extract::Query;
use crate::rest::views::{LoadedView, PoliciesView, PolicyView, SlotView};
use crate::service::{Activation, ServiceError};

/// All policies.
#[utoipa::path(get, path = "/api/v1/policies", responses((status = 200, body = PoliciesView)))]
pub(crate) async fn list(State(plane): State<Plane>) -> Json<PoliciesView> {
    let policies: Vec<_> = plane.policies().iter().map(|policy| PolicyView::from(&**policy)).collect();
    Json(PoliciesView { count: policies.len(), policies })
}

/// One policy by name (the one loaded last), digest or start of the digest.
#[utoipa::path(get, path = "/api/v1/policies/{name}", responses((status = 200, body = PolicyView)))]
pub(crate) async fn one(State(plane): State<Plane>, Path(name): Path<String>) -> Answer<PolicyView> {
    let policies = plane.policies();
    let found = policies.iter().rfind(|policy| {
        let digest = policy.digest.to_string();
        policy.description.name == name || digest == name || policy.digest.short() == name
    });
    match found {
        Some(policy) => Ok(Json((&**policy).into())),
        None => Err(ServiceError::NotFound { what: "policy", name: name.escape_debug().to_string() }.into()),
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LoadQuery {
    /// Slot in which it becomes active at once.
    activate: Option<String>,
    /// Settings, JSON text.
    settings: Option<String>,
}

/// Loads a component: the body is the `.wasm` itself.
#[utoipa::path(post, path = "/api/v1/policies", params(LoadQuery),
    request_body(content = Vec<u8>, content_type = "application/wasm"),
    responses((status = 200, body = LoadedView)))]
pub(crate) async fn load(
    State(plane): State<Plane>,
    Query(query): Query<LoadQuery>,
    bytes: Bytes,
) -> Answer<LoadedView> {
    let policy = plane.load(bytes).await?;
    let view = Box::new(PolicyView::from(&*policy));
    let Some(slot) = query.activate else { return Ok(Json(LoadedView::Loaded(view))) };
    let slot = SlotId::parse(&slot).map_err(|error| ServiceError::Invalid {
        field: "activate".to_owned(),
        problem: error.to_string(),
    })?;
    let activation = Activation {
        slot,
        policy: policy.digest.to_string(),
        settings: query.settings.unwrap_or_default(),
        force: false,
        by: "api".to_owned(),
    };
    let slot = plane.activate(activation).await?;
    Ok(Json(LoadedView::Activated { policy: view, slot: Box::new(SlotView::from(&slot)) }))
}
