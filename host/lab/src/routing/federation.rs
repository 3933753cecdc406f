//! The candidates as members of a fleet, with prices and capacities from a seed, and what runs on them.

use std::collections::BTreeSet;
use std::sync::Arc;

use pilothouse_core::eligible::{EligibleClass, Requirement};
use pilothouse_core::fleet::Fleet;
use pilothouse_core::fleet::facts::mix;
use pilothouse_core::fleet::geography::Geography;
use pilothouse_core::id::MemberId;
use pilothouse_core::member::{LoadReport, MemberKind, Registration, Resources, Role};
use pilothouse_core::registry::{Registry, Rules};
use pilothouse_core::time::{Now, WallMs};

use super::simulator::unit;

/// Work of one flow, in the unit of capacities; shares of flows become whole numbers of it.
pub(super) const FLOW_WORK: u32 = 100;
/// The dearest candidate costs this much more than the cheapest can.
const PRICE_SPAN: f32 = 0.6;

/// Members for the candidates, in their order.
#[derive(Debug)]
pub(super) struct Federation {
    registry: Registry,
    ids: Vec<MemberId>,
    /// Price of an hour, by candidate.
    pub(super) prices: Vec<f32>,
    /// Work a candidate can take.
    pub(super) capacity: u32,
}

impl Federation {
    /// As many members as candidates; together they can take `headroom` times the work of all flows.
    pub(super) fn new(candidates: usize, flows: usize, headroom: f32, seed: u64) -> Self {
        let ids: Vec<MemberId> =
            (0..candidates).filter_map(|index| MemberId::parse(&format!("backend-{index}")).ok()).collect();
        #[expect(clippy::cast_possible_truncation, reason = "prices need few digits")]
        let price = |index: u64| 1.0 + PRICE_SPAN * unit(mix(seed ^ index)) as f32;
        let prices: Vec<f32> = (0_u64..).take(candidates).map(price).collect();
        let work = flows as f32 * FLOW_WORK as f32 * headroom;
        let capacity = (work / candidates.max(1) as f32).ceil().max(1.0) as u32;
        let mut registry = Registry::new(Rules::default(), Geography::default());
        for (id, &cost_per_hour) in ids.iter().zip(&prices) {
            // A fresh registry has room for a few dozen members with names of our own.
            let _known = registry.register(registration(id, cost_per_hour, capacity), Now(1), WallMs(0));
        }
        Self { registry, ids, prices, capacity }
    }

    /// Reports what runs on each candidate and publishes.
    pub(super) fn publish(&mut self, work: &[f32], now: Now) -> Fleet {
        for (id, &work) in self.ids.iter().zip(work) {
            let report = LoadReport { active: Some(work.round() as u32), ..LoadReport::default() };
            let _known = self.registry.report(id, &report, now, WallMs(0));
        }
        self.registry.publish().unwrap_or_else(|| self.registry.published().clone())
    }

    /// The candidate in each row.
    pub(super) fn candidates(&self, fleet: &Fleet) -> Vec<Option<usize>> {
        let candidate = |row: u32| {
            let facts = fleet.facts(row)?;
            self.ids.iter().position(|id| *id == facts.id)
        };
        (0..fleet.rows).map(candidate).collect()
    }
}

/// The class of a source: every candidate is eligible, with these round-trip times by row.
pub(super) fn class(id: u32, version: u64, rtt_ms: Vec<f32>) -> EligibleClass {
    let rows = rtt_ms.len();
    let word = |index: usize| match rows - index * 64 {
        left if left >= 64 => u64::MAX,
        left => (1 << left) - 1,
    };
    EligibleClass {
        id,
        version,
        requirement: Arc::new(Requirement::default()),
        eligible: (0..rows.div_ceil(64)).map(word).collect(),
        count: rows as u32,
        required_capabilities: [0; 4],
        preferred_capabilities: [0; 4],
        source_region: 0,
        source_zone: 0,
        rtt_ms: Some(rtt_ms.into()),
    }
}

fn registration(id: &MemberId, cost_per_hour: f32, capacity: u32) -> Registration {
    Registration {
        id: id.clone(),
        kind: MemberKind::Cluster,
        endpoint: format!("{id}:1"),
        hostname: String::new(),
        region: None,
        zone: None,
        cluster: None,
        role: Role::Worker,
        capacity,
        weight: 1.0,
        capabilities: BTreeSet::new(),
        services: BTreeSet::new(),
        compliance: BTreeSet::new(),
        accelerator_model: None,
        cost_per_hour,
        carbon_g_per_kwh: f32::NAN,
        resources: Resources::default(),
    }
}
