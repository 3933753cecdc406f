//! A requirement against a snapshot: which rows pass which filter.
//!
//! requirement + fleet -> [`Matcher`] -> bits per block and filter
//!
//! Invariant: the same filters make the eligible set before a decision and check a commitment after it, so the two cannot
//! differ. What is not known does not meet a demand; only totals that a member never gave are not held against it.

use std::collections::BTreeSet;

use super::{Filter, Requirement, set_rows};
use crate::device::{DEVICES_MILLIS_MAX, Devices};
use crate::fleet::block::Block;
use crate::fleet::column::{BIT_WORDS, BLOCK_ROWS, Column};
use crate::fleet::facts::{Interner, MemberFacts};
use crate::fleet::{Fleet, split};
use crate::id::Label;
use crate::member::{MemberKind, Resources};

/// All filters, in the order in which they are applied and named.
pub(super) const FILTERS: [Filter; 14] = [
    Filter::Kind,
    Filter::Availability,
    Filter::Breaker,
    Filter::Capacity,
    Filter::Capability,
    Filter::Service,
    Filter::Region,
    Filter::Zone,
    Filter::Compliance,
    Filter::Accelerator,
    Filter::Health,
    Filter::Latency,
    Filter::Relation,
    Filter::Resources,
];

/// Filters that other work or the moment decide, not what the member is.
const PASSING: [Filter; 4] = [Filter::Breaker, Filter::Capacity, Filter::Relation, Filter::Resources];

/// Filters that evicting work can change.
const ROOM: [Filter; 2] = [Filter::Capacity, Filter::Resources];

/// The filter that cut a row, if one did.
#[must_use]
pub fn explain(fleet: &Fleet, requirement: &Requirement, row: u32) -> Option<Filter> {
    let (index, lane) = split(row);
    let here = fleet.blocks.get(index).is_some_and(|block| block.present >> lane & 1 == 1);
    if !here {
        return Some(Filter::Availability);
    }
    let matcher = Matcher::new(fleet, requirement);
    FILTERS.into_iter().find(|&filter| matcher.passes(index, filter) >> lane & 1 == 0)
}

/// Rows that meet a requirement, whatever room they have.
pub fn hosts(fleet: &Fleet, requirement: &Requirement) -> impl Iterator<Item = u32> + use<> {
    set_rows(rows_but(fleet, requirement, &ROOM).into())
}

/// Rows that could take the workload if they had room and nobody else were there.
#[must_use]
pub fn could_host(fleet: &Fleet, requirement: &Requirement) -> Vec<u64> {
    rows_but(fleet, requirement, &PASSING)
}

fn rows_but(fleet: &Fleet, requirement: &Requirement, but: &[Filter]) -> Vec<u64> {
    let kept: Vec<Filter> = FILTERS.into_iter().filter(|filter| !but.contains(filter)).collect();
    Matcher::new(fleet, requirement).rows(&kept)
}

/// Bits of names, and whether all of them are known.
pub(super) type Names = ([u64; BIT_WORDS], bool);

pub(super) fn bits<'a>(names: &Interner, wanted: impl Iterator<Item = &'a Label>) -> Names {
    let mut words = [0; BIT_WORDS];
    let mut all_known = true;
    for name in wanted {
        let bit = names.find(name.as_str()).map(|bit| bit as usize);
        match bit.and_then(|bit| words.get_mut(bit / 64).map(|word| (word, bit % 64))) {
            Some((word, shift)) => *word |= 1 << shift,
            None => all_known = false,
        }
    }
    (words, all_known)
}

/// Round-trip times from the source region to every row, ms; `None` without a source region.
pub(super) fn round_trips(fleet: &Fleet, requirement: &Requirement) -> Option<Vec<f32>> {
    let source = requirement.source_region.as_ref()?;
    Some(fleet.round_trips(source, requirement.source_zone.as_ref()))
}

