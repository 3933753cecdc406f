//! The accept loop: one port for HTTP/1, HTTP/2 and gRPC, with the limits that a public port needs.
//!
//! Invariant: connections, header time, streams and body sizes are bounded; a shutdown stops accepting first and lets requests in
//! flight finish. axum's own `serve` has none of these bounds.

use std::future::Future;
use std::io::Cursor;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use subtle::ConstantTimeEq as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, Chain, Join, ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::orchestrator::endpoint::{self, TOKEN_PROTOCOL};
use crate::rest::error::Problem;
use crate::service::ControlPlane;
use crate::{grpc, rest};

/// What an HTTP/2 client says first (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bounds of the port.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once; more wait in the kernel's queue.
    pub connections_max: usize,
    /// Time for a TLS handshake and to send a request's head; an idle connection is closed after it as well.
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
    let is_socket = request.uri().path() == endpoint::PATH;
    let admits = |token: &str| {
        carries(request.headers(), token) || (is_socket && offers(request.headers(), token))
    };
    if !open && !guard.token.as_deref().is_none_or(admits) {
        return Problem::new(
            StatusCode::UNAUTHORIZED,
            "a token is needed: send `Authorization: Bearer TOKEN`",
        )
        .into_response();
    }
    if guard.token.is_none() && is_browser(request.headers()) && !is_loopback_name(&request) {
        // A page whose name was made to point here (DNS rebinding) speaks as if it were ours.
        return Problem::new(
            StatusCode::FORBIDDEN,
            "without a token, browsers must name this server localhost, 127.0.0.1 or [::1]",
        )
        .into_response();
    }
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if (is_socket || changes && guard.token.is_none()) && is_foreign_page(request.headers()) {
        // Without a token a browser could be made to change a federation on loopback; and no rule of browsers keeps a page
        // from opening a WebSocket to another site.
        return Problem::new(StatusCode::FORBIDDEN, "requests of other sites' pages may not change anything")
            .into_response();
    }
    if rest::is_too_long(request.headers(), rest::COMPONENT_BYTES_MAX) {
        return Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body is larger than anything this server takes",
        )
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

/// A WebSocket client that cannot send headers offers the token as a protocol.
fn offers(headers: &HeaderMap, token: &str) -> bool {
    let lists = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    let offered = lists.flat_map(|list| list.split(',')).filter_map(|text| text.trim().strip_prefix(TOKEN_PROTOCOL));
    offered.fold(false, |found, given| found | bool::from(given.as_bytes().ct_eq(token.as_bytes())))
}

/// Browsers say so in every request, and pages cannot change it.
fn is_browser(headers: &HeaderMap) -> bool {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    agent.starts_with("Mozilla/") || headers.contains_key(header::ORIGIN)
}

/// Whether the request was sent to a name that can only be this machine.
fn is_loopback_name(request: &Request<Body>) -> bool {
    let host = request.headers().get(header::HOST).and_then(|value| value.to_str().ok());
    let authority = request.uri().authority().map(Authority::as_str).or(host).unwrap_or_default();
    let Ok(authority) = authority.parse::<Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_foreign_page(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    match (text(header::ORIGIN), text(header::HOST)) {
        (None, _) => false,
        (Some(origin), Some(host)) => origin.split_once("://").is_none_or(|(_, site)| site != host),
        (Some(_), None) => true,
    }
}

/// What protects the port.
#[derive(Clone, Default)]
pub struct Protection {
    /// Token that every request must carry.
    pub token: Option<String>,
    /// TLS.
    pub tls: Option<TlsAcceptor>,
}

impl std::fmt::Debug for Protection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The token stays out of logs.
        f.debug_struct("Protection")
            .field("token", &self.token.is_some())
            .field("tls", &self.tls.is_some())
            .finish()
    }
}

/// Serves until `stop` resolves, then drains.
pub async fn run(
    listener: TcpListener,
    plane: Arc<dyn ControlPlane>,
    protection: Protection,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    let Protection { token, tls } = protection;
    let app = router(plane, token, limits.request_timeout);
    let builder = protocol(&limits);
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
        let (app, builder, tls, watcher) = (app.clone(), builder.clone(), tls.clone(), graceful.watcher());
        #[expect(clippy::let_underscore_future, reason = "the drain below waits for every connection")]
        let _ = tokio::spawn(async move {
            // Who does not get as far as a first line in time is cut off; that is the client's affair.
            let opened = tokio::time::timeout(limits.header_timeout, open(stream, tls)).await;
            match opened {
                Ok(Ok(Opened::Plain(stream))) => serve(&builder, stream, app, watcher).await,
                Ok(Ok(Opened::Encrypted(stream))) => serve(&builder, stream, app, watcher).await,
                Ok(Err(_)) | Err(_) => {}
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(limits.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish in time");
    }
}

/// A connection whose client has said which protocol it speaks.
enum Opened {
    Plain(TcpStream),
    Encrypted(Box<Spoken<TlsStream<TcpStream>>>),
}

/// A stream of which the first bytes have been read already.
type Spoken<S> = Join<Chain<Cursor<Vec<u8>>, ReadHalf<S>>, WriteHalf<S>>;

/// Handshake, and the first bytes: hyper waits for them without a time-out while it finds out the protocol.
async fn open(stream: TcpStream, tls: Option<TlsAcceptor>) -> std::io::Result<Opened> {
    let Some(tls) = tls else {
        let mut first = [0; PREFACE.len()];
        loop {
            let length = stream.peek(&mut first).await?;
            let seen = first.get(..length).unwrap_or_default();
            if length == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if length == PREFACE.len() || !PREFACE.starts_with(seen) {
                return Ok(Opened::Plain(stream));
            }
            // Peeking again would find the same bytes at once.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let mut stream = tls.accept(stream).await?;
    let mut first = Vec::with_capacity(PREFACE.len());
    while PREFACE.starts_with(&first) && first.len() < PREFACE.len() {
        if stream.read_buf(&mut first).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    let (read, write) = tokio::io::split(stream);
    Ok(Opened::Encrypted(Box::new(tokio::io::join(Cursor::new(first).chain(read), write))))
}

/// Serves one connection to its end.
async fn serve<S>(builder: &auto::Builder<TokioExecutor>, stream: S, app: Router, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(app);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
    // A client that breaks off is its own affair.
    let _ = watcher.watch(connection).await;
}

/// HTTP/1 and HTTP/2 with their bounds.
fn protocol(limits: &Limits) -> auto::Builder<TokioExecutor> {
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
    builder
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
    fn a_browser_must_call_this_server_by_a_name_that_is_only_ours() {
        for (host, ours) in [
            ("localhost:8151", true),
            ("127.0.0.1:8151", true),
            ("[::1]:8151", true),
            ("127.0.0.1.evil.example", false),
            ("evil.example:8151", false),
            ("10.0.0.1", false),
            ("", false),
        ] {
            let request = Request::builder().uri("/").header(header::HOST, host).body(Body::empty()).unwrap();
            assert_eq!(is_loopback_name(&request), ours, "{host}");
        }
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
