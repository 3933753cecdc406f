//! One run: events in order of time until every task has ended.
//!
//! arrival -> host -> balancer -> member -> end -> outcome; beside them reports, publications and a loss
//!
//! Invariant: events at the same time happen in the order in which they were foreseen. A queue that grows without end is
//! bounded by the scenario's tasks.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use pilothouse_core::eligible::EligibleClass;
use pilothouse_core::fleet::Fleet;
use pilothouse_core::policy::fault::PolicyError;
use pilothouse_core::policy::request::{BalancingRequest, Choice};

use super::demand::{Demand, Task};
use super::host::Host;
use super::member::{Member, Started};
use super::outcome::Outcome;
use super::scenario::{NS_PER_MS, Reports, Scenario};

const NS_PER_S: f64 = 1e9;
const BACKLOG_STEPS: u64 = 100;

/// What answers: a policy's port, or a function of [`super::reference`].
pub type Balancer<'a> =
    &'a mut dyn FnMut(&Fleet, &EligibleClass, &BalancingRequest) -> Result<Choice, PolicyError>;

/// Runs a scenario. Each balancer has a host of its own, and tasks come to each with the same chance.
pub fn simulate(scenario: &Scenario, seed: u64, balancers: &mut [Balancer<'_>]) -> Outcome {
    let mut run = Run::new(scenario, seed, balancers.len());
    while let Some(Reverse((now_ns, _, event))) = run.events.pop() {
        run.now_ns = now_ns;
        run.step(event, balancers);
    }
    run.into_outcome()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The task with this number comes.
    Arrival(u64),
    /// A member is through with a task that it began in this life.
    End { member: usize, life: u32, number: u64 },
    /// A member measures its load.
    Measure { member: usize },
    /// What it measured reaches the hosts.
    Report { member: usize, active: u32, queue: u32 },
    /// Hosts publish what they heard.
    Publish,
    /// A member is lost.
    Loss { member: usize },
}

struct Run<'a> {
    scenario: &'a Scenario,
    demand: Demand,
    hosts: Vec<Host>,
    members: Vec<Member>,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    foreseen: u64,
    now_ns: u64,
    next: Option<Task>,
    measured_from: u64,
    sent_to: BTreeMap<u64, usize>,
    outcome: Outcome,
}

impl<'a> Run<'a> {
    fn new(scenario: &'a Scenario, seed: u64, balancers: usize) -> Self {
        let speeds = scenario.speeds();
        let mut run = Self {
            scenario,
            demand: Demand::new(scenario, balancers, seed),
            hosts: (0..balancers).map(|_| Host::new(&speeds)).collect(),
            members: speeds.iter().map(|&speed| Member::new(speed, scenario.workers)).collect(),
            events: BinaryHeap::new(),
            foreseen: 0,
            now_ns: 0,
            next: None,
            measured_from: (scenario.tasks as f64 * scenario.warm_up) as u64,
            sent_to: BTreeMap::new(),
            outcome: Outcome::default(),
        };
        run.foresee_arrival(0);
        if let Some(Reports { period_ms, publish_ms, .. }) = scenario.knowledge.reports {
            for member in 0..scenario.members {
                let phase = member as f64 / scenario.members as f64;
                run.foresee(ns(period_ms as f64 * phase), Event::Measure { member });
            }
            run.foresee(ns(publish_ms as f64), Event::Publish);
        }
        run
    }

    fn foresee(&mut self, at_ns: u64, event: Event) {
        self.foreseen += 1;
        self.events.push(Reverse((at_ns, self.foreseen, event)));
    }

    fn foresee_arrival(&mut self, number: u64) {
        self.next = None;
        if number < self.scenario.tasks as u64 {
            let task = self.demand.task(number, self.now_ns);
            self.next = Some(task);
            self.foresee(task.arrived_ns, Event::Arrival(number));
        }
    }

