//! The control plane behind the transport: every request, in terms of hub, slots and decider.

use std::sync::Arc;

use pilothouse_core::assignment::Assignment;
use pilothouse_core::chaos::Suffering;
use pilothouse_core::eligible::Requirement;
use pilothouse_core::event::Event;
use pilothouse_core::id::{AgentName, DecisionId, KeyName, Label, MemberId};
use pilothouse_core::member::{LoadReport, Member, MemberKind, Registration, Role};
use pilothouse_core::policy::Family;
use pilothouse_core::policy::request::{BalancingRequest, Candidate, RoutingRequest, ScalingSample};
use pilothouse_core::registry::{Recommendation, RegisterError, ReportError, Stats};
use pilothouse_core::scaling::GroupSpec;
use pilothouse_core::slot::{HistoryEntry, Origin, SlotId};
use pilothouse_transport::orchestrator::port::Federation;
use pilothouse_transport::service::group::GroupDefaults;
use pilothouse_transport::service::region::{Lag, RegionInfo};
use pilothouse_transport::service::rtt::{RttFilter, RttInfo, RttSample};
use pilothouse_transport::service::trust::KeyInfo;
use pilothouse_transport::service::{
    Activation, Alternative, ControlPlane, Decided, FlowQuery, FlowRoute, FlowTarget, GroupInfo, Identity,
    Pending, PolicyInfo, RouteQuery, ServiceError, SlotInfo, Upload, Wanted,
};
use tokio::sync::broadcast;
use xxhash_rust::xxh3::xxh3_64;

use crate::decide::log::Decision;
use crate::decide::question::Question;
use crate::decide::{self, DecideError, Decider};
use crate::failover::Failovers;
use crate::hub::{Hub, store_failed};
use crate::metrics;
use crate::orchestrator::Orchestrators;
use crate::placement::Rebalancing;
use crate::probes::RoundTrips;
use crate::regions;
use crate::scaling::{self, Groups};
use crate::slots::Slots;
use crate::slots::live::LiveSlot;
use crate::trust::Trust;

/// Most alternatives ranked for one request.
const ALTERNATIVES_MAX: u32 = 16;

/// A host's control plane.
#[derive(Debug, Clone)]
pub struct Control {
    /// Registry, assignments, events.
    pub hub: Arc<Hub>,
    /// Slots.
    pub slots: Arc<Slots>,
    /// Keys, signatures and marks.
    pub trust: Arc<Trust>,
    /// Decisions.
    pub decider: Arc<Decider>,
    /// Scaling groups.
    pub groups: Arc<Groups>,
    /// Measured round-trip times.
    pub round_trips: Arc<RoundTrips>,
    /// Rebalancing plans.
    pub rebalancing: Arc<Rebalancing>,
    /// Whether requests may evict less important workloads.
    pub preemption: bool,
    /// Failure detection, failover, failback, chaos.
    pub failovers: Arc<Failovers>,
    /// Peer orchestrators and delegated tasks.
    pub orchestrators: Arc<Orchestrators>,
    /// Name of this node.
    pub node_id: MemberId,
}

impl Control {
    pub(crate) fn slot_for(
        &self,
        family: Family,
        strategy: Option<&str>,
    ) -> Result<Arc<LiveSlot>, ServiceError> {
        let id = match strategy {
            None => SlotId::default_of(family),
            Some(name) => {
                let unknown = || ServiceError::NotFound { what: "strategy", name: name.to_owned() };
                SlotId { family, name: Label::parse(&name.replace('_', "-")).map_err(|_| unknown())? }
            }
        };
        let missing =
            || ServiceError::NotFound { what: "strategy", name: strategy.unwrap_or("default").to_owned() };
        self.slots.live(&id).ok_or_else(missing)
    }

