//! Policies: list them, look at one, load one.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use pilothouse_core::id::Digest;
use pilothouse_core::policy::Family;
use pilothouse_core::slot::SlotId;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Answer;
use crate::rest::Plane;
use crate::rest::extract::{Query, slot_id};
use crate::rest::views::{LoadedView, PoliciesView, PolicyView, SlotView};
use crate::service::{Activation, PolicyInfo, ServiceError, Upload};

/// Header with the signature file that vouches for an uploaded component, base64.
const SIGNATURE: &str = "pilothouse-signature";
/// Longest value of [`SIGNATURE`], bytes; what is in it is bounded again where it is read.
const SIGNATURE_BYTES_MAX: usize = 16 << 10;
/// Longest name of a source, bytes.
const SOURCE_BYTES_MAX: usize = 512;

/// All policies.
#[utoipa::path(get, path = "/api/v1/policies", responses((status = 200, body = PoliciesView)))]
pub(crate) async fn list(State(plane): State<Plane>) -> Json<PoliciesView> {
    let policies: Vec<_> = plane.policies().iter().map(|policy| PolicyView::from(&**policy)).collect();
    Json(PoliciesView { count: policies.len(), policies })
}

/// One policy by digest, start of the digest, or name if only one family has a policy with it.
#[utoipa::path(get, path = "/api/v1/policies/{name}", responses((status = 200, body = PolicyView)))]
pub(crate) async fn one(State(plane): State<Plane>, Path(name): Path<String>) -> Answer<PolicyView> {
    Ok(Json((&*find(&plane.policies(), None, &name)?).into()))
}

/// One policy of a family by name; of several with one name the highest version.
#[utoipa::path(get, path = "/api/v1/policies/{family}/{name}", responses((status = 200, body = PolicyView)))]
pub(crate) async fn of_family(
    State(plane): State<Plane>,
    Path((family, name)): Path<(String, String)>,
) -> Answer<PolicyView> {
    let family = slot_id(&family, &name)?.family;
    Ok(Json((&*find(&plane.policies(), Some(family), &name)?).into()))
}

/// The one policy that is meant; a name that two families have means none.
fn find(
    policies: &[Arc<PolicyInfo>],
    family: Option<Family>,
    name: &str,
) -> Result<Arc<PolicyInfo>, ServiceError> {
    let named = policies.iter().filter(|policy| {
        let digest = policy.digest.to_string();
        let is_named = policy.description.name == name || digest == name || policy.digest.short() == name;
        is_named && family.is_none_or(|family| family == policy.family)
    });
    let named: Vec<&Arc<PolicyInfo>> = named.collect();
    let families: BTreeSet<Family> = named.iter().map(|policy| policy.family).collect();
    if families.len() > 1 {
        let all: Vec<String> = families.iter().map(|family| format!("{}/{name}", family.name())).collect();
        let text = format!("`{name}` is the name of several policies; name one of {}", all.join(", "));
        return Err(ServiceError::Conflict(text));
    }
    let newest = named.into_iter().max_by(|a, b| a.description.version.cmp(&b.description.version));
    let missing = || {
        let family = family.map(|family| format!("{}/", family.name())).unwrap_or_default();
        ServiceError::NotFound { what: "policy", name: format!("{family}{}", name.escape_debug()) }
    };
    newest.cloned().ok_or_else(missing)
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LoadQuery {
    /// Slot in which it becomes active at once.
    activate: Option<String>,
    /// Settings, JSON text.
    settings: Option<String>,
    /// Activate it even if a newer version of it, signed by a trusted key, was active in the slot.
    #[serde(default)]
    allow_downgrade: bool,
    /// The registry it was pulled from, as `REGISTRY/NAME@sha256:…`; told as its origin.
    source: Option<String>,
}

/// Loads a component: the body is the `.wasm` itself.
#[utoipa::path(post, path = "/api/v1/policies",
    params(LoadQuery, ("pilothouse-signature" = Option<String>, Header, description = "The signature file, base64.")),
    request_body(content = Vec<u8>, content_type = "application/wasm"),
    responses((status = 200, body = LoadedView)))]
pub(crate) async fn load(
    State(plane): State<Plane>,
    Query(query): Query<LoadQuery>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Answer<LoadedView> {
    let signature = signature(&headers)?;
    let source = query.source.map(source).transpose()?;
    let policy = plane.load(Upload { bytes, signature, source }).await?;
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
        signature: None,
        allow_downgrade: query.allow_downgrade,
        by: "api".to_owned(),
    };
    let slot = plane.activate(activation).await?;
    Ok(Json(LoadedView::Activated { policy: view, slot: Box::new(SlotView::from(&slot)) }))
}

fn signature(headers: &HeaderMap) -> Result<Option<Vec<u8>>, ServiceError> {
    let invalid =
        |problem: &str| ServiceError::Invalid { field: SIGNATURE.to_owned(), problem: problem.to_owned() };
    let Some(value) = headers.get(SIGNATURE) else { return Ok(None) };
    if value.len() > SIGNATURE_BYTES_MAX {
        return Err(invalid("too long; give the .sig file, base64"));
    }
    let bytes = BASE64_STANDARD.decode(value.as_bytes());
    bytes.map(Some).map_err(|_| invalid("not base64; give the .sig file as `base64 -w0` writes it"))
}

/// A name with a digest and nothing that could break a line or a page.
fn source(text: String) -> Result<String, ServiceError> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/:@[]".contains(&byte));
    let is_pinned = text.rsplit_once('@').is_some_and(|(name, digest)| {
        !name.is_empty() && digest.starts_with("sha256:") && Digest::parse(digest).is_some()
    });
    if is_plain && is_pinned && text.len() <= SOURCE_BYTES_MAX {
        return Ok(text);
    }
    let problem = "give REGISTRY/NAME@sha256:DIGEST".to_owned();
    Err(ServiceError::Invalid { field: "source".to_owned(), problem })
}
