//! The machine: one failover, one step at a time.
//!
//! Every event ends in [`Failover::proceed`], which asks, plans (see `planning`), commits and ends as far as phase and
//! brake allow. Invariant: phases only go forward; what was committed is finished in every one of them.

use std::collections::BTreeMap;

use crate::id::{AgentName, MemberId};
use crate::time::Now;

use super::items::{Item, Items, Outlook, Progress, Stage, Target};
use super::{
    Command, Entry, Event, FailoverId, Lost, Opening, Origin, Outcome, Phase, Placed, Reason, Rules, Summary,
    Workload,
};

/// One failover.
#[derive(Debug, Clone)]
pub struct Failover {
    pub(super) rules: Rules,
    pub(super) id: FailoverId,
    pub(super) origin: Origin,
    pub(super) lost: Lost,
    pub(super) phase: Phase,
    /// When it confirms itself; `None` = an operator must.
    pub(super) confirm_at: Option<Now>,
    pub(super) items: Items,
    pub(super) targets: BTreeMap<MemberId, Target>,
    braked: bool,
    pub(super) seed: u64,
    began: Now,
}

impl Failover {
    /// Opens a failover with checked rules.
    #[must_use]
    pub fn open(rules: Rules, opening: Opening, now: Now) -> (Self, Vec<Command>) {
        let Opening { id, origin, lost, .. } = &opening;
        let opened = Entry::Opened { id: *id, origin: origin.clone(), lost: lost.clone() };
        let (mut failover, workloads) = Self::empty(rules, opening, now);
        let automatic = failover.origin == Origin::Detector && rules.automatic;
        failover.confirm_at = automatic.then(|| now.plus_ms(rules.confirm_ms));
        for workload in workloads {
            failover.items.add(workload);
        }
        let mut commands = vec![Command::Journal(opened)];
        commands.extend(failover.step(Event::Tick, now));
        (failover, commands)
    }

    pub(super) fn empty(rules: Rules, opening: Opening, now: Now) -> (Self, Vec<Workload>) {
        let Opening { id, origin, lost, mut workloads, survivors, seed } = opening;
        // Ties in importance go by name, whatever order the records came in.
        workloads.sort_by(|a, b| a.name.cmp(&b.name));
        let survives = survivors.into_iter().filter(|survivor| {
            !lost.members.contains(&survivor.member)
                && survivor.region.as_ref().is_none_or(|region| !lost.regions.contains(region))
        });
        let targets = survives.map(|survivor| (survivor.member.clone(), Target::from(survivor))).collect();
        let failover = Self {
            rules,
            id,
            origin,
            lost,
            phase: Phase::Detected,
            confirm_at: None,
            items: Items::default(),
            targets,
            braked: false,
            seed,
            began: now,
        };
        (failover, workloads)
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> FailoverId {
        self.id
    }

    /// How far it is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// What is left behind.
    #[must_use]
    pub fn lost(&self) -> &Lost {
        &self.lost
    }

    /// Who wants it.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Its workloads, most important first.
    #[must_use]
    pub fn outlook(&self) -> Vec<Outlook> {
        let mut items: Vec<&Item> = self.items.all.iter().collect();
        items.sort_by_key(|item| item.rank);
        items.into_iter().map(Outlook::from).collect()
    }

    /// How far its workloads are.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.items.progress()
    }

    /// One step. Late and repeated events change nothing.
    pub fn step(&mut self, event: Event, now: Now) -> Vec<Command> {
        let mut commands = Vec::new();
        if matches!(self.phase, Phase::Ended(_)) {
            return commands;
        }
        match event {
            Event::Confirmed => self.confirm(&mut commands),
            Event::Advised { workload, member } => self.advised(&workload, &member, &mut commands),
            Event::NoneEligible { workload, none } => {
                self.not_advised(&workload, Some(Reason::of_none(&none)))
            }
            Event::AdviceFailed { workload } => self.not_advised(&workload, None),
            Event::Committed { workload, epoch } => self.committed(&workload, epoch, now, &mut commands),
            Event::Fenced { workload, found } => self.fenced(&workload, found, &mut commands),
            Event::Refused { workload } => self.refused(&workload, &mut commands),
            Event::Started { workload, epoch } => self.started(&workload, epoch, true),
            Event::StartFailed { workload, epoch } => self.started(&workload, epoch, false),
            Event::Returned(member) => self.returned(member, &mut commands),
            Event::Died { member, workloads } => self.died(member, workloads, &mut commands),
            Event::Braked(braked) => self.braked = braked,
            Event::Cancelled => self.leave_uncommitted(Reason::Cancelled, |_| true, &mut commands),
            Event::Tick => self.tick(now, &mut commands),
        }
        self.proceed(now, &mut commands);
        commands
    }