/// Symbols of names that are allowed (all, if none is named) and denied.
struct Allowance {
    allowed: Vec<u32>,
    denied: Vec<u32>,
}

impl Allowance {
    fn of(symbols: &Interner, allowed: &BTreeSet<Label>, denied: &BTreeSet<Label>) -> Self {
        let find = |labels: &BTreeSet<Label>| {
            labels.iter().map(|label| symbols.find(label.as_str()).unwrap_or(u32::MAX)).collect()
        };
        Self { allowed: find(allowed), denied: find(denied) }
    }

    fn rows(&self, block: &Block, column: Column) -> u64 {
        if self.allowed.is_empty() && self.denied.is_empty() {
            return !0;
        }
        lanes(|lane| {
            let symbol = block.u32(column, lane);
            (self.allowed.is_empty() || self.allowed.contains(&symbol)) && !self.denied.contains(&symbol)
        })
    }
}

/// A requirement with its names resolved against a snapshot.
pub(super) struct Matcher<'a> {
    fleet: &'a Fleet,
    requirement: &'a Requirement,
    capabilities: Names,
    services: Names,
    cluster: Option<u32>,
    regions: Allowance,
    zones: Allowance,
    rtt_ms: Option<Vec<f32>>,
}

impl<'a> Matcher<'a> {
    pub(super) fn new(fleet: &'a Fleet, requirement: &'a Requirement) -> Self {
        let symbols = &fleet.names.symbols;
        Self {
            fleet,
            requirement,
            capabilities: bits(&fleet.names.capabilities, requirement.capabilities.iter()),
            services: bits(&fleet.names.services, requirement.services.iter()),
            cluster: requirement.cluster.as_ref().map(|id| symbols.find(id.as_str()).unwrap_or(u32::MAX)),
            regions: Allowance::of(symbols, &requirement.allowed_regions, &requirement.denied_regions),
            zones: Allowance::of(symbols, &requirement.allowed_zones, &requirement.denied_zones),
            rtt_ms: requirement.latency_max_ms.and_then(|_| round_trips(fleet, requirement)),
        }
    }

    /// Rows that pass all these filters.
    pub(super) fn rows(&self, filters: &[Filter]) -> Vec<u64> {
        let passing = |(index, block): (usize, &std::sync::Arc<Block>)| {
            filters.iter().fold(block.present, |left, &filter| match left {
                0 => 0,
                _ => left & self.passes(index, filter),
            })
        };
        self.fleet.blocks.iter().enumerate().map(passing).collect()
    }

    /// Rows of a block that pass one filter, whatever the others say.
    pub(super) fn passes(&self, index: usize, filter: Filter) -> u64 {
        let Some(block) = self.fleet.blocks.get(index) else { return 0 };
        let asked = self.requirement;
        match filter {
            Filter::Kind => self.kind(block),
            Filter::Availability => block.available,
            Filter::Breaker => !block.breaker_open,
            Filter::Capacity => !block.full,
            Filter::Capability => has_bits(block, Column::Capabilities, &self.capabilities),
            Filter::Service => has_bits(block, Column::Services, &self.services),
            Filter::Region => self.regions.rows(block, Column::Region),
            Filter::Zone => self.zones.rows(block, Column::Zone),
            Filter::Compliance if asked.compliance.is_empty() => !0,
            Filter::Compliance => facts(block, |facts| asked.compliance.is_subset(&facts.compliance)),
            Filter::Accelerator if asked.accelerator_models.is_empty() => !0,
            Filter::Accelerator => facts(block, |facts| {
                facts.accelerator_model.as_ref().is_some_and(|model| asked.accelerator_models.contains(model))
            }),
            Filter::Health => healthy(block, asked.health_min_percent),
            Filter::Latency => asked.latency_max_ms.map_or(!0, |most| self.near(index, block, most)),
            Filter::Relation => match &asked.within {
                None => !0,
                Some(rows) => rows.get(index).copied().unwrap_or(0),
            },
            Filter::Resources if asked.needs == Resources::default() => !0,
            Filter::Resources => lanes(|lane| has_room(block, lane, &asked.needs)),
        }
    }

