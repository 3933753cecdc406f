//! The world around a failover: what the shell, the store, the placement slot and the members would do.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::failover::*;
use crate::fleet::facts::mix;
use crate::id::{AgentName, Label, MemberId};
use crate::member::Member;
use crate::room::tests::node;
use crate::time::Now;

pub(super) fn id(text: &str) -> MemberId {
    MemberId::parse(text).unwrap()
}

pub(super) fn label(text: &str) -> Label {
    Label::parse(text).unwrap()
}

pub(super) fn agent(text: &str) -> AgentName {
    AgentName::parse(text).unwrap()
}

pub(super) fn workload(name: &str, owner: &str) -> Workload {
    Workload {
        name: agent(name),
        owner: id(owner),
        epoch: 7,
        terms: Arc::new(Terms::default()),
        state: StateCopy::Stateless,
    }
}

pub(super) fn terms(workload: &mut Workload) -> &mut Terms {
    Arc::make_mut(&mut workload.terms)
}

/// Everything that is durable or elsewhere, and the machine under test.
pub(super) struct World {
    pub(super) rules: Rules,
    pub(super) records: BTreeMap<AgentName, Workload>,
    pub(super) survivors: BTreeMap<MemberId, Member>,
    /// Every commit that was carried out, in order.
    pub(super) commits: Vec<Planned>,
    pub(super) starts_fail: bool,
    pub(super) bad_advice: bool,
    pub(super) targets_refuse: bool,
    /// Answers come in an order that this decides.
    pub(super) shuffle: Option<u64>,
    machine: Option<Failover>,
    journal: Vec<Entry>,
    reserved: BTreeSet<(AgentName, MemberId)>,
    running: BTreeMap<AgentName, (MemberId, u64)>,
    lost: BTreeSet<MemberId>,
    committing: BTreeSet<AgentName>,
    pending: VecDeque<Command>,
    braked: bool,
    summary: Option<Summary>,
    now: u64,
}

impl World {
    pub(super) fn new(rules: Rules, workloads: Vec<Workload>) -> Self {
        let survivors = [("a", "eu"), ("b", "eu"), ("c", "us")];
        Self {
            rules,
            records: workloads.into_iter().map(|record| (record.name.clone(), record)).collect(),
            survivors: survivors.map(|(name, region)| (id(name), node(name, region, 10, 0, 0))).into(),
            commits: Vec::new(),
            starts_fail: false,
            bad_advice: false,
            targets_refuse: false,
            shuffle: None,
            machine: None,
            journal: Vec::new(),
            reserved: BTreeSet::new(),
            running: BTreeMap::new(),
            lost: [id("dead")].into(),
            committing: BTreeSet::new(),
            pending: VecDeque::new(),
            braked: false,
            summary: None,
            now: 1_000,
        }
    }

    fn opening(&self, origin: Origin) -> Opening {
        let assigned = |member: &MemberId| {
            let count = self.records.values().filter(|record| record.owner == *member).count();
            u32::try_from(count).unwrap()
        };
        let counted = |member: &Member| Member { assigned: assigned(member.id()), ..member.clone() };
        Opening {
            id: FailoverId(1),
            origin,
            lost: Lost { members: self.lost.clone(), regions: BTreeSet::new() },
            workloads: self.records.values().filter(|r| self.lost.contains(&r.owner)).cloned().collect(),
            survivors: self.survivors.values().map(|m| Survivor::of(&counted(m), &self.rules)).collect(),
            seed: 1,
        }
    }

    pub(super) fn open(&mut self, origin: Origin) {
        let opening = self.opening(origin);
        let (machine, commands) = Failover::open(self.rules, opening, Now(self.now));
        self.machine = Some(machine);
        self.carry_out(commands);
    }

    pub(super) fn failover(&self) -> &Failover {
        self.machine.as_ref().unwrap()
    }

    pub(super) fn summary(&self) -> &Summary {
        self.summary.as_ref().unwrap()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.summary.is_some()
    }

    pub(super) fn step(&mut self, event: Event) {
        if let Event::Braked(braked) = event {
            self.braked = braked;
        }
        if let Event::Returned(member) = &event {
            self.lost.remove(member);
        }
        let commands = self.machine.as_mut().unwrap().step(event, Now(self.now));
        self.carry_out(commands);
    }

