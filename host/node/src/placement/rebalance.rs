//! Rebalancing: the same placement policy, asked on a fleet in which one workload has no place yet.
//!
//! registry and ledger -> what-if copy -> policy places residents of the fullest members again -> proposed moves ->
//! [`Rebalancer`] (margin, budget, cooldown) -> plan with an id -> executed by id, each move a compare-and-swap
//!
//! Invariant: the policy sees the what-if fleet through a seat of its own, so no serving instance ever mixes it up with the real one.
//! Execution moves assignments; moving live state is the migration engine's.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pilothouse_core::assignment::Assignment;
use pilothouse_core::eligible::{Classes, explain};
use pilothouse_core::event::EventKind;
use pilothouse_core::id::MemberId;
use pilothouse_core::member::{Member, MemberKind};
use pilothouse_core::placement::commit::{self, NotCommitted};
use pilothouse_core::placement::ledger::Ledger;
use pilothouse_core::policy::fault::PolicyError;
use pilothouse_core::policy::request::{Candidate, Choice, Move as Advice, PlacementRequest};
use pilothouse_core::policy::{Decision as Port, Family, Placement};
use pilothouse_core::rebalance::{
    Cause, Command, Failure, MemberLoad, Move, Plan, PlanId, Rebalancer, Resident, Rules, Snapshot, Summary,
    View,
};
use pilothouse_core::registry::Registry;
use pilothouse_core::room::Room;
use pilothouse_core::slot::SlotId;
use pilothouse_transport::service::ServiceError;

use crate::control::Control;
use crate::hub::{Hub, store_failed};

/// Residents of one member that the policy is asked about before the next member's turn.
const TRIES_PER_MEMBER: usize = 16;
/// How many members a policy ranks when it is asked where else a workload could be.
const RANKED: u32 = 64;

/// Plans of a host.
#[derive(Debug)]
pub struct Rebalancing {
    rebalancer: Mutex<Rebalancer>,
    numbers: std::sync::atomic::AtomicU64,
}

impl Rebalancing {
    /// With checked rules.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rebalancer: Mutex::new(Rebalancer::new(rules)), numbers: 1.into() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Rebalancer> {
        self.rebalancer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The fleet as a plan sees it, and a copy of the books to try moves on.
struct WhatIf {
    registry: Registry,
    snapshot: Snapshot,
    assignments: Vec<Assignment>,
}

impl Control {
    /// Asks the placement policy what would be better, and keeps what passes as a plan.
    pub(super) fn plan(&self, kind: MemberKind, cause: Cause) -> Result<Plan, ServiceError> {
        let what_if = self.what_if(kind);
        let advice = self.advice(&what_if)?;
        let number = self.rebalancing.numbers.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let id = PlanId { boot: self.hub.store.boot(), sequence: number };
        let plan = self.viewed(kind, |rebalancer, view| Ok(rebalancer.plan(id, cause, &advice, view)))?;
        self.hub.emit(EventKind::Planned(Box::new(plan.clone())));
        Ok(plan)
    }

    /// Executes a plan: each workload moves if it is still where the plan found it and its target still meets its terms.
    pub(super) async fn carry_out(&self, id: PlanId) -> Result<Summary, ServiceError> {
        let kind = self.kind_of(id);
        let mut commands = self.viewed(kind, |rebalancer, view| {
            rebalancer.execute(id, view).map_err(|error| ServiceError::Conflict(error.to_string()))
        })?;
        loop {
            let mut next = Vec::new();
            for command in commands {
                match command {
                    Command::Finished(summary) => {
                        self.hub.emit(EventKind::Rebalanced(Box::new(summary.clone())));
                        return Ok(summary);
                    }
                    Command::Migrate(planned) => {
                        let result = relocate(&self.hub, &planned).await;
                        let now = self.hub.clock.now();
                        next.extend(self.rebalancing.lock().settled(&planned.workload, result, now));
                    }
                }
            }
            commands = next;
        }
    }

    /// The kind of members that a plan is about; clusters if it moves nothing.
    fn kind_of(&self, id: PlanId) -> MemberKind {
        let from = {
            let rebalancer = self.rebalancing.lock();
            let plan = rebalancer.plans().find(|plan| plan.id == id);
            plan.and_then(|plan| plan.moves.first()).map(|planned| planned.from.clone())
        };
        let registry = self.hub.registry();
        let member = from.and_then(|from| registry.member(&from).map(|member| member.registration.kind));
        member.unwrap_or(MemberKind::Cluster)
    }

    /// Looks at the fleet at the end of a window; a cause leads to a plan.
    pub(crate) fn watch_balance(&self, kind: MemberKind) -> Option<Result<Plan, ServiceError>> {
        let snapshot =
            self.hub.transact(|registry, ledger| snapshot(registry, ledger, kind, self.hub.clock.wall().0));
        let cause = self.rebalancing.lock().window(&snapshot)?;
        Some(self.plan(kind, cause))
    }

