//! Connections of a member: to its host, and to other members.
//!
//! address, token, trust -> [`Dialler::connect`] -> a channel; `Link` and the streams of members run over it
//!
//! Invariant: a connection is made or refused within [`CONNECT_TIMEOUT`], and one whose other end is gone is found by pings. The
//! token goes with every request and into no log.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use hyper_util::rt::TokioIo;
use pilothouse_core::id::Digest;
use pilothouse_proto::pilothouse as wire;
use pilothouse_proto::pilothouse::members_client::MembersClient;
use pilothouse_proto::pilothouse::peers_client::PeersClient;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Request, Status};

use super::convert::{
    call_out, from_member_out, replica_answer_in, replica_out, to_member_in, transfer_answer_in, transfer_out,
};
use super::message::{
    FromMember, PeerAnswer, PeerCall, ReplicaAnswer, ReplicaItem, ToMember, TransferAnswer, TransferItem,
};
use super::port::{COMPONENT_BYTES_MAX, MESSAGE_BYTES_MAX};

/// How long a connection may take to open.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a silent connection is tried, and how long its answer may take.
const PING: Duration = Duration::from_secs(2);
/// Bytes under way on one stream: some chunks of the largest length.
const STREAM_WINDOW: u32 = 4 << 20;
/// Bytes under way on one connection.
const CONNECTION_WINDOW: u32 = 32 << 20;

/// Why a connection or a stream does not work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The address cannot be one.
    #[error("`{0}` is no address: give http://HOST:PORT or https://HOST:PORT")]
    BadAddress(String),
    /// Nobody answers there.
    #[error("cannot reach {address}: {reason}")]
    Unreachable {
        /// Where.
        address: String,
        /// Why, as far as is known.
        reason: String,
    },
    /// The other end does not want us: trying again does not help.
    #[error("refused by {address}: {reason}")]
    Refused {
        /// Where.
        address: String,
        /// What it said.
        reason: String,
    },
    /// It worked, and ended.
    #[error("the connection ended: {0}")]
    Ended(String),
}

/// Makes connections with one token and one trust.
#[derive(Clone)]
pub struct Dialler {
    token: Option<MetadataValue<Ascii>>,
    tls: Arc<ClientConfig>,
}

impl fmt::Debug for Dialler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialler").field("token", &self.token.is_some()).finish_non_exhaustive()
    }
}

/// An open connection.
#[derive(Debug, Clone)]
pub struct Line {
    channel: Channel,
    address: String,
    token: Option<MetadataValue<Ascii>>,
}

impl Dialler {
    /// A dialler; `None` if the token cannot stand in a header.
    #[must_use]
    pub fn new(token: Option<&str>, tls: Arc<ClientConfig>) -> Option<Self> {
        let token = match token {
            None => None,
            Some(token) => Some(format!("Bearer {token}").parse().ok()?),
        };
        Some(Self { token, tls })
    }

    /// Connects; an address without a scheme is of a member, without TLS.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn connect(&self, address: &str) -> Result<Line, LinkError> {
        let bad = || LinkError::BadAddress(address.escape_debug().to_string());
        let (is_tls, place) = match address.split_once("://") {
            None => (false, address),
            Some(("http", place)) => (false, place),
            Some(("https", place)) => (true, place),
            Some(_) => return Err(bad()),
        };
        let place = place.trim_end_matches('/').to_owned();
        let endpoint = Endpoint::from_shared(format!("http://{place}")).map_err(|_| bad())?;
        if endpoint.uri().port_u16().is_none() {
            return Err(bad());
        }
        let endpoint = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(PING)
            .keep_alive_timeout(PING)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        let tls = is_tls.then(|| Arc::clone(&self.tls));
        let connector = tower::service_fn(move |uri: Uri| open(uri, tls.clone()));
        let unreachable = |reason: String| LinkError::Unreachable { address: address.to_owned(), reason };
        let opening = tokio::time::timeout(CONNECT_TIMEOUT, endpoint.connect_with_connector(connector));
        let channel = opening
            .await
            .map_err(|_| unreachable(format!("no answer within {} s", CONNECT_TIMEOUT.as_secs())))?
            .map_err(|error| unreachable(root_cause(&error)))?;
        Ok(Line { channel, address: address.to_owned(), token: self.token.clone() })
    }
}

