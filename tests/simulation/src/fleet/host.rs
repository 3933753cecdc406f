//! The host's shell around the real machines, as short as it can be.
//!
//! messages and ticks -> registry, detection -> standings, probes, deaths -> placement and failover
//!
//! Invariant: everything in [`Host`] is memory and gone after a crash; what is durable is in `durable`. A copy on a member is
//! stopped only by the real [`verdict`].

use std::collections::BTreeMap;

use pilothouse_core::assignment::Assignment;
use pilothouse_core::failover::{Event as Told, Failover, HeldCopy, Owner, Verdict, verdict};
use pilothouse_core::fleet::geography::Geography;
use pilothouse_core::id::{AgentName, MemberId};
use pilothouse_core::member::{LoadReport, Member as Registered, Standing};
use pilothouse_core::placement::commit;
use pilothouse_core::placement::ledger::{Ledger, Reservation, ReservationId};
use pilothouse_core::registry::{Change, MemberChange, Registry, Rules};
use pilothouse_core::time::{Now, WallMs};
use pilothouse_state::detection::{Command as Detected, Detection, Event as Heard, Presence};

use super::durable::Then;
use super::{Beat, Event, Plan, World};
use crate::bug::Bug;
use crate::run::{Checked, Run, Violation, ensure};

/// Ticks of the detector between looks at everything slower.
const SLOW_TICKS: u64 = 10;

/// The host's memory.
pub(super) struct Host {
    pub(super) registry: Registry,
    pub(super) ledger: Ledger,
    pub(super) detection: Detection,
    pub(super) failover: Option<Failover>,
    /// Reservations of the failover.
    pub(super) reserved: BTreeMap<(AgentName, MemberId), ReservationId>,
    /// What members said that they run.
    pub(super) runs: BTreeMap<MemberId, BTreeMap<AgentName, u64>>,
    pub(super) braked: bool,
    pub(super) ticks: u64,
    syncing: bool,
}

impl Host {
    pub(super) fn new(plan: &Plan) -> Self {
        let rules = Rules {
            offline_after_ms: plan.remove_after_ms.min(2_000),
            remove_after_ms: plan.remove_after_ms,
            ..Rules::default()
        };
        Self {
            registry: Registry::new(rules, Geography::default()),
            ledger: Ledger::default(),
            detection: Detection::new(plan.detection, None),
            failover: None,
            reserved: BTreeMap::new(),
            runs: BTreeMap::new(),
            braked: false,
            ticks: 0,
            syncing: false,
        }
    }

    fn runs(&self, member: &MemberId, agent: &AgentName, epoch: u64) -> bool {
        self.runs.get(member).and_then(|copies| copies.get(agent)) == Some(&epoch)
    }
}

impl World {
    pub(super) fn now(&self, run: &Run) -> Now {
        Now(run.now_ms)
    }

    pub(super) fn host_tick(&mut self, run: &mut Run) -> Checked {
        self.stage.after(run, self.plan.detection.tick_ms, Event::HostTick);
        self.detect(run, Heard::Tick)?;
        self.host.ticks += 1;
        if !self.host.ticks.is_multiple_of(SLOW_TICKS) {
            return Ok(());
        }
        let now = self.now(run);
        let changes = self.host.registry.tick(now);
        self.rejoin(run, &changes);
        if !run.has(Bug::ReservationsNeverEnd) {
            for id in self.host.ledger.over(now) {
                run.count("placement: reservation ended");
                commit::release(&mut self.host.registry, &mut self.host.ledger, id);
            }
        }
        self.check_reservations(run)?;
        self.watch_failover(run)?;
        self.drain(run)
    }

    pub(super) fn register(&mut self, run: &mut Run, index: usize, incarnation: u64) -> Checked {
        let (member, now) = (&self.members[index], self.now(run));
        let (registration, interval_ms) = (member.registration(), member.interval_ms());
        let registered = self.host.registry.register(registration.clone(), now, WallMs(now.0));
        let (id, changes) =
            registered.map_err(|error| Violation { invariant: "registration", seen: error.to_string() })?;
        self.rejoin(run, &changes);
        self.durable.joined(index, incarnation);
        self.detect(
            run,
            Heard::Joined { member: id.clone(), region: registration.region, interval_ms, incarnation },
        )?;
        self.stand(&id);
        self.drain(run)
    }

    /// Counts the work that is still assigned to members that came back, as the product's hub does.
    fn rejoin(&mut self, run: &mut Run, changes: &[MemberChange]) {
        let joined = changes.iter().filter(|change| matches!(change.change, Change::Registered { .. }));
        for id in joined.filter_map(|change| change.member.as_ref()) {
            let ledger = &self.host.ledger;
            let reserved = ledger.reservations().filter(|held| held.member == *id).map(Reservation::claim);
            let claims: Vec<_> = ledger.on(id).map(Assignment::claim).chain(reserved).collect();
            if !claims.is_empty() {
                run.count("registry: rejoined with work");
            }
            if !run.has(Bug::BooksForgotten) {
                self.host.registry.set_books(id, claims.into_iter());
            }
        }
    }

