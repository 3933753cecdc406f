//! The shell around the real failover: opens it, carries out its commands, resumes it after a crash.
//!
//! deaths -> [`Failover`] -> commands behind their journal entries -> reservations, changes of owner, starts
//!
//! Invariant: one failover at a time; a command waits in the backlog behind every entry before it.

use std::collections::BTreeSet;
use std::sync::Arc;

use pilothouse_core::failover::{
    Command, Event as Told, Failover, FailoverId, Lost, Opening, Origin, Outcome, Phase, Planned, StateCopy,
    Survivor, Unfinished, Workload,
};
use pilothouse_core::id::{AgentName, MemberId};
use pilothouse_core::member::Standing;
use pilothouse_core::placement::Terms;
use pilothouse_core::placement::commit::{self, NotCommitted};
use pilothouse_core::time::WallMs;

use super::durable::{Then, Write};
use super::{Event, World};
use crate::bug::Bug;
use crate::run::{Checked, Run, ensure};

const BRAKE: &str = "I13 nothing changes while the brake is on";
/// Longest time for which a place is held, ms: the failover gives it back itself.
const HOLD_MS: u64 = 600_000;

impl World {
    /// Opens a failover if somebody is dead and there is none.
    pub(super) fn watch_failover(&mut self, run: &mut Run) -> Checked {
        if !self.plan.with_failover {
            return Ok(());
        }
        self.failover_told(run, Told::Tick)?;
        let dead = |standing| standing == Standing::Dead;
        let members: BTreeSet<MemberId> = self
            .host
            .registry
            .members()
            .filter(|member| dead(member.standing))
            .map(|member| member.id().clone())
            .collect();
        if self.host.failover.is_some() || !self.host.ledger.iter().any(|held| members.contains(&held.member))
        {
            return Ok(());
        }
        let next = self.durable.journal.keys().last().map_or(1, |id| id.0 + 1);
        let lost = Lost { members, regions: BTreeSet::new() };
        let opening = self.opening(run, FailoverId(next), lost, &[]);
        run.count("failover: opened");
        run.note(format_args!("failover {next} of {:?}", opening.lost.members));
        let (failover, commands) = Failover::open(self.plan.failover, opening, self.now(run));
        self.host.failover = Some(failover);
        if self.host.braked {
            self.failover_told(run, Told::Braked(true))?;
        }
        self.carry(run, commands)
    }

    fn opening(&self, run: &mut Run, id: FailoverId, lost: Lost, planned: &[AgentName]) -> Opening {
        let ledger = self.host.ledger.iter();
        let concerned =
            ledger.filter(|held| lost.members.contains(&held.member) || planned.contains(&held.agent));
        let workloads = concerned.map(|held| Workload {
            name: held.agent.clone(),
            owner: held.member.clone(),
            epoch: held.epoch,
            terms: Arc::clone(&held.terms),
            state: StateCopy::Stateless,
        });
        let takers = self.host.registry.members().filter(|member| member.takes_work());
        Opening {
            id,
            origin: Origin::Detector,
            workloads: workloads.collect(),
            survivors: takers.map(|member| Survivor::of(member, &self.plan.failover)).collect(),
            lost,
            seed: run.random.number(),
        }
    }

    /// After a crash of the host.
    pub(super) fn resume_failover(&mut self, run: &mut Run) -> Checked {
        let unfinished = self.durable.journal.values().find_map(|entries| Unfinished::read(entries));
        let Some(unfinished) = unfinished.filter(|_| self.plan.with_failover) else { return Ok(()) };
        run.count("failover: resumed after a crash");
        run.note(format_args!("failover {} is resumed", unfinished.id));
        let planned: Vec<AgentName> = unfinished.workloads().cloned().collect();
        let opening = self.opening(run, unfinished.id, unfinished.lost.clone(), &planned);
        let (failover, commands) = Failover::resume(self.plan.failover, unfinished, opening, self.now(run));
        self.host.failover = Some(failover);
        self.carry(run, commands)
    }

