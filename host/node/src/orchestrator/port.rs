//! The federation's port: what sessions say, and what clients of this host ask.
//!
//! Invariant: what a peer says is heard only while its session is the peer's. A task is taken under the name of who is
//! connected, whatever its message calls the sender.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use pilothouse_core::id::{OrchestratorId, TaskId};
use pilothouse_core::orchestrator::{
    Broadcast, Complaint, Delegation, Event, Executor, Heartbeat, Key, LedgerEvent, Message, Notice, Offer,
    Progress, Refusal, RefusalKind, Reply, Stage,
};
use pilothouse_transport::orchestrator::port::{
    AttachError, DelegationInfo, Federation, FederationInfo, Hello, Next, Sent, Session, Submission,
};
use pilothouse_transport::service::{Pending, ServiceError};
use tokio::sync::OwnedSemaphorePermit;

use super::drive::short;
use super::peers::SendFailed;
use super::told;
use crate::control::Control;

/// Largest broadcast that an event repeats, bytes of JSON.
const EVENT_DATA_BYTES_MAX: usize = 16 << 10;

impl Federation for Control {
    fn own_id(&self) -> OrchestratorId {
        self.orchestrators.own.clone()
    }

    fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.orchestrators.places).try_acquire_owned().ok()
    }

    fn attach(&self, hello: Hello) -> Result<Session, AttachError> {
        self.orchestrators.attach_peer(hello)
    }

    fn detach(&self, session: &Session, failed: Option<String>) {
        self.orchestrators.detach_peer(session, failed);
    }

    fn receive(&self, session: &Session, message: Message) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let (control, session) = (self.clone(), session.clone());
        Box::pin(async move {
            if control.orchestrators.happened(&session, Event::Received) {
                control.heard(&session, message).await;
            }
        })
    }

    fn alive(&self, session: &Session, heartbeat: Option<Heartbeat>) {
        self.orchestrators.signed_of_life(session, heartbeat);
    }

    fn malformed(&self, session: &Session, complaint: Complaint) {
        self.orchestrators.complain(session, complaint);
    }

    fn next(&self, session: &Session) -> Next {
        self.orchestrators.next_for(session)
    }

    fn overview(&self) -> FederationInfo {
        self.orchestrators.info()
    }

    fn delegations(&self) -> Vec<DelegationInfo> {
        let state = self.orchestrators.state();
        state.ledger.records().map(|record| told::delegation(record, &self.hub.clock)).collect()
    }

    fn delegation(&self, origin: Option<OrchestratorId>, task: &TaskId) -> Option<DelegationInfo> {
        self.known(&self.key(origin, task.clone()))
    }

    fn delegate(&self, submission: Submission) -> Pending<DelegationInfo> {
        let (control, own) = (self.clone(), self.own_id());
        let Submission { delegation, to } = submission;
        let key = self.key(None, delegation.task.id.clone());
        let to = to.unwrap_or_else(|| own.clone());
        let mut delegation = Box::new(Delegation { from: own.clone(), to, ..delegation });
        let wall = self.hub.clock.wall();
        (delegation.task.created_at, delegation.task.updated_at) = (wall, wall);
        Box::pin(async move {
            let answer = control.drive(LedgerEvent::Ask { origin: own, delegation }).await;
            match (control.known(&key), answer) {
                (Some(info), _) if matches!(info.record.stage, Stage::Refused(_)) => Ok(info),
                (_, Some(Reply { answer: Err(refusal), .. })) => Err(not_taken(&refusal)),
                (Some(info), _) => Ok(info),
                (None, _) => Err(missing(&key)),
            }
        })
    }

    fn report_task(
        &self,
        origin: Option<OrchestratorId>,
        task: TaskId,
        progress: Progress,
    ) -> Pending<DelegationInfo> {
        let (control, key) = (self.clone(), self.key(origin, task));
        Box::pin(async move {
            let info = control.known(&key).ok_or_else(|| missing(&key))?;
            let record = &info.record;
            let is_running = matches!(record.stage, Stage::Accepted | Stage::Running(_));
            if !is_running || !matches!(record.executor, Some(Executor::Member(_))) {
                let text = format!("task `{}` is {}, and not with a member", key.task, record.stage.name());
                return Err(ServiceError::Conflict(text));
            }
            control.drive(LedgerEvent::Reported(key.clone(), progress)).await;
            control.known(&key).ok_or_else(|| missing(&key))
        })
    }

    fn tell_all(&self, broadcast: Broadcast) -> Sent {
        let until = broadcast.ttl_ms.map(|ttl_ms| self.hub.clock.now().plus_ms(ttl_ms));
        let peers: Vec<OrchestratorId> = self.orchestrators.state().peers.keys().cloned().collect();
        let mut told = Sent::default();
        for peer in peers {
            match self.orchestrators.send(&peer, Message::Broadcast(broadcast.clone()), until) {
                Ok(true) => told.sent.push(peer),
                Ok(false) => told.queued.push(peer),
                Err(SendFailed::Refused(_)) => told.refused.push(peer),
                // It was forgotten just now.
                Err(SendFailed::Unknown) => {}
            }
        }
        told
    }
}