    fn what_if(&self, kind: MemberKind) -> WhatIf {
        let wall_ms = self.hub.clock.wall().0;
        self.hub.transact(|registry, ledger| {
            let snapshot = snapshot(registry, ledger, kind, wall_ms);
            let agents = snapshot.residents.iter().filter_map(|resident| ledger.get(&resident.workload));
            WhatIf { registry: registry.what_if(), assignments: agents.cloned().collect(), snapshot }
        })
    }

    /// Moves by the policy: its own suggestions, or where it would place residents of the fullest members now.
    fn advice(&self, what_if: &WhatIf) -> Result<Vec<Advice>, ServiceError> {
        let slot = SlotId::default_of(Family::Placement);
        let policy = self.slots.rehearsal(&slot).map_err(ServiceError::PolicyRefused)?;
        let Some(policy) = policy else {
            return Err(ServiceError::Conflict(
                "no placement policy is active, so nothing can be suggested".to_owned(),
            ));
        };
        let Port::Placement(port) = policy.decision() else { return Ok(Vec::new()) };
        let budget = {
            let rebalancer = self.rebalancing.lock();
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a share of at most a million"
            )]
            let share = (what_if.snapshot.workloads as f64 * rebalancer.rules().moved_share_max) as usize;
            share.max(1)
        };
        Ok(Rehearsal { port, what_if, control: self, classes: Classes::default() }.moves(budget))
    }

    /// Runs a step of the rebalancer on the fleet as it is now.
    fn viewed<T>(
        &self,
        kind: MemberKind,
        step: impl FnOnce(&mut Rebalancer, View<'_>) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        let (now, wall_ms) = (self.hub.clock.now(), self.hub.clock.wall().0);
        self.hub.transact(|registry, ledger| {
            registry.publish();
            let snapshot = snapshot(registry, ledger, kind, wall_ms);
            let eligible = |resident: &Resident, to: &MemberId| meets(registry, ledger, resident, to);
            let view = View { snapshot: &snapshot, eligible: &eligible, now };
            step(&mut self.rebalancing.lock(), view)
        })
    }
}

/// Whether a member meets a resident's terms, the resident itself counted out of its group.
fn meets(registry: &Registry, ledger: &Ledger, resident: &Resident, to: &MemberId) -> bool {
    let (Some(assignment), Some(member)) = (ledger.get(&resident.workload), registry.member(to)) else {
        return false;
    };
    let mut census = ledger.census().clone();
    if let Some(group) = &assignment.terms.group {
        census.count(group, &assignment.member, false);
    }
    let fleet = registry.published();
    explain(fleet, &assignment.terms.narrowed(fleet, &census, 0), member.row).is_none()
}

async fn relocate(hub: &Hub, planned: &Move) -> Result<(), Failure> {
    let Move { workload, to, epoch, .. } = planned;
    let wall = hub.clock.wall();
    let moved = hub.transact(|registry, ledger| {
        let moved =
            commit::relocate(registry, ledger, workload, *epoch, to, wall).map_err(|error| match error {
                NotCommitted::NoVictim(_) => {
                    Failure::Fenced { found: ledger.get(workload).map_or(0, |held| held.epoch) }
                }
                other => Failure::RolledBack(other.to_string()),
            })?;
        let write = hub.store_assignment(&moved);
        Ok((moved, write))
    });
    let (moved, write) = moved?;
    hub.emit(EventKind::Assigned(moved));
    write.await.map(drop).map_err(|error| Failure::RolledBack(store_failed(&error).to_string()))
}

/// Members of a kind with what they carry, in thousandths of a core if all of them say how many they have, else in agents.
fn snapshot(registry: &Registry, ledger: &Ledger, kind: MemberKind, wall_ms: u64) -> Snapshot {
    let members = || registry.members().filter(|member| member.registration.kind == kind);
    let in_cores = members().all(|member| member.registration.resources.cpu_millis > 0);
    let load = |member: &Member| {
        if in_cores {
            (member.used.cpu_millis.into(), member.registration.resources.cpu_millis.into())
        } else {
            (member.active().into(), member.capacity().into())
        }
    };
    let loads = members().map(|member| {
        let (load, capacity) = load(member);
        MemberLoad {
            id: member.id().clone(),
            row: member.row,
            load,
            capacity,
            room: Room::of(member, 0.0),
            takes_work: member.takes_work(),
        }
    });
    let loads: Vec<MemberLoad> = loads.collect();
    let kept: BTreeSet<&MemberId> = loads.iter().map(|member| &member.id).collect();
    let residents = ledger.iter().filter(|held| kept.contains(&held.member)).map(|held| {
        let needs = held.terms.requirement.needs;
        Resident {
            workload: held.agent.clone(),
            member: held.member.clone(),
            epoch: held.epoch,
            load: if in_cores { needs.cpu_millis.into() } else { 1 },
            needs,
            priority: held.terms.priority,
            age_ms: wall_ms.saturating_sub(held.assigned_at.0),
        }
    });
    let residents: Vec<Resident> = residents.collect();
    Snapshot { epoch: registry.published().epoch, workloads: residents.len(), members: loads, residents }
}