    fn kind(&self, block: &Block) -> u64 {
        let Requirement { kind, with_peers, excluded, .. } = self.requirement;
        let kinds = match kind {
            None if *with_peers => !0,
            None => !block.orchestrators,
            Some(MemberKind::Cluster) => block.clusters,
            Some(MemberKind::Orchestrator) => block.orchestrators,
            Some(MemberKind::Node) => !(block.clusters | block.orchestrators),
        };
        let of_cluster = |cluster| lanes(|lane| block.u32(Column::Cluster, lane) == cluster);
        let named =
            if excluded.is_empty() { !0 } else { facts(block, |facts| !excluded.contains(&facts.id)) };
        kinds & self.cluster.map_or(!0, of_cluster) & named
    }

    fn near(&self, index: usize, block: &Block, most_ms: u32) -> u64 {
        #[expect(clippy::cast_precision_loss, reason = "a bound in ms needs few digits")]
        let most_ms = most_ms as f32;
        let time_ms = |lane: usize| match &self.rtt_ms {
            Some(times) => times.get(index * BLOCK_ROWS + lane).copied().unwrap_or(f32::NAN),
            None => block.f32(Column::LatencyMs, lane),
        };
        lanes(|lane| time_ms(lane) <= most_ms)
    }
}

fn lanes(test: impl Fn(usize) -> bool) -> u64 {
    (0..BLOCK_ROWS).fold(0, |bits, lane| bits | u64::from(test(lane)) << lane)
}

fn facts(block: &Block, test: impl Fn(&MemberFacts) -> bool) -> u64 {
    lanes(|lane| block.facts.get(lane).and_then(Option::as_ref).is_some_and(|facts| test(facts)))
}

fn healthy(block: &Block, least_percent: u32) -> u64 {
    if least_percent == 0 {
        return !0;
    }
    #[expect(clippy::cast_precision_loss, reason = "a percentage needs few digits")]
    let least = least_percent as f32 / 100.0;
    lanes(|lane| block.f32(Column::HealthScore, lane) >= least)
}

fn has_bits(block: &Block, column: Column, (wanted, all_known): &Names) -> u64 {
    if !all_known {
        return 0;
    }
    if *wanted == [0; BIT_WORDS] {
        return !0;
    }
    lanes(|lane| block.bits(column, lane).iter().zip(wanted).all(|(have, need)| need & !have == 0))
}

/// Members whose totals are unknown (0) are not held to them.
fn has_room(block: &Block, lane: usize, needs: &Resources) -> bool {
    let fits = |total: Column, free: Column, need: u32| {
        need == 0
            || block.u32(total, lane) == 0 && total != Column::AcceleratorMillisTotal
            || block.u32(free, lane) >= need
    };
    fits(Column::CpuMillisTotal, Column::CpuMillisFree, needs.cpu_millis)
        && fits(Column::MemoryMibTotal, Column::MemoryMibFree, needs.memory_mib)
        && fits(Column::StorageMibTotal, Column::StorageMibFree, needs.storage_mib)
        && fits(Column::AcceleratorMillisTotal, Column::AcceleratorMillisFree, needs.accelerator_millis)
        && has_devices(block, lane, needs.accelerator_millis)
}

/// Half a device here and half a device there are not a whole one. Members with more devices than are told apart are
/// held to the sum alone.
fn has_devices(block: &Block, lane: usize, needs_millis: u32) -> bool {
    needs_millis == 0
        || block.u32(Column::AcceleratorMillisTotal, lane) > DEVICES_MILLIS_MAX
        || Devices::from_words(block.bits(Column::AcceleratorDevices, lane)).take(needs_millis).is_some()
}
