//! Requests to a process on its port of loopback.
//!
//! Invariant: bodies are bounded in both directions, and a request that may have been taken is not sent again. That nobody listens yet
//! means that it was not taken: then it is tried until its time is over.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Instant;

use crate::driver::{Answer, DriverError};

/// Longest message to a workload, and longest answer, bytes.
pub const CALL_BYTES_MAX: usize = 1 << 20;
/// Between two tries to connect.
const CONNECT_PAUSE: Duration = Duration::from_millis(5);
/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(30);

/// Speaks to one process after the other; connections are kept.
#[derive(Debug, Clone)]
pub(super) struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Http {
    pub(super) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE).pool_max_idle_per_host(64);
        Self { client: builder.build(connector) }
    }

    /// Posts to a path; answers with whatever the process answers.
    pub(super) async fn post(
        &self,
        port: u16,
        path: &str,
        body: Vec<u8>,
        timeout: Duration,
    ) -> Result<Answer, DriverError> {
        if body.len() > CALL_BYTES_MAX {
            return Err(DriverError::Failed(format!(
                "a message of {} B; at most {CALL_BYTES_MAX}",
                body.len()
            )));
        }
        let (uri, body, until) = (uri(port, path)?, Bytes::from(body), Instant::now() + timeout);
        let exchange = async {
            loop {
                match self.once(Method::POST, uri.clone(), body.clone()).await {
                    Err(Failure::NotSent) => tokio::time::sleep(CONNECT_PAUSE).await,
                    Err(Failure::Other(problem)) => return Err(DriverError::Failed(problem)),
                    Ok((status, body)) => return Ok(Answer { body, status: status.as_u16() }),
                }
            }
        };
        tokio::time::timeout_at(until, exchange).await.unwrap_or(Err(DriverError::TimedOut(timeout)))
    }

    /// Whether a GET is answered with 200 to 399. The caller bounds the time.
    pub(super) async fn is_well(&self, port: u16, path: &str) -> bool {
        let Ok(uri) = uri(port, path) else { return false };
        let answer = self.once(Method::GET, uri, Bytes::new()).await;
        answer.is_ok_and(|(status, _)| status.is_success() || status.is_redirection())
    }

    async fn once(&self, method: Method, uri: Uri, body: Bytes) -> Result<(StatusCode, Vec<u8>), Failure> {
        let request = Request::builder().method(method).uri(uri).body(Full::new(body));
        let request = request.map_err(|error| Failure::Other(error.to_string()))?;
        let response = self.client.request(request).await.map_err(|error| {
            if error.is_connect() { Failure::NotSent } else { Failure::Other(chain(&error)) }
        })?;
        let status = response.status();
        let body = Limited::new(response.into_body(), CALL_BYTES_MAX).collect().await;
        let body = body.map_err(|error| {
            let long = error.is::<LengthLimitError>();
            Failure::Other(if long {
                format!("its answer is longer than {CALL_BYTES_MAX} B")
            } else {
                error.to_string()
            })
        })?;
        Ok((status, body.to_bytes().to_vec()))
    }
}

enum Failure {
    /// Nobody listens: it was not taken.
    NotSent,
    Other(String),
}

fn uri(port: u16, path: &str) -> Result<Uri, DriverError> {
    let uri = Uri::try_from(format!("http://127.0.0.1:{port}{path}"));
    uri.map_err(|_| DriverError::Unusable(format!("`{path}` is no path of a request")))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