    pub(super) fn proceed(&mut self, now: Now, commands: &mut Vec<Command>) {
        if self.phase == Phase::Confirmed && !self.braked {
            self.phase = Phase::Planning;
        }
        if matches!(self.phase, Phase::Planning | Phase::Executing) {
            self.ask(commands);
        }
        if self.phase == Phase::Planning && self.items.is_planned() {
            self.begin(now, commands);
        }
        if self.phase == Phase::Executing && !self.braked {
            self.commit(now, commands);
        }
        if self.items.open == 0 {
            self.end(now, commands);
        }
    }

    fn confirm(&mut self, commands: &mut Vec<Command>) {
        if self.phase == Phase::Detected {
            self.phase = Phase::Confirmed;
            commands.push(Command::Journal(Entry::Confirmed));
        }
    }

    fn tick(&mut self, now: Now, commands: &mut Vec<Command>) {
        if self.confirm_at.is_some_and(|confirm_at| confirm_at <= now) {
            self.confirm(commands);
        }
        while let Some(&(until, index)) = self.items.starting.first()
            && until <= now
        {
            self.target_failed(index);
        }
    }

    fn commit(&mut self, now: Now, commands: &mut Vec<Command>) {
        for (member, target) in &mut self.targets {
            while target.opens_at <= now
                && target.busy < self.rules.starts_per_member
                && let Some((_, _, index)) = target.queue.pop_first()
            {
                let planned = self.items.get(index).and_then(Item::planned);
                self.items.enter(index, Stage::Committing(member.clone()));
                target.busy += 1;
                commands.extend(planned.map(Command::Commit));
            }
        }
    }

    fn committed(&mut self, workload: &AgentName, epoch: u64, now: Now, commands: &mut Vec<Command>) {
        let committing = |stage: &Stage| matches!(stage, Stage::Committing(_));
        let Some((index, _)) = self.find(workload, committing) else { return };
        let until = now.plus_ms(self.rules.start_timeout_ms);
        let Some(Stage::Committing(member)) = self.items.enter(index, Stage::Starting(until)) else { return };
        let Some(item) = self.items.get_mut(index) else { return };
        let before = std::mem::replace(&mut item.workload.owner, member.clone());
        if let Some(failed) = self.targets.get_mut(&before) {
            failed.room.give_back(item.workload.needs());
        }
        item.from.get_or_insert(before);
        item.workload.epoch = epoch;
        if self.targets.contains_key(&member) {
            commands.push(Command::Start { workload: workload.clone(), member, epoch });
        } else {
            // It died while the change was under way.
            self.items.enter(index, Stage::Waiting);
        }
    }

    fn fenced(&mut self, workload: &AgentName, found: u64, commands: &mut Vec<Command>) {
        let committing = |stage: &Stage| matches!(stage, Stage::Committing(_));
        let Some((index, _)) = self.find(workload, committing) else { return };
        self.release(index, Stage::Left(Reason::Elsewhere(found)), commands);
    }

    fn refused(&mut self, workload: &AgentName, commands: &mut Vec<Command>) {
        let reserved = |stage: &Stage| matches!(stage, Stage::Planned(_) | Stage::Committing(_));
        let Some((index, item)) = self.find(workload, reserved) else { return };
        let target = match &item.stage {
            Stage::Planned(target) | Stage::Committing(target) => target.clone(),
            _ => return,
        };
        self.release(index, Stage::Waiting, commands);
        if let Some(item) = self.items.get_mut(index) {
            item.refused.insert(target);
            item.failures += 1;
        }
    }

    fn started(&mut self, workload: &AgentName, epoch: u64, runs: bool) {
        let starting = |stage: &Stage| matches!(stage, Stage::Starting(_));
        let Some((index, item)) = self.find(workload, starting) else { return };
        if item.workload.epoch != epoch {
            return;
        }
        if !runs {
            return self.target_failed(index);
        }
        let owner = item.workload.owner.clone();
        if let Some(target) = self.targets.get_mut(&owner) {
            target.busy = target.busy.saturating_sub(1);
        }
        self.items.enter(index, Stage::Running);
    }

    /// The owner that we gave a workload did not start it: it goes on to another.
    fn target_failed(&mut self, index: usize) {
        if let Some(item) = self.items.get_mut(index) {
            let owner = item.workload.owner.clone();
            if let Some(target) = self.targets.get_mut(&owner) {
                // Its room stays taken until the owner is changed: the assignment is still there.
                target.busy = target.busy.saturating_sub(1);
            }
            item.refused.insert(owner);
            item.failures += 1;
        }
        self.items.enter(index, Stage::Waiting);
    }

