//! Places workloads: decide, commit, decide again if somebody was faster.
//!
//! query -> relations narrow the requirement -> decision -> [`commit`] under one lock -> durable -> answer
//!
//! Invariant: a place is promised only by a commitment, which checks every hard constraint on the state in force; a decision
//! that loses a race is repeated on a fresh snapshot, at most [`COMMIT_TRIES`] times. Preferences are dropped, last first,
//! only when nobody keeps them. Ranking is the policy's.

mod bulk;
mod preempt;
mod rebalance;

use std::sync::Arc;

use pilothouse_core::assignment::Assignment;
use pilothouse_core::eligible::Requirement;
use pilothouse_core::event::EventKind;
use pilothouse_core::id::{AgentName, MemberId};
use pilothouse_core::member::MemberKind;
use pilothouse_core::placement::commit::{self, NotCommitted};
use pilothouse_core::placement::ledger::{Ledger, RESERVATION_TTL_MS_MAX, Reservation, ReservationId};
use pilothouse_core::placement::{RELATIONS_MAX, Terms};
use pilothouse_core::policy::Family;
use pilothouse_core::policy::request::PlacementRequest;
use pilothouse_core::rebalance::{Cause, Plan, PlanId, Summary};
use pilothouse_core::registry::Registry;
use pilothouse_core::time::Now;
use pilothouse_store::{Pending as Write, StoreError, TxnOutcome};
use pilothouse_transport::service::placement::{
    BULK_MAX, Hold, PlaceQuery, Placed, PlacementPlane, ReservationInfo,
};
use pilothouse_transport::service::{Decided, Pending, ServiceError};

use crate::control::Control;
use crate::decide::question::Question;
use crate::hub::{Hub, store_failed};
use crate::slots::live::LiveSlot;

pub use rebalance::Rebalancing;

/// How often a decision is repeated because the chosen member was taken in the meantime.
const COMMIT_TRIES: usize = 16;

/// A commitment, and the write that makes it durable.
struct Committed {
    placed: Placed,
    write: Option<Write<TxnOutcome>>,
}

impl Control {
    /// Places one workload in memory; the answer may be told when its write is done.
    fn place_now(&self, query: &PlaceQuery) -> Result<Committed, ServiceError> {
        check(query)?;
        let slot = self.slot_for(Family::Placement, query.strategy.as_deref())?;
        let terms = Arc::new(query.terms.clone());
        for _ in 0..COMMIT_TRIES {
            let decided = self.decide_place(&slot, &terms, query.alternatives, None);
            let (decided, preferences_dropped) = match decided {
                Err(ServiceError::NoneEligible(_) | ServiceError::Full) if query.preempt => {
                    return self.preempt(&slot, query, &terms);
                }
                decided => decided?,
            };
            let placed = Placed {
                decided,
                preferences_dropped,
                assignment: None,
                reservation: None,
                evicted: Vec::new(),
            };
            match self.hold(&query.hold, &terms, placed) {
                Ok(committed) => return Ok(committed),
                Err(NotCommitted::Gone(_) | NotCommitted::Cut { .. }) => {}
                Err(error) => return Err(not_committed(&error)),
            }
        }
        Err(ServiceError::Contended { tries: COMMIT_TRIES })
    }

    /// Decides with as many preferences as somebody keeps; also how many were dropped. A workload that is being `moved` does
    /// not count where it is.
    pub(crate) fn decide_place(
        &self,
        slot: &LiveSlot,
        terms: &Terms,
        alternatives: u32,
        moved: Option<&AgentName>,
    ) -> Result<(Decided, usize), ServiceError> {
        let question = Question::Placement(PlacementRequest {
            seed: self.decider.next_seed(),
            now_ms: self.hub.clock.now().0,
            needs: terms.requirement.needs,
            priority: terms.priority,
        });
        let preferences = terms.soft_relations();
        let mut kept = preferences;
        loop {
            let requirement = self.narrowed(terms, kept, moved);
            match self.decide(slot, &requirement, &question, alternatives) {
                Err(ServiceError::NoneEligible(_)) if kept > 0 => kept -= 1,
                decided => return decided.map(|decided| (decided, preferences - kept)),
            }
        }
    }

    fn narrowed(&self, terms: &Terms, preferences: usize, moved: Option<&AgentName>) -> Requirement {
        if terms.relations.is_empty() {
            return terms.requirement.clone();
        }
        let fleet = self.hub.fleet.load_full();
        let mut ledger = self.hub.ledger();
        let living = moved.and_then(|moved| ledger.unassign(moved));
        let requirement = terms.narrowed(&fleet, ledger.census(), preferences);
        living.into_iter().for_each(|living| ledger.insert(living));
        requirement
    }