    fn step(&mut self, event: Event, balancers: &mut [Balancer<'_>]) {
        match event {
            Event::Arrival(number) => self.arrive(number, balancers),
            Event::End { member, life, number } => self.end(member, life, number),
            Event::Measure { member } => self.measure(member),
            Event::Report { member, active, queue } => {
                let now_ns = self.now_ns;
                self.hosts.iter_mut().for_each(|host| host.reported(member, active, queue, now_ns));
            }
            Event::Publish => {
                self.hosts.iter_mut().for_each(Host::publish);
                let reports = self.scenario.knowledge.reports.filter(|_| self.next.is_some());
                if let Some(Reports { publish_ms, .. }) = reports {
                    self.foresee(self.now_ns + ns(publish_ms as f64), Event::Publish);
                }
            }
            Event::Loss { member } => self.lose(member, balancers),
        }
    }

    fn arrive(&mut self, number: u64, balancers: &mut [Balancer<'_>]) {
        let Some(task) = self.next else { return };
        if number == self.measured_from {
            self.members.iter_mut().for_each(|member| member.work_ns = 0.0);
        }
        let lost =
            self.scenario.loss.filter(|loss| number == (loss.after * self.scenario.tasks as f64) as u64);
        if let Some(loss) = lost {
            self.foresee(self.now_ns, Event::Loss { member: loss.member });
        }
        self.send(task, 0, balancers);
        if number.is_multiple_of((self.scenario.tasks as u64 / BACKLOG_STEPS).max(1)) {
            let waiting: usize = self.members.iter().map(Member::queue).sum();
            let mean = waiting as f64 / self.members.len().max(1) as f64;
            self.outcome.backlog.push((self.now_ns as f64 / NS_PER_S, mean));
        }
        self.foresee_arrival(number + 1);
    }

    fn send(&mut self, task: Task, attempt: u64, balancers: &mut [Balancer<'_>]) {
        let asked = self.hosts.get(task.balancer).zip(balancers.get_mut(task.balancer));
        let seed = self.demand.decision_seed(task.number, attempt);
        let sent_to =
            asked.and_then(|(host, balancer)| host.decide(seed, task.session, self.now_ns, balancer));
        let measured = task.number >= self.measured_from;
        let Some((index, member)) =
            sent_to.and_then(|index| self.members.get_mut(index).map(|member| (index, member)))
        else {
            self.outcome.refused += u64::from(measured);
            return;
        };
        let (life, started) = (member.life, member.arrive(task, self.now_ns));
        if measured {
            self.outcome.queue_max = self.outcome.queue_max.max(member.queue());
        }
        self.foresee_end(index, life, started);
        if let Some(before) = task.session.and_then(|session| self.sent_to.insert(session, index))
            && measured
        {
            self.outcome.returning.0 += 1;
            self.outcome.returning.1 += u64::from(before == index);
        }
    }

    fn foresee_end(&mut self, member: usize, life: u32, started: Option<Started>) {
        if let Some(Started { number, ends_ns }) = started {
            self.foresee(ends_ns, Event::End { member, life, number });
        }
    }

    fn end(&mut self, index: usize, life: u32, number: u64) {
        let now_ns = self.now_ns;
        let Some(member) = self.members.get_mut(index).filter(|member| member.life == life) else { return };
        let Some((task, started)) = member.finish(number, now_ns) else { return };
        self.foresee_end(index, life, started);
        let host = self.hosts.get_mut(task.balancer).filter(|_| self.scenario.knowledge.outcomes);
        if let Some(host) = host {
            host.finished(index, now_ns);
        }
        if task.number >= self.measured_from {
            self.outcome.response_ms.push((now_ns - task.arrived_ns) as f64 / NS_PER_MS);
        }
    }

    fn measure(&mut self, index: usize) {
        let Some(Reports { period_ms, delay_ms, .. }) = self.scenario.knowledge.reports else { return };
        let Some(member) = self.members.get(index).filter(|member| member.life == 0) else { return };
        let (active, queue) = (member.tasks() as u32, member.queue() as u32);
        self.foresee(self.now_ns + ns(delay_ms as f64), Event::Report { member: index, active, queue });
        // Nobody decides after the last arrival.
        if self.next.is_some() {
            self.foresee(self.now_ns + ns(period_ms as f64), Event::Measure { member: index });
        }
    }

    /// Takes a member away from all hosts; its tasks start again elsewhere, late as they are.
    fn lose(&mut self, index: usize, balancers: &mut [Balancer<'_>]) {
        self.hosts.iter_mut().for_each(|host| host.set_away(index, true));
        let lost = self.members.get_mut(index).map(Member::lose).unwrap_or_default();
        for task in lost {
            self.send(task, 1, balancers);
        }
    }

    fn into_outcome(mut self) -> Outcome {
        self.outcome.response_ms.sort_unstable_by(f64::total_cmp);
        let work: Vec<f64> = self.members.iter().map(Member::relative_work).collect();
        let mean = work.iter().sum::<f64>() / work.len().max(1) as f64;
        self.outcome.shares = work.iter().map(|work| work / mean).collect();
        self.outcome
    }
}

fn ns(ms: f64) -> u64 {
    (ms * NS_PER_MS).round() as u64
}
