//! Peers come, speak and go: sessions and the connection machines.
//!
//! socket's events -> machine of its peer -> commands -> wake of the session | registry | event
//!
//! Invariant: at most one session per peer. When two sides dial each other, both keep the socket that the smaller id opened.

use std::sync::Arc;

use pilothouse_core::event::EventKind;
use pilothouse_core::id::OrchestratorId;
use pilothouse_core::orchestrator::{
    Command, Complaint, Condition, Connection, Event, Heartbeat, Key, Message, Notice, Offer, Outgoing,
    SendError,
};
use pilothouse_core::time::Now;
use pilothouse_transport::orchestrator::client::Target;
use pilothouse_transport::orchestrator::port::{AttachError, Hello, Letter, Next, Session};
use tokio::sync::Notify;

use super::{Orchestrators, PEERS_MAX, Peer, State, told};

/// How often the registry is told of every connected peer, ms; a member may be silent for three times as long.
const REPORT_MS: u64 = 10_000;

impl Orchestrators {
    /// A socket is open: its peer has a session, and policies can choose it.
    pub(super) fn attach_peer(&self, hello: Hello) -> Result<Session, AttachError> {
        let Hello { peer: id, capabilities, dialled } = hello;
        if id == self.own {
            return Err(AttachError::OwnId(id));
        }
        let now = self.hub.clock.now();
        let mut state = self.state();
        if state.stopping {
            return Err(AttachError::Stopping);
        }
        if !state.peers.contains_key(&id) {
            make_room(&mut state)?;
        }
        state.sessions += 1;
        let session = Session { peer: id.clone(), number: state.sessions, wake: Arc::new(Notify::new()) };
        let unknown = || Peer::new(Connection::new(self.settings, false), Offer::default(), false);
        let peer = state.peers.entry(id.clone()).or_insert_with(unknown);
        if let Some(old) = &peer.session {
            let opener = |dialled: bool| if dialled { &self.own } else { &id };
            if peer.dialled != dialled && opener(peer.dialled) < opener(dialled) {
                return Err(AttachError::Connected(id));
            }
            old.wake.notify_one();
            peer.connection.step(Event::Closed { failed: false, seed: self.hub.random() }, now);
        }
        if !capabilities.is_empty() {
            peer.offer.capabilities = capabilities.into_iter().collect();
        }
        self.enlist(&id, &peer.offer)?;
        (peer.session, peer.dialled, peer.close) = (Some(session.clone()), dialled, None);
        let commands = peer.connection.step(Event::Opened, now);
        self.carry_out(&id, peer, commands);
        self.report(&state, Some(&id));
        drop(state);
        self.tell(&id, Notice::Connected);
        Ok(session)
    }

    /// A socket is closed.
    pub(super) fn detach_peer(&self, session: &Session, failed: Option<String>) {
        let mut state = self.state();
        let Some(peer) = current(&mut state, session) else { return };
        peer.session = None;
        let (now, seed) = (self.hub.clock.now(), self.hub.random());
        peer.connection.step(Event::Closed { failed: failed.is_some(), seed }, now);
        self.delist(&session.peer);
        drop(state);
        let why = failed.unwrap_or_else(|| "closed".to_owned());
        self.tell(&session.peer, Notice::Disconnected { why });
    }

    /// A dial did not become a session, or its session is over.
    pub(super) fn dial_ended(&self, id: &OrchestratorId) {
        let (now, seed) = (self.hub.clock.now(), self.hub.random());
        if let Some(peer) = self.state().peers.get_mut(id).filter(|peer| peer.connection.is_dialing()) {
            peer.connection.step(Event::Closed { failed: true, seed }, now);
        }
    }

    /// Something happened to a session; `false` if it is no longer its peer's.
    pub(super) fn happened(&self, session: &Session, event: Event) -> bool {
        let mut state = self.state();
        let Some(peer) = current(&mut state, session) else { return false };
        let commands = peer.connection.step(event, self.hub.clock.now());
        self.carry_out(&session.peer, peer, commands);
        true
    }

    /// A heartbeat, or a pong.
    pub(super) fn signed_of_life(&self, session: &Session, heartbeat: Option<Heartbeat>) {
        if self.happened(session, Event::Alive(heartbeat)) {
            self.report(&self.state(), Some(&session.peer));
        }
    }

    /// What a session sends next.
    pub(super) fn next_for(&self, session: &Session) -> Next {
        let now = self.hub.clock.now();
        let (outgoing, health) = {
            let mut state = self.state();
            let Some(peer) = current(&mut state, session) else { return Next::Replaced };
            if let Some(reason) = peer.close.take() {
                return Next::Close(reason);
            }
            let outgoing = match peer.connection.step(Event::Writable, now).pop() {
                Some(Command::Transmit(outgoing)) => outgoing,
                Some(Command::Close(reason)) => return Next::Close(reason),
                _ => return Next::Wait,
            };
            (outgoing, told::health(&peer.connection, &self.hub.clock))
        };
        let message = match outgoing {
            Outgoing::Message(message) => message,
            Outgoing::Heartbeat => Message::Heartbeat(Heartbeat {
                condition: own_condition(&self.own_offer()),
                connections: self.connections(),
            }),
            Outgoing::Status => Message::Status(Some(self.own_offer())),
        };
        let (from, to, at) = (self.own.clone(), session.peer.clone(), self.hub.clock.wall());
        Next::Send(Box::new(Letter { message, from, to, at, health }))
    }

