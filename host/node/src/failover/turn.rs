//! One turn: what the detector found, what operators want, what time brought.
//!
//! findings -> standing in the registry -> failovers opened, widened, told -> [`super::steps`] -> the way home
//!
//! Invariant: whoever is found dead in one turn is lost in one failover. A brake holds what the detector started, never what an
//! operator wants.

use std::collections::BTreeSet;

use pilothouse_core::event::EventKind;
use pilothouse_core::failover::{Event, Failover, FailoverId, Lost, Origin};
use pilothouse_core::id::{Label, MemberId};
use pilothouse_core::member::Standing;
use pilothouse_core::registry::Registry;
use pilothouse_state::detection::{Command as Finding, Presence, Scope};
use pilothouse_transport::service::ServiceError;
use pilothouse_transport::service::failover::{FailoverInfo, FailoverQuery};

use super::board::Open;
use super::{Wish, workload};
use crate::control::Control;

impl Control {
    /// Takes a turn.
    pub(crate) async fn failover_turn(&self) {
        let found = self.failovers.watch().take();
        let (mut dead, mut regions) = (Vec::new(), BTreeSet::new());
        for finding in found {
            // Who died and is heard again must be lost before it returns.
            if matches!(finding, Finding::Returned { .. }) {
                self.lost(std::mem::take(&mut dead), &regions).await;
            }
            self.found(finding, &mut dead, &mut regions).await;
        }
        self.lost(dead, &regions).await;
        self.notice_returned().await;
        for id in self.open_failovers() {
            self.tell(id, Event::Tick).await;
            let now = self.hub.clock.now();
            let overdue = self.failovers.overdue_after_ms;
            let falls = |open: &mut Open| open.falls_overdue(overdue, now);
            if self.failovers.board().open.get_mut(&id).is_some_and(falls) {
                tracing::warn!(%id, "a failover takes longer than it should");
            }
        }
        self.failovers.expire_faults(&self.hub);
        self.look_home().await;
    }

    /// Does what an operator wants.
    pub(crate) async fn fulfil(&self, wish: Wish) {
        // Whoever no longer waits for the answer does not need it.
        match wish {
            Wish::Open(query, reply) => drop(reply.send(self.open_by_hand(query).await)),
            Wish::Confirm(id, reply) => drop(reply.send(self.told(id, Event::Confirmed).await)),
            Wish::Cancel(id, reply) => drop(reply.send(self.told(id, Event::Cancelled).await)),
            Wish::Home(event, reply) => drop(reply.send(self.homeward(event).await)),
        }
    }

    async fn found(&self, finding: Finding, dead: &mut Vec<MemberId>, regions: &mut BTreeSet<Label>) {
        match finding {
            Finding::Suspected { member, silent_ms } => {
                tracing::info!(%member, silent_ms, "suspected");
                self.stand(&member);
            }
            Finding::Dead { member, silent_ms, .. } => {
                tracing::warn!(%member, silent_ms, "dead");
                self.stand(&member);
                dead.push(member);
            }
            Finding::Returned { member, hold_ms } => {
                tracing::info!(%member, hold_ms, "returned, and is held down");
                self.stand(&member);
                self.tell_all(&Event::Returned(member)).await;
            }
            Finding::Refuted(member) | Finding::Back(member) => self.stand(&member),
            Finding::Tell { region, down } => self.hub.emit(EventKind::RegionDown(region, down)),
            Finding::RegionDead { region, .. } => {
                self.hub.emit(EventKind::RegionDead(region.clone(), true));
                regions.insert(region);
            }
            Finding::RegionBack(region) => self.hub.emit(EventKind::RegionDead(region, false)),
            Finding::BrakeOn { scope, lost, of } => {
                let region = region_of(scope);
                tracing::error!(?region, lost, of, "too many members are missing: nobody is declared dead");
                self.failovers.board().brakes.insert(region.clone(), (lost, of));
                self.hub.emit(EventKind::BrakeOn { region, lost, of });
                self.tell_brake().await;
            }
            Finding::BrakeOff { scope, .. } => {
                let region = region_of(scope);
                self.failovers.board().brakes.remove(&region);
                self.hub.emit(EventKind::BrakeOff { region });
                self.tell_brake().await;
            }
            Finding::Full(member) => tracing::warn!(%member, "there are too many members to watch this one"),
            // Runs are not told apart yet, members are registered before they are heard, and probes are sent at once.
            Finding::Reborn { .. }
            | Finding::Outdated { .. }
            | Finding::Unknown(_)
            | Finding::Probe { .. } => {}
        }
    }

    /// Gives a member the standing that the detector sees.
    fn stand(&self, member: &MemberId) {
        let standing = match self.failovers.watch().presence(member) {
            None | Some(Presence::Alive) => Standing::Sound,
            Some(Presence::Held) => Standing::Held,
            Some(Presence::Suspect) => Standing::Suspect,
            Some(Presence::Dead) => Standing::Dead,
        };
        let changes = self.hub.registry().set_standing(member, standing);
        self.hub.announce(changes);
        self.hub.publish();
    }

