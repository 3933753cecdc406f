//! The registry, assignments and events of a running host, shared.
//!
//! change -> registry (under its lock) -> store queue (same order) -> event -> snapshot -> answer when durable
//!
//! Invariant: what is answered is durable and visible to the next decision. The store's queue is filled under the registry's
//! lock, so the store sees changes in the order in which memory does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use pilothouse_core::assignment::{Assignment, Assignments};
use pilothouse_core::event::{Event, EventKind, EventLog};
use pilothouse_core::fleet::Fleet;
use pilothouse_core::id::{AgentName, MemberId};
use pilothouse_core::member::{Member, Resources};
use pilothouse_core::registry::{MemberChange, Registry};
use pilothouse_core::time::WallMs;
use pilothouse_store::{Pending, Store, StoreError, Txn, TxnOutcome};
use pilothouse_transport::service::ServiceError;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::clock::Clock;
use crate::records::{self, MemberRecord, RecordError, decode, encode};

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
    assignments: Mutex<Assignments>,
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

#[derive(Serialize, Deserialize)]
struct AssignmentRecord {
    agent: String,
    member: String,
    epoch: u64,
    assigned_at_ms: u64,
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
            let assignment = read_assignment(&entry.key, decode(&entry.key, &entry.value)?)?;
            registry.count_assigned(&assignment.member, true, Resources::default());
            assignments.push(assignment);
        }
        let fleet = registry.publish().unwrap_or_else(|| registry.published().clone());
        Ok(Self {
            clock,
            store,
            fleet: Arc::new(ArcSwap::from_pointee(fleet)),
            registry: Mutex::new(registry),
            assignments: Mutex::new(Assignments::restore(assignments)),
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

    /// The registry, for reading and for reports.
    pub fn registry(&self) -> MutexGuard<'_, Registry> {
        lock(&self.registry)
    }

    /// The assignments, for reading.
    pub fn assignments(&self) -> MutexGuard<'_, Assignments> {
        lock(&self.assignments)
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
        let mut registry = self.registry();
        if let Some(fleet) = registry.publish() {
            // Under the lock, so that an older snapshot never replaces a newer one.
            self.fleet.store(Arc::new(fleet));
        }
    }

    /// Queues the record of a member as it is now; `None` removes it. Call it under the registry's lock.
    pub fn store_member(&self, id: &MemberId, member: Option<&Member>) -> Pending<TxnOutcome> {
        let key = records::member_key(id);
        self.store.txn(match member {
            Some(member) => Txn::put(key, encode(&MemberRecord::of(member))),
            None => Txn::delete(key),
        })
    }

    /// Assigns an agent to a member, or moves it there.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub fn assign(
        &self,
        agent: &AgentName,
        member: &MemberId,
    ) -> Result<(Assignment, Pending<TxnOutcome>), ServiceError> {
        let mut registry = self.registry();
        let mut assignments = self.assignments();
        let before = assignments.get(agent).map(|old| old.member.clone());
        let assignment = assignments
            .assign(agent, member, self.clock.wall())
            .map_err(|error| ServiceError::Conflict(error.to_string()))?;
        if let Some(before) = before {
            registry.count_assigned(&before, false, Resources::default());
        }
        registry.count_assigned(member, true, Resources::default());
        let write =
            self.store.txn(Txn::put(records::assignment_key(agent), encode(&assignment_record(&assignment))));
        drop((registry, assignments));
        self.emit(EventKind::Assigned(assignment.clone()));
        Ok((assignment, write))
    }

    /// Takes an agent off its member.
    pub fn unassign(&self, agent: &AgentName) -> Option<(Assignment, Pending<TxnOutcome>)> {
        let mut registry = self.registry();
        let assignment = self.assignments().unassign(agent)?;
        registry.count_assigned(&assignment.member, false, Resources::default());
        let write = self.store.txn(Txn::delete(records::assignment_key(agent)));
        drop(registry);
        self.emit(EventKind::Unassigned(assignment.clone()));
        Some((assignment, write))
    }
}

fn assignment_record(assignment: &Assignment) -> AssignmentRecord {
    let Assignment { agent, member, epoch, assigned_at } = assignment;
    AssignmentRecord {
        agent: agent.to_string(),
        member: member.to_string(),
        epoch: *epoch,
        assigned_at_ms: assigned_at.0,
    }
}

fn read_assignment(key: &str, record: AssignmentRecord) -> Result<Assignment, RecordError> {
    let bad = |error: pilothouse_core::id::IdError| RecordError::Value {
        key: key.to_owned(),
        problem: error.to_string(),
    };
    Ok(Assignment {
        agent: AgentName::parse(&record.agent).map_err(bad)?,
        member: MemberId::parse(&record.member).map_err(bad)?,
        epoch: record.epoch,
        assigned_at: WallMs(record.assigned_at_ms),
    })
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