async fn open(uri: Uri, tls: Option<Arc<ClientConfig>>) -> std::io::Result<TokioIo<Socket>> {
    let other = |text: &str| std::io::Error::new(std::io::ErrorKind::InvalidInput, text.to_owned());
    let host = uri.host().ok_or_else(|| other("the address has no host"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let stream = TcpStream::connect((host.as_str(), uri.port_u16().unwrap_or_default())).await?;
    stream.set_nodelay(true)?;
    let Some(config) = tls else { return Ok(TokioIo::new(Box::new(stream))) };
    let mut config = (*config).clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from(host).map_err(|_| other("the host's name cannot be on a certificate"))?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    Ok(TokioIo::new(Box::new(stream)))
}

trait Duplex: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send> Duplex for T {}
type Socket = Box<dyn Duplex>;

/// The innermost reason: tonic's own texts say only "transport error".
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

impl Line {
    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(token) = &self.token {
            request.metadata_mut().insert("authorization", token.clone());
        }
        request
    }

    fn failed(&self, status: &Status) -> LinkError {
        use tonic::Code;
        let (address, reason) = (self.address.clone(), status.message().to_owned());
        match status.code() {
            Code::Unauthenticated | Code::PermissionDenied | Code::AlreadyExists | Code::InvalidArgument => {
                LinkError::Refused { address, reason }
            }
            Code::Unimplemented => {
                let reason = "it is no host of members (or too old)".to_owned();
                LinkError::Refused { address, reason }
            }
            code => LinkError::Ended(format!("{code:?}: {reason}")),
        }
    }

    /// Opens the link to a host: what comes through `outgoing` is said, what the host says comes back.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn link(
        &self,
        outgoing: mpsc::Receiver<FromMember>,
    ) -> Result<impl Stream<Item = Result<ToMember, LinkError>> + Send + Unpin + use<>, LinkError> {
        let mut client =
            MembersClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let outgoing = ReceiverStream::new(outgoing).map(|message| from_member_out(&message));
        let answered = client.link(self.request(outgoing)).await;
        let incoming = answered.map_err(|status| self.failed(&status))?.into_inner();
        let line = self.clone();
        Ok(incoming.map(move |item| match item {
            Ok(message) => to_member_in(message).map_err(|wrong| LinkError::Ended(wrong.to_string())),
            Err(status) => Err(line.failed(&status)),
        }))
    }

    /// The bytes of a component; the caller checks the digest.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn fetch_component(&self, digest: Digest) -> Result<Vec<u8>, LinkError> {
        let digest = digest.0.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut client =
            MembersClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let request = self.request(wire::FetchComponentRequest { digest });
        let mut pieces =
            client.fetch_component(request).await.map_err(|status| self.failed(&status))?.into_inner();
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.message().await.map_err(|status| self.failed(&status))? {
            if bytes.len() + piece.bytes.len() > COMPONENT_BYTES_MAX {
                return Err(LinkError::Ended(format!(
                    "the component is longer than {COMPONENT_BYTES_MAX} bytes"
                )));
            }
            bytes.extend_from_slice(&piece.bytes);
        }
        Ok(bytes)
    }

    /// Hands a message to a workload on the member at the other end.
    ///
    /// # Errors
    /// [`LinkError`]; after [`LinkError::Ended`] it is unknown whether it was carried out.
    pub async fn call(&self, call: PeerCall) -> Result<PeerAnswer, LinkError> {
        let mut client = PeersClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let answered = client.call(self.request(call_out(call))).await;
        let wire::CallResponse { body, epoch, status } =
            answered.map_err(|status| self.failed(&status))?.into_inner();
        Ok(PeerAnswer { body, epoch, status: u16::try_from(status).unwrap_or(u16::MAX) })
    }

    /// Opens a transfer to another member.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn transfer(
        &self,
        outgoing: mpsc::Receiver<TransferItem>,
    ) -> Result<impl Stream<Item = Result<TransferAnswer, LinkError>> + Send + Unpin + use<>, LinkError> {
        let mut client = PeersClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let outgoing = ReceiverStream::new(outgoing).map(transfer_out);
        let answered = client.transfer(self.request(outgoing)).await;
        let incoming = answered.map_err(|status| self.failed(&status))?.into_inner();
        let line = self.clone();
        Ok(incoming.map(move |item| match item {
            Ok(message) => transfer_answer_in(message).map_err(|wrong| LinkError::Ended(wrong.to_string())),
            Err(status) => Err(line.failed(&status)),
        }))
    }

    /// Opens a stream of second copies to another member.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn replicate(
        &self,
        outgoing: mpsc::Receiver<ReplicaItem>,
    ) -> Result<impl Stream<Item = Result<ReplicaAnswer, LinkError>> + Send + Unpin + use<>, LinkError> {
        let mut client = PeersClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let outgoing = ReceiverStream::new(outgoing).map(replica_out);
        let answered = client.replicate(self.request(outgoing)).await;
        let incoming = answered.map_err(|status| self.failed(&status))?.into_inner();
        let line = self.clone();
        Ok(incoming.map(move |item| match item {
            Ok(message) => replica_answer_in(message).map_err(|wrong| LinkError::Ended(wrong.to_string())),
            Err(status) => Err(line.failed(&status)),
        }))
    }
}
