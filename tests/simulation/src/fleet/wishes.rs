//! What clients want of placement, and how the shell commits it.
//!
//! wish -> network -> real [`commit`] -> durable -> acknowledgement
//!
//! Invariant: advice is bad on purpose (any member at all): that nothing is oversubscribed is the commit's work alone.

use std::sync::Arc;

use pilothouse_core::assignment::Assignment;
use pilothouse_core::device::Devices;
use pilothouse_core::eligible::Requirement;
use pilothouse_core::id::{AgentName, MemberId};
use pilothouse_core::member::{Claim, Resources};
use pilothouse_core::placement::Terms;
use pilothouse_core::placement::commit::{self, NotCommitted};
use pilothouse_core::placement::ledger::ReservationId;
use pilothouse_core::time::{Now, WallMs};

use super::durable::{Then, Write};
use super::{Event, World};
use crate::bug::Bug;
use crate::run::{Checked, Run};

/// Workloads that clients fight over.
const AGENTS: u64 = 16;
const CLIENT_MS: u64 = 130;

/// One wish.
#[derive(Debug, Clone)]
pub(super) enum Wish {
    Place { agent: AgentName, on: usize, terms: Arc<Terms> },
    Preempt { agent: AgentName, on: usize, terms: Arc<Terms> },
    Reserve { on: usize, terms: Arc<Terms>, ttl_ms: u64 },
    Confirm { id: ReservationId, agent: AgentName },
    Release(ReservationId),
    Move { agent: AgentName, to: usize },
    Unassign(AgentName),
}

#[allow(clippy::expect_used, reason = "names that the simulator makes")]
fn agent(run: &mut Run) -> AgentName {
    AgentName::parse(&format!("w{}", run.random.below(AGENTS))).expect("a name")
}

fn terms(run: &mut Run) -> Arc<Terms> {
    let needs = Resources { cpu_millis: run.random.between(1, 5) as u32 * 500, ..Resources::default() };
    let requirement = Requirement { needs, ..Requirement::default() };
    let priority = run.random.below(3) as i32;
    Arc::new(Terms { requirement, priority, ..Terms::default() })
}

impl World {
    pub(super) fn client_tick(&mut self, run: &mut Run) {
        if self.healing {
            return;
        }
        self.stage.after(run, CLIENT_MS, Event::ClientTick);
        let on = run.random.index(self.members.len());
        let held = run.random.pick(&self.held).unwrap_or(ReservationId(1));
        let wish = match run.random.below(16) {
            0..=5 => Wish::Place { agent: agent(run), on, terms: terms(run) },
            6 | 7 => Wish::Preempt { agent: agent(run), on, terms: terms(run) },
            8 | 9 => Wish::Reserve { on, terms: terms(run), ttl_ms: run.random.between(100, 4_000) },
            10 | 11 => Wish::Confirm { id: held, agent: agent(run) },
            12 => Wish::Release(held),
            13 | 14 => Wish::Move { agent: agent(run), to: on },
            _ => Wish::Unassign(agent(run)),
        };
        let client = self.client();
        self.stage.send(run, client, 0, &Event::Asked(wish));
    }

    pub(super) fn asked(&mut self, run: &mut Run, wish: Wish) -> Checked {
        let (now, wall) = (self.now(run), WallMs(run.now_ms));
        match wish {
            Wish::Place { agent, on, terms } => self.place(run, &agent, on, &terms),
            Wish::Preempt { agent, on, terms } => self.preempt(run, &agent, on, &terms),
            Wish::Reserve { on, terms, ttl_ms } => self.reserve(run, on, &terms, now.plus_ms(ttl_ms)),
            Wish::Confirm { id, agent } => {
                let at = if run.has(Bug::LateConfirmation) { Now(0) } else { now };
                let due = self.host.ledger.reservation(id).is_some_and(|held| held.until <= now);
                let confirmed = commit::confirm(&mut self.host.ledger, id, &agent, at, wall);
                if confirmed.is_ok() {
                    run.count("placement: confirmed");
                    self.checker.late_confirmations += u64::from(due);
                }
                self.took(run, confirmed);
            }
            Wish::Release(id) => {
                let released = commit::release(&mut self.host.registry, &mut self.host.ledger, id);
                if let Some(held) = released.filter(|_| run.has(Bug::ReleasedTwice)) {
                    self.host.registry.count_assigned(&held.member, false, held.claim());
                }
            }
            Wish::Move { agent, to } => self.relocate(run, &agent, to, wall),
            Wish::Unassign(agent) => {
                if let Some(gone) = commit::unassign(&mut self.host.registry, &mut self.host.ledger, &agent) {
                    run.note(format_args!("{agent} is unassigned"));
                    self.gone(run, &gone);
                }
            }
        }
        self.drain(run)
    }

