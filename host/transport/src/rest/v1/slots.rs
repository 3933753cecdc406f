//! Slots: which policy serves, and changing it.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Answer;
use crate::rest::extract::{Body, slot_id};
use crate::rest::{Plane, views};
use crate::service::{Activation, ServiceError};

pub(crate) async fn list(State(plane): State<Plane>) -> Answer {
    let slots: Vec<_> = plane.slots().iter().map(views::slot).collect();
    Ok(Json(json!({ "count": slots.len(), "slots": slots })))
}

pub(crate) async fn one(State(plane): State<Plane>, Path((family, name)): Path<(String, String)>) -> Answer {
    let id = slot_id(&family, &name)?;
    let slot = plane.slot(&id).ok_or(ServiceError::NotFound { what: "slot", name: id.to_string() })?;
    Ok(Json(views::slot(&slot)))
}

pub(crate) async fn history(
    State(plane): State<Plane>,
    Path((family, name)): Path<(String, String)>,
) -> Answer {
    let id = slot_id(&family, &name)?;
    let entries = plane.history(&id).ok_or(ServiceError::NotFound { what: "slot", name: id.to_string() })?;
    let entries: Vec<_> = entries.iter().rev().map(views::history).collect();
    Ok(Json(json!({ "slot": id.to_string(), "count": entries.len(), "history": entries })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActivateBody {
    /// Name or digest.
    policy: String,
    #[serde(default)]
    settings: Value,
    #[serde(default)]
    force: bool,
}

pub(crate) async fn activate(
    State(plane): State<Plane>,
    Path((family, name)): Path<(String, String)>,
    Body(body): Body<ActivateBody>,
) -> Answer {
    let settings = if body.settings.is_null() { String::new() } else { body.settings.to_string() };
    let (slot, policy, force) = (slot_id(&family, &name)?, body.policy, body.force);
    let slot = plane.activate(Activation { slot, policy, settings, force, by: "api".to_owned() }).await?;
    Ok(Json(views::slot(&slot)))
}

pub(crate) async fn roll_back(
    State(plane): State<Plane>,
    Path((family, name)): Path<(String, String)>,
) -> Answer {
    let slot = plane.roll_back(slot_id(&family, &name)?, "api".to_owned()).await?;
    Ok(Json(views::slot(&slot)))
}