    /// Takes commands in order; effects that have answers wait for their turn.
    fn carry_out(&mut self, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::Journal(entry) => self.journal.push(entry),
                Command::Reserve { workload, member, .. } => {
                    assert!(self.reserved.insert((workload, member)), "reserved twice");
                }
                Command::Release { workload, member, .. } => {
                    assert!(self.reserved.remove(&(workload, member)), "released twice");
                }
                Command::Commit(plan) => {
                    let is_planned =
                        |entry: &Entry| matches!(entry, Entry::Planned(of) if of.contains(&plan));
                    assert!(self.journal.iter().any(is_planned), "committed before its plan was durable");
                    assert!(self.journal.contains(&Entry::Confirmed), "committed before confirmation");
                    assert!(!self.braked, "committed under the brake");
                    assert!(self.committing.insert(plan.workload.clone()), "two changes of owner under way");
                    self.pending.push_back(Command::Commit(plan));
                }
                Command::Report(summary) => {
                    assert!(matches!(self.journal.last(), Some(Entry::Ended(_))));
                    assert!(self.summary.replace(summary).is_none(), "ended twice");
                }
                waits @ (Command::Ask { .. } | Command::Start { .. }) => self.pending.push_back(waits),
            }
        }
    }

    /// Answers one command that waits, and says which it was; lets time pass if none does.
    pub(super) fn one_step(&mut self) -> Option<Command> {
        self.now += 1;
        let count = self.pending.len();
        let place = match &mut self.shuffle {
            Some(seed) if count > 0 => {
                *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
                usize::try_from(mix(*seed) % count as u64).unwrap()
            }
            _ => 0,
        };
        let Some(command) = self.pending.remove(place) else {
            self.now += 100;
            self.step(Event::Tick);
            return None;
        };
        let answer = self.answer(command.clone());
        self.step(answer);
        Some(command)
    }

    fn answer(&mut self, command: Command) -> Event {
        match command {
            Command::Ask { workload, .. } if self.bad_advice => {
                Event::Advised { workload, member: id("dead") }
            }
            Command::Ask { workload, terms: Terms { requirement, .. } } => {
                // Everybody is advised the first that is left: the worst herd.
                let fits = |member: &&Member| {
                    let region = member.registration.region.as_ref().unwrap();
                    !requirement.excluded.contains(member.id())
                        && (requirement.allowed_regions.is_empty()
                            || requirement.allowed_regions.contains(region))
                };
                let member = self.survivors.values().find(fits).map(|member| member.id().clone());
                member.map_or_else(
                    || Event::AdviceFailed { workload: workload.clone() },
                    |member| Event::Advised { workload: workload.clone(), member },
                )
            }
            Command::Commit(plan) => {
                self.committing.remove(&plan.workload);
                let record = self.records.get_mut(&plan.workload).unwrap();
                if record.epoch != plan.epoch {
                    return Event::Fenced { workload: plan.workload, found: record.epoch };
                }
                if self.targets_refuse {
                    return Event::Refused { workload: plan.workload };
                }
                (record.owner, record.epoch) = (plan.to.clone(), plan.epoch + 1);
                self.reserved.remove(&(plan.workload.clone(), plan.to.clone()));
                self.commits.push(plan.clone());
                let held = self.records.values().filter(|record| record.owner == plan.to).count();
                assert!(held <= 10, "more than {} can hold", plan.to);
                Event::Committed { epoch: plan.epoch + 1, workload: plan.workload }
            }
            Command::Start { workload, member, epoch } => {
                if self.starts_fail || !self.survivors.contains_key(&member) {
                    return Event::StartFailed { workload, epoch };
                }
                let record = &self.records[&workload];
                if (&record.owner, record.epoch) == (&member, epoch) {
                    self.running.insert(workload.clone(), (member, epoch));
                }
                Event::Started { workload, epoch }
            }
            other => unreachable!("{other:?} has no answer"),
        }
    }

    /// Goes on until a command of a kind was answered.
    pub(super) fn until(&mut self, wanted: impl Fn(&Command) -> bool) {
        for _ in 0..10_000 {
            if self.one_step().is_some_and(|command| wanted(&command)) {
                return;
            }
        }
        panic!("it never came");
    }

    pub(super) fn run(&mut self, duration_ms: u64) {
        let end = self.now + duration_ms;
        while self.now < end {
            self.one_step();
        }
    }

    /// Goes on until it has ended.
    pub(super) fn settle(&mut self) {
        for _ in 0..100_000 {
            if self.summary.is_some() {
                return;
            }
            self.one_step();
        }
        panic!("it never ends: {:?}", self.failover().progress());
    }

    /// A survivor dies, with everything that runs there.
    pub(super) fn die(&mut self, name: &str) {
        let member = id(name);
        self.survivors.remove(&member);
        self.lost.insert(member.clone());
        self.running.retain(|_, (at, _)| *at != member);
        let workloads: Vec<Workload> =
            self.records.values().filter(|record| record.owner == member).cloned().collect();
        self.step(Event::Died { member, workloads });
    }

    /// The host dies: the machine, its reservations and what was under way are gone. A commit may have been made all
    /// the same, without its answer.
    pub(super) fn crash(&mut self) {
        if let Some(Command::Commit(plan)) =
            self.pending.iter().find(|command| matches!(command, Command::Commit(_))).cloned()
        {
            let _lost_answer = self.answer(Command::Commit(plan));
        }
        self.pending.clear();
        self.committing.clear();
        self.reserved.clear();
        let unfinished = Unfinished::read(&self.journal).unwrap();
        let mut opening = self.opening(unfinished.origin.clone());
        let planned = unfinished.workloads().filter_map(|name| self.records.get(name)).cloned();
        let mut workloads: BTreeMap<AgentName, Workload> =
            planned.map(|record| (record.name.clone(), record)).collect();
        workloads.extend(opening.workloads.into_iter().map(|record| (record.name.clone(), record)));
        opening.workloads = workloads.into_values().collect();
        let (machine, commands) = Failover::resume(self.rules, unfinished, opening, Now(self.now));
        self.machine = Some(machine);
        self.carry_out(commands);
        self.step(Event::Braked(self.braked));
    }

    /// Every workload runs at its owner, or is at home with a member that returned, or has a reason.
    pub(super) fn check_the_end(&mut self) {
        assert!(self.reserved.is_empty(), "reservations are left over: {:?}", self.reserved);
        let summary = self.summary.clone().unwrap();
        let left: BTreeMap<&AgentName, Reason> =
            summary.left.iter().map(|(name, reason)| (name, *reason)).collect();
        for record in self.records.values() {
            let runs = self.running.get(&record.name) == Some(&(record.owner.clone(), record.epoch));
            let reason = left.get(&record.name);
            let at_home = record.epoch == 7 && !self.lost.contains(&record.owner);
            assert!(
                runs || at_home || reason.is_some_and(|reason| !reason.is_settled()),
                "{record:?} {reason:?}"
            );
        }
        let mut epochs: BTreeSet<(&AgentName, u64)> = BTreeSet::new();
        assert!(self.commits.iter().all(|plan| epochs.insert((&plan.workload, plan.epoch))), "I1");
    }
}
