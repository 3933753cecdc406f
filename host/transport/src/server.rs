//! The accept loop: one port for HTTP/1, HTTP/2 and gRPC, with the limits that a public port needs.
//!
//! Invariant: connections, header time, streams and body sizes are bounded; a shutdown stops accepting first and lets requests in
//! flight finish. axum's own `serve` has none of these bounds.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use subtle::ConstantTimeEq as _;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::rest::error::Problem;
use crate::service::ControlPlane;
use crate::{grpc, rest};

/// Bounds of the port.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once; more wait in the kernel's queue.
    pub connections_max: usize,
    /// Time to send a request's head.
    pub header_timeout: Duration,
    /// Time to send a request's body and get the answer's head. Streams of events are not bounded by it.
    pub request_timeout: Duration,
    /// HTTP/2 streams of a connection.
    pub streams_max: u32,
    /// How long a shutdown waits for requests in flight.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 4_096,
            header_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            streams_max: 200,
            drain: Duration::from_secs(8),
        }
    }
}

/// Why an address may not be used as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} can be reached from other machines, and there is neither a token nor TLS: anybody could change the federation. \
     Set `server.token-file` (or --token-file), or listen on 127.0.0.1"
)]
pub struct BindRefused(SocketAddr);

/// Beyond loopback a token or TLS is needed.
///
/// # Errors
/// [`BindRefused`] explains.
pub fn bind_allowed(address: SocketAddr, has_token: bool, has_tls: bool) -> Result<(), BindRefused> {
    if address.ip().is_loopback() || has_token || has_tls { Ok(()) } else { Err(BindRefused(address)) }
}

/// Everything behind the port.
pub fn router(plane: Arc<dyn ControlPlane>, token: Option<String>, request_timeout: Duration) -> Router {
    let guard = Arc::new(Guard { token, request_timeout });
    grpc::routes(Arc::clone(&plane))
        .merge(rest::routes(plane))
        .layer(axum::middleware::from_fn(move |request, next| check(Arc::clone(&guard), request, next)))
}

struct Guard {
    token: Option<String>,
    request_timeout: Duration,
}

/// Token, origin and time-out, before any handler.
async fn check(guard: Arc<Guard>, request: Request<Body>, next: Next) -> Response {
    let open = matches!(request.uri().path(), "/healthz" | "/readyz");
    if !open && !guard.token.as_deref().is_none_or(|token| carries(request.headers(), token)) {
        return Problem::new(
            StatusCode::UNAUTHORIZED,
            "a token is needed: send `Authorization: Bearer TOKEN`",
        )
        .into_response();
    }
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if changes && guard.token.is_none() && is_foreign_page(request.headers()) {
        // Without a token a browser could be made to change a federation on loopback.
        return Problem::new(StatusCode::FORBIDDEN, "requests of other sites' pages may not change anything")
            .into_response();
    }
    match tokio::time::timeout(guard.request_timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            Problem::new(StatusCode::REQUEST_TIMEOUT, "the request took too long to arrive or to answer")
                .into_response()
        }
    }
}

fn carries(headers: &HeaderMap, token: &str) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|text| text.strip_prefix("Bearer ")).unwrap_or_default();
    given.as_bytes().ct_eq(token.as_bytes()).into()
}

fn is_foreign_page(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    match (text(header::ORIGIN), text(header::HOST)) {
        (None, _) => false,
        (Some(origin), Some(host)) => origin.split_once("://").is_none_or(|(_, site)| site != host),
        (Some(_), None) => true,
    }
}

/// Serves until `stop` resolves, then drains.
pub async fn run(
    listener: TcpListener,
    plane: Arc<dyn ControlPlane>,
    token: Option<String>,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    let app = router(plane, token, limits.request_timeout);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.header_timeout);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_max)
        .max_header_list_size(16 << 10)
        .max_pending_accept_reset_streams(20)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(limits.connections_max));
    tokio::pin!(stop);
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, _peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: closing connections will free some.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(app.clone());
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
        let watched = graceful.watch(connection);
        #[expect(clippy::let_underscore_future, reason = "the drain below waits for every connection")]
        let _ = tokio::spawn(async move {
            // A client that breaks off is its own affair.
            let _ = watched.await;
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(limits.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish in time");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_loopback_a_token_or_tls_is_needed() {
        let any: SocketAddr = "0.0.0.0:8151".parse().unwrap();
        let loopback: SocketAddr = "127.0.0.1:8151".parse().unwrap();
        assert!(bind_allowed(any, false, false).unwrap_err().to_string().contains("token"));
        assert!(bind_allowed(any, true, false).is_ok() && bind_allowed(any, false, true).is_ok());
        assert!(bind_allowed(loopback, false, false).is_ok());
    }

    #[test]
    fn only_pages_of_this_host_may_change_things() {
        for (origin, foreign) in [
            (None, false),
            (Some("http://127.0.0.1:8151"), false),
            (Some("http://evil.example"), true),
            (Some("null"), true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, header::HeaderValue::from_static("127.0.0.1:8151"));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, header::HeaderValue::from_static(origin));
            }
            assert_eq!(is_foreign_page(&headers), foreign, "{origin:?}");
        }
    }
}
