//! What every request passes before any handler: name, token, origin, size and time.
//!
//! Invariant: a request that is refused here has touched nothing.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use subtle::ConstantTimeEq as _;

use super::names::{Names, is_foreign_page};
use crate::orchestrator::endpoint::{self, TOKEN_PROTOCOL};
use crate::rest::error::Problem;
use crate::service::ControlPlane;
use crate::{grpc, rest};

/// What is demanded of a request.
pub(super) struct Guard {
    /// It carries this.
    pub(super) token: Option<String>,
    /// It calls the server by one of these.
    pub(super) names: Option<Names>,
    /// It has its body sent and its answer's head made within this.
    pub(super) request_timeout: Duration,
    /// Its body is not longer, bytes.
    pub(super) body_bytes_max: usize,
}

/// Everything behind a host's port.
pub(super) fn router(plane: Arc<dyn ControlPlane>, body_bytes_max: usize) -> Router {
    grpc::routes(Arc::clone(&plane)).merge(rest::routes(plane, body_bytes_max))
}

/// Routes behind their guard.
pub(super) fn guarded(routes: Router, guard: Guard) -> Router {
    let guard = Arc::new(guard);
    routes.layer(axum::middleware::from_fn(move |request, next| pass(Arc::clone(&guard), request, next)))
}

async fn pass(guard: Arc<Guard>, request: Request<Body>, next: Next) -> Response {
    let is_grpc = grpc::is_call(request.headers());
    let answered = match guard.check(&request) {
        Err(problem) => Err(problem),
        Ok(()) => tokio::time::timeout(guard.request_timeout, next.run(request)).await.map_err(|_| {
            let text = "the request took too long to arrive or to answer";
            Problem::new(StatusCode::REQUEST_TIMEOUT, text)
        }),
    };
    match answered {
        Ok(response) => response,
        Err(problem) if is_grpc => grpc::refusal(problem),
        Err(problem) => problem.into_response(),
    }
}

impl Guard {
    fn check(&self, request: &Request<Body>) -> Result<(), Problem> {
        let refuse = |status, text: &str| Err(Problem::new(status, text));
        if let Some(Err(name)) = self.names.as_ref().map(|names| names.check(request)) {
            return refuse(StatusCode::MISDIRECTED_REQUEST, &misdirected(&name));
        }
        let open = matches!(request.uri().path(), "/healthz" | "/readyz");
        let is_socket = request.uri().path() == endpoint::PATH;
        let admits =
            |token: &str| carries(request.headers(), token) || is_socket && offers(request.headers(), token);
        if !open && !self.token.as_deref().is_none_or(admits) {
            return refuse(StatusCode::UNAUTHORIZED, "a token is needed: send `Authorization: Bearer TOKEN`");
        }
        let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        if (is_socket || changes && self.token.is_none()) && is_foreign_page(request) {
            // Without a token a browser could be made to change a federation on loopback; and no rule of browsers keeps a
            // page from opening a WebSocket to another site.
            return refuse(StatusCode::FORBIDDEN, "requests of other sites' pages may not change anything");
        }
        if rest::is_too_long(request.headers(), self.body_bytes_max) {
            return refuse(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the body is larger than anything this server takes",
            );
        }
        Ok(())
    }
}

fn misdirected(name: &str) -> String {
    format!(
        "without a token this server answers to localhost and loopback addresses only, and not to `{name}`; \
         add the name to `server.allowed-hosts`, or set `server.token-file`"
    )
}

fn carries(headers: &HeaderMap, token: &str) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|text| text.strip_prefix("Bearer ")).unwrap_or_default();
    given.as_bytes().ct_eq(token.as_bytes()).into()
}

/// A WebSocket client that cannot send headers offers the token as a protocol.
fn offers(headers: &HeaderMap, token: &str) -> bool {
    let lists = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let texts = lists.filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(','));
    let mut given = texts.filter_map(|text| text.trim().strip_prefix(TOKEN_PROTOCOL));
    given.any(|given| given.as_bytes().ct_eq(token.as_bytes()).into())
}
