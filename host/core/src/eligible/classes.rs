//! The classes in use: each computed once per epoch, whoever asks first.
//!
//! Invariant: at most [`CLASSES_MAX`] classes are kept (the least recently asked leaves first), and a class's version grows only
//! when its bits or round-trip times really changed, so guests are not updated for nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::{EligibleClass, Filter, NoneEligible, Requirement};
use crate::device::{DEVICES_MILLIS_MAX, Devices};
use crate::fleet::Fleet;
use crate::fleet::block::Block;
use crate::fleet::column::{BIT_WORDS, BLOCK_ROWS, Column};
use crate::fleet::facts::Interner;
use crate::fleet::geography::SAME_ZONE_RTT_MS;
use crate::member::{MemberKind, Resources};

/// Most classes kept: what an instance of a policy holds as well.
pub const CLASSES_MAX: usize = 64;

const FILTERS: [Filter; 8] = [
    Filter::Kind,
    Filter::Availability,
    Filter::Breaker,
    Filter::Capacity,
    Filter::Capability,
    Filter::Service,
    Filter::Region,
    Filter::Resources,
];

#[derive(Debug)]
struct Entry {
    epoch: u64,
    class: Arc<EligibleClass>,
    asked: AtomicU64,
}

#[derive(Debug, Default)]
struct Kept {
    entries: BTreeMap<Arc<Requirement>, Entry>,
    next_id: u32,
    next_version: u64,
}

/// The classes in use.
#[derive(Debug, Default)]
pub struct Classes {
    kept: RwLock<Kept>,
    clock: AtomicU64,
}

impl Classes {
    /// The members that meet a requirement in this snapshot.
    ///
    /// # Errors
    /// [`NoneEligible`] says which filter cut whom.
    pub fn resolve(
        &self,
        fleet: &Fleet,
        requirement: &Requirement,
    ) -> Result<Arc<EligibleClass>, NoneEligible> {
        let asked = self.clock.fetch_add(1, Ordering::Relaxed);
        {
            let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(entry) = kept.entries.get(requirement).filter(|entry| entry.epoch == fleet.epoch) {
                entry.asked.store(asked, Ordering::Relaxed);
                return if entry.class.count > 0 {
                    Ok(Arc::clone(&entry.class))
                } else {
                    Err(none_eligible(fleet, requirement))
                };
            }
        }
        let class = self.compute(fleet, requirement, asked);
        if class.count > 0 { Ok(class) } else { Err(none_eligible(fleet, requirement)) }
    }

    fn compute(&self, fleet: &Fleet, requirement: &Requirement, asked: u64) -> Arc<EligibleClass> {
        let eligible = Matcher::new(fleet, requirement).eligible();
        let rtt_ms = round_trips(fleet, requirement);
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        let Kept { entries, next_id, next_version } = &mut *kept;
        let old = entries.get(requirement);
        if let Some(newer) = old.filter(|entry| entry.epoch > fleet.epoch) {
            // Another thread was faster, on a newer snapshot; this answer belongs to the older one.
            return build(newer.class.id, u64::MAX, &newer.class.requirement, eligible, rtt_ms, fleet);
        }
        let (id, shared) = match old {
            Some(entry) => (entry.class.id, Arc::clone(&entry.class.requirement)),
            None => {
                *next_id += 1;
                (*next_id, Arc::new(requirement.clone()))
            }
        };
        let unchanged = old.map(|entry| &entry.class).filter(|class| {
            class.eligible.iter().eq(eligible.iter())
                && same_times(class.rtt_ms.as_deref(), rtt_ms.as_deref())
        });
        let class = match unchanged {
            Some(class) => Arc::clone(class),
            None => {
                *next_version += 1;
                build(id, *next_version, &shared, eligible, rtt_ms, fleet)
            }
        };
        entries.insert(
            shared,
            Entry { epoch: fleet.epoch, class: Arc::clone(&class), asked: AtomicU64::new(asked) },
        );
        if entries.len() > CLASSES_MAX {
            let oldest = entries.iter().min_by_key(|(_, entry)| entry.asked.load(Ordering::Relaxed));
            if let Some(key) = oldest.map(|(key, _)| Arc::clone(key)) {
                entries.remove(&key);
            }
        }
        class
    }
}

