//! What a slot serves with: generations, and the chain in which they are asked.
//!
//! Invariant: a chain is immutable; a swap exchanges the pointer to it. A decision loads the pointer once and keeps
//! that chain to its end, so no decision sees two generations of a link, and a replaced generation lives until its
//! last decision is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pilothouse_core::policy::fault::FaultKind;
use pilothouse_core::policy::{Description, Policy};
use pilothouse_core::slot::{Revision, SlotId};

/// What stays known of a generation when it no longer serves: records of decisions keep this, never the pool.
#[derive(Debug)]
pub struct Label {
    /// The slot it served.
    pub slot: SlotId,
    /// Its number within the slot.
    pub number: u64,
    /// Which policy with which settings.
    pub revision: Revision,
    /// What the policy says of itself.
    pub description: Description,
}

/// One revision in service, with its counts.
#[derive(Debug)]
pub struct Generation {
    /// Which one it is.
    pub label: Arc<Label>,
    /// The pool that answers.
    pub policy: Arc<dyn Policy>,
    decisions: AtomicU64,
    refusals: AtomicU64,
    faults: [AtomicU64; FaultKind::ALL.len()],
}

impl Generation {
    /// A generation that has not answered yet.
    #[must_use]
    pub fn new(slot: SlotId, number: u64, revision: Revision, policy: Arc<dyn Policy>) -> Self {
        Self {
            label: Arc::new(Label { slot, number, revision, description: policy.description().clone() }),
            policy,
            decisions: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
            faults: [const { AtomicU64::new(0) }; FaultKind::ALL.len()],
        }
    }

    /// Counts an answer.
    pub fn count_decision(&self) {
        self.decisions.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a refusal.
    pub fn count_refusal(&self) {
        self.refusals.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a fault.
    pub fn count_fault(&self, kind: FaultKind) {
        let place = FaultKind::ALL.iter().position(|&known| known == kind);
        if let Some(count) = place.and_then(|place| self.faults.get(place)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Answers given.
    #[must_use]
    pub fn decisions(&self) -> u64 {
        self.decisions.load(Ordering::Relaxed)
    }

    /// Refusals given.
    #[must_use]
    pub fn refusals(&self) -> u64 {
        self.refusals.load(Ordering::Relaxed)
    }

    /// Faults by kind.
    pub fn faults(&self) -> impl Iterator<Item = (FaultKind, u64)> + '_ {
        FaultKind::ALL.iter().zip(&self.faults).map(|(&kind, count)| (kind, count.load(Ordering::Relaxed)))
    }
}

/// The policies of a slot in the order in which they are asked. All empty = the host chooses.
#[derive(Debug, Default, Clone)]
pub struct Chain {
    /// Answers first.
    pub active: Option<Arc<Generation>>,
    /// The last good one before it.
    pub previous: Option<Arc<Generation>>,
    /// The family's default policy.
    pub default: Option<Arc<Generation>>,
}