    pub(crate) fn decide(
        &self,
        slot: &LiveSlot,
        requirement: &Requirement,
        question: &Question,
        alternatives: u32,
    ) -> Result<Decided, ServiceError> {
        let decided = self.decider.decide(slot, requirement, question, alternatives.min(ALTERNATIVES_MAX));
        let decided = decided.map_err(undecided)?;
        Ok(answer(&decided.decision, &slot.id, &decided))
    }

    fn balancing(&self, query: &RouteQuery) -> Result<(Arc<LiveSlot>, Question), ServiceError> {
        let slot = self.slot_for(Family::Balancing, query.strategy.as_deref())?;
        let question = Question::Balancing(BalancingRequest {
            seed: self.decider.next_seed(),
            now_ms: self.hub.clock.now().0,
            session: query.session.as_deref().map(|key| xxh3_64(key.as_bytes())),
        });
        Ok((slot, question))
    }

    fn when_stored(
        &self,
        name: Label,
        write: pilothouse_store::Pending<pilothouse_store::TxnOutcome>,
    ) -> Pending<GroupInfo> {
        let groups = Arc::clone(&self.groups);
        Box::pin(async move {
            write.await.map_err(|error| store_failed(&error))?;
            groups.get(&name).ok_or_else(|| scaling::missing(&name))
        })
    }

    fn member_or_missing(&self, id: &MemberId) -> Result<Member, ServiceError> {
        self.member(id).ok_or_else(|| missing_member(id))
    }

    /// Changes one member under the registry's lock, queues its record, publishes, and answers when it is durable.
    fn change_member(
        &self,
        id: MemberId,
        change: impl FnOnce(
            &mut pilothouse_core::registry::Registry,
            &MemberId,
        ) -> Option<Vec<pilothouse_core::registry::MemberChange>>,
    ) -> Pending<Member> {
        let mut registry = self.hub.registry();
        let Some(changes) = change(&mut registry, &id) else {
            return ready(Err(missing_member(&id)));
        };
        let mut touched: Vec<MemberId> = changes.iter().filter_map(|change| change.member.clone()).collect();
        touched.push(id.clone());
        touched.sort();
        touched.dedup();
        let writes: Vec<_> =
            touched.iter().map(|id| self.hub.store_member(id, registry.member(id))).collect();
        drop(registry);
        self.hub.announce(changes);
        self.hub.publish();
        let control = self.clone();
        Box::pin(async move {
            for write in writes {
                write.await.map_err(|error| store_failed(&error))?;
            }
            control.member_or_missing(&id)
        })
    }
}

fn ready<T: Send + 'static>(value: Result<T, ServiceError>) -> Pending<T> {
    Box::pin(async move { value })
}

fn missing_member(id: &MemberId) -> ServiceError {
    ServiceError::NotFound { what: "member", name: id.to_string() }
}

fn undecided(error: DecideError) -> ServiceError {
    match error {
        DecideError::NoneEligible(none) => ServiceError::NoneEligible(none),
        DecideError::Full => ServiceError::Full,
        DecideError::Refused { reason, policy } => ServiceError::Declined { policy, reason },
    }
}

/// A route as it is told.
fn flow_route(routed: &decide::Routed, slot: &SlotId) -> FlowRoute {
    let decide::Routed { route, link, generation, class, faults, fleet, took_ns } = routed;
    let route = route.get();
    let target = |row: u32| {
        let facts = fleet.facts(row)?;
        let rtt_ms = class.rtt_ms.as_ref().and_then(|all| all.get(row as usize)).copied();
        Some(FlowTarget {
            member: facts.id.clone(),
            endpoint: facts.endpoint.clone(),
            region: facts.region.as_ref().map(ToString::to_string),
            rtt_ms: rtt_ms.unwrap_or(f32::NAN),
        })
    };
    let sum: f64 = route.targets.iter().map(|&(_, weight)| f64::from(weight)).sum();
    let shares = route.targets.iter().filter(|&&(_, weight)| weight > 0);
    let about = generation.as_ref().map(|generation| &generation.label.description);
    FlowRoute {
        slot: slot.clone(),
        targets: shares.filter_map(|&(row, weight)| Some((target(row)?, f64::from(weight) / sum))).collect(),
        fallbacks: route.fallbacks.iter().filter_map(|&row| target(row)).collect(),
        ttl_ms: route.ttl_ms,
        reason: about.map_or("the host's own choice", |about| about.reason(route.reason)).to_owned(),
        policy: generation.as_ref().map_or("native", |generation| &generation.label.revision.name).to_owned(),
        generation: generation.as_ref().map_or(0, |generation| generation.label.number),
        link: link.name(),
        faults: faults.iter().map(ToString::to_string).collect(),
        eligible: class.count,
        took_ns: *took_ns,
    }
}

