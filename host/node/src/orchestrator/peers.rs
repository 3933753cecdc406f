//! Peers come, speak and go: sessions, the connection machines, and the registry that shows them to policies.
//!
//! Invariant: at most one session per peer. When two sides dial each other, both keep the socket that the smaller id opened.

use std::collections::BTreeSet;
use std::sync::Arc;

use pilothouse_core::event::EventKind;
use pilothouse_core::id::{Label, MemberId, OrchestratorId};
use pilothouse_core::member::{Health, LoadReport, MemberKind, Registration, Resources, Role};
use pilothouse_core::orchestrator::{
    Command, Complaint, Condition, Connection, Event, Heartbeat, Message, Notice, Offer, Outgoing, SendError,
};
use pilothouse_core::time::Now;
use pilothouse_transport::orchestrator::client::Target;
use pilothouse_transport::orchestrator::port::{AttachError, Hello, Next, Session};
use tokio::sync::Notify;

use super::{Orchestrators, PEERS_MAX, Peer, State};

/// Capabilities offered to peers.
const CAPABILITIES_MAX: usize = 64;
/// What tells members that are peers from others.
const MEMBER_PREFIX: &str = "orchestrator:";

/// The member that stands for a peer.
pub(super) fn member_of(peer: &OrchestratorId) -> Option<MemberId> {
    MemberId::parse(&format!("{MEMBER_PREFIX}{peer}")).ok()
}

/// The peer that a member stands for.
pub(super) fn peer_of(member: &MemberId) -> Option<OrchestratorId> {
    OrchestratorId::parse(member.as_str().strip_prefix(MEMBER_PREFIX)?).ok()
}

