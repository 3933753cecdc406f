//! The durable side of failovers: journals, summaries, displaced workloads.
//!
//! entry -> records -> store; start -> journals that have no end, summaries, displaced
//!
//! Invariant: what is appended is on disk when the call returns. A failover has ended when its summary is written; that, and the
//! beginning of its journal going away, is one transaction, so a crash leaves either a failover to resume or a rest
//! without an opening, which means nothing and is swept at the next start.

use std::collections::BTreeMap;
use std::sync::Arc;

use pilothouse_core::failback::Displaced;
use pilothouse_core::failover::{Entry, FailoverId, Unfinished};
use pilothouse_core::id::AgentName;
use pilothouse_store::{Op, Store, StoreError, Txn};
use pilothouse_transport::service::failover::FailoverInfo;

use crate::records::failover::{
    DISPLACED, DisplacedRecord, ENDED, EndedRecord, EntryRecord, JOURNAL, PlannedRecord, displaced_key,
    ended_key, journal_key, parse_journal_key, texts,
};
use crate::records::{decode, encode};

/// Failovers that have ended and are still told about.
pub(super) const ENDED_MAX: usize = 256;
/// Most entries and displaced workloads read at start.
const RECORDS_MAX: usize = 1_000_000;
/// Plans or members of one record: with names of the longest kind it stays below the store's largest value.
const PER_RECORD: usize = 1_000;
/// Operations of one transaction.
const PER_TXN: usize = 100;

/// Where failovers are written down.
#[derive(Debug)]
pub(super) struct Journal {
    store: Arc<dyn Store>,
}

/// What was found at the start.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Failovers to resume, and how many records each has.
    pub(super) unfinished: Vec<(Unfinished, u64)>,
    /// Failovers that ended, oldest first.
    pub(super) ended: Vec<FailoverInfo>,
    /// Workloads away from home.
    pub(super) displaced: Vec<Displaced>,
    /// The highest name in use.
    pub(super) last: u64,
}

impl Journal {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Reads everything.
    ///
    /// # Errors
    /// If the store or a record cannot be read.
    pub(super) fn read(&self) -> anyhow::Result<Found> {
        let mut found = Found::default();
        for entry in self.store.range(ENDED, RECORDS_MAX)? {
            found.ended.push(decode::<EndedRecord>(&entry.key, &entry.value)?.into_info(&entry.key)?);
        }
        found.last = found.ended.last().and_then(|ended| ended.id).map_or(0, |id| id.0);
        for entry in self.store.range(DISPLACED, RECORDS_MAX)? {
            let record = decode::<DisplacedRecord>(&entry.key, &entry.value)?;
            found.displaced.push(record.into_displaced(&entry.key)?);
        }
        let mut journals: BTreeMap<FailoverId, (Vec<Entry>, u64)> = BTreeMap::new();
        for entry in self.store.range(JOURNAL, RECORDS_MAX)? {
            let Some((id, number)) = parse_journal_key(&entry.key) else { continue };
            let record = decode::<EntryRecord>(&entry.key, &entry.value)?;
            let (entries, records) = journals.entry(id).or_default();
            entries.extend(record.into_entries(id, &entry.key)?);
            *records = number + 1;
        }
        for (id, (entries, records)) in journals {
            found.last = found.last.max(id.0);
            match Unfinished::read(&entries) {
                Some(unfinished) => found.unfinished.push((unfinished, records)),
                None => drop(self.sweep(id, 0, records)),
            }
        }
        Ok(found)
    }

    /// Appends an entry to a journal that has so many records; answers with how many it has now.
    ///
    /// # Errors
    /// [`StoreError`]; a part of the entry may be there, which is no harm if it is appended again.
    pub(super) async fn append(
        &self,
        id: FailoverId,
        records: u64,
        entry: &Entry,
    ) -> Result<u64, StoreError> {
        let mut next = records;
        for record in records_of(entry) {
            self.store.txn(Txn::put(journal_key(id, next), encode(&record))).await?;
            next += 1;
        }
        Ok(next)
    }

    /// Writes a failover's end, and forgets its journal of so many records and an older failover.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(super) async fn conclude(
        &self,
        id: FailoverId,
        info: &FailoverInfo,
        records: u64,
        forgotten: Option<FailoverId>,
    ) -> Result<(), StoreError> {
        let mut ops = vec![Op::Put(ended_key(id), encode(&EndedRecord::of(id, info)))];
        ops.extend(forgotten.map(|older| Op::Delete(ended_key(older))));
        let first = records.min(PER_TXN as u64);
        ops.extend((0..first).map(|number| Op::Delete(journal_key(id, number))));
        self.store.txn(Txn { checks: Vec::new(), ops }).await?;
        for rest in self.sweep(id, first, records) {
            rest.await?;
        }
        Ok(())
    }

    /// Makes the stored displaced workloads those of now.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(super) async fn displace(
        &self,
        before: &BTreeMap<AgentName, Displaced>,
        now: &BTreeMap<AgentName, Displaced>,
    ) -> Result<(), StoreError> {
        let gone = before.keys().filter(|agent| !now.contains_key(*agent));
        let delete = gone.map(|agent| Op::Delete(displaced_key(agent)));
        let new = now.iter().filter(|(agent, displaced)| before.get(*agent) != Some(*displaced));
        let put = new
            .map(|(agent, displaced)| Op::Put(displaced_key(agent), encode(&DisplacedRecord::of(displaced))));
        let ops: Vec<Op> = delete.chain(put).collect();
        for part in ops.chunks(PER_TXN) {
            self.store.txn(Txn { checks: Vec::new(), ops: part.to_vec() }).await?;
        }
        Ok(())
    }

    fn sweep(
        &self,
        id: FailoverId,
        from: u64,
        to: u64,
    ) -> Vec<pilothouse_store::Pending<pilothouse_store::TxnOutcome>> {
        let ops: Vec<Op> = (from..to).map(|number| Op::Delete(journal_key(id, number))).collect();
        let parts = ops.chunks(PER_TXN);
        parts.map(|part| self.store.txn(Txn { checks: Vec::new(), ops: part.to_vec() })).collect()
    }
}

fn records_of(entry: &Entry) -> Vec<EntryRecord> {
    let widened = |members: &[String]| EntryRecord::Widened { members: members.to_vec() };
    match entry {
        Entry::Opened { origin, lost, .. } => {
            let members = texts(&lost.members);
            let (first, rest) = members.split_at(members.len().min(PER_RECORD));
            let mut records = vec![EntryRecord::opened(origin, lost, first)];
            records.extend(rest.chunks(PER_RECORD).map(widened));
            records
        }
        Entry::Confirmed => vec![EntryRecord::Confirmed],
        Entry::Planned(plans) => {
            let parts = plans.chunks(PER_RECORD);
            parts
                .map(|part| EntryRecord::Planned { plans: part.iter().map(PlannedRecord::of).collect() })
                .collect()
        }
        Entry::Widened(member) => vec![widened(&[member.to_string()])],
        Entry::Returned(member) => vec![EntryRecord::Returned { member: member.to_string() }],
        // The summary is the end, and written together with the forgetting of the journal.
        Entry::Ended(_) => Vec::new(),
    }
}
