//! Errors as RFC 9457 problems; the one place where a service error becomes an HTTP status.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::service::ServiceError;

/// A problem+json answer.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    detail: String,
}

impl Problem {
    /// A problem with a text for people.
    #[must_use]
    pub fn new(status: StatusCode, detail: &str) -> Self {
        Self { status, detail: detail.to_owned() }
    }

    /// Status and text, for the cluster API's own form.
    #[must_use]
    pub fn parts(self) -> (StatusCode, String) {
        (self.status, self.detail)
    }
}

/// An error as RFC 9457 writes it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProblemView {
    /// Always `about:blank`.
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    /// The HTTP status again.
    status: u16,
    /// What was wrong, where, and what to do.
    detail: String,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemView {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("error"),
            status: self.status.as_u16(),
            detail: self.detail,
        };
        let mut response = (self.status, Json(body)).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if matches!(self.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        let status = match &error {
            ServiceError::NotFound { .. } => StatusCode::NOT_FOUND,
            ServiceError::Conflict(_) | ServiceError::Contended { .. } => StatusCode::CONFLICT,
            ServiceError::Invalid { .. } => StatusCode::BAD_REQUEST,
            ServiceError::PolicyRefused(_) => StatusCode::UNPROCESSABLE_ENTITY,
            ServiceError::NoneEligible(_) | ServiceError::Full | ServiceError::Declined { .. } => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            ServiceError::Busy => StatusCode::TOO_MANY_REQUESTS,
            ServiceError::StoreFailed(_) => StatusCode::INTERNAL_SERVER_ERROR,
            ServiceError::Disabled(_) => StatusCode::FORBIDDEN,
            ServiceError::Injected(_) => StatusCode::SERVICE_UNAVAILABLE,
            ServiceError::Unimplemented(_) => StatusCode::NOT_IMPLEMENTED,
        };
        Self { status, detail: error.to_string() }
    }
}
