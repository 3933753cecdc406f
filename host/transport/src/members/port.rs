//! A member's own port: `pilothouse.v1.Peers`, for the host and other members.
//!
//! request -> [`MemberPort`] (node) -> answer
//!
//! Invariant: what comes is checked for form here; whether it may be done is the member's. Streams are bounded: a sender that is
//! faster than its receiver waits.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use futures_util::{Stream, StreamExt as _};
use pilothouse_core::id::AgentName;
use pilothouse_proto::pilothouse as wire;
use pilothouse_proto::pilothouse::peers_server::{Peers, PeersServer};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::convert::{call_in, replica_answer_out, replica_in, transfer_answer_out, transfer_in};
use super::message::{PeerAnswer, PeerCall, ReplicaAnswer, ReplicaItem, TransferAnswer, TransferItem};

/// Largest message, bytes: the manifest of the largest state.
pub const MESSAGE_BYTES_MAX: usize = 9 << 20;
/// Longest component that is fetched, bytes.
pub const COMPONENT_BYTES_MAX: usize = 64 << 20;
/// Messages of one stream that wait, each way.
const WAITING_MAX: usize = 64;

/// A value that comes later.
pub type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Why a call was not answered; a variant per decision of the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallRefused {
    /// This member does not serve it (any more, or now): it was not carried out.
    #[error("{0}")]
    NotHere(String),
    /// Too many wait: it was not carried out.
    #[error("{0}")]
    Busy(String),
    /// It may have been carried out.
    #[error("{0}")]
    Unknown(String),
    /// It failed, and fails again.
    #[error("{0}")]
    Failed(String),
}

/// A line that a workload wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// stdout, stderr, log.
    pub stream: &'static str,
    /// Without its end.
    pub text: String,
}

/// What a member does for others.
pub trait MemberPort: Debug + Send + Sync {
    /// Hands a message to a workload.
    fn call(&self, call: PeerCall) -> Pending<Result<PeerAnswer, CallRefused>>;

    /// Lines of a workload, sent until none is left, or for as long as somebody listens; `false` = it is not here.
    fn logs(&self, workload: &AgentName, tail: usize, follow: bool, to: mpsc::Sender<Line>) -> bool;

    /// State of a migration comes; ends with `items`.
    fn transfer(&self, items: mpsc::Receiver<TransferItem>, answers: mpsc::Sender<TransferAnswer>);

    /// Second copies come; ends with `items`.
    fn replicate(&self, items: mpsc::Receiver<ReplicaItem>, answers: mpsc::Sender<ReplicaAnswer>);
}

/// The routes of a member's port.
pub(crate) fn routes(port: Arc<dyn MemberPort>) -> Router {
    let peers = PeersServer::new(Calls { port })
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    tonic::service::Routes::new(peers).prepare().into_axum_router()
}

struct Calls {
    port: Arc<dyn MemberPort>,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Peers for Calls {
    type LogsStream = Answers<wire::LogLine>;
    type TransferStream = Answers<wire::TransferAnswer>;
    type ReplicateStream = Answers<wire::ReplicaAnswer>;

    async fn call(
        &self,
        request: Request<wire::CallRequest>,
    ) -> Result<Response<wire::CallResponse>, Status> {
        let answer = self.port.call(call_in(request.into_inner())?).await.map_err(|refused| {
            let text = refused.to_string();
            match refused {
                CallRefused::NotHere(_) => Status::failed_precondition(text),
                CallRefused::Busy(_) => Status::resource_exhausted(text),
                CallRefused::Unknown(_) => Status::deadline_exceeded(text),
                CallRefused::Failed(_) => Status::aborted(text),
            }
        })?;
        let PeerAnswer { body, epoch, status } = answer;
        Ok(Response::new(wire::CallResponse { body, epoch, status: u32::from(status) }))
    }

    async fn logs(&self, request: Request<wire::LogsRequest>) -> Result<Response<Self::LogsStream>, Status> {
        let wire::LogsRequest { workload, tail, follow } = request.into_inner();
        let name =
            AgentName::parse(&workload).map_err(|error| Status::invalid_argument(error.to_string()))?;
        let (to, lines) = mpsc::channel(WAITING_MAX);
        if !self.port.logs(&name, tail as usize, follow, to) {
            return Err(Status::not_found(format!("`{name}` does not run here")));
        }
        let lines = ReceiverStream::new(lines).map(|line| {
            let Line { at_ms, stream, text } = line;
            Ok(wire::LogLine { at_ms, stream: stream.to_owned(), text })
        });
        Ok(Response::new(Box::pin(lines)))
    }

    async fn transfer(
        &self,
        request: Request<Streaming<wire::TransferItem>>,
    ) -> Result<Response<Self::TransferStream>, Status> {
        let (to, items) = mpsc::channel(WAITING_MAX);
        let (answers, outgoing) = mpsc::channel(WAITING_MAX);
        self.port.transfer(items, answers);
        let outgoing = ReceiverStream::new(outgoing).map(transfer_answer_out);
        Ok(Response::new(Box::pin(both(request.into_inner(), transfer_in, to, outgoing))))
    }

    async fn replicate(
        &self,
        request: Request<Streaming<wire::ReplicaItem>>,
    ) -> Result<Response<Self::ReplicateStream>, Status> {
        let (to, items) = mpsc::channel(WAITING_MAX);
        let (answers, outgoing) = mpsc::channel(WAITING_MAX);
        self.port.replicate(items, answers);
        let outgoing = ReceiverStream::new(outgoing).map(replica_answer_out);
        Ok(Response::new(Box::pin(both(request.into_inner(), replica_in, to, outgoing))))
    }
}

/// Passes on what comes, in the same task as what goes, so that neither outlives the other: nothing is spawned here.
fn both<W: Send + 'static, T: Send + 'static, A: Send + 'static>(
    incoming: Streaming<W>,
    read: fn(W) -> Result<T, super::convert::Wrong>,
    to: mpsc::Sender<T>,
    outgoing: impl Stream<Item = A> + Send + 'static,
) -> impl Stream<Item = Result<A, Status>> + Send {
    let passing = futures_util::stream::unfold(Some((incoming, to)), move |state| async move {
        let (mut incoming, to) = state?;
        match incoming.message().await {
            Ok(Some(item)) => match read(item) {
                Ok(item) => match to.send(item).await {
                    Ok(()) => Some((None, Some((incoming, to)))),
                    Err(_) => Some((None, None)),
                },
                Err(wrong) => Some((Some(Err(wrong.into())), None)),
            },
            // Dropping `to` tells the member that nothing more comes; its last answers still go.
            Ok(None) | Err(_) => None,
        }
    });
    let outgoing = outgoing.map(|item| Some(Ok(item)));
    futures_util::stream::select(outgoing, passing).filter_map(std::future::ready)
}