    /// Members are lost: what runs under way learns of it, and their work goes elsewhere.
    async fn lost(&self, dead: Vec<MemberId>, regions: &BTreeSet<Label>) {
        if dead.is_empty() {
            return;
        }
        let detected = self.failovers.board().detected();
        for id in self.open_failovers() {
            for member in &dead {
                let adopted = if Some(id) == detected { self.residents(member) } else { Vec::new() };
                self.tell(id, Event::Died { member: member.clone(), workloads: adopted }).await;
            }
        }
        let orphans = || dead.iter().any(|member| !self.residents(member).is_empty());
        if detected.is_none() && orphans() {
            let lost = Lost { members: dead.into_iter().collect(), regions: regions.clone() };
            let id = self.open_failover(Origin::Detector, lost);
            self.tell(id, Event::Braked(self.is_braked(id))).await;
        }
    }

    fn residents(&self, member: &MemberId) -> Vec<pilothouse_core::failover::Workload> {
        self.hub.ledger().on(member).map(workload).collect()
    }

    fn open_failover(&self, origin: Origin, lost: Lost) -> FailoverId {
        let (now, wall) = (self.hub.clock.now(), self.hub.clock.wall());
        let id = self.failovers.board().next_id();
        let opening = self.failovers.opening(&self.hub, id, origin, lost);
        tracing::warn!(%id, workloads = opening.workloads.len(), survivors = opening.survivors.len(), "failover");
        let (machine, commands) = Failover::open(self.failovers.rules, opening, now);
        self.hub.emit(EventKind::Failover(id, machine.phase()));
        self.failovers.board().open.insert(id, Open::new(machine, commands, 0, now, wall));
        id
    }

    async fn open_by_hand(&self, query: FailoverQuery) -> Result<FailoverInfo, ServiceError> {
        let (origin, lost) = wanted(&self.hub.registry(), query)?;
        let id = self.open_failover(origin, lost);
        self.told(id, Event::Confirmed).await
    }

    /// Tells a failover something and answers with how it is then; one that has ended stays as it is.
    async fn told(&self, id: FailoverId, event: Event) -> Result<FailoverInfo, ServiceError> {
        self.tell(id, event).await;
        self.failovers.board().info(id, self.hub.clock.now()).ok_or_else(|| missing(id))
    }

    /// Members that were lost before this run of the host and report in it are not lost.
    async fn notice_returned(&self) {
        let Some(id) = self.failovers.board().detected() else { return };
        let lost = self.failovers.board().open.get(&id).map(|open| open.machine.lost().members.clone());
        for member in lost.into_iter().flatten() {
            let heard =
                self.hub.registry().member(&member).is_some_and(|member| member.reported_at.is_some());
            if heard && self.failovers.watch().presence(&member) == Some(Presence::Alive) {
                self.tell(id, Event::Returned(member)).await;
            }
        }
    }

    async fn tell_brake(&self) {
        let detected = self.failovers.board().detected();
        if let Some(id) = detected {
            self.tell(id, Event::Braked(self.is_braked(id))).await;
        }
    }

    /// Whether a brake is on in the fleet, or in a region of which the failover has lost somebody.
    fn is_braked(&self, id: FailoverId) -> bool {
        let registry = self.hub.registry();
        let board = self.failovers.board();
        let lost = board.open.get(&id).map(|open| &open.machine.lost().members);
        let regions = lost
            .into_iter()
            .flatten()
            .map(|member| registry.member(member).and_then(|member| member.registration.region.clone()));
        board.brakes.contains_key(&None)
            || regions.flatten().any(|region| board.brakes.contains_key(&Some(region)))
    }

    async fn tell_all(&self, event: &Event) {
        for id in self.open_failovers() {
            self.tell(id, event.clone()).await;
        }
    }

    fn open_failovers(&self) -> Vec<FailoverId> {
        self.failovers.board().open.keys().copied().collect()
    }
}

/// What an operator's words mean.
///
/// # Errors
/// A region or member that is not there, or a failover to where it comes from.
pub(super) fn wanted(registry: &Registry, query: FailoverQuery) -> Result<(Origin, Lost), ServiceError> {
    let FailoverQuery { from_regions, from_members, to_regions, by } = query;
    let invalid = |field: &str, problem: &str| {
        Err(ServiceError::Invalid { field: field.to_owned(), problem: problem.to_owned() })
    };
    if from_regions.is_empty() && from_members.is_empty() {
        return invalid("from_regions", "name a region or a member whose work shall run elsewhere");
    }
    if !from_regions.is_disjoint(&to_regions) {
        return invalid("to_regions", "a region cannot be failed over to itself");
    }
    let mut members = BTreeSet::new();
    for region in &from_regions {
        let inside = registry.members().filter(|member| member.registration.region.as_ref() == Some(region));
        let before = members.len();
        members.extend(inside.map(|member| member.id().clone()));
        if members.len() == before {
            return Err(ServiceError::NotFound { what: "region", name: region.to_string() });
        }
    }
    if let Some(unknown) = from_members.iter().find(|id| registry.member(id).is_none()) {
        return Err(ServiceError::NotFound { what: "member", name: unknown.to_string() });
    }
    members.extend(from_members);
    Ok((Origin::Operator { by, to_regions }, Lost { members, regions: from_regions }))
}

pub(super) fn missing(id: FailoverId) -> ServiceError {
    ServiceError::NotFound { what: "failover", name: id.to_string() }
}

fn region_of(scope: Scope) -> Option<Label> {
    match scope {
        Scope::Fleet => None,
        Scope::Region(region) => Some(region),
    }
}
