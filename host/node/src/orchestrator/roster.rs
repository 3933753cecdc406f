//! Peers as members, and this host as its peers see it.
//!
//! a peer's offer and condition -> the registry (policies can choose it); our members -> our own offer
//!
//! Invariant: a peer is a member exactly while it is connected, and is never stored. Its load is what it says it holds, or
//! what it has of us, whichever is more.

use pilothouse_core::id::{MemberId, OrchestratorId};
use pilothouse_core::member::{Health, LoadReport, MemberKind, Registration, Resources, Role};
use pilothouse_core::orchestrator::{Condition, Offer};
use pilothouse_transport::orchestrator::port::AttachError;

use super::{Orchestrators, State};

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
    /// What members that take work can do, and how full they are.
    pub(super) fn own_offer(&self) -> Offer {
        let registry = self.hub.registry();
        let mut offer = Offer::default();
        let mut is_unlimited = false;
        let own = |kind| kind != MemberKind::Orchestrator;
        for member in registry.members().filter(|it| own(it.registration.kind) && it.takes_work()) {
            offer.capabilities.extend(member.registration.capabilities.iter().cloned());
            offer.sessions = offer.sessions.saturating_add(member.active());
            offer.sessions_max = offer.sessions_max.saturating_add(member.capacity());
            is_unlimited |= member.capacity() == 0;
        }
        if is_unlimited {
            offer.sessions_max = 0;
        }
        offer.capabilities = offer.capabilities.into_iter().take(CAPABILITIES_MAX).collect();
        offer
    }

    /// Makes a peer a member that policies can choose, or changes what it offers.
    pub(super) fn enlist(&self, id: &OrchestratorId, offer: &Offer) -> Result<(), AttachError> {
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

    /// A peer is gone.
    pub(super) fn delist(&self, id: &OrchestratorId) {
        let gone = member_of(id).and_then(|member| self.hub.registry().unregister(&member));
        if let Some((_, changes)) = gone {
            self.hub.announce(changes);
            self.hub.publish();
        }
    }

    /// Tells the registry how connected peers are: all of them, or one.
    pub(super) fn report(&self, state: &State, only: Option<&OrchestratorId>) {
        let (now, wall) = (self.hub.clock.now(), self.hub.clock.wall());
        for (id, peer) in state.peers.iter().filter(|(id, _)| only.is_none_or(|only| *id == only)) {
            let Some(member) = member_of(id).filter(|_| peer.session.is_some()) else { continue };
            let health = match peer.connection.condition() {
                // It asks for nothing new.
                Condition::Overloaded => Health::Unhealthy,
                _ if peer.connection.is_healthy() => Health::Healthy,
                _ => Health::Degraded,
            };
            let of_us = u32::try_from(state.ledger.at(id).count()).unwrap_or(u32::MAX);
            let active = Some(peer.offer.sessions.max(of_us));
            let report = LoadReport { health: Some(health), active, ..LoadReport::default() };
            let reported = self.hub.registry().report(&member, &report, now, wall);
            if let Ok((_, changes)) = reported {
                self.hub.announce(changes);
            }
        }
        self.hub.publish();
    }
}

fn registration(id: MemberId, endpoint: String, offer: &Offer) -> Registration {
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
        services: Default::default(),
        compliance: Default::default(),
        accelerator_model: None,
        cost_per_hour: f32::NAN,
        carbon_g_per_kwh: f32::NAN,
        resources: Resources::default(),
    }
}