    pub(super) fn heartbeat(&mut self, run: &mut Run, beat: &Beat) -> Checked {
        let (id, now) = (self.members[beat.member].id.clone(), self.now(run));
        let load = LoadReport { active: None, ..LoadReport::default() };
        if self.host.registry.report(&id, &load, now, WallMs(now.0)).is_err() {
            self.stage.send(run, 0, beat.member + 1, &Event::PleaseRegister(beat.member));
        }
        let (incarnation, sequence) = (beat.incarnation, beat.sequence);
        self.detect(run, Heard::Heartbeat { member: id.clone(), incarnation, sequence })?;
        let presence = self.host.detection.presence(&id);
        if matches!(presence, Some(Presence::Alive | Presence::Held))
            && self.durable.is_current(beat.member, incarnation)
        {
            self.host.runs.insert(id.clone(), beat.copies.iter().cloned().collect());
            self.reconcile(run, beat, &id);
            self.failover_told(run, Told::Returned(id))?;
        }
        self.drain(run)
    }

    /// Starts what a member should run and does not, and stops what runs elsewhere.
    fn reconcile(&mut self, run: &mut Run, beat: &Beat, id: &MemberId) {
        let holds = |agent: &AgentName, epoch| beat.copies.contains(&(agent.clone(), epoch));
        let missing: Vec<_> = (self.durable.assignments.values())
            .filter(|assigned| assigned.member == *id && !holds(&assigned.agent, assigned.epoch))
            .map(|assigned| (assigned.agent.clone(), assigned.epoch))
            .collect();
        for (agent, epoch) in missing {
            self.stage.send(run, 0, beat.member + 1, &Event::Start { member: beat.member, agent, epoch });
        }
        for (agent, epoch) in &beat.copies {
            let record = self.durable.assignments.get(agent);
            let owner = record.map(|record| Owner {
                member: record.member.clone(),
                epoch: record.epoch,
                runs: self.host.runs(&record.member, agent, record.epoch),
            });
            let copy = HeldCopy { member: id.clone(), epoch: *epoch };
            let judged = verdict(&copy, owner.as_ref());
            let eager = run.has(Bug::FencedIsDropped) && owner.is_some() && judged == Verdict::Fenced;
            let blind = run.has(Bug::OldCopiesStay);
            if (judged == Verdict::Superseded && !blind) || eager {
                let stop = Event::Stop { member: beat.member, agent: agent.clone(), epoch: *epoch };
                self.stage.send(run, 0, beat.member + 1, &stop);
            }
        }
    }

    pub(super) fn answered(&mut self, run: &mut Run, index: usize, incarnation: u64, probe: u64) -> Checked {
        let member = self.members[index].id.clone();
        self.detect(run, Heard::Answered { member, incarnation, probe })?;
        self.drain(run)
    }

    fn detect(&mut self, run: &mut Run, heard: Heard) -> Checked {
        let now = self.now(run);
        for command in self.host.detection.step(heard, now) {
            if !matches!(command, Detected::Probe { .. }) {
                run.note(format_args!("{command:?}"));
            }
            self.detected(run, command)?;
        }
        Ok(())
    }

