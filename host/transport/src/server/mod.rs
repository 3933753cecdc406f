//! One port for HTTP/1, HTTP/2 and gRPC, with the limits that a public port needs. axum's own `serve` has none of these.
//!
//! listener -> [`places`] -> first words ([`opening`]) -> [`connection`] -> [`guard`] -> routes
//!
//! Invariant: connections (in all and of one address), heads, idle time, streams and bodies are bounded; a shutdown stops
//! accepting first and lets requests in flight finish. Deliberately absent: a rate of requests.

mod activity;
mod connection;
mod guard;
mod names;
mod opening;
mod places;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::members::port::MemberPort;
use crate::service::ControlPlane;
use connection::Port;
use guard::{Guard, guarded, router};
use names::Names;
use places::{Place, Places};

/// Pause after a connection could not be accepted.
const PAUSE_MS: u64 = 100;

/// Bounds of the port.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once; more wait in the kernel's queue.
    pub connections_max: usize,
    /// Connections at once of one address (IPv6: of one /64 network); more are closed at once.
    pub connections_per_address: usize,
    /// Time for a TLS handshake, and to send a request's head.
    pub header_timeout: Duration,
    /// How long a connection stays open on which no request is under way.
    pub idle_timeout: Duration,
    /// Time to send a request's body and get the answer's head. Streams of events are not bounded by it.
    pub request_timeout: Duration,
    /// HTTP/2 streams of a connection.
    pub streams_max: u32,
    /// Largest component that can be uploaded, bytes.
    pub component_bytes_max: usize,
    /// How long a shutdown waits for requests in flight.
    pub drain: Duration,
}

impl Limits {
    /// A little over the largest component, because the loader refuses with a better text.
    const fn body_bytes_max(&self) -> usize {
        self.component_bytes_max.saturating_add(1_024)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 4_096,
            connections_per_address: 1_024,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            request_timeout: Duration::from_secs(30),
            streams_max: 200,
            component_bytes_max: 4 << 20,
            drain: Duration::from_secs(10),
        }
    }
}

/// What protects the port.
#[derive(Clone, Default)]
pub struct Protection {
    /// Token that every request must carry.
    pub token: Option<String>,
    /// TLS.
    pub tls: Option<TlsAcceptor>,
    /// Names, besides those of loopback, by which a server on loopback may be called without a token.
    pub allowed_hosts: Vec<String>,
}

impl std::fmt::Debug for Protection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The token stays out of logs.
        f.debug_struct("Protection")
            .field("token", &self.token.is_some())
            .field("tls", &self.tls.is_some())
            .field("allowed_hosts", &self.allowed_hosts)
            .finish()
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

/// Serves a host until `stop` resolves, then drains.
pub async fn run(
    listener: TcpListener,
    plane: Arc<dyn ControlPlane>,
    protection: Protection,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    serve(listener, router(plane, limits.body_bytes_max()), protection, limits, stop).await;
}

/// Serves a member's own port until `stop` resolves, then drains.
pub async fn run_member(
    listener: TcpListener,
    port: Arc<dyn MemberPort>,
    protection: Protection,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    serve(listener, crate::members::port::routes(port), protection, limits, stop).await;
}

async fn serve(
    listener: TcpListener,
    routes: Router,
    protection: Protection,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    let Protection { token, tls, allowed_hosts } = protection;
    // Whoever can reach loopback is trusted without a token; a name that was made to point here must not share in that.
    let is_trusting = token.is_none() && listener.local_addr().is_ok_and(|own| own.ip().is_loopback());
    let names = is_trusting.then(|| Names::new(&allowed_hosts));
    let Limits { request_timeout, .. } = limits;
    let body_bytes_max = limits.body_bytes_max();
    let app = guarded(routes, Guard { token, names, request_timeout, body_bytes_max });
    let (closing, closed) = watch::channel(false);
    let port = Port::new(app, limits, closed);
    let places = Places::new(limits.connections_max, limits.connections_per_address);
    tokio::pin!(stop);
    loop {
        let (stream, place) = tokio::select! {
            () = &mut stop => break,
            next = next(&listener, &places) => next,
        };
        let _ = stream.set_nodelay(true);
        let (port, tls) = (port.clone(), tls.clone());
        #[expect(clippy::let_underscore_future, reason = "the drain below waits for every connection")]
        let _ = tokio::spawn(async move {
            match tls {
                None => port.serve(async { Ok(stream) }).await,
                Some(tls) => port.serve(tls.accept(stream)).await,
            }
            drop(place);
        });
    }
    drop((listener, port));
    // Every connection holds a receiver; all are gone when all connections are.
    let _ = closing.send(true);
    if tokio::time::timeout(limits.drain, closing.closed()).await.is_err() {
        tracing::warn!(left = closing.receiver_count(), "some requests did not finish in time");
    }
}

/// The next connection, once there is a place for it.
async fn next(listener: &TcpListener, places: &Places) -> (TcpStream, Place) {
    loop {
        let reserved = places.reserve().await;
        match listener.accept().await {
            Ok((stream, peer)) => match places.take(reserved, peer.ip()) {
                Some(place) => return (stream, place),
                None => tracing::debug!(%peer, "closed: its address has all the connections it may have"),
            },
            Err(error) => {
                // Out of file descriptors, most likely: closing connections will free some.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(PAUSE_MS)).await;
            }
        }
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
}