impl Orchestrators {
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
        let peer = state.peers.entry(id.clone()).or_insert_with(|| Peer {
            connection: Connection::new(self.settings, false),
            session: None,
            dialled: false,
            configured: false,
            offer: Offer::default(),
            close: None,
        });
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
        drop(state);
        self.tell(&id, Notice::Connected);
        self.report(&id, Condition::Healthy);
        Ok(session)
    }

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

    /// Something happened to a session that is still its peer's.
    pub(super) fn happened(&self, session: &Session, event: Event) -> bool {
        let mut state = self.state();
        let Some(peer) = current(&mut state, session) else { return false };
        let commands = peer.connection.step(event, self.hub.clock.now());
        self.carry_out(&session.peer, peer, commands);
        true
    }

    pub(super) fn signed_of_life(&self, session: &Session, heartbeat: Option<Heartbeat>) {
        if self.happened(session, Event::Alive(heartbeat))
            && let Some(heartbeat) = heartbeat
        {
            self.report(&session.peer, heartbeat.condition);
        }
    }

    pub(super) fn next_for(&self, session: &Session) -> Next {
        let now = self.hub.clock.now();
        let connections = self.connections();
        let offer = self.own_offer();
        let mut state = self.state();
        let Some(peer) = current(&mut state, session) else { return Next::Replaced };
        if let Some(reason) = peer.close.take() {
            return Next::Close(reason);
        }
        match peer.connection.step(Event::Writable, now).pop() {
            Some(Command::Transmit(outgoing)) => {
                let message = match outgoing {
                    Outgoing::Message(message) => message,
                    Outgoing::Heartbeat => {
                        Message::Heartbeat(Heartbeat { condition: own_condition(&offer), connections })
                    }
                    Outgoing::Status => Message::Status(Some(offer)),
                };
                Next::Send(Box::new(self.letter(&session.peer, &peer.connection, message, now)))
            }
            Some(Command::Close(reason)) => Next::Close(reason),
            _ => Next::Wait,
        }
    }

    /// Queues a message for a peer, connected or not.
    pub(super) fn send(&self, to: &OrchestratorId, message: Message, until: Option<Now>) -> Result<bool, SendFailed> {
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

    pub(super) fn complain(&self, session: &Session, complaint: Complaint) {
        tracing::debug!(peer = %session.peer, code = complaint.code, detail = complaint.detail, "a wrong message");
        if self.happened(session, Event::Malformed) {
            // A queue that is full ends the connection; there is nobody to tell.
            let _ = self.send(&session.peer, Message::Complaint(complaint), None);
        }
    }

    pub(super) fn offered(&self, session: &Session, offer: Offer) {
        let mut state = self.state();
        let Some(peer) = current(&mut state, session) else { return };
        peer.offer = offer;
        if let Err(error) = self.enlist(&session.peer, &peer.offer) {
            tracing::warn!(peer = %session.peer, %error, "the peer's offer is not known to policies");
        }
        let condition = peer.connection.condition();
        drop(state);
        self.report(&session.peer, condition);
    }

    /// Lets time pass; gives whom to dial.
    pub(super) fn tick(&self) -> Vec<Target> {
        let now = self.hub.clock.now();
        let mut state = self.state();
        let mut dials = Vec::new();
        for (id, peer) in &mut state.peers {
            let commands = peer.connection.step(Event::Tick, now);
            if commands.contains(&Command::Dial) {
                dials.extend(self.targets.get(id).cloned());
            }
            self.carry_out(id, peer, commands);
        }
        dials
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

    /// What sessions and the registry have to know of commands; the rest is the caller's.
    fn carry_out(&self, id: &OrchestratorId, peer: &mut Peer, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::Close(reason) => peer.close = Some(reason),
                Command::Degraded => {
                    self.report(id, Condition::Degraded);
                    self.tell(id, Notice::Degraded);
                }
                Command::Recovered => {
                    self.report(id, Condition::Healthy);
                    self.tell(id, Notice::Recovered);
                }
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

    /// What members that take work can do, and how full they are.
    pub(super) fn own_offer(&self) -> Offer {
        let registry = self.hub.registry();
        let mut offer = Offer::default();
        let members = registry.members().filter(|member| {
            member.registration.kind != MemberKind::Orchestrator && member.takes_work()
        });
        let mut unlimited = false;
        for member in members {
            offer.capabilities.extend(member.registration.capabilities.iter().cloned());
            offer.sessions = offer.sessions.saturating_add(member.active());
            offer.sessions_max = offer.sessions_max.saturating_add(member.capacity());
            unlimited |= member.capacity() == 0;
        }
        if unlimited {
            offer.sessions_max = 0;
        }
        offer.capabilities = offer.capabilities.into_iter().take(CAPABILITIES_MAX).collect();
        offer
    }

    /// Makes a peer a member that policies can choose. It is not stored: it lives with its connection.
    fn enlist(&self, id: &OrchestratorId, offer: &Offer) -> Result<(), AttachError> {
        let refused = |problem: String| AttachError::NotAMember(problem);
        let member = member_of(id).ok_or_else(|| refused(format!("`{id}` is too long")))?;
        let endpoint = self.targets.get(id).map_or_else(|| member.to_string(), |target| target.url.clone());
        let registration = registration(member, endpoint, offer);
        let (now, wall) = (self.hub.clock.now(), self.hub.clock.wall());
        let registered = self.hub.registry().register(registration, now, wall);
        let (_, changes) = registered.map_err(|error| refused(error.to_string()))?;
        self.hub.announce(changes);
        self.hub.publish();
        Ok(())
    }

    fn delist(&self, id: &OrchestratorId) {
        let gone = member_of(id).and_then(|member| self.hub.registry().unregister(&member));
        if let Some((_, changes)) = gone {
            self.hub.announce(changes);
            self.hub.publish();
        }
    }

    /// Tells the registry how a peer is; what it offers was registered.
    fn report(&self, id: &OrchestratorId, condition: Condition) {
        let Some(member) = member_of(id) else { return };
        let health = match condition {
            Condition::Healthy => Health::Healthy,
            Condition::Degraded => Health::Degraded,
            // It asks for nothing new.
            Condition::Overloaded => Health::Unhealthy,
        };
        let report = LoadReport { health: Some(health), ..LoadReport::default() };
        let (now, wall) = (self.hub.clock.now(), self.hub.clock.wall());
        if let Ok((_, changes)) = self.hub.registry().report(&member, &report, now, wall) {
            self.hub.announce(changes);
        }
        self.hub.publish();
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
    let full = offer.sessions_max > 0 && offer.sessions >= offer.sessions_max;
    if full { Condition::Overloaded } else { Condition::Healthy }
}

fn registration(id: MemberId, endpoint: String, offer: &Offer) -> Registration {
    let services: BTreeSet<Label> = BTreeSet::new();
    Registration {
        id,
        kind: MemberKind::Orchestrator,
        endpoint,
        hostname: String::new(),
        region: None,
        zone: None,
        cluster: None,
        role: Role::Worker,
        capacity: offer.sessions_max,
        weight: 1.0,
        capabilities: offer.capabilities.clone(),
        services,
        cost_per_hour: f32::NAN,
        carbon_g_per_kwh: f32::NAN,
        resources: Resources::default(),
    }
}