    /// Commits a decision as the query wants it held.
    fn hold(&self, hold: &Hold, terms: &Arc<Terms>, mut placed: Placed) -> Result<Committed, NotCommitted> {
        let member = placed.decided.member.clone();
        let mut write = None;
        match hold {
            Hold::Nothing => {}
            Hold::Reserve { ttl_ms } => {
                let now = self.hub.clock.now();
                let held = self.committing(&member, |registry, ledger| {
                    commit::reserve(registry, ledger, &member, terms, now.plus_ms(*ttl_ms))
                })?;
                self.hub.emit(EventKind::Reserved(held.clone()));
                placed.reservation = Some(info(held, now));
            }
            Hold::Assign(workload) => {
                let wall = self.hub.clock.wall();
                let (assignment, queued) = self.committing(&member, |registry, ledger| {
                    let assignment = commit::assign(registry, ledger, workload, &member, terms, wall)?;
                    let queued = self.hub.store_assignment(&assignment);
                    Ok((assignment, queued))
                })?;
                self.hub.emit(EventKind::Assigned(assignment.clone()));
                placed.assignment = Some(assignment);
                write = Some(queued);
            }
        }
        Ok(Committed { placed, write })
    }

    /// One step of commitment; what the decision counted as in flight is taken off if it fails.
    fn committing<T>(
        &self,
        member: &MemberId,
        step: impl FnOnce(&mut Registry, &mut Ledger) -> Result<T, NotCommitted>,
    ) -> Result<T, NotCommitted> {
        self.hub.transact(|registry, ledger| {
            step(registry, ledger).inspect_err(|_| {
                if let Some(member) = registry.member(member) {
                    registry.published().live.finish(member.row, 1);
                }
            })
        })
    }

    /// Decides and assigns an agent to a member by a balancing strategy.
    pub(crate) fn assign_now(
        &self,
        agent: &AgentName,
        requirement: &Requirement,
        route: impl Fn() -> Result<Decided, ServiceError>,
    ) -> Result<(Assignment, Write<TxnOutcome>), ServiceError> {
        let terms = Arc::new(Terms { requirement: requirement.clone(), ..Terms::default() });
        for _ in 0..COMMIT_TRIES {
            let member = route()?.member;
            let wall = self.hub.clock.wall();
            let assigned = self.committing(&member, |registry, ledger| {
                let assignment = commit::assign(registry, ledger, agent, &member, &terms, wall)?;
                let write = self.hub.store_assignment(&assignment);
                Ok((assignment, write))
            });
            match assigned {
                Ok((assignment, write)) => {
                    self.hub.emit(EventKind::Assigned(assignment.clone()));
                    return Ok((assignment, write));
                }
                Err(NotCommitted::Gone(_) | NotCommitted::Cut { .. }) => {}
                Err(error) => return Err(not_committed(&error)),
            }
        }
        Err(ServiceError::Contended { tries: COMMIT_TRIES })
    }
}

/// Ends reservations whose time is over.
pub(crate) fn release_over(hub: &Hub) {
    let now = hub.clock.now();
    let over = hub.ledger().over(now);
    if over.is_empty() {
        return;
    }
    let released: Vec<Reservation> = hub.transact(|registry, ledger| {
        over.into_iter().filter_map(|id| commit::release(registry, ledger, id)).collect()
    });
    released.into_iter().for_each(|held| hub.emit(EventKind::Released(held)));
}

/// Waits until an assignment is durable. One that was certainly not stored is taken back.
async fn durable(hub: &Hub, committed: Committed) -> Result<Placed, ServiceError> {
    let Committed { placed, write } = committed;
    let Some(write) = write else { return Ok(placed) };
    match write.await {
        Ok(_) => Ok(placed),
        Err(error) => {
            if let (StoreError::Busy | StoreError::TooLarge { .. }, Some(assignment)) =
                (&error, &placed.assignment)
            {
                hub.transact(|registry, ledger| commit::unassign(registry, ledger, &assignment.agent));
                hub.emit(EventKind::Unassigned(assignment.clone()));
            }
            Err(store_failed(&error))
        }
    }
}

