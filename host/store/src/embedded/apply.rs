//! Commands onto the tables of one write transaction.
//!
//! commands in order -> checks, writes, history, leases -> an outcome each, and the numbers of the store
//!
//! Invariant: a command changes everything it names or nothing; one that meets a damaged record is refused alone. Committing
//! and waiting callers are not here.

use redb::{ReadableTable, ReadableTableMetadata, Table, WriteTransaction};

use super::tables::{
    ENTRIES, HISTORY, LEASE_KEYS, LEASES, META, META_COMPACTED, META_HISTORY_BYTES, META_LEASE,
    META_REVISION, decode_entry, encode_change, encode_entry,
};
use crate::contract::{Check, Entry, LeaseId, Op, Txn};
use crate::error::StoreError;
use crate::{HISTORY_BYTES_MAX, HISTORY_REVISIONS, LEASES_MAX};

/// What the writer can be asked.
#[derive(Debug)]
pub(super) enum Command {
    Txn(Txn),
    Grant {
        ttl_ms: u64,
    },
    /// Changes no table: the writer's clock decides.
    KeepAlive(LeaseId),
    /// Asked for, or its time is over.
    Revoke(LeaseId),
    Compact {
        up_to: u64,
    },
}

/// What became of a command.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outcome {
    pub(super) applied: bool,
    pub(super) revision: u64,
    pub(super) lease: LeaseId,
}

/// Outcomes, or why a command was refused; the outer error is the disk's.
type Applied = Result<Result<Outcome, StoreError>, redb::Error>;

/// The open tables of a write transaction.
pub(super) struct Batch<'t> {
    entries: Table<'t, &'static str, &'static [u8]>,
    history: Table<'t, (u64, u32), (&'static str, &'static [u8])>,
    leases: Table<'t, LeaseId, u64>,
    lease_keys: Table<'t, (LeaseId, &'static str), ()>,
    meta: Table<'t, &'static str, u64>,
    revision: u64,
    history_bytes: u64,
    compacted: u64,
    changed: bool,
}

impl<'t> Batch<'t> {
    pub(super) fn open(write: &'t WriteTransaction) -> Result<Self, redb::Error> {
        let meta = write.open_table(META)?;
        let read = |name: &str| Ok::<_, redb::Error>(meta.get(name)?.map_or(0, |found| found.value()));
        let (revision, history_bytes) = (read(META_REVISION)?, read(META_HISTORY_BYTES)?);
        let compacted = read(META_COMPACTED)?;
        Ok(Self {
            entries: write.open_table(ENTRIES)?,
            history: write.open_table(HISTORY)?,
            leases: write.open_table(LEASES)?,
            lease_keys: write.open_table(LEASE_KEYS)?,
            meta,
            revision,
            history_bytes,
            compacted,
            changed: false,
        })
    }

    pub(super) fn run(&mut self, command: &Command) -> Applied {
        match command {
            Command::Txn(txn) => self.txn(txn),
            Command::Grant { ttl_ms } => self.grant(*ttl_ms),
            Command::KeepAlive(lease) => {
                let applied = self.leases.get(lease)?.is_some();
                Ok(Ok(Outcome { applied, revision: self.revision, lease: *lease }))
            }
            Command::Revoke(lease) => self.revoke(*lease),
            Command::Compact { up_to } => {
                self.compacted = self.compacted.max((*up_to).min(self.revision));
                self.changed = true;
                Ok(Ok(self.outcome(true)))
            }
        }
    }

    /// Forgets old history and writes the numbers; `None` if nothing changed, else the newest revision.
    pub(super) fn finish(mut self) -> Result<Option<u64>, redb::Error> {
        if !self.changed {
            return Ok(None);
        }
        self.compacted = self.compacted.max(self.revision.saturating_sub(HISTORY_REVISIONS));
        while let Some((revision, index, bytes)) = self.oldest_change()? {
            if revision > self.compacted && self.history_bytes <= HISTORY_BYTES_MAX {
                break;
            }
            self.compacted = self.compacted.max(revision);
            self.history_bytes = self.history_bytes.saturating_sub(bytes);
            self.history.remove((revision, index))?;
        }
        self.meta.insert(META_REVISION, self.revision)?;
        self.meta.insert(META_HISTORY_BYTES, self.history_bytes)?;
        self.meta.insert(META_COMPACTED, self.compacted)?;
        Ok(Some(self.revision))
    }

    /// Revision, index and bytes of the oldest change that is kept.
    fn oldest_change(&self) -> Result<Option<(u64, u32, u64)>, redb::Error> {
        Ok(self.history.first()?.map(|(place, change)| {
            let (revision, index) = place.value();
            (revision, index, change_bytes(change.value()))
        }))
    }

    fn outcome(&self, applied: bool) -> Outcome {
        Outcome { applied, revision: self.revision, lease: 0 }
    }

    fn txn(&mut self, txn: &Txn) -> Applied {
        for check in &txn.checks {
            match self.holds(check)? {
                Ok(true) => {}
                Ok(false) => return Ok(Ok(self.outcome(false))),
                Err(error) => return Ok(Err(error)),
            }
        }
        if let Err(error) = self.possible(&txn.ops)? {
            return Ok(Err(error));
        }
        let mut index = 0;
        for op in &txn.ops {
            let changed = match op {
                Op::Put(key, value) => self.put(key, value, None, index)?,
                Op::PutLeased(key, value, lease) => self.put(key, value, Some(*lease), index)?,
                Op::Delete(key) => self.remove(key, index)?,
            };
            index += u32::from(changed);
        }
        self.close_revision(index);
        Ok(Ok(self.outcome(true)))
    }

