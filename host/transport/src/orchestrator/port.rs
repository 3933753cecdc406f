//! The port of the federation: what sessions and handlers ask of the host, in core's words.
//!
//! Invariant: a session is attached before anything it says is heard, and detached once. `next` never waits; a session that has
//! nothing to send waits for its `wake`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use pilothouse_core::id::{Label, OrchestratorId, TaskId};
use pilothouse_core::orchestrator::{
    Broadcast, CloseReason, Complaint, ConnectionStatus, Delegation, Heartbeat, Message, Offer, Progress,
    Record,
};
use pilothouse_core::time::WallMs;
use tokio::sync::{Notify, OwnedSemaphorePermit};

use crate::service::Pending;

/// Who is at the other end of a socket.
#[derive(Debug, Clone)]
pub struct Hello {
    /// Its id.
    pub peer: OrchestratorId,
    /// What it says it can do; peers may say it later.
    pub capabilities: Vec<Label>,
    /// Whether it was this side that dialled.
    pub dialled: bool,
}

/// An attached socket.
#[derive(Debug, Clone)]
pub struct Session {
    /// Who is at the other end.
    pub peer: OrchestratorId,
    /// Counts sockets, so that an old one of the same peer is known as such.
    pub number: u64,
    /// Rings when there is something to do.
    pub wake: Arc<Notify>,
}

/// Why a socket is not attached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttachError {
    /// It calls itself what this host is called.
    #[error("`{0}` is the id of this orchestrator; use another one")]
    OwnId(OrchestratorId),
    /// The two sides dialled each other; the other socket stays.
    #[error("`{0}` is connected already")]
    Connected(OrchestratorId),
    /// There are too many.
    #[error("{0} peers are known already")]
    TooManyPeers(usize),
    /// The registry does not take it as a member.
    #[error("{0}")]
    NotAMember(String),
    /// The host is going down.
    #[error("the server is stopping")]
    Stopping,
}

/// What a session does next.
#[derive(Debug, Clone)]
pub enum Next {
    /// Send this.
    Send(Box<Letter>),
    /// Wait for `wake`.
    Wait,
    /// Close, with this reason.
    Close(CloseReason),
    /// Another socket took its place.
    Replaced,
}

/// A message with what its envelope needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Letter {
    /// What.
    pub message: Message,
    /// This orchestrator.
    pub from: OrchestratorId,
    /// The peer.
    pub to: OrchestratorId,
    /// The time for people.
    pub at: WallMs,
    /// How the connection is; told in statuses and complaints.
    pub health: HealthInfo,
}

/// How a connection is, with times for people.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HealthInfo {
    /// In the document's words.
    pub status: ConnectionStatus,
    /// How long it is open, ms.
    pub uptime_ms: u64,
    /// Messages sent.
    pub sent: u64,
    /// Messages received.
    pub received: u64,
    /// Wrong messages and broken sockets.
    pub errors: u64,
    /// The last sign of life.
    pub last_heartbeat: Option<WallMs>,
    /// Messages that wait.
    pub queued: usize,
}

/// A peer.
#[derive(Debug, Clone)]
pub struct PeerInfo {
    /// Its id.
    pub id: OrchestratorId,
    /// Where it is dialled; `None` = it dials.
    pub url: Option<String>,
    /// How its connection is.
    pub health: HealthInfo,
    /// What it offers.
    pub offer: Offer,
    /// Tasks that it has of us and are not finished.
    pub outstanding: usize,
}

/// This orchestrator among its peers.
#[derive(Debug, Clone)]
pub struct FederationInfo {
    /// Its id.
    pub id: OrchestratorId,
    /// What it offers to peers.
    pub offer: Offer,
    /// Delegations that are not finished.
    pub outstanding: usize,
    /// Delegations by how they ended.
    pub outcomes: [(&'static str, u64); 3],
    /// All peers, by id.
    pub peers: Vec<PeerInfo>,
}

/// A delegation, with times for people.
#[derive(Debug, Clone)]
pub struct DelegationInfo {
    /// The record.
    pub record: Record,
    /// When it was asked.
    pub asked_at: WallMs,
    /// When it must be finished.
    pub deadline: WallMs,
}

/// A task given by an operator or a client of this host.
#[derive(Debug, Clone)]
pub struct Submission {
    /// As a peer would send it; `from`, `to` and the task's times are set by the host.
    pub delegation: Delegation,
    /// Only to this peer, connected or not.
    pub to: Option<OrchestratorId>,
}

/// What became of a broadcast.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sent {
    /// Peers that are connected.
    pub sent: Vec<OrchestratorId>,
    /// Peers for which it waits.
    pub queued: Vec<OrchestratorId>,
    /// Peers whose queue is full.
    pub refused: Vec<OrchestratorId>,
}

/// The federation as sessions and handlers see it.
pub trait Federation: Send + Sync + 'static {
    /// This orchestrator.
    fn own_id(&self) -> OrchestratorId;
    /// A place for one more socket, if there is one.
    fn place(&self) -> Option<OwnedSemaphorePermit>;
    /// A socket is open.
    ///
    /// # Errors
    /// [`AttachError`].
    fn attach(&self, hello: Hello) -> Result<Session, AttachError>;
    /// The socket is closed; the text says what broke, if anything did.
    fn detach(&self, session: &Session, failed: Option<String>);
    /// The peer said something; resolves when the next may be read.
    fn receive(&self, session: &Session, message: Message) -> Pin<Box<dyn Future<Output = ()> + Send>>;
    /// The peer gave a sign of life.
    fn alive(&self, session: &Session, heartbeat: Option<Heartbeat>);
    /// The peer said something wrong.
    fn malformed(&self, session: &Session, complaint: Complaint);
    /// What to send; asked when the socket can take it.
    fn next(&self, session: &Session) -> Next;

    /// This orchestrator and its peers.
    fn overview(&self) -> FederationInfo;
    /// All delegations that are kept.
    fn delegations(&self) -> Vec<DelegationInfo>;
    /// One delegation; without an origin one that was submitted here.
    fn delegation(&self, origin: Option<OrchestratorId>, task: &TaskId) -> Option<DelegationInfo>;
    /// Takes a task: to a member or a peer, by policy.
    fn delegate(&self, submission: Submission) -> Pending<DelegationInfo>;
    /// News of a task that a member executes.
    fn report_task(
        &self,
        origin: Option<OrchestratorId>,
        task: TaskId,
        progress: Progress,
    ) -> Pending<DelegationInfo>;
    /// Tells every peer.
    fn tell_all(&self, broadcast: Broadcast) -> Sent;
}
