//! What a store should be: its contract on ordinary maps.
//!
//! command + time -> [`Model::apply`] -> outcome, and the state afterwards
//!
//! Invariant: written from the contract alone, without a look at pages, batches or threads.

use std::collections::BTreeMap;

use pilothouse_store::{Check, Embedded, Entry, LeaseId, Op, Store, StoreError, Txn, WatchEvent};

/// What can be asked of a store.
#[derive(Debug, Clone)]
pub(super) enum Command {
    Txn(Txn),
    Grant { ttl_ms: u64 },
    KeepAlive(LeaseId),
    Revoke(LeaseId),
    Compact(u64),
}

/// What it should answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Txn { applied: bool, revision: u64 },
    Lease(LeaseId),
    Alive(bool),
    Compacted,
    LeaseEnded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) ttl_ms: u64,
    pub(super) ends_ms: u64,
}

/// The whole state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) entries: BTreeMap<String, Entry>,
    pub(super) leases: BTreeMap<LeaseId, Lease>,
    pub(super) history: Vec<WatchEvent>,
    pub(super) revision: u64,
    pub(super) compacted: u64,
    last_lease: LeaseId,
}

impl Model {
    pub(super) fn apply(&mut self, command: &Command, now_ms: u64) -> Answer {
        match command {
            Command::Txn(txn) => self.txn(txn),
            Command::Grant { ttl_ms } => {
                self.last_lease += 1;
                let lease = Lease { ttl_ms: *ttl_ms, ends_ms: now_ms + ttl_ms };
                self.leases.insert(self.last_lease, lease);
                Answer::Lease(self.last_lease)
            }
            Command::KeepAlive(id) => {
                let found = self.leases.get_mut(id);
                Answer::Alive(found.map(|lease| lease.ends_ms = now_ms + lease.ttl_ms).is_some())
            }
            Command::Revoke(id) => {
                let applied = self.leases.remove(id).is_some();
                let keys: Vec<String> = self
                    .entries
                    .values()
                    .filter(|entry| entry.lease == Some(*id))
                    .map(|e| e.key.clone())
                    .collect();
                self.write(keys.into_iter().map(Op::Delete));
                Answer::Txn { applied, revision: self.revision }
            }
            Command::Compact(up_to) => {
                self.compacted = self.compacted.max((*up_to).min(self.revision));
                let compacted = self.compacted;
                self.history.retain(|event| event.revision > compacted);
                Answer::Compacted
            }
        }
    }

    /// Leases whose time is over end before anything else of a commit.
    pub(super) fn end_leases(&mut self, now_ms: u64) -> usize {
        let over = |(id, lease): (&LeaseId, &Lease)| (lease.ends_ms <= now_ms).then_some(*id);
        let ended: Vec<LeaseId> = self.leases.iter().filter_map(over).collect();
        for lease in &ended {
            self.apply(&Command::Revoke(*lease), now_ms);
        }
        ended.len()
    }

    /// A restart gives every lease its full time.
    pub(super) fn restart(&mut self, now_ms: u64) {
        for lease in self.leases.values_mut() {
            lease.ends_ms = now_ms + lease.ttl_ms;
        }
    }

    /// What the store has otherwise, if anything. Leases are not compared: the contract has no list of them.
    pub(super) fn difference(&self, store: &Embedded) -> Option<String> {
        if store.revision() != self.revision {
            return Some(format!("revision {} where {} was acknowledged", store.revision(), self.revision));
        }
        match store.range("", usize::MAX) {
            Err(error) => return Some(error.to_string()),
            Ok(found) if !self.entries.values().eq(found.iter()) => {
                let wrong = self.entries.values().find(|entry| !found.contains(entry));
                let wrong =
                    wrong.or_else(|| found.iter().find(|entry| self.entries.get(&entry.key) != Some(entry)));
                return Some(format!("another value of `{}`", wrong.map_or("?", |entry| &entry.key)));
            }
            Ok(_) => {}
        }
        if !store.changes("", self.compacted).is_ok_and(|changes| changes == self.history) {
            return Some(format!("other changes after revision {}", self.compacted));
        }
        let before = self.compacted.checked_sub(1).map(|revision| store.changes("", revision));
        let forgotten = before.is_none_or(|changes| matches!(changes, Err(StoreError::Compacted { .. })));
        (!forgotten).then(|| format!("revision {} is not compacted", self.compacted))
    }

    fn txn(&mut self, txn: &Txn) -> Answer {
        let holds = |check: &Check| match check {
            Check::Absent(key) => !self.entries.contains_key(key),
            Check::Exists(key) => self.entries.contains_key(key),
            Check::ModRevision(key, revision) => {
                self.entries.get(key).is_some_and(|e| e.mod_revision == *revision)
            }
            Check::Version(key, version) => self.entries.get(key).is_some_and(|e| e.version == *version),
            Check::Value(key, value) => self.entries.get(key).is_some_and(|e| e.value == *value),
        };
        if !txn.checks.iter().all(holds) {
            return Answer::Txn { applied: false, revision: self.revision };
        }
        let ended = |op: &Op| matches!(op, Op::PutLeased(_, _, lease) if !self.leases.contains_key(lease));
        if txn.ops.iter().any(ended) {
            return Answer::LeaseEnded;
        }
        self.write(txn.ops.iter().cloned());
        Answer::Txn { applied: true, revision: self.revision }
    }

    fn write(&mut self, ops: impl Iterator<Item = Op>) {
        let revision = self.revision + 1;
        for op in ops {
            let (key, value, lease) = match op {
                Op::Put(key, value) => (key, Some(value), None),
                Op::PutLeased(key, value, lease) => (key, Some(value), Some(lease)),
                Op::Delete(key) => (key, None, None),
            };
            let before = self.entries.remove(&key);
            if value.is_none() && before.is_none() {
                continue;
            }
            self.history.push(WatchEvent { revision, key: key.clone(), value: value.clone() });
            self.revision = revision;
            if let Some(value) = value {
                let create_revision = before.as_ref().map_or(revision, |entry| entry.create_revision);
                let version = before.map_or(0, |entry| entry.version) + 1;
                let entry = Entry {
                    key: key.clone(),
                    value,
                    mod_revision: revision,
                    create_revision,
                    version,
                    lease,
                };
                self.entries.insert(key, entry);
            }
        }
    }
}
