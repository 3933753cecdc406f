//! The classes in use: each computed once per epoch, whoever asks first.
//!
//! Invariant: at most [`CLASSES_MAX`] classes are kept (the least recently asked leaves first), and a class's version grows only
//! when its bits or round-trip times really changed, so guests are not updated for nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::matcher::{FILTERS, Matcher, bits, round_trips};
use super::{EligibleClass, NoneEligible, Requirement};
use crate::fleet::Fleet;
use crate::fleet::facts::Interner;

/// Most classes kept: what an instance of a policy holds as well.
pub const CLASSES_MAX: usize = 64;

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
                    Err(NoneEligible::of(fleet, requirement))
                };
            }
        }
        let class = self.compute(fleet, requirement, asked);
        if class.count > 0 { Ok(class) } else { Err(NoneEligible::of(fleet, requirement)) }
    }

    fn compute(&self, fleet: &Fleet, requirement: &Requirement, asked: u64) -> Arc<EligibleClass> {
        let eligible = Matcher::new(fleet, requirement).rows(&FILTERS);
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

impl EligibleClass {
    /// One row alone, for what the host decides itself. They share number 0; give each its own version.
    #[must_use]
    pub fn only(fleet: &Fleet, requirement: &Requirement, row: u32, version: u64) -> Arc<Self> {
        let (index, lane) = crate::fleet::split(row);
        let eligible = (0..fleet.blocks.len()).map(|block| u64::from(block == index) << lane).collect();
        build(0, version, &Arc::new(requirement.clone()), eligible, round_trips(fleet, requirement), fleet)
    }
}

impl NoneEligible {
    /// Which filter cut whom.
    #[must_use]
    pub fn of(fleet: &Fleet, requirement: &Requirement) -> Self {
        let matcher = Matcher::new(fleet, requirement);
        let mut left: Vec<u64> = fleet.blocks.iter().map(|block| block.present).collect();
        let mut cut = Vec::new();
        for filter in FILTERS {
            let mut lost = 0;
            for (index, left) in left.iter_mut().enumerate() {
                let passed = *left & matcher.passes(index, filter);
                lost += (*left & !passed).count_ones();
                *left = passed;
            }
            if lost > 0 {
                cut.push((filter, lost));
            }
        }
        let unknown =
            |names: &Interner, wanted: &std::collections::BTreeSet<crate::id::Label>| -> Vec<String> {
                wanted
                    .iter()
                    .filter(|name| names.find(name.as_str()).is_none())
                    .map(ToString::to_string)
                    .collect()
            };
        let mut unknown_names = unknown(&fleet.names.capabilities, &requirement.capabilities);
        unknown_names.extend(unknown(&fleet.names.services, &requirement.services));
        Self { members: fleet.members(), cut, unknown_names }
    }
}
