//! The invariants of a fleet, against what the simulator knows to be true.
//!
//! Invariant: books are counted anew from assignments and reservations, never copied from where they are kept.

use std::collections::{BTreeMap, BTreeSet};

use pilothouse_core::failover::Planned;
use pilothouse_core::id::{AgentName, MemberId};
use pilothouse_core::member::Resources;
use pilothouse_state::detection::Presence;

use super::World;
use crate::run::{Checked, Run, ensure};

const ONE_OWNER: &str = "I1 effects come from one owner at a time, and epochs grow";
const NOT_LOST: &str = "I2 no workload is lost";
const ACKNOWLEDGED: &str = "I4 what was acknowledged is there";
const BOOKS: &str = "I5 books are right and nothing is oversubscribed";
const RESERVATIONS: &str = "I5 no reservation outlives its time";
const BRAKE: &str = "I13 not too many die at once";
const FALSE_DEATH: &str = "I14 who is heard is not dead";
const REST: &str = "L2 everything comes to rest";

/// What must be remembered to judge.
#[derive(Debug, Default)]
pub(super) struct Checker {
    acknowledged: BTreeMap<AgentName, u64>,
    accepted: BTreeMap<AgentName, (u64, MemberId)>,
    /// Dead, and since when.
    pub(super) dead: BTreeMap<MemberId, u64>,
    /// Changes of owner under way.
    pub(super) committing: BTreeMap<AgentName, MemberId>,
    /// Changes of owner whose reservation was refused: they come to nothing.
    pub(super) void: BTreeSet<(AgentName, MemberId)>,
    /// Unassigned on purpose.
    pub(super) retired: BTreeSet<(AgentName, u64)>,
    pub(super) late_confirmations: u64,
    /// Newest epoch under which a workload ever ran.
    newest_run: BTreeMap<AgentName, u64>,
}

impl Checker {
    pub(super) fn acknowledged(&mut self, agent: AgentName, epoch: u64) {
        self.acknowledged.insert(agent, epoch);
    }

    /// A newer wish about a workload is under way: what was acknowledged before does not bind any more.
    pub(super) fn replaced(&mut self, agent: &AgentName) {
        self.acknowledged.remove(agent);
    }

    /// A copy runs.
    pub(super) fn ran(&mut self, agent: &AgentName, epoch: u64) {
        let newest = self.newest_run.entry(agent.clone()).or_default();
        *newest = epoch.max(*newest);
    }

    /// A copy is dropped: it was unassigned, or the workload ran elsewhere since.
    pub(super) fn dropped(&self, agent: &AgentName, epoch: u64) -> Checked {
        let elsewhere = self.newest_run.get(agent).is_some_and(|newest| *newest > epoch);
        let retired = self.retired.contains(&(agent.clone(), epoch));
        ensure!(elsewhere || retired, NOT_LOST, "{agent} of {epoch} was dropped and runs nowhere else");
        Ok(())
    }

    /// A change of owner is commanded; whether no other of the workload is under way.
    pub(super) fn is_alone(&mut self, planned: &Planned) -> bool {
        let Planned { workload, to, .. } = planned;
        let is_void = |void: &BTreeSet<_>, to: &MemberId| void.contains(&(workload.clone(), to.clone()));
        if is_void(&self.void, to) {
            return true;
        }
        let before = self.committing.insert(workload.clone(), to.clone());
        before.is_none_or(|before| is_void(&self.void, &before))
    }

    /// A change of owner without its reservation was passed over.
    pub(super) fn came_to_nothing(&mut self, workload: AgentName, to: MemberId) {
        if self.committing.get(&workload) == Some(&to) {
            self.committing.remove(&workload);
        }
        self.void.remove(&(workload, to));
    }

    pub(super) fn crashed(&mut self) {
        self.dead.clear();
        self.committing.clear();
        self.void.clear();
    }

    pub(super) fn effect(&mut self, agent: &AgentName, member: &MemberId, epoch: u64) -> Checked {
        let before = self.accepted.insert(agent.clone(), (epoch, member.clone()));
        let follows =
            before.as_ref().is_none_or(|(last, by)| epoch > *last || (epoch == *last && by == member));
        ensure!(follows, ONE_OWNER, "{agent}: ({epoch}, {member}) after {before:?}");
        Ok(())
    }
}

