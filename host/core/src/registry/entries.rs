//! Members by id and by endpoint, kept in step.

use std::collections::BTreeMap;

use crate::breaker::Breaker;
use crate::id::MemberId;
use crate::member::Member;
use crate::time::Now;

/// A member with what the registry knows beside it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) member: Member,
    pub(super) breaker: Breaker,
    /// When it was last heard of (or restored), by the receiver's clock.
    pub(super) contact: Now,
}

/// All entries.
#[derive(Debug, Clone, Default)]
pub(super) struct Entries {
    by_id: BTreeMap<MemberId, Entry>,
    by_endpoint: BTreeMap<String, MemberId>,
}

impl Entries {
    pub(super) fn insert(&mut self, entry: Entry) {
        let id = entry.member.id().clone();
        let endpoint = normalised(&entry.member.registration.endpoint);
        if let Some(old) = self.by_id.insert(id.clone(), entry) {
            self.by_endpoint.remove(&normalised(&old.member.registration.endpoint));
        }
        self.by_endpoint.insert(endpoint, id);
    }

    pub(super) fn remove(&mut self, id: &MemberId) -> Option<Entry> {
        let entry = self.by_id.remove(id)?;
        self.by_endpoint.remove(&normalised(&entry.member.registration.endpoint));
        Some(entry)
    }

    pub(super) fn owner_of(&self, endpoint: &str) -> Option<&MemberId> {
        self.by_endpoint.get(&normalised(endpoint))
    }

    pub(super) fn get(&self, id: &MemberId) -> Option<&Entry> {
        self.by_id.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &MemberId) -> Option<&mut Entry> {
        self.by_id.get_mut(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.by_id.values()
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }
}

/// Endpoints that reach the same place compare equal: case and a trailing slash do not matter.
fn normalised(endpoint: &str) -> String {
    endpoint.trim_end_matches('/').to_ascii_lowercase()
}