fn answer(decision: &Decision, slot: &SlotId, decided: &decide::Decided) -> Decided {
    let mut answer = recorded(decision, slot);
    let names = decision.generation.as_ref().map(|generation| &generation.description.factors);
    let parts = |factors: &[f32]| {
        let names = names.into_iter().flatten().cloned();
        names.zip(factors.iter().copied()).collect::<Vec<_>>()
    };
    let chosen = |candidate: &&Candidate| candidate.choice.row == decision.choice.row;
    answer.factors =
        decided.candidates.iter().find(chosen).map(|chosen| parts(&chosen.factors)).unwrap_or_default();
    answer.alternatives = decided
        .candidates
        .iter()
        .filter(|candidate| !chosen(candidate))
        .filter_map(|candidate| {
            Some(Alternative {
                member: decided.fleet.facts(candidate.choice.row)?.id.clone(),
                score: candidate.choice.score,
                factors: parts(&candidate.factors),
            })
        })
        .collect();
    answer
}

/// A decision as it is told.
pub(crate) fn recorded(decision: &Decision, slot: &SlotId) -> Decided {
    let about = decision.generation.as_ref().map(|generation| &generation.description);
    let revision = decision.generation.as_ref().map(|generation| &generation.revision);
    Decided {
        id: decision.id,
        at: decision.at,
        slot: slot.clone(),
        member: decision.member.id.clone(),
        endpoint: decision.member.endpoint.clone(),
        region: decision.member.region.as_ref().map(ToString::to_string),
        score: decision.choice.score,
        factors: Vec::new(),
        reason: about
            .map_or("the host's own choice", |about| about.reason(decision.choice.reason))
            .to_owned(),
        policy: revision.map_or("native", |revision| &revision.name).to_owned(),
        version: revision.map_or("", |revision| &revision.version).to_owned(),
        revision: revision.map(|revision| revision.id),
        generation: decision.generation.as_ref().map_or(0, |generation| generation.number),
        link: decision.link.name(),
        faults: decision.faults.iter().map(ToString::to_string).collect(),
        eligible: decision.class.count,
        epoch: decision.epoch,
        seed: decision.seed,
        took_ns: decision.took_ns,
        alternatives: Vec::new(),
    }
}

/// The slot of a recorded decision; the host's own choices are recorded without one.
fn slot_of(decision: &Decision) -> SlotId {
    let generation = decision.generation.as_ref();
    generation.map_or_else(|| SlotId::default_of(Family::Balancing), |generation| generation.slot.clone())
}

impl ControlPlane for Control {
    fn identity(&self) -> Identity {
        Identity {
            node_id: self.node_id.clone(),
            version: env!("CARGO_PKG_VERSION"),
            uptime_ms: self.hub.clock.uptime_ms(),
            boot: self.hub.store.boot(),
            epoch: self.hub.fleet.load().epoch,
        }
    }

    fn ready(&self) -> Result<(), String> {
        // Everything is opened before the port is; a store that stopped writing shows in mutations.
        Ok(())
    }

    fn metrics(&self) -> String {
        metrics::text(&self.hub, &self.slots, &self.failovers, &self.orchestrators)
    }

