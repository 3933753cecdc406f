//! A slot as decisions see it: a pointer to the chain, counts, and a way to tell the manager of faults.
//!
//! Invariant: reading never waits. Faults go to the manager through a bounded queue; when it is full they are still
//! counted, and the manager has more than enough of them to act on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::{ArcSwap, Guard};
use pilothouse_core::policy::fault::Fault;
use pilothouse_core::policy::state::SlotState;
use pilothouse_core::slot::{RevisionId, SlotId};
use tokio::sync::mpsc;

use super::serving::{Chain, Generation};
use crate::decide::log::Link;

/// Upper bounds of the decision time histogram, ns.
pub const TIME_BOUNDS_NS: [u64; 10] =
    [500, 1_000, 2_000, 5_000, 10_000, 50_000, 200_000, 1_000_000, 5_000_000, 50_000_000];

/// A fault on its way to the manager.
#[derive(Debug)]
pub struct FaultReport {
    /// The slot.
    pub slot: SlotId,
    /// The revision that broke.
    pub revision: RevisionId,
    /// How.
    pub fault: Fault,
}

/// A slot in service.
#[derive(Debug)]
pub struct LiveSlot {
    /// Its id.
    pub id: SlotId,
    /// State of its policies.
    pub state: Arc<SlotState>,
    chain: ArcSwap<Chain>,
    reports: mpsc::Sender<FaultReport>,
    links: [AtomicU64; Link::ALL.len()],
    times: [AtomicU64; TIME_BOUNDS_NS.len() + 1],
    time_sum_ns: AtomicU64,
}

impl LiveSlot {
    /// A slot in which the host still chooses itself.
    #[must_use]
    pub fn new(id: SlotId, state: Arc<SlotState>, reports: mpsc::Sender<FaultReport>) -> Self {
        Self {
            id,
            state,
            chain: ArcSwap::from_pointee(Chain::default()),
            reports,
            links: [const { AtomicU64::new(0) }; Link::ALL.len()],
            times: [const { AtomicU64::new(0) }; TIME_BOUNDS_NS.len() + 1],
            time_sum_ns: AtomicU64::new(0),
        }
    }

    /// The chain now; a decision loads it once.
    pub fn chain(&self) -> Guard<Arc<Chain>> {
        self.chain.load()
    }

    /// Exchanges the chain. Decisions under way finish on the old one.
    pub(super) fn exchange(&self, chain: Chain) {
        self.chain.store(Arc::new(chain));
    }

    /// Counts an answer.
    pub fn count(&self, link: Link, took_ns: u64) {
        if let Some(count) = self.links.get(link as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let bucket = TIME_BOUNDS_NS.partition_point(|&bound| bound < took_ns);
        if let Some(count) = self.times.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.time_sum_ns.fetch_add(took_ns, Ordering::Relaxed);
    }

    /// Tells the manager.
    pub fn report_fault(&self, generation: &Generation, fault: &Fault) {
        let report = FaultReport {
            slot: self.id.clone(),
            revision: generation.label.revision.id,
            fault: fault.clone(),
        };
        let _ = self.reports.try_send(report);
    }

    /// Answers by link.
    pub fn answers(&self) -> impl Iterator<Item = (Link, u64)> + '_ {
        Link::ALL.iter().zip(&self.links).map(|(&link, count)| (link, count.load(Ordering::Relaxed)))
    }

    /// Answers by time (one more than bounds: the last is "longer") and the sum of times, ns.
    #[must_use]
    pub fn times(&self) -> (Vec<u64>, u64) {
        let counts = self.times.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        (counts, self.time_sum_ns.load(Ordering::Relaxed))
    }
}