    fn returned(&mut self, member: MemberId, commands: &mut Vec<Command>) {
        if self.origin != Origin::Detector || !self.lost.members.remove(&member) {
            return;
        }
        commands.push(Command::Journal(Entry::Returned(member.clone())));
        // What we gave it ourselves was not started there in time; that goes on.
        let is_its_own = |item: &Item| item.workload.owner == member && item.from.is_none();
        self.leave_uncommitted(Reason::Returned, is_its_own, commands);
    }

    fn leave_uncommitted(
        &mut self,
        reason: Reason,
        concerns: impl Fn(&Item) -> bool,
        commands: &mut Vec<Command>,
    ) {
        for index in 0..self.items.all.len() {
            let Some(item) = self.items.get(index).filter(|item| concerns(item)) else { continue };
            match item.stage {
                Stage::Waiting | Stage::Asked => _ = self.items.enter(index, Stage::Left(reason)),
                Stage::Planned(_) => self.release(index, Stage::Left(reason), commands),
                _ => {}
            }
        }
    }

    fn died(&mut self, member: MemberId, workloads: Vec<Workload>, commands: &mut Vec<Command>) {
        if self.lost.members.insert(member.clone()) {
            commands.push(Command::Journal(Entry::Widened(member.clone())));
        }
        for index in 0..self.items.all.len() {
            let Some(item) = self.items.get(index) else { continue };
            let owned = item.workload.owner == member;
            match &item.stage {
                Stage::Planned(to) if *to == member => self.release(index, Stage::Waiting, commands),
                Stage::Starting(_) | Stage::Running if owned => _ = self.items.enter(index, Stage::Waiting),
                _ => {}
            }
        }
        self.targets.remove(&member);
        for workload in workloads {
            match self.items.index(&workload.name) {
                Some(index) => self.known_again(index, workload),
                None => _ = self.items.add(workload),
            }
        }
    }

    /// A workload of this failover is on a member that died now.
    fn known_again(&mut self, index: usize, workload: Workload) {
        let Some(item) = self.items.get_mut(index) else { return };
        item.workload.state = workload.state;
        // Whoever had taken care of it no longer does.
        if matches!(item.stage, Stage::Left(reason) if reason.is_settled()) {
            item.workload = workload;
            self.items.enter(index, Stage::Waiting);
        }
    }

    /// Gives a reservation back, once: the stage that holds it is left here and nowhere else without a commit.
    fn release(&mut self, index: usize, stage: Stage, commands: &mut Vec<Command>) {
        let before = self.items.enter(index, stage);
        let (Some(Stage::Planned(member) | Stage::Committing(member)), Some(item)) =
            (before.clone(), self.items.get(index))
        else {
            return;
        };
        let needs = item.workload.needs();
        if let Some(target) = self.targets.get_mut(&member) {
            target.room.give_back(needs);
            target.queue.remove(&item.rank);
            target.busy -= usize::from(matches!(before, Some(Stage::Committing(_))) && target.busy > 0);
        }
        commands.push(Command::Release { workload: item.workload.name.clone(), member, needs });
    }

    fn end(&mut self, now: Now, commands: &mut Vec<Command>) {
        let (mut placed, mut left) = (Vec::new(), Vec::new());
        let mut items: Vec<&Item> = self.items.all.iter().collect();
        items.sort_by_key(|item| item.rank);
        for Item { workload, stage, from, .. } in items {
            match (stage, from) {
                (Stage::Left(reason), _) => left.push((workload.name.clone(), *reason)),
                (_, Some(home)) => placed.push(Placed {
                    workload: workload.name.clone(),
                    home: home.clone(),
                    member: workload.owner.clone(),
                    epoch: workload.epoch,
                }),
                _ => {}
            }
        }
        let untouched = self.items.all.iter().all(|item| item.from.is_none());
        let given_up = left.iter().all(|(_, why)| matches!(why, Reason::Returned | Reason::Cancelled));
        let outcome = if untouched && given_up && !left.is_empty() {
            Outcome::Aborted
        } else if left.iter().all(|(_, reason)| reason.is_settled()) {
            Outcome::Done
        } else {
            Outcome::Partial
        };
        self.phase = Phase::Ended(outcome);
        commands.push(Command::Journal(Entry::Ended(outcome)));
        let took_ms = now.since_ms(self.began);
        commands.push(Command::Report(Summary { id: self.id, outcome, placed, left, took_ms }));
    }

    pub(super) fn find(
        &self,
        workload: &AgentName,
        stage: impl Fn(&Stage) -> bool,
    ) -> Option<(usize, &Item)> {
        let index = self.items.index(workload)?;
        self.items.get(index).filter(|item| stage(&item.stage)).map(|item| (index, item))
    }
}
