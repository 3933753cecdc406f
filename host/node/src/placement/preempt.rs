//! Makes room for more important work.
//!
//! nobody has room -> cheapest set of victims over all members that would do -> the policy may name others on that member ->
//! commit: evict and assign in one step
//!
//! Invariant: nothing is evicted unless the workload that asked is assigned in the same step and in the same transaction of the
//! store; victims are strictly less important and none is spare. The policy is asked outside the lock; what it says is checked
//! inside it.

use std::sync::Arc;

use pilothouse_core::assignment::Assignment;
use pilothouse_core::eligible::{EligibleClass, NoneEligible, Requirement, hosts};
use pilothouse_core::event::EventKind;
use pilothouse_core::fleet::Fleet;
use pilothouse_core::id::{AgentName, MemberId};
use pilothouse_core::placement::Terms;
use pilothouse_core::placement::commit::{self, NotCommitted};
use pilothouse_core::placement::preemption;
use pilothouse_core::policy::Decision as Port;
use pilothouse_core::policy::request::{PlacementRequest, Resident};
use pilothouse_store::{Op, Txn};
use pilothouse_transport::service::ServiceError;
use pilothouse_transport::service::placement::{Hold, PlaceQuery, Placed};

use super::{COMMIT_TRIES, Committed, not_committed};
use crate::control::{Control, recorded};
use crate::records::{self, assignment::AssignmentRecord, encode, put_ended_epoch};
use crate::slots::live::LiveSlot;

/// Residents that a policy is shown, the least important ones; more would not fit a call.
const RESIDENTS_MAX: usize = 1_024;

/// A member, and who on it would yield.
struct Room {
    row: u32,
    member: MemberId,
    victims: Vec<AgentName>,
    lesser: Vec<Assignment>,
    fleet: Arc<Fleet>,
    requirement: Requirement,
}

impl Control {
    /// Evicts as little as possible and assigns the workload.
    pub(super) fn preempt(
        &self,
        slot: &LiveSlot,
        query: &PlaceQuery,
        terms: &Arc<Terms>,
    ) -> Result<Committed, ServiceError> {
        let Hold::Assign(workload) = &query.hold else { return Err(ServiceError::Full) };
        let started_ns = self.hub.clock.nanos();
        for _ in 0..COMMIT_TRIES {
            let mut room = self.cheapest(terms)?;
            if let Some(named) = self.named_by_policy(slot, terms, &room) {
                room.victims = named;
            }
            let wall = self.hub.clock.wall();
            let done = self.hub.transact(|registry, ledger| {
                let Room { member, victims, .. } = &room;
                let (placed, evicted) =
                    commit::preempt(registry, ledger, workload, member, terms, victims, wall)?;
                let delete = evicted.iter().map(|gone| Op::Delete(records::assignment_key(&gone.agent)));
                let put = Op::Put(records::assignment_key(workload), encode(&AssignmentRecord::of(&placed)));
                let ops = delete.chain([put, put_ended_epoch(ledger)]).collect();
                Ok((placed, evicted, self.hub.store.txn(Txn { checks: Vec::new(), ops })))
            });
            match done {
                Ok((assignment, evicted, write)) => {
                    for gone in &evicted {
                        self.hub.emit(EventKind::Evicted(gone.clone(), workload.clone()));
                    }
                    self.hub.emit(EventKind::Assigned(assignment.clone()));
                    let class = EligibleClass::only(
                        &room.fleet,
                        &room.requirement,
                        room.row,
                        self.decider.next_seed(),
                    );
                    let decision = self.decider.by_host(&room.fleet, class, started_ns);
                    let decided = decision.map(|decision| recorded(&decision, &slot.id));
                    let placed = Placed {
                        decided: decided.ok_or(ServiceError::Full)?,
                        assignment: Some(assignment),
                        reservation: None,
                        evicted,
                        preferences_dropped: terms.soft_relations(),
                    };
                    return Ok(Committed { placed, write: Some(write) });
                }
                Err(NotCommitted::Gone(_) | NotCommitted::Cut { .. } | NotCommitted::NoVictim(_)) => {}
                Err(error) => return Err(not_committed(&error)),
            }
        }
        Err(ServiceError::Contended { tries: COMMIT_TRIES })
    }

    /// The member on which the least important work has to yield.
    fn cheapest(&self, terms: &Terms) -> Result<Room, ServiceError> {
        self.hub.transact(|registry, ledger| {
            registry.publish();
            let fleet = registry.published();
            let requirement = terms.narrowed(fleet, ledger.census(), 0);
            let rows = hosts(fleet, &requirement);
            let needs = requirement.needs;
            let best = rows
                .filter_map(|row| {
                    let id = &fleet.facts(row)?.id;
                    let member = registry.member(id)?;
                    let victims = preemption::victims(member, needs, terms.priority, ledger.on(id))?;
                    let names = victims.iter().map(|victim| victim.agent.clone()).collect::<Vec<_>>();
                    // One transaction evicts them all and assigns.
                    (names.len() + 2 <= pilothouse_store::OPS_MAX)
                        .then(|| (preemption::cost(&victims), row, id.clone(), names))
                })
                .min_by_key(|(cost, row, ..)| (*cost, *row));
            let Some((_, row, member, victims)) = best else {
                return Err(ServiceError::NoneEligible(NoneEligible::of(fleet, &requirement)));
            };
            let mut lesser: Vec<Assignment> =
                ledger.on(&member).filter(|held| held.terms.priority < terms.priority).cloned().collect();
            lesser.sort_by_key(|held| held.terms.priority);
            lesser.truncate(RESIDENTS_MAX);
            Ok(Room { row, member, victims, lesser, fleet: Arc::new(fleet.clone()), requirement })
        })
    }

    /// Victims by the policy, if it has an opinion and it is sound.
    fn named_by_policy(&self, slot: &LiveSlot, terms: &Terms, room: &Room) -> Option<Vec<AgentName>> {
        let chain = slot.chain();
        let generation = chain.active.as_ref()?;
        let Port::Placement(port) = generation.policy.decision() else { return None };
        let class = EligibleClass::only(&room.fleet, &room.requirement, room.row, self.decider.next_seed());
        let wall = self.hub.clock.wall();
        let residents: Vec<Resident> = (0_u32..)
            .zip(&room.lesser)
            .map(|(workload, held)| Resident {
                workload,
                row: room.row,
                needs: held.terms.requirement.needs,
                priority: held.terms.priority,
                age_ms: wall.0.saturating_sub(held.assigned_at.0),
            })
            .collect();
        let request = PlacementRequest {
            seed: self.decider.next_seed(),
            now_ms: self.hub.clock.now().0,
            needs: terms.requirement.needs,
            priority: terms.priority,
        };
        let named = port.choose_victims(&room.fleet, &class, &request, room.row, &residents).ok()?;
        let named: Option<Vec<AgentName>> =
            named.iter().map(|&handle| Some(room.lesser.get(handle as usize)?.agent.clone())).collect();
        let named = named?;
        let registry = self.hub.registry();
        let member = registry.member(&room.member)?;
        let ledger = self.hub.ledger();
        let needs = terms.requirement.needs;
        preemption::suffices(member, needs, terms.priority, ledger.on(&room.member), &named).then_some(named)
    }
}