    /// Queues a message for a peer; gives whether it is connected now.
    pub(super) fn send(
        &self,
        to: &OrchestratorId,
        message: Message,
        until: Option<Now>,
    ) -> Result<bool, SendFailed> {
        let mut state = self.state();
        let peer = state.peers.get_mut(to).ok_or(SendFailed::Unknown)?;
        let commands = peer.connection.step(Event::Send { message, until }, self.hub.clock.now());
        let refused = commands.iter().find_map(|command| match command {
            Command::Refuse(error) => Some(*error),
            _ => None,
        });
        self.carry_out(to, peer, commands);
        refused.map_or(Ok(peer.connection.is_up()), |error| Err(SendFailed::Refused(error)))
    }

    /// Tells a peer that its message was wrong.
    pub(super) fn complain(&self, session: &Session, complaint: Complaint) {
        tracing::debug!(peer = %session.peer, code = complaint.code, detail = complaint.detail, "a wrong message");
        if self.happened(session, Event::Malformed) {
            // A queue that is full ends the connection; there is nobody to tell.
            let _ = self.send(&session.peer, Message::Complaint(complaint), None);
        }
    }

    /// A peer says what it offers.
    pub(super) fn offered(&self, session: &Session, offer: Offer) {
        let mut state = self.state();
        let Some(peer) = current(&mut state, session) else { return };
        let is_new =
            peer.offer.capabilities != offer.capabilities || peer.offer.sessions_max != offer.sessions_max;
        peer.offer = offer;
        if is_new && let Err(error) = self.enlist(&session.peer, &peer.offer) {
            tracing::warn!(peer = %session.peer, %error, "the peer's offer is not known to policies");
        }
        self.report(&state, Some(&session.peer));
    }

    /// Lets time pass; gives whom to dial, and delegations that others may take because they never left for a peer that is gone.
    pub(super) fn tick(&self) -> (Vec<Target>, Vec<Key>) {
        let now = self.hub.clock.now();
        let mut state = self.state();
        let (mut dials, mut unsent) = (Vec::new(), Vec::new());
        let State { peers, ledger, .. } = &mut *state;
        for (id, peer) in peers {
            let commands = peer.connection.step(Event::Tick, now);
            if commands.contains(&Command::Dial) {
                dials.extend(self.targets.get(id).cloned());
            }
            self.carry_out(id, peer, commands);
            if !peer.connection.is_up() {
                let free = |key: &&Key| ledger.record(key).is_some_and(|it| it.delegation.to == self.own);
                let keys: Vec<&Key> = ledger.at(id).filter(free).collect();
                let back = peer.connection.withdraw(&keys.iter().map(|key| key.task.clone()).collect());
                unsent.extend(keys.into_iter().filter(|key| back.contains(&key.task)).cloned());
            }
        }
        if now.since_ms(state.reported) >= REPORT_MS {
            // The registry takes members that nobody reports for lost.
            self.report(&state, None);
            state.reported = now;
        }
        (dials, unsent)
    }

    /// Asks every session to flush and end; `true` when all have.
    pub(super) fn stop(&self) -> bool {
        let now = self.hub.clock.now();
        let mut state = self.state();
        let first = !std::mem::replace(&mut state.stopping, true);
        for (id, peer) in state.peers.iter_mut().filter(|_| first) {
            let commands = peer.connection.step(Event::Stop, now);
            self.carry_out(id, peer, commands);
        }
        state.peers.values().all(|peer| peer.session.is_none())
    }

    /// What sessions and followers have to know of commands; the rest is the caller's.
    fn carry_out(&self, id: &OrchestratorId, peer: &mut Peer, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::Close(reason) => peer.close = Some(reason),
                Command::Degraded => self.tell(id, Notice::Degraded),
                Command::Recovered => self.tell(id, Notice::Recovered),
                Command::Wake | Command::Dial | Command::Transmit(_) | Command::Refuse(_) => {}
            }
            if let Some(session) = &peer.session {
                session.wake.notify_one();
            }
        }
    }

    pub(super) fn tell(&self, peer: &OrchestratorId, notice: Notice) {
        self.hub.emit(EventKind::Orchestrator(peer.clone(), notice));
    }

    fn connections(&self) -> u32 {
        let open = self.state().peers.values().filter(|peer| peer.session.is_some()).count();
        u32::try_from(open).unwrap_or(u32::MAX)
    }
}

/// Why a message does not wait for a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum SendFailed {
    /// There is no such peer.
    #[error("there is no such peer")]
    Unknown,
    /// Its connection does not take it.
    #[error(transparent)]
    Refused(#[from] SendError),
}

fn current<'a>(state: &'a mut State, session: &Session) -> Option<&'a mut Peer> {
    let peer = state.peers.get_mut(&session.peer)?;
    peer.session.as_ref().is_some_and(|current| current.number == session.number).then_some(peer)
}

/// Forgets a peer that is gone and not configured, if there are too many.
fn make_room(state: &mut State) -> Result<(), AttachError> {
    if state.peers.len() < PEERS_MAX {
        return Ok(());
    }
    let gone = state.peers.iter().find(|(_, peer)| peer.session.is_none() && !peer.configured);
    let gone = gone.map(|(id, _)| id.clone()).ok_or(AttachError::TooManyPeers(PEERS_MAX))?;
    state.peers.remove(&gone);
    Ok(())
}

fn own_condition(offer: &Offer) -> Condition {
    let is_full = offer.sessions_max > 0 && offer.sessions >= offer.sessions_max;
    if is_full { Condition::Overloaded } else { Condition::Healthy }
}
