//! Dials a peer.
//!
//! Invariant: a dial ends within its time-out. The token goes as a header, and a certificate is checked against the peer's own
//! CA file if one is given, else against the public ones.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pilothouse_core::id::OrchestratorId;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderValue, header};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{Connector, connect_async_tls_with_config};

use super::convert::MESSAGE_BYTES_MAX;
use super::port::{Federation, Hello};
use super::session::{self, Frame, Known, Wire, WireError};

/// Time for name, connection, TLS and upgrade together.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// How a peer is reached.
#[derive(Clone)]
pub struct Target {
    /// Its id.
    pub peer: OrchestratorId,
    /// `ws://…` or `wss://…`.
    pub url: String,
    /// Token that it demands.
    pub token: Option<String>,
    /// Whose certificates are believed, for `wss://`.
    pub tls: Arc<ClientConfig>,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The token stays out of logs.
        f.debug_struct("Target").field("peer", &self.peer).field("url", &self.url).finish_non_exhaustive()
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The address or the token cannot be sent.
    #[error("`{0}` is not an address of a peer, or its token has characters that a header cannot have")]
    BadTarget(String),
    /// Nobody answered in time.
    #[error("nobody answered within {} s", DIAL_TIMEOUT.as_secs())]
    Timeout,
    /// The peer did not open a WebSocket.
    #[error("{0}")]
    NotOpened(String),
    /// The connection was open and broke, or the host did not want it.
    #[error("{0}")]
    Ended(String),
}

/// A TLS configuration that trusts the certificates of a file, or else the public ones.
///
/// # Errors
/// What is wrong with the file.
pub fn trust(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let roots = match ca_file {
        Some(path) => roots(path)?,
        None => webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect(),
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

fn roots(path: &Path) -> Result<RootCertStore, String> {
    let unreadable =
        |error: &dyn std::fmt::Display| format!("cannot read certificates from {}: {error}", path.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unreadable(&error))? {
        let certificate = certificate.map_err(|error| unreadable(&error))?;
        roots.add(certificate).map_err(|error| unreadable(&error))?;
    }
    if roots.is_empty() { Err(format!("{} has no certificate", path.display())) } else { Ok(roots) }
}

/// Dials, and serves the connection to its end.
///
/// # Errors
/// [`DialError`]; only with [`DialError::Ended`] was a session open.
pub async fn run(target: &Target, port: Arc<dyn Federation>) -> Result<(), DialError> {
    let bad = || DialError::BadTarget(target.url.clone());
    let separator = if target.url.contains('?') { '&' } else { '?' };
    let url = format!("{}{separator}id={}", target.url, port.own_id());
    let mut request = url.into_client_request().map_err(|_| bad())?;
    if let Some(token) = &target.token {
        let value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| bad())?;
        request.headers_mut().insert(header::AUTHORIZATION, value);
    }
    let limits = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX))
        .max_write_buffer_size(4 * MESSAGE_BYTES_MAX);
    let connector = Connector::Rustls(Arc::clone(&target.tls));
    let dial = connect_async_tls_with_config(request, Some(limits), true, Some(connector));
    let (socket, _) = tokio::time::timeout(DIAL_TIMEOUT, dial)
        .await
        .map_err(|_| DialError::Timeout)?
        .map_err(|error| DialError::NotOpened(error.to_string()))?;
    let hello = Hello { peer: target.peer.clone(), capabilities: Vec::new(), dialled: true };
    session::run(socket, port, Known::Hello(hello)).await.map_err(DialError::Ended)
}

impl Wire for Message {
    fn text(text: String) -> Self {
        Self::Text(text.into())
    }

    fn ping() -> Self {
        Self::Ping(bytes::Bytes::new())
    }

    fn close(code: u16, reason: &str) -> Self {
        Self::Close(Some(CloseFrame { code: CloseCode::from(code), reason: reason.into() }))
    }

    fn read(self) -> Frame {
        match self {
            Self::Text(text) => Frame::Text(text.to_string()),
            Self::Binary(_) | Self::Frame(_) => Frame::Binary,
            Self::Ping(_) => Frame::Ping,
            Self::Pong(_) => Frame::Pong,
            Self::Close(_) => Frame::Close,
        }
    }
}

impl WireError for Error {
    fn is_too_large(&self) -> bool {
        matches!(self, Self::Capacity(_))
    }
}
