//! Many workloads at once.
//!
//! queries -> most important and largest first -> one after the other, each seeing those before it -> answers as asked
//!
//! Invariant: with `whole`, every place is reserved before any workload is assigned, and all assignments are one transaction
//! of the store: after a crash there are all of them or none. The policy sees each placement in the next snapshot, so no batch
//! call is needed to keep it from choosing one place twice.

use std::cmp::Reverse;

use pilothouse_core::assignment::Assignment;
use pilothouse_core::event::EventKind;
use pilothouse_core::member::Resources;
use pilothouse_core::placement::commit::{self, NotCommitted};
use pilothouse_store::{OPS_MAX, Op, Pending as Write, Txn, TxnOutcome};
use pilothouse_transport::service::ServiceError;
use pilothouse_transport::service::placement::{Hold, PlaceQuery, Placed};

use super::{Committed, durable, not_committed};
use crate::control::Control;
use crate::hub::store_failed;
use crate::records::{self, assignment::AssignmentRecord, encode};

/// How long places are held until all are found, ms.
const WHOLE_TTL_MS: u64 = 60_000;

impl Control {
    /// Each by itself: some may find a place and others none.
    pub(super) async fn place_each(
        &self,
        queries: Vec<PlaceQuery>,
    ) -> Result<Vec<Result<Placed, ServiceError>>, ServiceError> {
        let (worker, asked) = (self.clone(), queries.len());
        let place = move || {
            let order = worker.largest_first(&queries);
            let places = order
                .into_iter()
                .filter_map(|index| queries.get(index).map(|query| (index, worker.place_now(query))));
            places.collect::<Vec<_>>()
        };
        let places = tokio::task::spawn_blocking(place).await.map_err(|_| ServiceError::Busy)?;
        let mut answers: Vec<_> = (0..asked).map(|_| Err(ServiceError::Busy)).collect();
        for (index, place) in places {
            let answer = match place {
                Ok(committed) => durable(&self.hub, committed).await,
                Err(error) => Err(error),
            };
            if let Some(slot) = answers.get_mut(index) {
                *slot = answer;
            }
        }
        Ok(answers)
    }

    /// All of them, or none and the reason of the first that found no place.
    pub(super) async fn place_whole(
        &self,
        queries: Vec<PlaceQuery>,
    ) -> Result<Vec<Result<Placed, ServiceError>>, ServiceError> {
        let holds: Vec<Hold> = queries.iter().map(|query| query.hold.clone()).collect();
        let named = holds.iter().filter(|hold| matches!(hold, Hold::Assign(_))).count();
        if named > OPS_MAX {
            let problem =
                format!("{named} workloads are more than one transaction holds ({OPS_MAX}); use parts");
            return Err(ServiceError::Invalid { field: "whole".to_owned(), problem });
        }
        let worker = self.clone();
        let reserve = move || worker.reserve_whole(queries);
        let mut places = tokio::task::spawn_blocking(reserve).await.map_err(|_| ServiceError::Busy)??;
        let (assignments, write) = match self.confirm_whole(&places, &holds) {
            Ok(confirmed) => confirmed,
            Err(error) => {
                self.release_all(&places);
                return Err(not_committed(&error));
            }
        };
        if let Err(error) = write.await {
            self.unassign_all(&assignments);
            self.release_all(&places);
            return Err(store_failed(&error));
        }
        let mut assignments = assignments.into_iter();
        for (placed, hold) in places.iter_mut().zip(&holds) {
            match hold {
                Hold::Reserve { .. } => {}
                // It was held only until all were found.
                Hold::Nothing => self.release_all(std::slice::from_ref(placed)),
                Hold::Assign(_) => placed.assignment = assignments.next(),
            }
            if !matches!(hold, Hold::Reserve { .. }) {
                placed.reservation = None;
            }
            if let Some(assignment) = &placed.assignment {
                self.hub.emit(EventKind::Assigned(assignment.clone()));
            }
        }
        Ok(places.into_iter().map(Ok).collect())
    }