impl World {
    /// After every event.
    pub(super) fn check(&self) -> Checked {
        self.check_books()?;
        for (agent, epoch) in &self.checker.acknowledged {
            let held = self.host.ledger.get(agent).map(|held| held.epoch);
            ensure!(
                held >= Some(*epoch),
                ACKNOWLEDGED,
                "{agent}: epoch {epoch} was acknowledged, now {held:?}"
            );
        }
        ensure!(self.checker.late_confirmations == 0, RESERVATIONS, "confirmed after its time");
        Ok(())
    }

    fn check_books(&self) -> Checked {
        let mut books: BTreeMap<&MemberId, (u32, Resources)> = BTreeMap::new();
        let assigned = self.host.ledger.iter().map(|held| (&held.member, held.claim()));
        let reserved = self.host.ledger.reservations().map(|held| (&held.member, held.claim()));
        for (member, claim) in assigned.chain(reserved) {
            let (count, sum) = books.entry(member).or_default();
            *count += 1;
            *sum = sum.plus(claim.needs);
        }
        for member in self.host.registry.members() {
            let (count, sum) = books.get(member.id()).copied().unwrap_or_default();
            let kept = (member.assigned, member.used);
            ensure!(kept == (count, sum), BOOKS, "{}: {kept:?}, in truth {count} and {sum:?}", member.id());
            let total = &member.registration;
            let fits = sum.cpu_millis <= total.resources.cpu_millis && count <= total.capacity;
            ensure!(fits, BOOKS, "{}: {count} of {}, {sum:?}", member.id(), total.capacity);
        }
        Ok(())
    }

    /// Right after reservations were ended.
    pub(super) fn check_reservations(&self, run: &Run) -> Checked {
        let now = self.now(run);
        let over = self.host.ledger.reservations().find(|held| held.until <= now);
        ensure!(over.is_none(), RESERVATIONS, "{over:?} at {now:?}");
        Ok(())
    }

    /// A member was declared dead.
    pub(super) fn check_death(&mut self, run: &Run, member: &MemberId) -> Checked {
        let since = run.now_ms.saturating_sub(self.plan.detection.lost_window_ms);
        self.checker.dead.insert(member.clone(), run.now_ms);
        let recent = self.checker.dead.values().filter(|at| **at > since).count();
        ensure!(recent < 3, BRAKE, "{recent} of {} died within the window", self.members.len());
        let up = self.index(member).is_some_and(|index| self.members[index].up);
        let heard = up && self.plan.reliable;
        ensure!(!heard, FALSE_DEATH, "{member}");
        Ok(())
    }

    /// What keeps the fleet from rest, if anything.
    fn unrest(&self) -> Option<String> {
        let presence = |id: &MemberId| self.host.detection.presence(id);
        let absent = self.members.iter().find(|member| presence(&member.id) != Some(Presence::Alive));
        if let Some(member) = absent {
            return Some(format!("{} is {:?}", member.id, presence(&member.id)));
        }
        if self.host.braked || !self.failover_is_over() || !self.durable.is_idle() {
            return Some("a brake, a failover or a write is left".to_owned());
        }
        if self.host.ledger.reservations().len() > 0 || !self.host.reserved.is_empty() {
            return Some("a reservation is left".to_owned());
        }
        for held in self.host.ledger.iter() {
            for member in &self.members {
                let copy = member.copies.get(&held.agent).copied();
                let expected = (member.id == held.member).then_some(held.epoch);
                if copy != expected {
                    return Some(format!("{} has {copy:?} of {held:?}", member.id));
                }
            }
        }
        None
    }

    pub(super) fn is_at_rest(&self) -> bool {
        self.host.ticks.is_multiple_of(25) && self.unrest().is_none()
    }

    pub(super) fn at_the_end(&self) -> Checked {
        let unrest = self.unrest();
        ensure!(unrest.is_none(), REST, "{}", unrest.unwrap_or_default());
        for agent in self.checker.acknowledged.keys() {
            ensure!(self.durable.assignments.contains_key(agent), NOT_LOST, "{agent}");
        }
        Ok(())
    }
}
