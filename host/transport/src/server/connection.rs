//! One connection from its first byte to its end.
//!
//! Invariant: it ends by itself at its client's wish, at the time-outs of its head and of idleness, or after the request in
//! flight when the server stops. An end is polite first (HTTP/2: GOAWAY), and certain after.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::Limits;
use super::activity::{Activity, until_sent};
use super::opening::open;

/// What all connections of a port have in common.
#[derive(Clone)]
pub(super) struct Port {
    app: Router,
    protocol: auto::Builder<TokioExecutor>,
    limits: Limits,
    closing: watch::Receiver<bool>,
}

impl Port {
    /// `closing` becomes true when the server stops.
    pub(super) fn new(app: Router, limits: Limits, closing: watch::Receiver<bool>) -> Self {
        Self { app, protocol: protocol(&limits), limits, closing }
    }

    /// Serves one connection to its end. A client that breaks off, or never gets as far as a first line, is its own affair.
    pub(super) async fn serve<S>(mut self, handshake: impl Future<Output = std::io::Result<S>>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let opening = async { open(handshake.await?).await };
        let opened = tokio::select! {
            opened = tokio::time::timeout(self.limits.header_timeout, opening) => opened,
            () = closes(&mut self.closing) => return,
        };
        let Ok(Ok(stream)) = opened else { return };
        let activity = Activity::default();
        let service = service_fn(|request: Request<Incoming>| {
            let (app, underway) = (self.app.clone(), activity.begin());
            async move {
                let Ok(response) = app.oneshot(request).await;
                Ok::<_, Infallible>(until_sent(response, underway))
            }
        });
        let mut connection = pin!(self.protocol.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            _ = connection.as_mut() => return,
            () = activity.idle_for(self.limits.idle_timeout) => {}
            () = closes(&mut self.closing) => {}
        }
        connection.as_mut().graceful_shutdown();
        // A request may have come in just before. After it, a client that does not leave is left.
        tokio::select! {
            _ = connection => {}
            () = activity.idle_for(self.limits.header_timeout) => {}
        }
    }
}

async fn closes(closing: &mut watch::Receiver<bool>) {
    let _ = closing.wait_for(|closing| *closing).await;
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
