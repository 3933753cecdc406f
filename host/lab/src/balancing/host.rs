//! What one balancer's host knows of the members, kept by core's registry as in a real host.
//!
//! decisions, outcomes, reports -> [`Registry`] -> snapshot when it is published, live counts at once
//!
//! Invariant: a decision sees the snapshot published last and counts every task that this host sent since the
//! member's last report.

use std::collections::BTreeSet;
use std::sync::Arc;

use pilothouse_core::eligible::{Classes, EligibleClass, Requirement};
use pilothouse_core::fleet::Fleet;
use pilothouse_core::fleet::geography::Geography;
use pilothouse_core::guardrail;
use pilothouse_core::id::MemberId;
use pilothouse_core::member::{LoadReport, MemberKind, Registration, Resources, Role};
use pilothouse_core::policy::request::{BalancingRequest, Choice};
use pilothouse_core::registry::{Registry, Rules};
use pilothouse_core::time::{Now, WallMs};

use super::scenario::NS_PER_MS;
use super::simulation::Balancer;

/// Clocks start here, because 0 means "never".
const START_MS: u64 = 1_000;

/// A host that sends tasks.
#[derive(Debug)]
pub(super) struct Host {
    registry: Registry,
    fleet: Fleet,
    classes: Classes,
    requirement: Requirement,
    ids: Vec<MemberId>,
}

impl Host {
    /// A host that knows members with these weights and has heard nothing of their load.
    pub(super) fn new(weights: &[f64]) -> Self {
        let mut registry = Registry::new(Rules::default(), Geography::default());
        let ids: Vec<MemberId> = (0..weights.len())
            .filter_map(|member| MemberId::parse(&format!("backend-{member}")).ok())
            .collect();
        for (id, &weight) in ids.iter().zip(weights) {
            // A fresh registry has room for names of our own.
            let _known = registry.register(registration(id, weight as f32), now(0), WallMs(0));
        }
        let fleet = registry.publish().unwrap_or_else(|| registry.published().clone());
        Self { registry, fleet, classes: Classes::default(), requirement: Requirement::default(), ids }
    }

    /// Asks a balancer and counts the task where it sends it. `None` if it refused or its choice did not pass the guardrails.
    pub(super) fn decide(
        &self,
        seed: u64,
        session: Option<u64>,
        now_ns: u64,
        balancer: Balancer<'_>,
    ) -> Option<usize> {
        let class: Arc<EligibleClass> = self.classes.resolve(&self.fleet, &self.requirement).ok()?;
        let request = BalancingRequest { seed, now_ms: now(now_ns).0, session };
        let choice = balancer(&self.fleet, &class, &request).ok()?;
        let valid: guardrail::Validated<Choice> = guardrail::check(&self.fleet, &class, choice).ok()?;
        let row = valid.get().row;
        self.fleet.live.start(row);
        // Members registered one after the other in an empty registry have the rows in that order.
        Some(row as usize)
    }

    /// Forgets a task that was only asked about.
    pub(super) fn undo(&self, member: usize) {
        self.fleet.live.finish(member as u32, 1);
    }

    /// Hears that a task ended.
    pub(super) fn finished(&mut self, member: usize, now_ns: u64) {
        if let Some(id) = self.ids.get(member) {
            let _changes = self.registry.outcome(id, true, now(now_ns));
        }
    }

    /// Hears how many tasks a member has and how many of them wait.
    pub(super) fn reported(&mut self, member: usize, active: u32, queue: u32, now_ns: u64) {
        let report = LoadReport { active: Some(active), queue_depth: Some(queue), ..LoadReport::default() };
        if let Some(id) = self.ids.get(member) {
            let _answer = self.registry.report(id, &report, now(now_ns), WallMs(0));
        }
    }

    /// Stops sending to a member, or starts again.
    pub(super) fn set_away(&mut self, member: usize, away: bool) {
        if let Some(id) = self.ids.get(member) {
            let _changes = self.registry.set_draining(id, away);
        }
        self.publish();
    }

    /// Lets decisions see what was heard.
    pub(super) fn publish(&mut self) {
        if let Some(fleet) = self.registry.publish() {
            self.fleet = fleet;
        }
    }
}

fn now(now_ns: u64) -> Now {
    Now(START_MS + (now_ns as f64 / NS_PER_MS) as u64)
}

fn registration(id: &MemberId, weight: f32) -> Registration {
    Registration {
        id: id.clone(),
        kind: MemberKind::Node,
        endpoint: format!("{id}:1"),
        hostname: String::new(),
        region: None,
        zone: None,
        cluster: None,
        role: Role::Worker,
        capacity: 0,
        weight,
        capabilities: BTreeSet::new(),
        services: BTreeSet::new(),
        compliance: BTreeSet::new(),
        accelerator_model: None,
        cost_per_hour: f32::NAN,
        carbon_g_per_kwh: f32::NAN,
        resources: Resources::default(),
    }
}