fn check(query: &PlaceQuery) -> Result<(), ServiceError> {
    let invalid = |field: &str, problem: String| ServiceError::Invalid { field: field.to_owned(), problem };
    let Terms { requirement, relations, group, .. } = &query.terms;
    if relations.len() > RELATIONS_MAX {
        return Err(invalid("relations", format!("there are {}; at most {RELATIONS_MAX}", relations.len())));
    }
    if requirement.health_min_percent > 100 {
        return Err(invalid("min_health", format!("{} is above 100", requirement.health_min_percent)));
    }
    let spreads = |relation: &pilothouse_core::placement::relation::Relation| {
        matches!(relation.rule, pilothouse_core::placement::relation::Rule::Spread { .. })
    };
    if group.is_none() && relations.iter().any(spreads) {
        return Err(invalid("group", "a spread needs the group that is to be spread".to_owned()));
    }
    match query.hold {
        Hold::Reserve { ttl_ms } if !(1..=RESERVATION_TTL_MS_MAX).contains(&ttl_ms) => {
            let problem = format!("{ttl_ms} is out of range; use 1 to {RESERVATION_TTL_MS_MAX}");
            Err(invalid("reserve_ms", problem))
        }
        Hold::Nothing | Hold::Reserve { .. } if query.preempt => {
            Err(invalid("preempt", "only a named workload can evict others; give `workload`".to_owned()))
        }
        _ => Ok(()),
    }
}

fn not_committed(error: &NotCommitted) -> ServiceError {
    match error {
        NotCommitted::NoReservation(id) => {
            ServiceError::NotFound { what: "reservation", name: id.0.to_string() }
        }
        other => ServiceError::Conflict(other.to_string()),
    }
}

fn info(held: Reservation, now: Now) -> ReservationInfo {
    let Reservation { id, member, terms, until, devices: _ } = held;
    ReservationInfo { id, member, terms, left_ms: until.since_ms(now) }
}

impl PlacementPlane for Control {
    fn place(&self, query: PlaceQuery) -> Pending<Placed> {
        let committed = self.place_now(&query);
        let hub = Arc::clone(&self.hub);
        Box::pin(async move { durable(&hub, committed?).await })
    }

    fn place_all(&self, queries: Vec<PlaceQuery>, whole: bool) -> Pending<Vec<Result<Placed, ServiceError>>> {
        if queries.len() > BULK_MAX {
            let problem = format!("there are {}; at most {BULK_MAX} at once", queries.len());
            return Box::pin(async { Err(ServiceError::Invalid { field: "workloads".to_owned(), problem }) });
        }
        let control = self.clone();
        Box::pin(async move {
            if whole { control.place_whole(queries).await } else { control.place_each(queries).await }
        })
    }

    fn reservations(&self) -> Vec<ReservationInfo> {
        let now = self.hub.clock.now();
        let ledger = self.hub.ledger();
        ledger.reservations().filter(|held| held.until > now).cloned().map(|held| info(held, now)).collect()
    }

    fn confirm(&self, id: ReservationId, workload: AgentName) -> Pending<Assignment> {
        let (now, wall) = (self.hub.clock.now(), self.hub.clock.wall());
        let confirmed = self.hub.transact(|_, ledger| {
            let assignment = commit::confirm(ledger, id, &workload, now, wall)?;
            let write = self.hub.store_assignment(&assignment);
            Ok((assignment, write))
        });
        let hub = Arc::clone(&self.hub);
        Box::pin(async move {
            let (assignment, write) = confirmed.map_err(|error| not_committed(&error))?;
            hub.emit(EventKind::Assigned(assignment.clone()));
            write.await.map_err(|error| store_failed(&error))?;
            Ok(assignment)
        })
    }

    fn suggest(&self, kind: MemberKind, by: String) -> Pending<Plan> {
        let control = self.clone();
        Box::pin(async move {
            let plan = tokio::task::spawn_blocking(move || control.plan(kind, Cause::Asked { by }));
            plan.await.map_err(|_| ServiceError::Busy)?
        })
    }

    fn plans(&self) -> Vec<Plan> {
        self.rebalancing.lock().plans().cloned().collect()
    }

    fn execute(&self, id: PlanId) -> Pending<Summary> {
        let control = self.clone();
        Box::pin(async move { control.carry_out(id).await })
    }

    fn release(&self, id: ReservationId) -> Result<ReservationInfo, ServiceError> {
        let held = self.hub.transact(|registry, ledger| commit::release(registry, ledger, id));
        let held = held.ok_or_else(|| not_committed(&NotCommitted::NoReservation(id)))?;
        self.hub.emit(EventKind::Released(held.clone()));
        Ok(info(held, self.hub.clock.now()))
    }
}