    /// A command that changed something has used the next revision.
    fn close_revision(&mut self, changes: u32) {
        self.revision += u64::from(changes > 0);
        self.changed |= changes > 0;
    }

    fn read(&self, key: &str) -> Result<Result<Option<Entry>, StoreError>, redb::Error> {
        Ok(self.entries.get(key)?.map(|bytes| decode_entry(key, bytes.value())).transpose())
    }

    fn holds(&self, check: &Check) -> Result<Result<bool, StoreError>, redb::Error> {
        let (Check::Absent(key)
        | Check::Exists(key)
        | Check::ModRevision(key, _)
        | Check::Version(key, _)
        | Check::Value(key, _)) = check;
        Ok(self.read(key)?.map(|found| match (check, found) {
            (Check::Absent(_), found) => found.is_none(),
            (_, None) => false,
            (Check::Exists(_), Some(_)) => true,
            (Check::ModRevision(_, revision), Some(entry)) => entry.mod_revision == *revision,
            (Check::Version(_, version), Some(entry)) => entry.version == *version,
            (Check::Value(_, value), Some(entry)) => entry.value == *value,
        }))
    }

    /// Whether every operation can be done, before the first one is.
    fn possible(&self, ops: &[Op]) -> Result<Result<(), StoreError>, redb::Error> {
        for op in ops {
            let (Op::Put(key, _) | Op::PutLeased(key, _, _)) = op else { continue };
            if let Err(error) = self.read(key)? {
                return Ok(Err(error));
            }
            if let Op::PutLeased(_, _, lease) = op
                && self.leases.get(lease)?.is_none()
            {
                return Ok(Err(StoreError::LeaseEnded { lease: *lease }));
            }
        }
        Ok(Ok(()))
    }

    fn put(
        &mut self,
        key: &str,
        value: &[u8],
        lease: Option<LeaseId>,
        index: u32,
    ) -> Result<bool, redb::Error> {
        let revision = self.revision + 1;
        // Damage was refused by `possible`.
        let before = self.read(key)?.ok().flatten();
        let (create_revision, version) =
            before.as_ref().map_or((revision, 1), |entry| (entry.create_revision, entry.version + 1));
        if let Some(old) = before.and_then(|entry| entry.lease) {
            self.lease_keys.remove((old, key))?;
        }
        if let Some(new) = lease {
            self.lease_keys.insert((new, key), ())?;
        }
        let (key, value) = (key.to_owned(), value.to_vec());
        let entry = Entry { key, value, mod_revision: revision, create_revision, version, lease };
        self.entries.insert(entry.key.as_str(), encode_entry(&entry).as_slice())?;
        self.remember(&entry.key, Some(&entry.value), index)?;
        Ok(true)
    }

    /// Works on a damaged entry too: it is the way to get rid of one.
    fn remove(&mut self, key: &str, index: u32) -> Result<bool, redb::Error> {
        let lease = self.read(key)?.ok().flatten().and_then(|entry| entry.lease);
        let existed = self.entries.remove(key)?.is_some();
        if let Some(lease) = lease {
            self.lease_keys.remove((lease, key))?;
        }
        if existed {
            self.remember(key, None, index)?;
        }
        Ok(existed)
    }

    fn remember(&mut self, key: &str, value: Option<&[u8]>, index: u32) -> Result<(), redb::Error> {
        let revision = self.revision + 1;
        let change = encode_change(key, revision, value);
        self.history_bytes += change_bytes((key, &change));
        self.history.insert((revision, index), (key, change.as_slice()))?;
        Ok(())
    }

    fn grant(&mut self, ttl_ms: u64) -> Applied {
        let found = usize::try_from(self.leases.len()?).unwrap_or(usize::MAX);
        if found >= LEASES_MAX {
            let what = "the number of leases";
            return Ok(Err(StoreError::TooLarge { what, found: found + 1, limit: LEASES_MAX }));
        }
        let lease = self.meta.get(META_LEASE)?.map_or(0, |found| found.value()) + 1;
        self.meta.insert(META_LEASE, lease)?;
        self.leases.insert(lease, ttl_ms)?;
        self.changed = true;
        Ok(Ok(Outcome { applied: true, revision: self.revision, lease }))
    }

    fn revoke(&mut self, lease: LeaseId) -> Applied {
        let existed = self.leases.remove(lease)?.is_some();
        self.changed |= existed;
        let mut keys = Vec::new();
        for item in self.lease_keys.range((lease, "")..(lease + 1, ""))? {
            keys.push(item?.0.value().1.to_owned());
        }
        let mut index = 0;
        for key in keys {
            index += u32::from(self.remove(&key, index)?);
        }
        self.close_revision(index);
        Ok(Ok(Outcome { applied: existed, revision: self.revision, lease }))
    }
}

fn change_bytes((key, change): (&str, &[u8])) -> u64 {
    (key.len() + change.len()) as u64
}
