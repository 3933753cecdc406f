//! Keys: whose signatures count.

use axum::Json;
use axum::extract::{Path, State};
use pilothouse_core::id::{KeyName, Label};
use serde::Deserialize;
use utoipa::ToSchema;

use super::Answer;
use crate::rest::Plane;
use crate::rest::error::Problem;
use crate::rest::extract::Body;
use crate::rest::views::{KeyView, KeysView};
use crate::service::ServiceError;

/// Longest reason, bytes.
const REASON_BYTES_MAX: usize = 1_024;

/// All keys, revoked ones included.
#[utoipa::path(get, path = "/api/v1/keys", responses((status = 200, body = KeysView)))]
pub(crate) async fn list(State(plane): State<Plane>) -> Json<KeysView> {
    let keys: Vec<_> = plane.keys().iter().map(KeyView::from).collect();
    Json(KeysView { count: keys.len(), keys })
}

/// A key for the set.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyBody {
    /// What to call it.
    name: String,
    /// Base64, or the text of the `.pub` file.
    public_key: String,
    /// Who asks, in their own words.
    by: Option<String>,
}

/// Adds a key. A revoked one does not come back.
#[utoipa::path(post, path = "/api/v1/keys", request_body = KeyBody, responses((status = 200, body = KeyView)))]
pub(crate) async fn add(State(plane): State<Plane>, Body(body): Body<KeyBody>) -> Answer<KeyView> {
    let name = name(&body.name)?;
    let key = plane.add_key(name, body.public_key, actor(body.by.as_deref())?).await?;
    Ok(Json((&key).into()))
}

/// Why a key ends.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RevokeBody {
    /// For those who audit.
    #[serde(default)]
    reason: String,
    /// Who asks, in their own words.
    by: Option<String>,
}

/// Ends a key: nothing that only it signed becomes active any more. What is active serves on, and is reported.
#[utoipa::path(post, path = "/api/v1/keys/{name}/revoke", request_body = RevokeBody, responses((status = 200, body = KeyView)))]
pub(crate) async fn revoke(
    State(plane): State<Plane>,
    Path(text): Path<String>,
    Body(body): Body<RevokeBody>,
) -> Answer<KeyView> {
    if body.reason.len() > REASON_BYTES_MAX {
        let problem = format!("it has {} bytes, at most {REASON_BYTES_MAX} are kept", body.reason.len());
        return Err(ServiceError::Invalid { field: "reason".to_owned(), problem }.into());
    }
    let reason = body.reason.escape_debug().to_string();
    let key = plane.revoke_key(name(&text)?, reason, actor(body.by.as_deref())?).await?;
    Ok(Json((&key).into()))
}

fn name(text: &str) -> Result<KeyName, Problem> {
    let invalid = |problem: String| ServiceError::Invalid { field: "name".to_owned(), problem };
    Ok(KeyName::parse(text).map_err(|error| invalid(error.to_string()))?)
}

/// Nobody proved who asks; the entry says that it came by this door.
fn actor(by: Option<&str>) -> Result<String, Problem> {
    let invalid = |problem: String| ServiceError::Invalid { field: "by".to_owned(), problem };
    match by {
        None => Ok("api".to_owned()),
        Some(by) => Ok(format!("api:{}", Label::parse(by).map_err(|error| invalid(error.to_string()))?)),
    }
}