    fn members(&self, kind: Option<MemberKind>) -> Vec<Member> {
        let registry = self.hub.registry();
        registry
            .members()
            .filter(|member| kind.is_none_or(|kind| member.registration.kind == kind))
            .cloned()
            .collect()
    }

    fn member(&self, id: &MemberId) -> Option<Member> {
        self.hub.registry().member(id).cloned()
    }

    fn stats(&self, kind: MemberKind) -> Stats {
        self.hub.registry().stats(kind)
    }

    fn leader(&self) -> Option<Member> {
        let registry = self.hub.registry();
        let mut nodes = registry.members().filter(|member| member.registration.kind == MemberKind::Node);
        nodes.find(|member| member.role == Role::Leader).cloned()
    }

    fn register(&self, registration: Registration) -> Pending<Member> {
        let mut registry = self.hub.registry();
        let (now, wall) = (self.hub.clock.now(), self.hub.clock.wall());
        let (id, changes) = match registry.register(registration, now, wall) {
            Ok(done) => done,
            Err(error) => return ready(Err(register_refused(&error))),
        };
        self.hub.rejoin(&mut registry, &changes);
        let write = self.hub.store_member(&id, registry.member(&id));
        let registered = registry.member(&id).cloned();
        drop(registry);
        if let Some(member) = &registered {
            self.failovers.joined(&self.hub, member);
        }
        self.hub.announce(changes);
        self.hub.publish();
        let control = self.clone();
        Box::pin(async move {
            write.await.map_err(|error| store_failed(&error))?;
            control.member_or_missing(&id)
        })
    }

    fn unregister(&self, id: MemberId) -> Pending<()> {
        let mut registry = self.hub.registry();
        let Some((_, changes)) = registry.unregister(&id) else { return ready(Err(missing_member(&id))) };
        let write = self.hub.store_member(&id, None);
        drop(registry);
        self.failovers.follow(&self.hub, &changes);
        self.hub.announce(changes);
        self.hub.publish();
        Box::pin(async move { write.await.map(drop).map_err(|error| store_failed(&error)) })
    }

    fn report(&self, id: &MemberId, report: &LoadReport) -> Result<Recommendation, ServiceError> {
        let suffering = self.failovers.suffering(&self.hub, id);
        if suffering != Suffering::default() && suffering.loses(self.hub.uniform()) {
            return Err(ServiceError::Injected(id.clone()));
        }
        #[expect(clippy::cast_precision_loss, reason = "at most a minute")]
        let latency_ms = report.latency_ms.map(|latency_ms| latency_ms + suffering.latency_ms as f32);
        let report = LoadReport { latency_ms, ..*report };
        let (now, wall) = (self.hub.clock.now(), self.hub.clock.wall());
        let reported = self.hub.registry().report(id, &report, now, wall);
        let (recommendation, changes) = reported.map_err(|error| match error {
            ReportError::Unknown(id) => missing_member(&id),
            ReportError::Invalid { field, value, problem } => ServiceError::Invalid {
                field: field.to_owned(),
                problem: format!("{value} is out of range; {problem}"),
            },
        })?;
        self.failovers.heard(&self.hub, id, suffering.latency_ms);
        self.hub.announce(changes);
        Ok(recommendation)
    }

    fn outcome(&self, id: &MemberId, success: bool) -> Result<(), ServiceError> {
        let now = self.hub.clock.now();
        let changes = self.hub.registry().outcome(id, success, now).ok_or_else(|| missing_member(id))?;
        self.hub.announce(changes);
        Ok(())
    }

    fn drain(&self, id: MemberId, draining: bool) -> Pending<Member> {
        self.change_member(id, |registry, id| registry.set_draining(id, draining))
    }

    fn promote(&self, id: MemberId) -> Pending<()> {
        let promoted = self.change_member(id, |registry, id| registry.promote(id));
        Box::pin(async move { promoted.await.map(drop) })
    }

