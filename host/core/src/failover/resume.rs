//! A failover after a crash of the host: from its journal, and from the owner records as they are.
//!
//! Invariant: what was committed rolls forward at once, by the owner record; what was not waits again for a member that
//! may have returned in the meantime, unless an operator wanted it moved whatever the member does.

use std::collections::BTreeMap;

use crate::id::{AgentName, MemberId};
use crate::time::Now;

use super::items::Stage;
use super::{Command, Entry, Failover, FailoverId, Lost, Opening, Origin, Planned, Reason, Rules, Workload};

/// What a journal says of a failover that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// Which.
    pub id: FailoverId,
    /// Who wanted it.
    pub origin: Origin,
    /// What is left behind.
    pub lost: Lost,
    confirmed: bool,
    /// The newest plan of each workload, and its first owner.
    planned: BTreeMap<AgentName, (Planned, MemberId)>,
}

impl Unfinished {
    /// Reads the entries of one failover; `None` if it ended or was never opened.
    #[must_use]
    pub fn read(entries: &[Entry]) -> Option<Self> {
        let mut unfinished: Option<Self> = None;
        for entry in entries {
            match (entry, &mut unfinished) {
                (Entry::Opened { id, origin, lost }, unfinished) => {
                    *unfinished = Some(Self {
                        id: *id,
                        origin: origin.clone(),
                        lost: lost.clone(),
                        confirmed: false,
                        planned: BTreeMap::new(),
                    });
                }
                (Entry::Ended(_), _) => return None,
                (_, None) => {}
                (Entry::Confirmed, Some(of)) => of.confirmed = true,
                (Entry::Widened(member), Some(of)) => _ = of.lost.members.insert(member.clone()),
                (Entry::Returned(member), Some(of)) => _ = of.lost.members.remove(member),
                (Entry::Planned(plans), Some(of)) => plans.iter().for_each(|plan| of.plan(plan)),
            }
        }
        unfinished
    }

    /// Workloads whose owner records are needed to resume, beside all of the lost members.
    pub fn workloads(&self) -> impl Iterator<Item = &AgentName> {
        self.planned.keys()
    }

    fn plan(&mut self, plan: &Planned) {
        let home = self.planned.get(&plan.workload).map_or(&plan.from, |(_, home)| home).clone();
        self.planned.insert(plan.workload.clone(), (plan.clone(), home));
    }
}

impl Failover {
    /// Goes on after a crash. Of the opening, records, survivors (as they are counted now) and seed matter; the rest
    /// is as the journal has it.
    #[must_use]
    pub fn resume(rules: Rules, unfinished: Unfinished, opening: Opening, now: Now) -> (Self, Vec<Command>) {
        let Unfinished { id, origin, lost, confirmed, planned } = unfinished;
        let (mut failover, workloads) = Self::empty(rules, Opening { id, origin, lost, ..opening }, now);
        failover.confirm_at = match failover.origin {
            Origin::Operator { .. } => confirmed.then_some(now),
            Origin::Detector => (confirmed || rules.automatic).then(|| now.plus_ms(rules.reconfirm_ms)),
        };
        let mut commands = Vec::new();
        for workload in workloads {
            let plan = planned.get(&workload.name);
            failover.take_up(workload, plan, now, &mut commands);
        }
        commands.extend(failover.step(super::Event::Tick, now));
        (failover, commands)
    }

    fn take_up(
        &mut self,
        workload: Workload,
        plan: Option<&(Planned, MemberId)>,
        now: Now,
        commands: &mut Vec<Command>,
    ) {
        let (name, owner, epoch) = (workload.name.clone(), workload.owner.clone(), workload.epoch);
        let needs = workload.needs();
        let Some(index) = self.items.add(workload) else { return };
        let Some(rank) = self.items.get(index).map(|item| item.rank) else { return };
        if !self.items.waiting.contains(&rank) {
            return;
        }
        let ours = plan.filter(|(plan, _)| plan.to == owner && plan.epoch + 1 == epoch);
        if let Some((_, home)) = ours {
            // Committed before the crash: it rolls forward, to the next target if this one died.
            self.remember_home(index, home);
            if let Some(target) = self.targets.get_mut(&owner) {
                target.busy += 1;
                self.items.enter(index, Stage::Starting(now.plus_ms(self.rules.start_timeout_ms)));
                commands.push(Command::Start { workload: name, member: owner, epoch });
            }
            return;
        }
        let kept = plan.filter(|(plan, _)| plan.epoch == epoch && plan.from == owner);
        // A target that we had given it to, and that did not start it, need not be lost for it to go on.
        let given = kept.filter(|(_, home)| *home != owner);
        if let Some((_, home)) = given {
            self.remember_home(index, home);
        } else if !self.lost.members.contains(&owner) {
            let reason = if kept.is_some() { Reason::Returned } else { Reason::Elsewhere(epoch) };
            self.items.enter(index, Stage::Left(reason));
            return;
        }
        let Some((plan, _)) = kept else { return };
        let target = self.targets.get_mut(&plan.to);
        if let Some(target) = target.filter(|target| target.room.fits(needs).is_ok()) {
            // It fits: that was checked just now.
            let _fits = target.room.take(needs);
            target.queue.insert(rank);
            self.items.enter(index, Stage::Planned(plan.to.clone()));
            commands.push(Command::Reserve { workload: name, member: plan.to.clone(), needs });
        }
    }

    fn remember_home(&mut self, index: usize, home: &MemberId) {
        if let Some(item) = self.items.get_mut(index) {
            item.from = Some(home.clone());
        }
    }
}