    fn place(&mut self, run: &mut Run, agent: &AgentName, on: usize, terms: &Arc<Terms>) {
        let (member, wall) = (self.members[on].id.clone(), WallMs(run.now_ms));
        let (registry, ledger) = (&mut self.host.registry, &mut self.host.ledger);
        let placed = if run.has(Bug::CommitUnchecked) && ledger.get(agent).is_none() {
            let claim = Claim { needs: terms.requirement.needs, devices: Devices::default() };
            registry.count_assigned(&member, true, claim);
            ledger.assign(agent, &member, Arc::clone(terms), claim.devices, wall).map_err(NotCommitted::from)
        } else {
            commit::assign(registry, ledger, agent, &member, terms, wall)
        };
        self.took(run, placed);
    }

    fn reserve(&mut self, run: &mut Run, on: usize, terms: &Arc<Terms>, until: Now) {
        let member = self.members[on].id.clone();
        let (registry, ledger) = (&mut self.host.registry, &mut self.host.ledger);
        let reserved = if run.has(Bug::ReservationUncounted) {
            ledger.reserve(&member, Arc::clone(terms), Devices::default(), until).map_err(NotCommitted::from)
        } else {
            commit::reserve(registry, ledger, &member, terms, until)
        };
        if let Ok(held) = reserved {
            run.count("placement: reserved");
            run.note(format_args!("{:?} on {} until {until:?}", held.id, held.member));
            let client = self.client();
            self.stage.send(run, 0, client, &Event::Held(held.id));
        }
    }

    fn preempt(&mut self, run: &mut Run, agent: &AgentName, on: usize, terms: &Arc<Terms>) {
        let (member, wall) = (self.members[on].id.clone(), WallMs(run.now_ms));
        let yields = |held: &&Assignment| held.terms.priority < terms.priority;
        let victims: Vec<AgentName> =
            self.host.ledger.on(&member).filter(yields).take(2).map(|held| held.agent.clone()).collect();
        let (registry, ledger) = (&mut self.host.registry, &mut self.host.ledger);
        match commit::preempt(registry, ledger, agent, &member, terms, &victims, wall) {
            Ok((placed, evicted)) => {
                if !evicted.is_empty() {
                    run.count("placement: victims evicted");
                }
                evicted.iter().for_each(|victim| self.gone(run, victim));
                self.took(run, Ok(placed));
            }
            Err(error) => self.took(run, Err(error)),
        }
    }

    fn relocate(&mut self, run: &mut Run, agent: &AgentName, to: usize, wall: WallMs) {
        let Some(before) = self.host.ledger.get(agent).cloned() else { return };
        let member: MemberId = self.members[to].id.clone();
        let (registry, ledger) = (&mut self.host.registry, &mut self.host.ledger);
        let mut moved = commit::relocate(registry, ledger, agent, before.epoch, &member, wall);
        if moved.is_ok() {
            run.count("placement: moved");
        }
        if run.has(Bug::EpochKept)
            && let Ok(after) = &mut moved
        {
            after.epoch = before.epoch;
            self.host.ledger.insert(after.clone());
        }
        self.took(run, moved);
    }

    /// A commitment: durable first, then answered and started.
    fn took(&mut self, run: &mut Run, committed: Result<Assignment, NotCommitted>) {
        let assignment = match committed {
            Ok(assignment) => assignment,
            Err(NotCommitted::Cut { .. }) => return run.count("placement: refused by a filter"),
            Err(_) => return,
        };
        run.count("placement: assigned");
        let (agent, epoch) = (assignment.agent.clone(), assignment.epoch);
        run.note(format_args!("{agent} on {} under {epoch}", assignment.member));
        self.checker.replaced(&agent);
        if run.has(Bug::AckBeforeDurable) {
            self.checker.acknowledged(agent.clone(), epoch);
        }
        self.durable.write(Write::Assigned(assignment));
        self.durable.then(Then::Acknowledge(agent.clone(), epoch));
        self.durable.then(Then::Start(agent));
    }

    /// A workload has no place any more, on purpose.
    fn gone(&mut self, run: &mut Run, gone: &Assignment) {
        self.checker.replaced(&gone.agent);
        self.durable.write(Write::Unassigned(gone.agent.clone(), self.host.ledger.ended_epoch()));
        if let Some(member) = self.index(&gone.member) {
            let stop = Event::Stop { member, agent: gone.agent.clone(), epoch: gone.epoch };
            self.checker.retired.insert((gone.agent.clone(), gone.epoch));
            self.stage.send(run, 0, member + 1, &stop);
        }
    }
}
