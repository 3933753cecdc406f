//! What happened to a slot, newest last, bounded.

use std::collections::VecDeque;

use super::revision::Revision;
use crate::policy::fault::FaultKind;
use crate::time::WallMs;

/// Most entries kept per slot; the oldest leaves first. Faults between two other entries are one entry with a count.
pub const HISTORY_MAX: usize = 256;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Happening {
    /// Somebody asked for the revision.
    Requested,
    /// It was refused before it served; the text says why.
    Refused(String),
    /// A newer request took its place before it served.
    Superseded,
    /// Every worker serves it.
    Activated,
    /// A worker did not serve it; the last good one is back. The text says why.
    NotServing(String),
    /// Somebody took it back; the revision before it serves again.
    RolledBack,
    /// It broke, `count` times since the entry before.
    Faulted {
        /// The kind of the newest fault.
        kind: FaultKind,
        /// The detail of the newest fault.
        detail: String,
        /// How many.
        count: u64,
    },
    /// It broke too often and is taken out for a time.
    Quarantined {
        /// How long, ms.
        for_ms: u64,
    },
    /// It serves again because the one after it was taken out.
    Restored,
}

/// One entry.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryEntry {
    /// Grows by one with every entry of the slot.
    pub number: u64,
    /// When, for people.
    pub at: WallMs,
    /// The revision it is about; `None` = the host's own choice.
    pub revision: Option<Revision>,
    /// Who asked, if somebody did.
    pub by: Option<String>,
    /// What.
    pub what: Happening,
}

/// A bounded history.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    entries: VecDeque<HistoryEntry>,
    next: u64,
}

impl History {
    /// A history with entries from the store, oldest first.
    #[must_use]
    pub fn restore(entries: impl IntoIterator<Item = HistoryEntry>) -> Self {
        let mut history = Self::default();
        for entry in entries {
            history.next = history.next.max(entry.number + 1);
            history.entries.push_back(entry);
            history.trim();
        }
        history
    }

    /// Adds an entry; a fault right after a fault of the same revision is counted with it.
    pub fn add(&mut self, at: WallMs, revision: Option<&Revision>, by: Option<&str>, what: Happening) {
        if let (Happening::Faulted { kind, detail, .. }, Some(last)) = (&what, self.entries.back_mut())
            && last.revision.as_ref() == revision
            && let Happening::Faulted { kind: last_kind, detail: last_detail, count } = &mut last.what
        {
            (*last_kind, *last_detail, *count, last.at) = (*kind, detail.clone(), *count + 1, at);
            return;
        }
        let (number, revision, by) = (self.next, revision.cloned(), by.map(str::to_owned));
        self.next += 1;
        self.entries.push_back(HistoryEntry { number, at, revision, by, what });
        self.trim();
    }

    /// Entries, oldest first.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &HistoryEntry> {
        self.entries.iter()
    }

    fn trim(&mut self) {
        while self.entries.len() > HISTORY_MAX {
            self.entries.pop_front();
        }
    }
}
