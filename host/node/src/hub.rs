//! The registry, assignments and events of a running host, shared.
//!
//! change -> registry (under its lock) -> store queue (same order) -> event -> snapshot -> answer when durable
//!
//! Invariant: what is answered is durable and visible to the next decision. The store's queue is filled under the registry's
//! lock, so the store sees changes in the order in which memory does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use pilothouse_core::assignment::Assignment;
use pilothouse_core::event::{Event, EventKind, EventLog};
use pilothouse_core::fleet::Fleet;
use pilothouse_core::id::{AgentName, MemberId};
use pilothouse_core::member::{Member, MemberKind};
use pilothouse_core::placement::commit;
use pilothouse_core::placement::ledger::{Ledger, Reservation};
use pilothouse_core::registry::{Change, MemberChange, Registry};
use pilothouse_store::{Op, Pending, Store, StoreError, Txn, TxnOutcome};
use pilothouse_transport::service::ServiceError;
use tokio::sync::broadcast;

use crate::clock::Clock;
use crate::records::assignment::AssignmentRecord;
use crate::records::{self, MemberRecord, decode, encode};

/// Most members and assignments read at start.
const RECORDS_MAX: usize = 2_000_000;
/// Events a slow follower may be behind before it misses some.
const FOLLOWERS_BEHIND_MAX: usize = 1_024;

/// Shared state of a host.
pub struct Hub {
    /// Time.
    pub clock: Clock,
    /// The durable store.
    pub store: Arc<dyn Store>,
    /// The newest snapshot.
    pub fleet: Arc<ArcSwap<Fleet>>,
    registry: Mutex<Registry>,
    ledger: Mutex<Ledger>,
    events: Mutex<EventLog>,
    followers: broadcast::Sender<Event>,
    seed: u64,
    seeds: std::sync::atomic::AtomicU64,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Hub {
    /// Reads members and assignments from the store.
    ///
    /// # Errors
    /// If the store or a record cannot be read.
    pub fn open(
        mut registry: Registry,
        store: Arc<dyn Store>,
        clock: Clock,
        seed: u64,
    ) -> anyhow::Result<Self> {
        let mut members = Vec::new();
        for entry in store.range("members/", RECORDS_MAX)? {
            members.push(decode::<MemberRecord>(&entry.key, &entry.value)?.into_member()?);
        }
        registry.restore(members, clock.now())?;
        let mut assignments = Vec::new();
        for entry in store.range("assignments/", RECORDS_MAX)? {
            let record = decode::<AssignmentRecord>(&entry.key, &entry.value)?;
            let assignment = record.into_assignment(&entry.key)?;
            registry.count_assigned(&assignment.member, true, assignment.claim());
            assignments.push(assignment);
        }
        let mut ledger = Ledger::restore(assignments);
        if let Some(entry) = store.get(records::ENDED_EPOCH_KEY)? {
            ledger.begin_after(decode(&entry.key, &entry.value)?);
        }
        let fleet = registry.publish().unwrap_or_else(|| registry.published().clone());
        Ok(Self {
            clock,
            store,
            fleet: Arc::new(ArcSwap::from_pointee(fleet)),
            registry: Mutex::new(registry),
            ledger: Mutex::new(ledger),
            events: Mutex::default(),
            followers: broadcast::channel(FOLLOWERS_BEHIND_MAX).0,
            seed,
            seeds: std::sync::atomic::AtomicU64::new(1),
        })
    }

    /// A random number for something that is not a decision.
    pub fn random(&self) -> u64 {
        let count = self.seeds.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        pilothouse_core::fleet::facts::mix(self.seed ^ count.rotate_left(32))
    }

    /// A random number of 0..1.
    pub fn uniform(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let bits = (self.random() >> 11) as f64;
        bits / 9_007_199_254_740_992.0
    }

    /// The registry, for reading and for reports.
    pub fn registry(&self) -> MutexGuard<'_, Registry> {
        lock(&self.registry)
    }