impl Control {
    fn key(&self, origin: Option<OrchestratorId>, task: TaskId) -> Key {
        Key { origin: origin.unwrap_or_else(|| self.orchestrators.own.clone()), task }
    }

    fn known(&self, key: &Key) -> Option<DelegationInfo> {
        let state = self.orchestrators.state();
        state.ledger.record(key).map(|record| told::delegation(record, &self.hub.clock))
    }

    async fn heard(&self, session: &Session, message: Message) {
        let peer = &session.peer;
        match message {
            Message::Delegation(delegation) => self.asked(session, delegation).await,
            Message::Reply(reply) => {
                self.drive(LedgerEvent::Replied(peer.clone(), reply)).await;
            }
            Message::Callback(callback) => {
                self.drive(LedgerEvent::Called(peer.clone(), callback)).await;
            }
            Message::Broadcast(Broadcast { topic, data, .. }) => {
                let data = if data.len() <= EVENT_DATA_BYTES_MAX {
                    data
                } else {
                    format!("\"{} bytes, more than an event repeats\"", data.len()).into()
                };
                self.orchestrators.tell(peer, Notice::Broadcast { topic, data });
            }
            Message::Status(offer) => {
                let _ = offer.map(|offer: Offer| self.orchestrators.offered(session, offer));
            }
            Message::Complaint(complaint) => self.complained(peer, &complaint).await,
            // The session hands these to `alive`.
            Message::Heartbeat(_) => {}
        }
    }

    async fn asked(&self, session: &Session, mut delegation: Box<Delegation>) {
        let own = &self.orchestrators.own;
        if delegation.to != *own {
            let (code, about) = ("wrong-receiver".to_owned(), Some(delegation.task.id.to_string()));
            let detail = format!("`toOrchestratorId` is not `{own}`; messages are not relayed");
            return self.orchestrators.complain(session, Complaint { code, detail, about });
        }
        delegation.from = session.peer.clone();
        self.drive(LedgerEvent::Ask { origin: session.peer.clone(), delegation }).await;
    }

    /// A peer that could not read a task has certainly not taken it.
    async fn complained(&self, peer: &OrchestratorId, complaint: &Complaint) {
        let Complaint { code, detail, about } = complaint;
        tracing::info!(%peer, code, detail, "a peer complains of a message");
        let task = about.as_deref().and_then(|about| TaskId::parse(about).ok());
        let is_at_peer =
            |task: &TaskId| self.orchestrators.state().ledger.at(peer).any(|key| key.task == *task);
        if let Some(task) = task.filter(is_at_peer) {
            let refusal = Refusal::new(RefusalKind::Rejected, short(&format!("{code}: {detail}")));
            self.drive(LedgerEvent::Replied(peer.clone(), Reply { task, answer: Err(refusal) })).await;
        }
    }
}

fn missing(key: &Key) -> ServiceError {
    ServiceError::NotFound { what: "task", name: format!("{} of {}", key.task, key.origin) }
}

/// What was refused before it became a delegation.
fn not_taken(refusal: &Refusal) -> ServiceError {
    match refusal.kind {
        RefusalKind::Overloaded => ServiceError::Busy,
        _ => ServiceError::Conflict(refusal.to_string()),
    }
}