    fn route(&self, query: &RouteQuery) -> Result<Decided, ServiceError> {
        let (slot, question) = self.balancing(query)?;
        self.decide(&slot, &query.requirement, &question, query.alternatives)
    }

    fn route_flow(&self, query: &FlowQuery) -> Result<FlowRoute, ServiceError> {
        let slot = self.slot_for(Family::Routing, query.strategy.as_deref())?;
        let request = RoutingRequest {
            seed: self.decider.next_seed(),
            now_ms: self.hub.clock.now().0,
            traffic_class: query.traffic_class,
            latency_goal_ms: query.latency_goal_ms,
        };
        let routed = self.decider.route(&slot, &query.requirement, &request).map_err(undecided)?;
        Ok(flow_route(&routed, &slot.id))
    }

    fn decisions(&self, limit: usize) -> Vec<Decided> {
        let newest = self.decider.log().newest(limit);
        newest.iter().map(|decision| recorded(decision, &slot_of(decision))).collect()
    }

    fn decision(&self, id: DecisionId) -> Option<Decided> {
        let decision = self.decider.log().get(id)?;
        Some(recorded(&decision, &slot_of(&decision)))
    }

    fn assign(&self, agent: AgentName, query: RouteQuery) -> Pending<Assignment> {
        if let Some(existing) = self.assignment(&agent) {
            return ready(Ok(existing));
        }
        let assigned = self.assign_now(&agent, &query.requirement, || self.route(&query));
        Box::pin(async move {
            let (assignment, write) = assigned?;
            write.await.map_err(|error| store_failed(&error))?;
            Ok(assignment)
        })
    }

    fn unassign(&self, agent: AgentName) -> Pending<Assignment> {
        match self.hub.unassign(&agent) {
            None => ready(Err(ServiceError::NotFound { what: "agent", name: agent.to_string() })),
            Some((assignment, write)) => Box::pin(async move {
                write.await.map_err(|error| store_failed(&error))?;
                Ok(assignment)
            }),
        }
    }

    fn assignment(&self, agent: &AgentName) -> Option<Assignment> {
        self.hub.ledger().get(agent).cloned()
    }

    fn assignments(&self) -> Vec<Assignment> {
        self.hub.ledger().iter().cloned().collect()
    }

    fn slots(&self) -> Vec<SlotInfo> {
        self.slots.all_live().iter().filter_map(|slot| self.slots.info(&slot.id)).collect()
    }

    fn slot(&self, id: &SlotId) -> Option<SlotInfo> {
        self.slots.info(id)
    }

    fn history(&self, id: &SlotId) -> Option<Vec<HistoryEntry>> {
        self.slots.history(id)
    }

    fn policies(&self) -> Vec<Arc<PolicyInfo>> {
        self.slots.library().list().iter().map(|policy| self.slots.told(policy)).collect()
    }

    fn load(&self, upload: Upload) -> Pending<Arc<PolicyInfo>> {
        let slots = Arc::clone(&self.slots);
        Box::pin(async move {
            let Upload { bytes, signature, source } = upload;
            let (worker, origin) = (Arc::clone(&slots), source.map_or(Origin::Api, Origin::Registry));
            let taking =
                tokio::task::spawn_blocking(move || worker.take(&bytes, signature.as_deref(), origin));
            let (loaded, write) = taking.await.map_err(|_| ServiceError::Busy)??;
            if let Some(write) = write {
                write.await.map_err(|error| store_failed(&error))?;
            }
            Ok(slots.told(&loaded.info))
        })
    }

    fn keys(&self) -> Vec<KeyInfo> {
        self.trust.keys()
    }

    fn add_key(&self, name: KeyName, public_key: String, by: String) -> Pending<KeyInfo> {
        let added = self.trust.add(name, &public_key, by);
        Box::pin(async move {
            let (key, write) = added?;
            write.await.map_err(|error| store_failed(&error))?;
            Ok(key)
        })
    }