    fn detected(&mut self, run: &mut Run, command: Detected) -> Checked {
        match command {
            Detected::Probe { member, probe } => {
                if let Some(index) = self.index(&member) {
                    self.stage.send(run, 0, index + 1, &Event::Probe { member: index, probe });
                }
            }
            Detected::Suspected { member, .. } | Detected::Refuted(member) | Detected::Back(member) => {
                self.stand(&member);
            }
            Detected::Dead { member, .. } => {
                run.count("detection: dead");
                self.stand(&member);
                self.check_death(run, &member)?;
                self.host.runs.remove(&member);
                self.member_died(run, member)?;
            }
            Detected::Returned { member, .. } => {
                self.stand(&member);
                self.checker.dead.remove(&member);
                self.failover_told(run, Told::Returned(member))?;
            }
            Detected::Reborn { member, to, .. } => {
                self.host.runs.remove(&member);
                self.stand(&member);
                if let Some(index) = self.index(&member) {
                    self.durable.joined(index, to);
                }
            }
            Detected::Unknown(member) => {
                if let Some(index) = self.index(&member) {
                    self.stage.send(run, 0, index + 1, &Event::PleaseRegister(index));
                }
            }
            Detected::BrakeOn { .. } | Detected::BrakeOff { .. } => {
                let braked = self.host.detection.brakes().next().is_some();
                if braked {
                    run.count("detection: brake on");
                }
                self.host.braked = braked;
                self.failover_told(run, Told::Braked(braked))?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Tells the registry what the detector thinks.
    fn stand(&mut self, member: &MemberId) {
        let standing = match self.host.detection.presence(member) {
            Some(Presence::Dead) => Standing::Dead,
            Some(Presence::Suspect) => Standing::Suspect,
            Some(Presence::Held) => Standing::Held,
            Some(Presence::Alive) | None => Standing::Sound,
        };
        self.host.registry.set_standing(member, standing);
    }

    pub(super) fn index(&self, id: &MemberId) -> Option<usize> {
        self.members.iter().position(|member| member.id == *id)
    }

    /// An effect counts only under the record in force.
    pub(super) fn effect(&mut self, run: &mut Run, index: usize, agent: &AgentName, epoch: u64) -> Checked {
        let member = &self.members[index].id;
        let record = self.durable.assignments.get(agent);
        let owns = record.is_some_and(|record| record.member == *member && record.epoch == epoch);
        if !owns && !run.has(Bug::OldEpochAccepted) {
            run.count("fleet: effect of an old owner refused");
            return Ok(());
        }
        self.checker.effect(agent, member, epoch)
    }

    /// Lets what was written become durable after a while.
    pub(super) fn drain(&mut self, run: &mut Run) -> Checked {
        loop {
            let ready = self.durable.sync(0);
            if ready.is_empty() {
                break;
            }
            for then in ready {
                self.after_write(run, then)?;
            }
        }
        if !self.durable.is_idle() && !std::mem::replace(&mut self.host.syncing, true) {
            let delay_ms = run.random.between(1, self.plan.sync_ms);
            self.stage.after(run, delay_ms, Event::Synced { life: self.durable.life });
        }
        Ok(())
    }

    pub(super) fn synced(&mut self, run: &mut Run, life: u64) -> Checked {
        if life != self.durable.life {
            return Ok(());
        }
        self.host.syncing = false;
        let writes = run.random.between(1, 8) as usize;
        for then in self.durable.sync(writes) {
            self.after_write(run, then)?;
        }
        self.drain(run)
    }

    fn after_write(&mut self, run: &mut Run, then: Then) -> Checked {
        match then {
            Then::Acknowledge(agent, epoch) => {
                run.note(format_args!("acknowledged: {agent} under {epoch}"));
                // It may have been evicted meanwhile; that is acknowledged, too.
                if self.host.ledger.get(&agent).is_some_and(|held| held.epoch == epoch) {
                    self.checker.acknowledged(agent, epoch);
                }
                Ok(())
            }
            Then::Start(agent) => {
                if let Some(record) = self.durable.assignments.get(&agent)
                    && let Some(member) = self.index(&record.member)
                {
                    let start = Event::Start { member, agent, epoch: record.epoch };
                    self.stage.send(run, 0, member + 1, &start);
                }
                Ok(())
            }
            Then::Committed(agent, epoch) => {
                run.count("failover: committed");
                self.checker.committing.remove(&agent);
                self.failover_told(run, Told::Committed { workload: agent, epoch })
            }
            Then::Carry(command) => self.carry_out(run, *command),
        }
    }

    pub(super) fn host_crash(&mut self, run: &mut Run) -> Checked {
        run.count("host: crash");
        let written = run.random.below(4) as usize;
        run.note(format_args!("the host crashes, {written} writes get through"));
        self.durable.crash(written);
        self.host = Host::new(&self.plan);
        self.checker.crashed();
        let now = self.now(run);
        let members = self.durable.members.clone();
        let mut restored: Vec<Registered> = Vec::new();
        let mut scratch = Host::new(&self.plan);
        for index in members.keys() {
            let registration = self.members[*index].registration();
            if let Ok((id, _)) = scratch.registry.register(registration, now, WallMs(now.0)) {
                restored.extend(scratch.registry.member(&id).cloned());
            }
        }
        let taken = self.host.registry.restore(restored, now);
        ensure!(taken.is_ok(), "C27 a restart takes all members", "{taken:?}");
        for assigned in self.durable.assignments.values() {
            self.host.registry.count_assigned(&assigned.member, true, assigned.claim());
        }
        self.host.ledger = Ledger::restore(self.durable.assignments.values().cloned());
        if !run.has(Bug::EpochsBeginAnew) {
            self.host.ledger.begin_after(self.durable.ended_epoch);
        }
        for (index, incarnation) in members {
            let (registration, interval_ms) =
                (self.members[index].registration(), self.members[index].interval_ms());
            let (member, region) = (registration.id, registration.region);
            self.detect(run, Heard::Joined { member, region, interval_ms, incarnation })?;
        }
        self.resume_failover(run)?;
        if run.random.chance(500) {
            self.host_pause(run);
        }
        self.drain(run)
    }
}
