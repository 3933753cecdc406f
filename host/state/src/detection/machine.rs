//! The machine: all members, one step at a time.
//!
//! Every step first asks how long we ourselves did not run; from there on `now` is steady time.

use std::collections::BTreeMap;

use pilothouse_core::fleet::live::MEMBERS_MAX;
use pilothouse_core::id::{Label, MemberId};
use pilothouse_core::time::Now;

use super::arrivals::deviations_of;
use super::brake::{Brakes, Tally};
use super::local::LocalHealth;
use super::region::{Regions, Turn};
use super::watched::{Aged, Life, Limits, Watched};
use super::{Command, Event, Lifted, Presence, Rules, Scope};

/// Everything the detector remembers: at most [`MEMBERS_MAX`] members, about a kilobyte each.
#[derive(Debug, Clone)]
pub struct Detection {
    rules: Rules,
    limits: Limits,
    place: Option<Label>,
    members: BTreeMap<MemberId, Watched>,
    local: LocalHealth,
    brakes: Brakes,
    regions: Regions,
    probes: u64,
    /// Steady time of the last step.
    now: Now,
}

impl Detection {
    /// With checked rules, at this place. After a restart of the host all members join anew and have their full time.
    #[must_use]
    pub fn new(rules: Rules, place: Option<Label>) -> Self {
        let limits =
            Limits { suspect: deviations_of(rules.phi_suspect), dead: deviations_of(rules.phi_dead) };
        Self {
            rules,
            limits,
            place,
            members: BTreeMap::new(),
            local: LocalHealth::default(),
            brakes: Brakes::default(),
            regions: Regions::default(),
            probes: 0,
            now: Now::default(),
        }
    }

    /// What a member counts as.
    #[must_use]
    pub fn presence(&self, member: &MemberId) -> Option<Presence> {
        self.members.get(member).map(Watched::presence)
    }

    /// Phi of a member as of the last step, for people.
    #[must_use]
    pub fn phi(&self, member: &MemberId) -> Option<f64> {
        self.members.get(member).map(|watched| watched.phi(self.now))
    }

    /// What we think of every region (whether it is down), to be told to other observers more often than
    /// [`Rules::opinion_ms`]: that we reach a region is what keeps others from calling it dead.
    #[must_use]
    pub fn opinions(&self) -> BTreeMap<Label, bool> {
        let regions = self.members.values().filter_map(|watched| watched.region.clone());
        regions.map(|region| (region.clone(), self.regions.is_down(&region))).collect()
    }

    /// Brakes that are on.
    pub fn brakes(&self) -> impl Iterator<Item = &Scope> {
        self.brakes.iter()
    }

    /// One step. Commands are in the order in which they are to be carried out; none of them has to be durable.
    pub fn step(&mut self, event: Event, now: Now) -> Vec<Command> {
        let now = self.local.steady(&self.rules, now);
        self.now = now;
        match event {
            Event::Joined { member, region, interval_ms, incarnation } => {
                self.joined(member, region, interval_ms, incarnation, now)
            }
            Event::Left(member) => {
                self.members.remove(&member);
                Vec::new()
            }
            Event::Heartbeat { member, incarnation, sequence } => {
                self.heartbeat(member, incarnation, sequence, now)
            }
            Event::Answered { member, incarnation, probe } => self.answered(member, incarnation, probe, now),
            Event::Opinion { place, region, down } => {
                if self.members.values().any(|watched| watched.region.as_ref() == Some(&region)) {
                    self.regions.hear(region, place, down, now);
                }
                Vec::new()
            }
            Event::Confirmed { by, region } => {
                for watched in self.members.values_mut() {
                    let in_scope = region.is_none() || watched.region == region;
                    watched.confirmed |= in_scope && matches!(watched.life, Life::Suspect(_));
                }
                self.judge(Lifted::Confirmed { by }, now)
            }
            Event::Tick => {
                let mut commands = self.age(now);
                commands.extend(self.judge(Lifted::Returned, now));
                commands
            }
        }
    }

