//! What handlers take from a request, with errors that say what is wrong and where.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use bytes::Bytes;
use pilothouse_core::id::{AgentName, Label, MemberId};
use pilothouse_core::slot::SlotId;
use serde::de::DeserializeOwned;

use super::error::Problem;
use super::{BODY_BYTES_MAX, is_too_long};

fn invalid(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

/// A JSON body, whatever its content type says (the documented `curl` lines send none).
pub(crate) struct Body<T, const BYTES_MAX: usize = BODY_BYTES_MAX>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync, const BYTES_MAX: usize> FromRequest<S> for Body<T, BYTES_MAX> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if is_too_long(request.headers(), BYTES_MAX) {
            let detail = format!("the body may have at most {BYTES_MAX} bytes; send it in parts");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, &detail));
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| Problem::new(rejection.status(), &rejection.body_text()))?;
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        serde_json::from_slice(text)
            .map(Self)
            .map_err(|error| invalid(&format!("the body is not as expected: {error}")))
    }
}

/// Query parameters; unknown ones are refused if the type says so.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::from_request_parts(parts, state).await;
        query
            .map(|axum::extract::Query(value)| Self(value))
            .map_err(|rejection| invalid(&rejection.body_text()))
    }
}

pub(crate) fn member_id(text: &str) -> Result<MemberId, Problem> {
    MemberId::parse(text).map_err(|error| invalid(&error.to_string()))
}

pub(crate) fn agent_name(text: &str) -> Result<AgentName, Problem> {
    AgentName::parse(text).map_err(|error| invalid(&error.to_string()))
}

pub(crate) fn label(field: &str, text: &str) -> Result<Label, Problem> {
    Label::parse(text).map_err(|error| invalid(&format!("`{field}`: {error}")))
}

pub(crate) fn labels<C: FromIterator<Label>>(field: &str, texts: &[String]) -> Result<C, Problem> {
    texts.iter().map(|text| label(field, text)).collect()
}

/// An empty text means "not given".
pub(crate) fn optional_label(field: &str, text: Option<&str>) -> Result<Option<Label>, Problem> {
    text.filter(|text| !text.is_empty()).map(|text| label(field, text)).transpose()
}

pub(crate) fn slot_id(family: &str, name: &str) -> Result<SlotId, Problem> {
    SlotId::parse(&format!("{family}/{name}")).map_err(|error| invalid(&error.to_string()))
}
