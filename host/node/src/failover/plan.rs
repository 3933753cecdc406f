//! A failover that is only calculated: the same machine and policy, on copies of registry and ledger.
//!
//! query -> what-if copies -> machine asks, the copy answers and counts -> every workload has a place or a reason
//!
//! Invariant: nothing is journaled, reserved or moved. The policy sees the copy through a seat of its own, so no serving instance
//! mixes it up with the real fleet.

use std::collections::VecDeque;
use std::sync::Arc;

use pilothouse_core::eligible::Classes;
use pilothouse_core::failover::{Command, Event, Failover, FailoverId, Phase, Progress};
use pilothouse_core::id::AgentName;
use pilothouse_core::placement::Terms;
use pilothouse_core::placement::commit;
use pilothouse_core::placement::ledger::Ledger;
use pilothouse_core::policy::request::PlacementRequest;
use pilothouse_core::policy::{Decision as Port, Family, Placement, Policy};
use pilothouse_core::registry::Registry;
use pilothouse_core::slot::SlotId;
use pilothouse_core::time::Now;
use pilothouse_transport::service::ServiceError;
use pilothouse_transport::service::failover::{FailoverInfo, FailoverQuery};

use super::board::info;
use super::steps::next_of;
use super::turn::wanted;
use crate::control::Control;

/// Copies to try a failover on.
struct WhatIf {
    registry: Registry,
    ledger: Ledger,
    classes: Classes,
    policy: Option<Arc<dyn Policy>>,
    now: Now,
}

impl Control {
    /// Calculates a failover to the point where owners would change.
    pub(super) fn forecast(&self, query: FailoverQuery) -> Result<FailoverInfo, ServiceError> {
        let (origin, lost) = wanted(&self.hub.registry(), query)?;
        let opening = self.failovers.opening(&self.hub, FailoverId(0), origin, lost);
        let slot = SlotId::default_of(Family::Placement);
        let policy = self.slots.rehearsal(&slot).map_err(ServiceError::PolicyRefused)?;
        let (now, wall) = (self.hub.clock.now(), self.hub.clock.wall());
        let mut what_if = self.hub.transact(|registry, ledger| WhatIf {
            registry: registry.what_if(),
            ledger: Ledger::restore(ledger.iter().cloned()),
            classes: Classes::default(),
            policy,
            now,
        });
        let (mut machine, commands) = Failover::open(self.failovers.rules, opening, now);
        let mut commands = VecDeque::from(commands);
        commands.extend(machine.step(Event::Confirmed, now));
        while machine.phase() == Phase::Planning
            && let Some(command) = next_of(&mut commands)
        {
            let event = match command {
                Command::Ask { workload, terms } => {
                    Some(what_if.advise(workload, &terms, self.decider.next_seed()))
                }
                Command::Reserve { workload, member, .. } => {
                    let (registry, ledger) = (&mut what_if.registry, &mut what_if.ledger);
                    let held = commit::reserve_move(registry, ledger, &workload, &member, Now(u64::MAX));
                    held.is_err().then_some(Event::Refused { workload })
                }
                _ => None,
            };
            commands.extend(event.into_iter().flat_map(|event| machine.step(event, now)));
        }
        let info = info(&machine);
        // The first owners would change at once; nothing did.
        let planned = info.progress.planned + info.progress.moving;
        let progress = Progress { planned, moving: 0, ..info.progress };
        Ok(FailoverInfo { began_at: wall, phase: Phase::Planning.name().to_owned(), progress, ..info })
    }
}

impl WhatIf {
    fn advise(&mut self, workload: AgentName, terms: &Terms, seed: u64) -> Event {
        let living = self.ledger.unassign(&workload);
        self.registry.publish();
        let fleet = self.registry.published();
        let request = PlacementRequest {
            seed,
            now_ms: self.now.0,
            needs: terms.requirement.needs,
            priority: terms.priority,
        };
        let mut answer = Event::AdviceFailed { workload: workload.clone() };
        for kept in (0..=terms.soft_relations()).rev() {
            let requirement = terms.narrowed(fleet, self.ledger.census(), kept);
            match self.classes.resolve(fleet, &requirement) {
                Err(none) => answer = Event::NoneEligible { workload: workload.clone(), none },
                Ok(class) => {
                    let ranked = self.port().and_then(|port| port.rank(fleet, &class, &request, 1).ok());
                    let best = ranked.and_then(|ranked| Some(ranked.first()?.choice.row));
                    let facts = best.or_else(|| class.rows().next()).and_then(|row| fleet.facts(row));
                    if let Some(facts) = facts {
                        answer = Event::Advised { workload: workload.clone(), member: facts.id.clone() };
                    }
                    break;
                }
            }
        }
        living.into_iter().for_each(|living| self.ledger.insert(living));
        answer
    }

    fn port(&self) -> Option<&dyn Placement> {
        match self.policy.as_ref()?.decision() {
            Port::Placement(port) => Some(port),
            _ => None,
        }
    }
}
