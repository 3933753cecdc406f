//! The newest decisions, in memory.
//!
//! decision -> [`DecisionLog::push`] -> ring -> `GET /api/v1/decisions`
//!
//! Invariant: pushing never waits for a reader of another entry and never grows. A durable log is not here yet.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pilothouse_core::eligible::EligibleClass;
use pilothouse_core::fleet::facts::MemberFacts;
use pilothouse_core::id::DecisionId;
use pilothouse_core::policy::fault::Fault;
use pilothouse_core::policy::request::Choice;
use pilothouse_core::time::WallMs;

use crate::slots::serving::Label;

/// Which link of the fallback chain answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Link {
    /// The active revision.
    Active,
    /// The active revision, on an instance made after the first one broke.
    FreshInstance,
    /// The revision that served before.
    Previous,
    /// The default policy of the family.
    Default,
    /// The host's own choice.
    Native,
}

impl Link {
    /// Every link, first tried first.
    pub const ALL: [Self; 5] =
        [Self::Active, Self::FreshInstance, Self::Previous, Self::Default, Self::Native];

    /// The name in JSON and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::FreshInstance => "fresh-instance",
            Self::Previous => "previous",
            Self::Default => "default",
            Self::Native => "native",
        }
    }
}

/// One decision with what led to it.
#[derive(Debug, Clone)]
pub struct Decision {
    /// Its id.
    pub id: DecisionId,
    /// When, for people.
    pub at: WallMs,
    /// What answered; `None` = the host's own choice.
    pub generation: Option<Arc<Label>>,
    /// The link of the chain that answered.
    pub link: Link,
    /// Who was eligible, and for which requirement.
    pub class: Arc<EligibleClass>,
    /// Epoch of the snapshot.
    pub epoch: u64,
    /// Randomness that the policy got.
    pub seed: u64,
    /// Hash of the session key.
    pub session: Option<u64>,
    /// What was chosen.
    pub choice: Choice,
    /// Who that is.
    pub member: Arc<MemberFacts>,
    /// Faults of the links tried before.
    pub faults: Vec<Fault>,
    /// Time from request to answer, ns.
    pub took_ns: u64,
}

/// A ring of decisions.
#[derive(Debug)]
pub struct DecisionLog {
    boot: u32,
    next: AtomicU64,
    ring: Box<[Mutex<Option<Decision>>]>,
}

impl DecisionLog {
    /// A log of the newest `kept` decisions of this run.
    #[must_use]
    pub fn new(boot: u32, kept: usize) -> Self {
        Self { boot, next: AtomicU64::new(1), ring: (0..kept.max(1)).map(|_| Mutex::new(None)).collect() }
    }

    /// The id of the next decision.
    pub fn next_id(&self) -> DecisionId {
        DecisionId { boot: self.boot, sequence: self.next.fetch_add(1, Ordering::Relaxed) }
    }

    /// Keeps a decision, forgetting the oldest.
    pub fn push(&self, decision: Decision) {
        if let Some(place) = self.place(decision.id.sequence) {
            *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(decision);
        }
    }

    /// A decision that is still kept.
    #[must_use]
    pub fn get(&self, id: DecisionId) -> Option<Decision> {
        let kept = self.place(id.sequence)?.lock().unwrap_or_else(PoisonError::into_inner).clone();
        kept.filter(|decision| decision.id == id)
    }

    /// The newest decisions, newest first, at most `limit`.
    #[must_use]
    pub fn newest(&self, limit: usize) -> Vec<Decision> {
        let next = self.next.load(Ordering::Relaxed);
        let oldest = next.saturating_sub(self.ring.len() as u64).max(1);
        (oldest..next)
            .rev()
            .filter_map(|sequence| self.get(DecisionId { boot: self.boot, sequence }))
            .take(limit)
            .collect()
    }

    fn place(&self, sequence: u64) -> Option<&Mutex<Option<Decision>>> {
        let index = sequence.checked_rem(self.ring.len() as u64)?;
        self.ring.get(usize::try_from(index).ok()?)
    }
}