    fn revoke_key(&self, name: KeyName, reason: String, by: String) -> Pending<KeyInfo> {
        let (revoked, slots) = (self.trust.revoke(&name, reason, by), Arc::clone(&self.slots));
        Box::pin(async move {
            let (key, write) = revoked?;
            slots.look_after_revocation().await;
            write.await.map_err(|error| store_failed(&error))?;
            Ok(key)
        })
    }

    fn activate(&self, activation: Activation) -> Pending<SlotInfo> {
        let slots = Arc::clone(&self.slots);
        Box::pin(async move {
            let worker = Arc::clone(&slots);
            let requested = tokio::task::spawn_blocking(move || worker.activate(activation));
            requested.await.map_err(|_| ServiceError::Busy)??.settled(&slots).await
        })
    }

    fn roll_back(&self, slot: SlotId, by: String) -> Pending<SlotInfo> {
        let slots = Arc::clone(&self.slots);
        Box::pin(async move { slots.roll_back(slot, by)?.settled(&slots).await })
    }

    fn groups(&self) -> Vec<GroupInfo> {
        self.groups.list()
    }

    fn group(&self, name: &Label) -> Option<GroupInfo> {
        self.groups.get(name)
    }

    fn group_defaults(&self) -> GroupDefaults {
        self.groups.defaults()
    }

    fn put_group(&self, mut spec: GroupSpec, replicas: Option<u32>) -> Pending<GroupInfo> {
        if let Some(strategy) = &mut spec.strategy {
            match self.slot_for(Family::Scaling, Some(strategy.as_str())) {
                Ok(slot) => *strategy = slot.id.name.clone(),
                Err(error) => return ready(Err(error)),
            }
        }
        match self.groups.put(spec, replicas) {
            Ok((name, write)) => self.when_stored(name, write),
            Err(error) => ready(Err(error)),
        }
    }

    fn remove_group(&self, name: Label) -> Pending<()> {
        match self.groups.remove(&name) {
            None => ready(Err(scaling::missing(&name))),
            Some(write) => {
                Box::pin(async move { write.await.map(drop).map_err(|error| store_failed(&error)) })
            }
        }
    }

    fn sample_group(&self, name: &Label, sample: ScalingSample) -> Result<(), ServiceError> {
        self.groups.sample(name, sample)
    }

    fn scale_group(&self, name: Label, wanted: Wanted) -> Pending<GroupInfo> {
        match self.groups.scale(&name, wanted) {
            Ok(write) => self.when_stored(name, write),
            Err(error) => ready(Err(error)),
        }
    }

    fn round_trips(&self, filter: &RttFilter) -> Vec<RttInfo> {
        self.round_trips.list(filter)
    }

    fn sample_rtt(&self, sample: &RttSample) -> Result<(), ServiceError> {
        self.round_trips.sample(sample)
    }

    fn regions(&self) -> Vec<RegionInfo> {
        regions::all(&self.hub)
    }

    fn lags(&self, from: Option<&Label>) -> Vec<Lag> {
        regions::lags(&self.hub, from)
    }

    fn federation(&self) -> Arc<dyn Federation> {
        Arc::new(self.clone())
    }

    fn events_since(&self, sequence: u64, limit: usize) -> (Vec<Event>, bool) {
        self.hub.events_since(sequence, limit)
    }

    fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.hub.follow()
    }
}

fn register_refused(error: &RegisterError) -> ServiceError {
    match error {
        RegisterError::EndpointTaken { .. } | RegisterError::Full | RegisterError::TooManyNames(_) => {
            ServiceError::Conflict(error.to_string())
        }
        RegisterError::Invalid { field, value, problem } => ServiceError::Invalid {
            field: (*field).to_owned(),
            problem: format!("{value} is out of range; {problem}"),
        },
    }
}
