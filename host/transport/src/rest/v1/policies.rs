//! Policies: list them, load one.

use axum::Json;
use axum::extract::{Path, State};
use bytes::Bytes;
use pilothouse_core::slot::SlotId;
use serde::Deserialize;
use serde_json::json;

use super::Answer;
use crate::rest::extract::Query;
use crate::rest::{Plane, views};
use crate::service::{Activation, ServiceError};

pub(crate) async fn list(State(plane): State<Plane>) -> Answer {
    let policies: Vec<_> = plane.policies().iter().map(|policy| views::policy(policy)).collect();
    Ok(Json(json!({ "count": policies.len(), "policies": policies })))
}

pub(crate) async fn one(State(plane): State<Plane>, Path(name): Path<String>) -> Answer {
    let matching: Vec<_> = plane
        .policies()
        .iter()
        .filter(|policy| {
            let digest = policy.digest.to_string();
            policy.description.name == name || digest == name || policy.digest.short() == name
        })
        .map(|policy| views::policy(policy))
        .collect();
    match matching.into_iter().next_back() {
        Some(policy) => Ok(Json(policy)),
        None => Err(ServiceError::NotFound { what: "policy", name: name.escape_debug().to_string() }.into()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoadQuery {
    /// Slot in which it becomes active at once.
    activate: Option<String>,
    /// Settings, JSON text.
    settings: Option<String>,
}

/// The body is the component itself.
pub(crate) async fn load(State(plane): State<Plane>, Query(query): Query<LoadQuery>, bytes: Bytes) -> Answer {
    let policy = plane.load(bytes).await?;
    let Some(slot) = query.activate else { return Ok(Json(views::policy(&policy))) };
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
    Ok(Json(json!({ "policy": views::policy(&policy), "slot": views::slot(&slot) })))
}