    fn joined(
        &mut self,
        member: MemberId,
        region: Option<Label>,
        interval_ms: u64,
        incarnation: u64,
        now: Now,
    ) -> Vec<Command> {
        let full = self.members.len() >= MEMBERS_MAX;
        match self.members.get_mut(&member) {
            Some(watched) => {
                watched.region = region;
                if watched.incarnation == incarnation {
                    return Vec::new();
                }
                self.spoken(member, incarnation, Some(interval_ms), now).1
            }
            None if full => vec![Command::Full(member)],
            None => {
                let heard = now.plus_ms(self.rules.grace_ms);
                let watched = Watched::new(region, interval_ms, incarnation, heard, self.limits);
                self.members.insert(member, watched);
                Vec::new()
            }
        }
    }

    fn heartbeat(&mut self, member: MemberId, incarnation: u64, sequence: u64, now: Now) -> Vec<Command> {
        let (current, mut commands) = self.spoken(member.clone(), incarnation, None, now);
        if !current {
            return commands;
        }
        let fresh = self
            .members
            .get_mut(&member)
            .is_some_and(|watched| watched.heartbeat(sequence, self.limits, now));
        if fresh {
            commands.extend(self.alive(member, now));
        }
        commands
    }

    fn answered(&mut self, member: MemberId, incarnation: u64, probe: u64, now: Now) -> Vec<Command> {
        let (current, mut commands) = self.spoken(member.clone(), incarnation, None, now);
        let ours = probe <= self.probes;
        if current && ours && self.members.get(&member).is_some_and(|watched| watched.is_answer(probe)) {
            commands.extend(self.alive(member, now));
        }
        commands
    }

    /// Somebody spoke for a run of a member. Answers whether it is the one in force (now).
    fn spoken(
        &mut self,
        member: MemberId,
        incarnation: u64,
        interval_ms: Option<u64>,
        now: Now,
    ) -> (bool, Vec<Command>) {
        let Some(watched) = self.members.get_mut(&member) else {
            return (false, vec![Command::Unknown(member)]);
        };
        let newest = watched.incarnation;
        if incarnation < newest {
            return (false, vec![Command::Outdated { member, incarnation, newest }]);
        }
        if incarnation == newest {
            return (true, Vec::new());
        }
        let interval_ms = interval_ms.unwrap_or_else(|| watched.interval_ms());
        watched.reborn(interval_ms, incarnation, &self.rules, self.limits, now);
        let reborn = Command::Reborn { member: member.clone(), from: newest, to: incarnation };
        let held = watched.presence() != Presence::Dead;
        let hold_ms = watched.hold_left_ms(now);
        let mut commands = vec![reborn];
        commands.extend(self.alive(member.clone(), now));
        if held {
            commands.push(Command::Returned { member, hold_ms });
        }
        (true, commands)
    }

    fn alive(&mut self, member: MemberId, now: Now) -> Option<Command> {
        let watched = self.members.get_mut(&member)?;
        match watched.alive(&self.rules, now) {
            Life::Alive => None,
            Life::Suspect(_) => Some(Command::Refuted(member)),
            Life::Dead { .. } => Some(Command::Returned { hold_ms: watched.hold_left_ms(now), member }),
        }
    }

    fn age(&mut self, now: Now) -> Vec<Command> {
        let stretch = self.local.stretch();
        let mut commands = Vec::new();
        for (id, watched) in &mut self.members {
            let probe = self.probes + 1;
            let aged = watched.age(&self.rules, stretch, probe, now);
            if aged == Aged::Suspected {
                let silent_ms = watched.silent_ms(now);
                commands.push(Command::Suspected { member: id.clone(), silent_ms });
            }
            if matches!(aged, Aged::Suspected | Aged::Probe) {
                self.probes = probe;
                commands.push(Command::Probe { member: id.clone(), probe });
            }
            if aged == Aged::HoldOver {
                commands.push(Command::Back(id.clone()));
            }
        }
        commands
    }