/// The policy on a copy of the fleet.
struct Rehearsal<'a> {
    port: &'a dyn Placement,
    what_if: &'a WhatIf,
    control: &'a Control,
    classes: Classes,
}

impl Rehearsal<'_> {
    fn moves(&self, budget: usize) -> Vec<Advice> {
        let mut registry = self.what_if.registry.what_if();
        let mut ledger = Ledger::restore(self.what_if.assignments.iter().cloned());
        let mut moves: Vec<Advice> = Vec::new();
        let (mut moved, mut settled) = (BTreeSet::new(), BTreeSet::new());
        while moves.len() < budget {
            let Some(member) = self.fullest(&registry, &settled) else { break };
            let found = self.residents(&member, &moved).find_map(|(handle, held)| {
                let advice = self.again(&mut registry, &mut ledger, held)?;
                Some((handle, advice))
            });
            match found {
                None => drop(settled.insert(member)),
                Some((handle, (to, gain))) => {
                    moved.insert(handle);
                    moves.push(Advice { workload: handle, to, gain });
                }
            }
        }
        moves
    }

    /// The member with the highest utilisation that still has something worth trying.
    fn fullest(&self, registry: &Registry, settled: &BTreeSet<MemberId>) -> Option<MemberId> {
        let loads = &self.what_if.snapshot.members;
        let utilisation = |load: &MemberLoad| {
            let member = registry.member(&load.id)?;
            let total = member.registration.resources.cpu_millis;
            match (total, member.capacity()) {
                (0, 0) => None,
                (0, capacity) => Some(f64::from(member.active()) / f64::from(capacity)),
                (total, _) => Some(f64::from(member.used.cpu_millis) / f64::from(total)),
            }
        };
        let open = loads.iter().filter(|load| !settled.contains(&load.id));
        let known = open.filter_map(|load| Some((utilisation(load)?, &load.id)));
        known.max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1))).map(|(_, id)| id.clone())
    }

    /// Its residents, the biggest first: they reduce the imbalance most per move.
    fn residents(
        &self,
        member: &MemberId,
        moved: &BTreeSet<u32>,
    ) -> impl Iterator<Item = (u32, &Assignment)> {
        let all = (0_u32..).zip(&self.what_if.snapshot.residents).zip(&self.what_if.assignments);
        let here =
            all.filter(|((handle, resident), _)| resident.member == *member && !moved.contains(handle));
        let mut here: Vec<_> = here.map(|((handle, resident), held)| (handle, resident.load, held)).collect();
        here.sort_by_key(|&(handle, load, _)| (std::cmp::Reverse(load), handle));
        here.into_iter().take(TRIES_PER_MEMBER).map(|(handle, _, held)| (handle, held))
    }

    /// Where the policy would place a resident that had no place; `None` if that is where it is. The copy keeps the move.
    fn again(&self, registry: &mut Registry, ledger: &mut Ledger, held: &Assignment) -> Option<(u32, f32)> {
        let needs = held.terms.requirement.needs;
        registry.count_assigned(&held.member, false, held.claim());
        ledger.unassign(&held.agent);
        registry.publish();
        let fleet = registry.published();
        let requirement = held.terms.narrowed(fleet, ledger.census(), held.terms.soft_relations());
        let request = PlacementRequest {
            seed: self.control.decider.next_seed(),
            now_ms: self.control.hub.clock.now().0,
            needs,
            priority: held.terms.priority,
        };
        let ranked = self
            .classes
            .resolve(fleet, &requirement)
            .ok()
            .map(|class| self.port.rank(fleet, &class, &request, RANKED));
        let home = registry.member(&held.member).map(|member| member.row);
        let better =
            ranked.and_then(|ranked: Result<Vec<Candidate>, PolicyError>| better(&ranked.ok()?, home));
        let to = better.and_then(|(row, gain)| Some((fleet.facts(row)?.id.clone(), row, gain)));
        let (member, advice) = match to {
            Some((id, row, gain)) => (id, Some((row, gain))),
            None => (held.member.clone(), None),
        };
        let devices = match &advice {
            Some(_) => registry.member(&member).map(|member| member.claim(needs).devices).unwrap_or_default(),
            None => held.devices,
        };
        let back = Assignment { member, devices, ..held.clone() };
        registry.count_assigned(&back.member, true, back.claim());
        ledger.insert(back);
        advice
    }
}

/// The best row and how much better it is than home, in the policy's own score.
fn better(ranked: &[Candidate], home: Option<u32>) -> Option<(u32, f32)> {
    let Choice { row, score, .. } = ranked.first()?.choice;
    let at_home = ranked.iter().find(|candidate| Some(candidate.choice.row) == home).or(ranked.last())?;
    (Some(row) != home).then_some((row, score - at_home.choice.score))
}