/// The filter that cut a row, if one did.
#[must_use]
pub fn explain(fleet: &Fleet, requirement: &Requirement, row: u32) -> Option<Filter> {
    let (index, lane) = crate::fleet::split(row);
    let matcher = Matcher::new(fleet, requirement);
    let block = fleet.blocks.get(index)?;
    FILTERS.into_iter().find(|&filter| matcher.passes(block, filter) >> lane & 1 == 0)
}

fn build(
    id: u32,
    version: u64,
    requirement: &Arc<Requirement>,
    eligible: Vec<u64>,
    rtt_ms: Option<Vec<f32>>,
    fleet: &Fleet,
) -> Arc<EligibleClass> {
    let names = &fleet.names;
    Arc::new(EligibleClass {
        id,
        version,
        requirement: Arc::clone(requirement),
        count: eligible.iter().map(|word| word.count_ones()).sum(),
        eligible: eligible.into(),
        required_capabilities: bits(&names.capabilities, requirement.capabilities.iter()).0,
        preferred_capabilities: bits(&names.capabilities, requirement.preferred_capabilities.iter()).0,
        source_region: names.symbol(requirement.source_region.as_ref()),
        source_zone: names.symbol(requirement.source_zone.as_ref()),
        rtt_ms: rtt_ms.map(Into::into),
    })
}

/// NaN (unknown) equals NaN here.
fn same_times(a: Option<&[f32]>, b: Option<&[f32]>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(b).all(|(x, y)| x.to_bits() == y.to_bits()),
        (a, b) => a.is_none() && b.is_none(),
    }
}

fn bits<'a>(
    names: &Interner,
    wanted: impl Iterator<Item = &'a crate::id::Label>,
) -> ([u64; BIT_WORDS], bool) {
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

fn round_trips(fleet: &Fleet, requirement: &Requirement) -> Option<Vec<f32>> {
    let source = requirement.source_region.as_ref()?;
    let mut by_region: BTreeMap<u32, f32> = BTreeMap::new();
    let zone = fleet.names.symbol(requirement.source_zone.as_ref());
    let rows = 0..fleet.rows;
    Some(
        rows.map(|row| {
            let Some(facts) = fleet.facts(row) else { return f32::NAN };
            let Some((block, lane)) = fleet.block(row) else { return f32::NAN };
            if zone != 0 && block.u32(Column::Zone, lane) == zone && facts.region.as_ref() == Some(source) {
                return SAME_ZONE_RTT_MS;
            }
            let measure = || facts.region.as_ref().map_or(f32::NAN, |to| fleet.geography.rtt_ms(source, to));
            *by_region.entry(block.u32(Column::Region, lane)).or_insert_with(measure)
        })
        .collect(),
    )
}

fn none_eligible(fleet: &Fleet, requirement: &Requirement) -> NoneEligible {
    let matcher = Matcher::new(fleet, requirement);
    let mut left: Vec<u64> = fleet.blocks.iter().map(|block| block.present).collect();
    let mut cut = Vec::new();
    for filter in FILTERS {
        let mut lost = 0;
        for (block, left) in fleet.blocks.iter().zip(&mut left) {
            let passed = *left & matcher.passes(block, filter);
            lost += (*left & !passed).count_ones();
            *left = passed;
        }
        if lost > 0 {
            cut.push((filter, lost));
        }
    }
    let unknown = |names: &Interner, wanted: &std::collections::BTreeSet<crate::id::Label>| -> Vec<String> {
        wanted.iter().filter(|name| names.find(name.as_str()).is_none()).map(ToString::to_string).collect()
    };
    let mut unknown_names = unknown(&fleet.names.capabilities, &requirement.capabilities);
    unknown_names.extend(unknown(&fleet.names.services, &requirement.services));
    NoneEligible { members: fleet.members(), cut, unknown_names }
}

/// A requirement with its names resolved against a snapshot.
struct Matcher<'a> {
    fleet: &'a Fleet,
    requirement: &'a Requirement,
    capabilities: ([u64; BIT_WORDS], bool),
    services: ([u64; BIT_WORDS], bool),
    cluster: Option<u32>,
    allowed: Vec<u32>,
    denied: Vec<u32>,
}

