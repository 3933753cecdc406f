//! Choosing places: what the placement slot is asked, and what becomes of its advice.
//!
//! Invariant: advice is not trusted. It becomes a reservation only if it names a survivor that meets the narrowed
//! requirement and has room; every further question excludes what could not be.

use crate::eligible::Requirement;
use crate::fleet::facts::mix;
use crate::id::{AgentName, MemberId};
use crate::placement::Terms;
use crate::time::Now;

use super::items::{Item, Stage, Target};
use super::workload::{admits, narrowed};
use super::{Command, Entry, Failover, Phase, Planned, Reason};

impl Failover {
    pub(super) fn ask(&mut self, commands: &mut Vec<Command>) {
        while self.items.asked < self.rules.asks_max
            && let Some(&(_, _, index)) = self.items.waiting.first()
            && let Some(item) = self.items.get(index)
        {
            let stage = match self.question(item) {
                Ok(requirement) => {
                    let (workload, terms) = (item.workload.name.clone(), (*item.workload.terms).clone());
                    commands.push(Command::Ask { workload, terms: Terms { requirement, ..terms } });
                    Stage::Asked
                }
                Err(reason) => Stage::Left(reason),
            };
            self.items.enter(index, stage);
            if let Some(item) = self.items.get_mut(index) {
                item.asks += 1;
            }
        }
    }

    /// What to ask for a workload: members without room are excluded, so that advice can only name one that has it.
    fn question(&self, item: &Item) -> Result<Requirement, Reason> {
        if item.failures >= self.rules.targets_max {
            return Err(Reason::TargetsFailed(item.failures));
        }
        // Each further question excludes one more full target; beyond that the advice is at fault.
        if item.asks > self.targets.len() + self.rules.targets_max as usize {
            return Err(Reason::NoAdvice);
        }
        item.workload.state.usable()?;
        let mut requirement = narrowed(&item.workload.terms.requirement, &self.origin, &self.lost)?;
        requirement.excluded.extend(item.refused.iter().cloned());
        let (mut fits, mut why) = (false, None);
        for (id, target) in &self.targets {
            let reason = if !admits(&requirement, target.region.as_ref()) {
                Reason::Sovereignty
            } else if requirement.excluded.contains(id) {
                Reason::TargetsFailed(item.failures)
            } else if let Err(lack) = target.room.fits(requirement.needs) {
                requirement.excluded.insert(id.clone());
                Reason::of_lack(lack)
            } else {
                fits = true;
                continue;
            };
            // Of many reasons, that of the member that came nearest.
            why = why.max(Some((reason.nearness(), reason)));
        }
        if fits { Ok(requirement) } else { Err(why.map_or(Reason::NoCapacity, |(_, reason)| reason)) }
    }

    pub(super) fn advised(&mut self, workload: &AgentName, member: &MemberId, commands: &mut Vec<Command>) {
        let Some((index, item)) = self.find(workload, |stage| *stage == Stage::Asked) else { return };
        let (needs, rank, epoch) = (item.workload.needs(), item.rank, item.workload.epoch);
        let from = item.workload.owner.clone();
        // The slot is not trusted: what it names must be one of those that were left to choose from.
        let asked_for = narrowed(&item.workload.terms.requirement, &self.origin, &self.lost);
        let refused = item.refused.contains(member);
        let allowed = |target: &&mut Target| {
            !refused && asked_for.is_ok_and(|requirement| admits(&requirement, target.region.as_ref()))
        };
        let Some(target) = self.targets.get_mut(member).filter(allowed) else {
            return self.not_advised(workload, None);
        };
        if target.room.take(needs).is_err() {
            // Somebody else was quicker; it is excluded from the next question.
            self.items.enter(index, Stage::Waiting);
            return;
        }
        target.queue.insert(rank);
        self.items.enter(index, Stage::Planned(member.clone()));
        commands.push(Command::Reserve { workload: workload.clone(), member: member.clone(), needs });
        if self.phase == Phase::Executing {
            let planned = Planned { workload: workload.clone(), from, epoch, to: member.clone() };
            commands.push(Command::Journal(Entry::Planned(vec![planned])));
        }
    }

    pub(super) fn not_advised(&mut self, workload: &AgentName, reason: Option<Reason>) {
        let Some((index, _)) = self.find(workload, |stage| *stage == Stage::Asked) else { return };
        let limit = self.rules.targets_max;
        let Some(item) = self.items.get_mut(index) else { return };
        item.failures += 1;
        let out_of_patience = (item.failures >= limit).then_some(Reason::NoAdvice);
        let stage = reason.or(out_of_patience).map_or(Stage::Waiting, Stage::Left);
        self.items.enter(index, stage);
    }

    /// All places are chosen: from here on owners change.
    pub(super) fn begin(&mut self, now: Now, commands: &mut Vec<Command>) {
        let planned: Vec<Planned> = self.items.all.iter().filter_map(Item::planned).collect();
        if !planned.is_empty() {
            commands.push(Command::Journal(Entry::Planned(planned)));
        }
        for (place, target) in (0_u64..).zip(self.targets.values_mut()) {
            target.opens_at = now.plus_ms(mix(self.seed ^ mix(place)) % (self.rules.jitter_ms + 1));
        }
        self.phase = Phase::Executing;
    }
}