    /// Sets brakes and verdicts, and declares dead whom nothing protects. `why` a brake would be lifted now.
    fn judge(&mut self, why: Lifted, now: Now) -> Vec<Command> {
        let stretch = self.local.stretch();
        let due = self.members.values().any(|watched| watched.is_due(&self.rules, stretch, now));
        if !due && !self.brakes.any() && !self.regions.any_down() {
            return Vec::new();
        }
        let mut commands = Vec::new();
        let tallies = self.tallies(now);
        self.regions.tidy(&self.rules, now, |region| tallies.contains_key(&Some(region.clone())));
        let mut fleet = Tally::default();
        for (region, tally) in &tallies {
            let dead = match region {
                Some(region) => self.judge_region(region, *tally, &why, &mut commands),
                None => false,
            };
            // Who is dead by many eyes does not make the others look suspicious.
            if !dead {
                fleet.lost += tally.lost;
                fleet.of += tally.of;
            }
        }
        let gone = |scope: &Scope| matches!(scope, Scope::Region(region) if !tallies.contains_key(&Some(region.clone())));
        let lifted = self.brakes.retain(|scope| !gone(scope)).into_iter();
        commands.extend(lifted.map(|scope| Command::BrakeOff { scope, why: Lifted::Returned }));
        commands.extend(self.brakes.judge(&self.rules, Scope::Fleet, fleet, why));
        self.declare(now, &mut commands);
        commands
    }

    fn judge_region(
        &mut self,
        region: &Label,
        tally: Tally,
        why: &Lifted,
        commands: &mut Vec<Command>,
    ) -> bool {
        #[allow(clippy::cast_precision_loss, reason = "at most 65,536 members")]
        let down = tally.gone > 0 && tally.gone as f64 > self.rules.region_share * tally.all as f64;
        for turn in self.regions.judge(&self.rules, region, self.place.as_ref(), down) {
            let region = region.clone();
            commands.push(match turn {
                Turn::Ours(down) => Command::Tell { region, down },
                Turn::Dead(observers) => Command::RegionDead { region, observers },
                Turn::Back => Command::RegionBack(region),
            });
        }
        let dead = self.regions.is_dead(region);
        let (tally, why) = match dead {
            true => (Tally::default(), Lifted::Observers),
            false => (tally, why.clone()),
        };
        commands.extend(self.brakes.judge(&self.rules, Scope::Region(region.clone()), tally, why));
        dead
    }

    fn tallies(&self, now: Now) -> BTreeMap<Option<Label>, Tally> {
        let stretch = self.local.stretch();
        let mut tallies: BTreeMap<Option<Label>, Tally> = BTreeMap::new();
        for watched in self.members.values() {
            let (gone, lost, counts) = match watched.life {
                Life::Alive => (false, false, true),
                Life::Suspect(_) => {
                    (watched.is_due(&self.rules, stretch, now), !watched.confirmed, !watched.confirmed)
                }
                Life::Dead { at } => {
                    let recent = !watched.confirmed && now.since_ms(at) < self.rules.lost_window_ms;
                    (true, recent, recent)
                }
            };
            let tally = tallies.entry(watched.region.clone()).or_default();
            tally.all += 1;
            tally.of += usize::from(counts);
            tally.lost += usize::from(lost);
            tally.gone += usize::from(gone);
        }
        tallies
    }

    fn declare(&mut self, now: Now, commands: &mut Vec<Command>) {
        let stretch = self.local.stretch();
        let fleet_braked = self.brakes.is_on(&Scope::Fleet);
        for (id, watched) in &mut self.members {
            if !watched.is_due(&self.rules, stretch, now) {
                continue;
            }
            let region = watched.region.as_ref();
            let known_dead = watched.confirmed || region.is_some_and(|region| self.regions.is_dead(region));
            let braked = fleet_braked
                || region.is_some_and(|region| self.brakes.is_on(&Scope::Region(region.clone())));
            if braked && !known_dead {
                continue;
            }
            let silent_ms = watched.silent_ms(now);
            watched.die(&self.rules, now);
            commands.push(Command::Dead { member: id.clone(), incarnation: watched.incarnation, silent_ms });
        }
    }
}