impl<'a> Matcher<'a> {
    fn new(fleet: &'a Fleet, requirement: &'a Requirement) -> Self {
        let symbols = &fleet.names.symbols;
        let find = |labels: &std::collections::BTreeSet<crate::id::Label>| {
            labels.iter().map(|label| symbols.find(label.as_str()).unwrap_or(u32::MAX)).collect()
        };
        Self {
            fleet,
            requirement,
            capabilities: bits(&fleet.names.capabilities, requirement.capabilities.iter()),
            services: bits(&fleet.names.services, requirement.services.iter()),
            cluster: requirement.cluster.as_ref().map(|id| symbols.find(id.as_str()).unwrap_or(u32::MAX)),
            allowed: find(&requirement.allowed_regions),
            denied: find(&requirement.denied_regions),
        }
    }

    fn eligible(&self) -> Vec<u64> {
        self.fleet
            .blocks
            .iter()
            .map(|block| {
                FILTERS.into_iter().fold(block.present, |left, filter| match left {
                    0 => 0,
                    _ => left & self.passes(block, filter),
                })
            })
            .collect()
    }

    /// Rows of a block that pass one filter, whatever the others say.
    fn passes(&self, block: &Block, filter: Filter) -> u64 {
        let Requirement { kind, excluded, needs, .. } = self.requirement;
        match filter {
            Filter::Kind => {
                let kinds = match kind {
                    None => !0,
                    Some(MemberKind::Cluster) => block.clusters,
                    Some(MemberKind::Orchestrator) => block.orchestrators,
                    Some(MemberKind::Node) => !(block.clusters | block.orchestrators),
                };
                let cluster = self
                    .cluster
                    .map_or(!0, |cluster| lanes(|lane| block.u32(Column::Cluster, lane) == cluster));
                kinds
                    & cluster
                    & if excluded.is_empty() { !0 } else { lanes(|lane| !self.is_excluded(block, lane)) }
            }
            Filter::Availability => block.available,
            Filter::Breaker => !block.breaker_open,
            Filter::Capacity => !block.full,
            Filter::Capability => has_bits(block, Column::Capabilities, &self.capabilities),
            Filter::Service => has_bits(block, Column::Services, &self.services),
            Filter::Region if self.allowed.is_empty() && self.denied.is_empty() => !0,
            Filter::Region => lanes(|lane| {
                let region = block.u32(Column::Region, lane);
                (self.allowed.is_empty() || self.allowed.contains(&region)) && !self.denied.contains(&region)
            }),
            Filter::Resources if *needs == Resources::default() => !0,
            Filter::Resources => lanes(|lane| has_room(block, lane, needs)),
        }
    }

    fn is_excluded(&self, block: &Block, lane: usize) -> bool {
        let facts = block.facts.get(lane).and_then(Option::as_ref);
        facts.is_some_and(|facts| self.requirement.excluded.contains(&facts.id))
    }
}

fn lanes(test: impl Fn(usize) -> bool) -> u64 {
    (0..BLOCK_ROWS).fold(0, |bits, lane| bits | u64::from(test(lane)) << lane)
}

fn has_bits(block: &Block, column: Column, (wanted, all_known): &([u64; BIT_WORDS], bool)) -> u64 {
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
