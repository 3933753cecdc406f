//! What clients of the store ask, and how its answers are compared with the model's.
//!
//! Invariant: commands name few keys and leases, so that they collide; values go from nothing to several pages.

use pilothouse_store::{Check, Embedded, LeaseId, Op, Pending, Store, StoreError, Txn, TxnOutcome};

use super::World;
use super::model::{Answer, Command};
use crate::bug::Bug;
use crate::random::Random;
use crate::run::Run;

/// Keys that clients fight over.
const KEYS: u64 = 12;
/// Leases are given to choose from: one that has ended, too.
const LEASES_BACK: u64 = 4;

/// What the real store answered.
#[derive(Debug)]
pub(super) enum Answered {
    Txn(TxnOutcome),
    Lease(LeaseId),
    Alive(bool),
    Compacted,
}

impl World {
    pub(super) fn command(&self, run: &mut Run) -> Command {
        let random = &mut run.random;
        match random.below(20) {
            0 => Command::Grant { ttl_ms: random.between(1, 3_000) },
            1 => Command::KeepAlive(self.lease(random)),
            2 => Command::Revoke(self.lease(random)),
            3 if random.chance(300) => Command::Compact(random.below(self.model.revision + 2)),
            _ => {
                let checks = (0..random.below(3)).map(|_| self.check(random)).collect();
                let ops = (0..random.below(4)).map(|_| self.op(random)).collect();
                Command::Txn(Txn { checks, ops })
            }
        }
    }

    fn lease(&self, random: &mut Random) -> LeaseId {
        let newest = self.model.leases.keys().last().copied().unwrap_or(0);
        newest.saturating_sub(random.below(LEASES_BACK)).max(1)
    }

    fn check(&self, random: &mut Random) -> Check {
        let key = key(random);
        let entry = self.model.entries.get(&key);
        // Mostly what holds: a client checks what it has read.
        let stale = random.below(8) / 7;
        match (entry, random.below(3)) {
            (None, _) if stale == 0 => Check::Absent(key),
            (None, _) => Check::Exists(key),
            (Some(entry), 0) => Check::ModRevision(key, entry.mod_revision + stale),
            (Some(entry), 1) => Check::Version(key, entry.version + stale),
            (Some(entry), _) => Check::Value(key, entry.value.clone()),
        }
    }

    fn op(&self, random: &mut Random) -> Op {
        let key = key(random);
        match random.below(6) {
            0 => Op::Delete(key),
            1 => Op::PutLeased(key, self.value(random), self.lease(random)),
            _ => Op::Put(key, self.value(random)),
        }
    }

    fn value(&self, random: &mut Random) -> Vec<u8> {
        let most = if random.chance(self.rates.large) { 20_000 } else { 60 };
        let byte = (random.number() & 0xff) as u8;
        vec![byte; random.index(most)]
    }
}

fn key(random: &mut Random) -> String {
    format!("k/{}", random.below(KEYS))
}

/// Queues a command.
pub(super) fn submit(store: &Embedded, command: &Command, run: &Run) -> Pending<Answered> {
    match command.clone() {
        Command::Txn(mut txn) => {
            if run.has(Bug::ChecksDropped) {
                txn.checks.clear();
            }
            mapped(store.txn(txn), Answered::Txn)
        }
        Command::Grant { ttl_ms } => mapped(store.grant_lease(ttl_ms), Answered::Lease),
        Command::KeepAlive(lease) => mapped(store.keep_alive(lease), Answered::Alive),
        Command::Revoke(lease) => mapped(store.revoke_lease(lease), Answered::Txn),
        Command::Compact(up_to) => mapped(store.compact(up_to), |()| Answered::Compacted),
    }
}

fn mapped<T: 'static>(pending: Pending<T>, of: fn(T) -> Answered) -> Pending<Answered> {
    Box::pin(async move { pending.await.map(of) })
}

pub(super) fn matches_answer(expected: Answer, answered: &Result<Answered, StoreError>) -> bool {
    match (expected, answered) {
        (Answer::Txn { applied, revision }, Ok(Answered::Txn(outcome))) => {
            *outcome == TxnOutcome { applied, revision }
        }
        (Answer::Lease(expected), Ok(Answered::Lease(lease))) => expected == *lease,
        (Answer::Alive(expected), Ok(Answered::Alive(alive))) => expected == *alive,
        (Answer::Compacted, Ok(Answered::Compacted))
        | (Answer::LeaseEnded, Err(StoreError::LeaseEnded { .. })) => true,
        _ => false,
    }
}

/// A command without its values.
pub(super) fn brief(command: &Command) -> String {
    let Command::Txn(Txn { checks, ops }) = command else { return format!("{command:?}") };
    let ops: Vec<String> = ops
        .iter()
        .map(|op| match op {
            Op::Put(key, value) => format!("put {key} ({} bytes)", value.len()),
            Op::PutLeased(key, value, lease) => format!("put {key} ({} bytes, lease {lease})", value.len()),
            Op::Delete(key) => format!("delete {key}"),
        })
        .collect();
    format!("{} checks, [{}]", checks.len(), ops.join(", "))
}