    /// Turns the reservations of named workloads into assignments, in order, and queues them as one transaction.
    fn confirm_whole(
        &self,
        places: &[Placed],
        holds: &[Hold],
    ) -> Result<(Vec<Assignment>, Write<TxnOutcome>), NotCommitted> {
        let (now, wall) = (self.hub.clock.now(), self.hub.clock.wall());
        self.hub.transact(|registry, ledger| {
            let mut assignments: Vec<Assignment> = Vec::with_capacity(places.len());
            for (placed, hold) in places.iter().zip(holds) {
                let (Some(held), Hold::Assign(workload)) = (&placed.reservation, hold) else { continue };
                match commit::confirm(ledger, held.id, workload, now, wall) {
                    Ok(assignment) => assignments.push(assignment),
                    Err(error) => {
                        for assignment in &assignments {
                            commit::unassign(registry, ledger, &assignment.agent);
                        }
                        return Err(error);
                    }
                }
            }
            let put = |assignment: &Assignment| {
                let record = encode(&AssignmentRecord::of(assignment));
                Op::Put(records::assignment_key(&assignment.agent), record)
            };
            let ops = assignments.iter().map(put).collect();
            let write = self.hub.store.txn(Txn { checks: Vec::new(), ops });
            Ok((assignments, write))
        })
    }

    fn unassign_all(&self, assignments: &[Assignment]) {
        self.hub.transact(|registry, ledger| {
            for assignment in assignments {
                commit::unassign(registry, ledger, &assignment.agent);
            }
        });
    }

    /// Reserves every place; all are released again if one is not found.
    fn reserve_whole(&self, queries: Vec<PlaceQuery>) -> Result<Vec<Placed>, ServiceError> {
        let order = self.largest_first(&queries);
        let mut places: Vec<Option<Placed>> = queries.iter().map(|_| None).collect();
        for index in order {
            let Some(query) = queries.get(index) else { continue };
            let hold = match &query.hold {
                Hold::Reserve { ttl_ms } => Hold::Reserve { ttl_ms: *ttl_ms },
                Hold::Nothing | Hold::Assign(_) => Hold::Reserve { ttl_ms: WHOLE_TTL_MS },
            };
            match self.place_now(&PlaceQuery { hold, ..query.clone() }) {
                Ok(Committed { placed, .. }) => {
                    if let Some(place) = places.get_mut(index) {
                        *place = Some(placed);
                    }
                }
                Err(error) => {
                    self.release_all(&places.into_iter().flatten().collect::<Vec<_>>());
                    return Err(error);
                }
            }
        }
        Ok(places.into_iter().flatten().collect())
    }

    fn release_all(&self, places: &[Placed]) {
        self.hub.transact(|registry, ledger| {
            for held in places.iter().filter_map(|placed| placed.reservation.as_ref()) {
                commit::release(registry, ledger, held.id);
            }
        });
    }

    /// Most important first, then by the largest share of what the fleet has of any resource: big ones find room only
    /// while there is some (dominant share as in Ghodsi et al., NSDI 2011).
    fn largest_first(&self, queries: &[PlaceQuery]) -> Vec<usize> {
        let registry = self.hub.registry();
        let totals = registry.members().map(|member| member.registration.resources);
        let total = totals.fold([0_u64; 4], |sum, resources| {
            let mut sum = sum;
            sum.iter_mut().zip(amounts(resources)).for_each(|(sum, amount)| *sum += amount);
            sum
        });
        drop(registry);
        let share = |needs: Resources| {
            let parts = amounts(needs).into_iter().zip(total);
            #[expect(clippy::cast_precision_loss, reason = "a share needs few digits")]
            parts.map(|(need, total)| need as f64 / total.max(1) as f64).fold(0.0, f64::max)
        };
        let mut order: Vec<usize> = (0..queries.len()).collect();
        let key = |index: &usize| {
            queries
                .get(*index)
                .map_or((0, 0.0), |query| (query.terms.priority, share(query.terms.requirement.needs)))
        };
        order.sort_by(|a, b| {
            let ((first, large), (second, small)) = (key(a), key(b));
            Reverse(first).cmp(&Reverse(second)).then(small.total_cmp(&large)).then(a.cmp(b))
        });
        order
    }
}

fn amounts(resources: Resources) -> [u64; 4] {
    let Resources { cpu_millis, memory_mib, storage_mib, accelerator_millis } = resources;
    [cpu_millis, memory_mib, storage_mib, accelerator_millis].map(u64::from)
}
