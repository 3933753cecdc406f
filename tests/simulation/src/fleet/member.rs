//! A member as it really is: up or down, and what it runs.
//!
//! orders of the host -> copies of workloads -> heartbeats, answers to probes, effects under their epochs
//!
//! Invariant: a member believes the order with the newest epoch; a crash forgets all copies. It obeys and decides nothing:
//! whether its effects count is decided by the record.

use std::collections::BTreeMap;

use pilothouse_core::id::{AgentName, Label, MemberId};
use pilothouse_core::member::{MemberKind, Registration, Resources, Role};

use super::{Beat, Event, World};
use crate::random::Random;
use crate::run::{Checked, Run};

/// The ground truth of one member.
pub(super) struct Member {
    pub(super) id: MemberId,
    pub(super) up: bool,
    pub(super) incarnation: u64,
    sequence: u64,
    ticking: bool,
    pub(super) copies: BTreeMap<AgentName, u64>,
    pub(super) slots: u32,
    pub(super) cpu_millis: u32,
    interval_ms: u64,
}

impl Member {
    pub(super) fn new(random: &mut Random, index: usize) -> Self {
        Self {
            id: id(&format!("m{index}")),
            up: false,
            incarnation: 0,
            sequence: 0,
            ticking: false,
            copies: BTreeMap::new(),
            slots: random.between(2, 6) as u32,
            cpu_millis: random.between(2, 6) as u32 * 1_000,
            interval_ms: random.between(100, 250),
        }
    }

    pub(super) fn registration(&self) -> Registration {
        Registration {
            id: self.id.clone(),
            kind: MemberKind::Node,
            endpoint: format!("{}:1", self.id),
            hostname: String::new(),
            region: Label::parse(if self.slots.is_multiple_of(2) { "eu" } else { "us" }).ok(),
            zone: None,
            cluster: None,
            role: Role::Worker,
            capacity: self.slots,
            weight: 1.0,
            capabilities: [].into(),
            services: [].into(),
            compliance: [].into(),
            accelerator_model: None,
            cost_per_hour: f32::NAN,
            carbon_g_per_kwh: f32::NAN,
            resources: Resources { cpu_millis: self.cpu_millis, ..Resources::default() },
        }
    }

    pub(super) fn interval_ms(&self) -> u64 {
        self.interval_ms
    }
}

#[allow(clippy::expect_used, reason = "names that the simulator makes")]
fn id(text: &str) -> MemberId {
    MemberId::parse(text).expect("a name")
}

impl World {
    pub(super) fn member_boot(&mut self, run: &mut Run, index: usize) {
        let member = &mut self.members[index];
        if member.up {
            return;
        }
        member.up = true;
        member.incarnation += 1;
        member.sequence = 0;
        run.note(format_args!("{} boots, run {}", member.id, member.incarnation));
        if !std::mem::replace(&mut member.ticking, true) {
            self.stage.after(run, 0, Event::MemberTick(index));
        }
        self.member_register(run, index);
    }

    pub(super) fn member_crash(&mut self, run: &mut Run, index: usize) {
        let member = &mut self.members[index];
        if !member.up {
            return;
        }
        run.count("member: crash");
        run.note(format_args!("{} crashes with {} copies", member.id, member.copies.len()));
        member.up = false;
        member.copies.clear();
        let back_ms = run.random.between(20, 6_000);
        self.stage.after(run, back_ms, Event::Boot(index));
    }

    pub(super) fn member_register(&mut self, run: &mut Run, index: usize) {
        let member = &self.members[index];
        if member.up {
            let event = Event::Register { member: index, incarnation: member.incarnation };
            self.stage.send(run, index + 1, 0, &event);
        }
    }

    /// Heartbeat, and the effects of all copies.
    pub(super) fn member_tick(&mut self, run: &mut Run, index: usize) {
        let member = &mut self.members[index];
        let interval_ms = member.interval_ms;
        if member.up {
            member.sequence += 1;
            let copies: Vec<_> = member.copies.iter().map(|(agent, epoch)| (agent.clone(), *epoch)).collect();
            let (incarnation, sequence) = (member.incarnation, member.sequence);
            for (agent, epoch) in &copies {
                if run.random.chance(250) {
                    let event = Event::Effect { member: index, agent: agent.clone(), epoch: *epoch };
                    self.stage.send(run, index + 1, 0, &event);
                }
            }
            let beat = Event::Heartbeat(Beat { member: index, incarnation, sequence, copies });
            self.stage.send(run, index + 1, 0, &beat);
        }
        let jitter_ms = run.random.below(interval_ms / 5 + 1);
        self.stage.after(run, interval_ms - interval_ms / 10 + jitter_ms, Event::MemberTick(index));
    }

    pub(super) fn member_probed(&mut self, run: &mut Run, index: usize, probe: u64) {
        let member = &self.members[index];
        if member.up {
            let event = Event::Answered { member: index, incarnation: member.incarnation, probe };
            self.stage.send(run, index + 1, 0, &event);
        }
    }

    pub(super) fn member_start(&mut self, run: &mut Run, index: usize, agent: AgentName, epoch: u64) {
        let member = &mut self.members[index];
        if !member.up {
            return;
        }
        let runs = !run.random.chance(self.plan.start_fails);
        if runs {
            self.checker.ran(&agent, epoch);
            let newest = member.copies.entry(agent.clone()).or_insert(epoch);
            *newest = epoch.max(*newest);
        }
        run.note(format_args!("{} starts {agent} under {epoch}: {runs}", member.id));
        self.stage.send(run, index + 1, 0, &Event::Started { agent, epoch, runs });
    }

    pub(super) fn member_stop(
        &mut self,
        run: &mut Run,
        index: usize,
        agent: &AgentName,
        epoch: u64,
    ) -> Checked {
        let member = &mut self.members[index];
        if member.copies.get(agent).is_some_and(|newest| *newest <= epoch) {
            self.checker.dropped(agent, epoch)?;
            run.count("fleet: superseded copy stopped");
            run.note(format_args!("{} stops {agent} of {epoch}", member.id));
            member.copies.remove(agent);
        }
        Ok(())
    }
}