    pub(super) fn member_died(&mut self, run: &mut Run, member: MemberId) -> Checked {
        let ledger = self.host.ledger.on(&member);
        let workloads = ledger.map(|held| Workload {
            name: held.agent.clone(),
            owner: held.member.clone(),
            epoch: held.epoch,
            terms: Arc::clone(&held.terms),
            state: StateCopy::Stateless,
        });
        let workloads = workloads.collect();
        self.failover_told(run, Told::Died { member, workloads })
    }

    pub(super) fn started(&mut self, run: &mut Run, agent: AgentName, epoch: u64, runs: bool) -> Checked {
        let workload = agent;
        let told = if runs {
            Told::Started { workload, epoch }
        } else {
            run.count("failover: start failed");
            Told::StartFailed { workload, epoch }
        };
        self.failover_told(run, told)?;
        self.drain(run)
    }

    pub(super) fn failover_told(&mut self, run: &mut Run, told: Told) -> Checked {
        let now = self.now(run);
        let Some(failover) = &mut self.host.failover else { return Ok(()) };
        if matches!(&told, Told::Returned(member) if !failover.lost().members.contains(member)) {
            return Ok(());
        }
        if !matches!(told, Told::Tick) {
            run.note(format_args!("failover is told {told:?}"));
        }
        let commands = failover.step(told, now);
        self.carry(run, commands)
    }

    /// Journals what has to be durable and queues the rest behind it.
    fn carry(&mut self, run: &mut Run, commands: Vec<Command>) -> Checked {
        let Some(id) = self.host.failover.as_ref().map(Failover::id) else { return Ok(()) };
        for command in commands {
            run.note(format_args!("failover: {command:?}"));
            if let Command::Commit(planned) = &command {
                ensure!(!self.host.braked, BRAKE, "{planned:?}");
                ensure!(self.checker.is_alone(planned), "I1 one change of owner at a time", "{planned:?}");
            }
            match command {
                Command::Journal(entry) => self.durable.write(Write::Journaled(id, entry)),
                effect if run.has(Bug::JournalAfterEffect) => self.carry_out(run, effect)?,
                effect => self.durable.then(Then::Carry(Box::new(effect))),
            }
        }
        Ok(())
    }

    pub(super) fn carry_out(&mut self, run: &mut Run, command: Command) -> Checked {
        match command {
            Command::Journal(_) => Ok(()),
            Command::Ask { workload, terms } => {
                let answer = self.advise(run, workload, &terms);
                self.failover_told(run, answer)
            }
            Command::Reserve { workload, member, .. } => self.hold(run, workload, member),
            Command::Release { workload, member, .. } => {
                self.let_go(&workload, &member);
                Ok(())
            }
            Command::Commit(planned) => self.commit(run, planned),
            Command::Start { workload, member, epoch } => {
                if let Some(index) = self.index(&member) {
                    let start = Event::Start { member: index, agent: workload, epoch };
                    self.stage.send(run, 0, index + 1, &start);
                }
                Ok(())
            }
            Command::Report(summary) => {
                run.count(match summary.outcome {
                    Outcome::Done => "failover: done",
                    Outcome::Partial => "failover: partial",
                    Outcome::Aborted => "failover: aborted",
                });
                self.host.failover = None;
                let kept: Vec<_> = self.host.reserved.keys().cloned().collect();
                ensure!(kept.is_empty(), "I5 reservations are given back", "{kept:?} after the end");
                Ok(())
            }
        }
    }

    /// What the placement slot might say: mostly somebody who takes work.
    fn advise(&mut self, run: &mut Run, workload: AgentName, terms: &Terms) -> Told {
        if run.random.chance(self.plan.bad_advice) {
            let member = self.members[run.random.index(self.members.len())].id.clone();
            return Told::Advised { workload, member };
        }
        let excluded = &terms.requirement.excluded;
        let fits: Vec<MemberId> = (self.host.registry.members())
            .filter(|member| member.takes_work() && !excluded.contains(member.id()))
            .map(|member| member.id().clone())
            .collect();
        match run.random.pick(&fits) {
            Some(member) => Told::Advised { workload, member },
            None => Told::AdviceFailed { workload },
        }
    }

