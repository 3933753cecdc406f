//! Strikes, and the time a revision sits out.
//!
//! Invariant: [`STRIKES_TO_QUARANTINE`] strikes within [`STRIKE_WINDOW_MS`] take a revision out; each time doubles, up to
//! [`QUARANTINE_MAX_MS`]. Both tables are bounded.

use std::collections::{BTreeMap, VecDeque};

use super::revision::RevisionId;
use crate::time::Now;

/// Strikes that lead to quarantine.
pub const STRIKES_TO_QUARANTINE: usize = 3;
/// Strikes older than this are forgotten, ms.
pub const STRIKE_WINDOW_MS: u64 = 60_000;
/// First quarantine, ms.
pub const QUARANTINE_MIN_MS: u64 = 30_000;
/// Longest quarantine, ms.
pub const QUARANTINE_MAX_MS: u64 = 3_600_000;
/// Most revisions remembered; a slot has four at a time, the rest is memory of old ones.
const REMEMBERED_MAX: usize = 64;

#[derive(Debug, Clone, Default)]
struct Record {
    strikes: VecDeque<Now>,
    until: Option<Now>,
    times: u32,
}

/// Strikes and quarantines of a slot.
#[derive(Debug, Clone, Default)]
pub struct Quarantine {
    records: BTreeMap<RevisionId, Record>,
}

impl Quarantine {
    /// Counts a strike; says for how long the revision is out if this was one too many.
    pub(super) fn strike(&mut self, id: RevisionId, now: Now) -> Option<u64> {
        if self.records.len() >= REMEMBERED_MAX && !self.records.contains_key(&id) {
            let idle = self.records.iter().find(|(_, record)| record.until.is_none()).map(|(&id, _)| id);
            let forgotten = idle.or_else(|| self.records.keys().next().copied());
            forgotten.map(|id| self.records.remove(&id));
        }
        let record = self.records.entry(id).or_default();
        if record.until.is_some_and(|until| until > now) {
            return None;
        }
        record.strikes.retain(|&at| now.since_ms(at) < STRIKE_WINDOW_MS);
        record.strikes.push_back(now);
        if record.strikes.len() < STRIKES_TO_QUARANTINE {
            return None;
        }
        record.strikes.clear();
        let for_ms = (QUARANTINE_MIN_MS << record.times.min(16)).min(QUARANTINE_MAX_MS);
        record.times += 1;
        record.until = Some(now.plus_ms(for_ms));
        Some(for_ms)
    }

    /// Whether a revision is out.
    #[must_use]
    pub fn holds(&self, id: RevisionId, now: Now) -> bool {
        self.left_ms(id, now).is_some()
    }

    /// How long it is still out, ms.
    #[must_use]
    pub fn left_ms(&self, id: RevisionId, now: Now) -> Option<u64> {
        let until = self.records.get(&id)?.until?;
        (until > now).then(|| until.since_ms(now))
    }

    /// Strikes of a revision within the window.
    #[must_use]
    pub fn strikes(&self, id: RevisionId, now: Now) -> usize {
        self.records.get(&id).map_or(0, |record| {
            record.strikes.iter().filter(|&&at| now.since_ms(at) < STRIKE_WINDOW_MS).count()
        })
    }

    /// Who is out now.
    pub fn held(&self, now: Now) -> impl Iterator<Item = (RevisionId, u64)> + '_ {
        self.records.keys().filter_map(move |&id| self.left_ms(id, now).map(|left_ms| (id, left_ms)))
    }

    /// Lets out those whose time is over; says whether there were any.
    pub(super) fn release(&mut self, now: Now) -> bool {
        let mut any = false;
        for record in self.records.values_mut() {
            if record.until.is_some_and(|until| until <= now) {
                record.until = None;
                any = true;
            }
        }
        any
    }

    /// Lets a revision out early: somebody forced it and every worker serves it.
    pub(super) fn pardon(&mut self, id: RevisionId) {
        if let Some(record) = self.records.get_mut(&id) {
            record.until = None;
            record.strikes.clear();
        }
    }
}