    /// Assignments and reservations, for reading. Never take the registry while holding them.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    /// One step on registry and ledger together; what it changed is in the snapshot when this returns.
    pub fn transact<T>(&self, step: impl FnOnce(&mut Registry, &mut Ledger) -> T) -> T {
        let mut registry = self.registry();
        let result = step(&mut registry, &mut self.ledger());
        self.show(&mut registry);
        result
    }

    /// Counts the work that is still assigned to members that came back.
    pub fn rejoin(&self, registry: &mut Registry, changes: &[MemberChange]) {
        let joined = changes.iter().filter(|change| matches!(change.change, Change::Registered { .. }));
        for id in joined.filter_map(|change| change.member.as_ref()) {
            let ledger = self.ledger();
            let reserved = ledger.reservations().filter(|held| held.member == *id).map(Reservation::claim);
            registry.set_books(id, ledger.on(id).map(Assignment::claim).chain(reserved));
        }
    }

    /// Announces changes of members.
    pub fn announce(&self, changes: Vec<MemberChange>) {
        changes.into_iter().for_each(|change| self.emit(EventKind::Member(change)));
    }

    /// Announces an event.
    pub fn emit(&self, kind: EventKind) {
        let event = lock(&self.events).push(self.clock.wall(), kind);
        // Nobody following is fine.
        let _ = self.followers.send(event);
    }

    /// Events after a number.
    pub fn events_since(&self, sequence: u64, limit: usize) -> (Vec<Event>, bool) {
        lock(&self.events).since(sequence, limit)
    }

    /// Events from now on.
    pub fn follow(&self) -> broadcast::Receiver<Event> {
        self.followers.subscribe()
    }

    /// Publishes a snapshot, if anything changed.
    pub fn publish(&self) {
        self.show(&mut self.registry());
    }

    /// Under the registry's lock, so that an older snapshot never replaces a newer one.
    fn show(&self, registry: &mut Registry) {
        registry.publish();
        if registry.published().epoch != self.fleet.load().epoch {
            self.fleet.store(Arc::new(registry.published().clone()));
        }
    }

    /// Queues the record of a member as it is now; `None` removes it. A peer orchestrator lives with its connection and is never
    /// stored. Call it under the registry's lock.
    pub fn store_member(&self, id: &MemberId, member: Option<&Member>) -> Pending<TxnOutcome> {
        let key = records::member_key(id);
        self.store.txn(match member {
            Some(member) if member.registration.kind != MemberKind::Orchestrator => {
                Txn::put(key, encode(&MemberRecord::of(member)))
            }
            _ => Txn::delete(key),
        })
    }

    /// Queues the record of an assignment. Call it inside [`Hub::transact`].
    pub fn store_assignment(&self, assignment: &Assignment) -> Pending<TxnOutcome> {
        let record = encode(&AssignmentRecord::of(assignment));
        self.store.txn(Txn::put(records::assignment_key(&assignment.agent), record))
    }

    /// Takes an agent off its member.
    pub fn unassign(&self, agent: &AgentName) -> Option<(Assignment, Pending<TxnOutcome>)> {
        let (assignment, write) = self.transact(|registry, ledger| {
            let assignment = commit::unassign(registry, ledger, agent)?;
            let ops = vec![Op::Delete(records::assignment_key(agent)), records::put_ended_epoch(ledger)];
            Some((assignment, self.store.txn(Txn { checks: Vec::new(), ops })))
        })?;
        self.emit(EventKind::Unassigned(assignment.clone()));
        Some((assignment, write))
    }
}

/// What a caller is told when the store did not take a change.
#[must_use]
pub fn store_failed(error: &StoreError) -> ServiceError {
    match error {
        StoreError::Busy => ServiceError::Busy,
        StoreError::TooLarge { .. } => {
            ServiceError::Invalid { field: "request".to_owned(), problem: error.to_string() }
        }
        other => ServiceError::StoreFailed(other.to_string()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