    fn hold(&mut self, run: &mut Run, workload: AgentName, member: MemberId) -> Checked {
        let Some(terms) = self.host.ledger.get(&workload).map(|held| Arc::clone(&held.terms)) else {
            return self.failover_told(run, Told::Refused { workload });
        };
        let until = self.now(run).plus_ms(HOLD_MS);
        match commit::reserve(&mut self.host.registry, &mut self.host.ledger, &member, &terms, until) {
            Ok(held) => {
                self.checker.void.remove(&(workload.clone(), member.clone()));
                let before = self.host.reserved.insert((workload, member), held.id);
                ensure!(before.is_none(), "I5 a reservation is made once", "{before:?} was held already");
                Ok(())
            }
            Err(_) => {
                run.count("failover: not reserved");
                self.checker.void.insert((workload.clone(), member));
                self.failover_told(run, Told::Refused { workload })
            }
        }
    }

    fn let_go(&mut self, workload: &AgentName, member: &MemberId) {
        if let Some(id) = self.host.reserved.remove(&(workload.clone(), member.clone())) {
            commit::release(&mut self.host.registry, &mut self.host.ledger, id);
        }
    }

    /// The reservation becomes the assignment, if the record is still the planned one. Without it the commit is void.
    fn commit(&mut self, run: &mut Run, planned: Planned) -> Checked {
        self.check_journal(&planned)?;
        let Planned { workload, epoch, to, .. } = planned;
        if !self.host.reserved.contains_key(&(workload.clone(), to.clone())) {
            run.count("failover: void commit");
            self.checker.came_to_nothing(workload, to);
            return Ok(());
        }
        let held = self.host.ledger.get(&workload).map(|held| held.epoch);
        if held != Some(epoch) {
            run.count("failover: fenced");
            self.checker.committing.remove(&workload);
            let found = held.unwrap_or(0);
            return self.failover_told(run, Told::Fenced { workload, found });
        }
        self.let_go(&workload, &to);
        let (registry, ledger) = (&mut self.host.registry, &mut self.host.ledger);
        match commit::relocate(registry, ledger, &workload, epoch, &to, WallMs(run.now_ms)) {
            Ok(after) => {
                let epoch = after.epoch;
                self.durable.write(Write::Assigned(after));
                self.durable.then(Then::Committed(workload, epoch));
                Ok(())
            }
            Err(NotCommitted::Gone(_) | NotCommitted::Cut { .. }) => {
                run.count("failover: refused at the commit");
                self.checker.committing.remove(&workload);
                self.failover_told(run, Told::Refused { workload })
            }
            Err(error) => {
                ensure!(false, "C16 a commit is decided by the record", "{error}");
                Ok(())
            }
        }
    }

    /// A commit follows a plan and a confirmation that are durable.
    fn check_journal(&self, planned: &Planned) -> Checked {
        use pilothouse_core::failover::Entry;
        let Some(id) = self.host.failover.as_ref().map(Failover::id) else { return Ok(()) };
        let entries = self.durable.journal.get(&id).map_or(&[][..], Vec::as_slice);
        let is_planned = |entry: &Entry| matches!(entry, Entry::Planned(plans) if plans.contains(planned));
        let both = entries.iter().any(is_planned) && entries.contains(&Entry::Confirmed);
        ensure!(both, "I6 an effect comes after its journal entry", "{planned:?} was not durable");
        Ok(())
    }

    pub(super) fn failover_is_over(&self) -> bool {
        let over = |failover: &Failover| matches!(failover.phase(), Phase::Ended(_));
        self.host.failover.as_ref().is_none_or(over)
    }
}
