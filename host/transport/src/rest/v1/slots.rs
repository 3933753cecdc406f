//! Slots: which policy serves, and changing it.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Answer;
use crate::rest::Plane;
use crate::rest::extract::{Body, slot_id};
use crate::rest::views::{HistoriesView, HistoryView, SlotView, SlotsView};
use crate::service::{Activation, ServiceError};

/// All slots.
#[utoipa::path(get, path = "/api/v1/slots", responses((status = 200, body = SlotsView)))]
pub(crate) async fn list(State(plane): State<Plane>) -> Json<SlotsView> {
    let slots: Vec<_> = plane.slots().iter().map(SlotView::from).collect();
    Json(SlotsView { count: slots.len(), slots })
}

/// One slot.
#[utoipa::path(get, path = "/api/v1/slots/{family}/{name}", responses((status = 200, body = SlotView)))]
pub(crate) async fn one(
    State(plane): State<Plane>,
    Path((family, name)): Path<(String, String)>,
) -> Answer<SlotView> {
    let id = slot_id(&family, &name)?;
    let slot = plane.slot(&id).ok_or(ServiceError::NotFound { what: "slot", name: id.to_string() })?;
    Ok(Json((&slot).into()))
}

/// What happened to a slot, newest first.
#[utoipa::path(get, path = "/api/v1/slots/{family}/{name}/history", responses((status = 200, body = HistoriesView)))]
pub(crate) async fn history(
    State(plane): State<Plane>,
    Path((family, name)): Path<(String, String)>,
) -> Answer<HistoriesView> {
    let id = slot_id(&family, &name)?;
    let entries = plane.history(&id).ok_or(ServiceError::NotFound { what: "slot", name: id.to_string() })?;
    let history: Vec<_> = entries.iter().rev().map(HistoryView::from).collect();
    Ok(Json(HistoriesView { slot: id.to_string(), count: history.len(), history }))
}

/// A wish for a revision.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActivateBody {
    /// Name or digest.
    policy: String,
    #[serde(default)]
    settings: Value,
    /// Even if it is in quarantine.
    #[serde(default)]
    force: bool,
    /// Text of a signature file that vouches for it.
    signature: Option<String>,
    /// Even if a newer version of it, signed by a trusted key, was active in the slot.
    #[serde(default)]
    allow_downgrade: bool,
}

/// Makes a revision active; answers when every worker serves it.
#[utoipa::path(post, path = "/api/v1/slots/{family}/{name}/activate", request_body = ActivateBody, responses((status = 200, body = SlotView)))]
pub(crate) async fn activate(
    State(plane): State<Plane>,
    Path((family, name)): Path<(String, String)>,
    Body(body): Body<ActivateBody>,
) -> Answer<SlotView> {
    let settings = if body.settings.is_null() { String::new() } else { body.settings.to_string() };
    let ActivateBody { policy, settings: _, force, signature, allow_downgrade } = body;
    let (slot, by) = (slot_id(&family, &name)?, "api".to_owned());
    let activation = Activation { slot, policy, settings, force, signature, allow_downgrade, by };
    let slot = plane.activate(activation).await?;
    Ok(Json((&slot).into()))
}

/// Brings the revision before back.
#[utoipa::path(post, path = "/api/v1/slots/{family}/{name}/rollback", responses((status = 200, body = SlotView)))]
pub(crate) async fn roll_back(
    State(plane): State<Plane>,
    Path((family, name)): Path<(String, String)>,
) -> Answer<SlotView> {
    let slot = plane.roll_back(slot_id(&family, &name)?, "api".to_owned()).await?;
    Ok(Json((&slot).into()))
}
