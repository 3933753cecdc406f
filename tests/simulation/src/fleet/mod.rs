//! A host and its members: failure detection, registry, placement and failover together.
//!
//! heartbeats, probe answers, clients' wishes -> real detection, registry, ledger, failover -> orders to members, answers
//!
//! Members crash, return, hang and are cut off; the host crashes and pauses; its writes become durable later or never.
//! Invariants, checked after every event: I1 (effects are accepted from one owner at a time, epochs grow), I2 (no workload is
//! lost), I4 (what was acknowledged is there after a crash), I5 (never oversubscribed, reservations end once), I13 (no deaths
//! and no change of owner while the brake is on), I14 (nobody is dead without silence); at the end everything comes to rest.

mod check;
mod durable;
mod failing;
mod host;
mod member;
mod wishes;

use pilothouse_core::failover::Rules as FailoverRules;
use pilothouse_core::id::AgentName;
use pilothouse_core::placement::ledger::ReservationId;
use pilothouse_state::detection::Rules as DetectionRules;

use crate::bug::Bug;
use crate::run::{Checked, Run};
use crate::stage::{Network, Place, Stage};
use check::Checker;
use durable::Durable;
use host::Host;
use member::Member;
use wishes::Wish;

/// Virtual time in which faults happen, ms.
const TROUBLE_MS: u64 = 12_000;
/// Virtual time in which everything must come to rest afterwards, ms.
const REST_MS: u64 = 40_000;
const WEATHER_MS: u64 = 400;

/// What a run of this profile must have seen now and then.
pub(crate) const EXPECTED_PLACEMENT: &[&str] = &[
    "network: message lost",
    "network: message doubled",
    "network: message late",
    "network: link cut one way",
    "network: party isolated",
    "member: crash",
    "host: crash",
    "host: pause",
    "placement: assigned",
    "placement: refused by a filter",
    "placement: reserved",
    "placement: confirmed",
    "placement: reservation ended",
    "placement: victims evicted",
    "placement: moved",
    "detection: dead",
    "detection: brake on",
    "registry: rejoined with work",
];

/// The same with failover.
pub(crate) const EXPECTED_FAILOVER: &[&str] = &[
    "host: crash",
    "member: crash",
    "detection: dead",
    "detection: brake on",
    "failover: opened",
    "failover: resumed after a crash",
    "failover: committed",
    "failover: refused at the commit",
    "failover: fenced",
    "failover: start failed",
    "failover: done",
    "failover: partial",
    "failover: aborted",
    "fleet: effect of an old owner refused",
    "fleet: superseded copy stopped",
];

/// What a member tells of itself with every heartbeat.
#[derive(Debug, Clone)]
struct Beat {
    member: usize,
    incarnation: u64,
    sequence: u64,
    /// Workloads it runs, with their epochs.
    copies: Vec<(AgentName, u64)>,
}

/// What happens.
#[derive(Debug, Clone)]
enum Event {
    Weather,
    // At a member.
    MemberTick(usize),
    Crash(usize),
    Boot(usize),
    PleaseRegister(usize),
    Probe { member: usize, probe: u64 },
    Start { member: usize, agent: AgentName, epoch: u64 },
    Stop { member: usize, agent: AgentName, epoch: u64 },
    // At the host.
    HostTick,
    HostCrash,
    HostPause,
    Synced { life: u64 },
    Register { member: usize, incarnation: u64 },
    Heartbeat(Beat),
    Answered { member: usize, incarnation: u64, probe: u64 },
    Effect { member: usize, agent: AgentName, epoch: u64 },
    Started { agent: AgentName, epoch: u64, runs: bool },
    Asked(Wish),
    // At the client.
    ClientTick,
    Held(ReservationId),
}

impl Event {
    fn is_at_host(&self) -> bool {
        matches!(
            self,
            Self::HostTick
                | Self::Synced { .. }
                | Self::Register { .. }
                | Self::Heartbeat(_)
                | Self::Answered { .. }
                | Self::Effect { .. }
                | Self::Started { .. }
                | Self::Asked(_)
        )
    }
}

/// How likely what is, of a thousand, and the rules in force.
struct Plan {
    with_failover: bool,
    /// Nothing is lost and nobody crashes, though the host may: whoever is dead then was judged wrongly.
    reliable: bool,
    member_crash: u64,
    host_crash: u64,
    host_pause: u64,
    bad_advice: u64,
    start_fails: u64,
    sync_ms: u64,
    remove_after_ms: u64,
    detection: DetectionRules,
    failover: FailoverRules,
}

struct World {
    stage: Stage<Event>,
    plan: Plan,
    host: Host,
    durable: Durable,
    members: Vec<Member>,
    checker: Checker,
    held: Vec<ReservationId>,
    paused_until_ms: u64,
    healing: bool,
}

pub(crate) fn run(run: &mut Run, with_failover: bool) -> Checked {
    let mut world = World::new(run, with_failover);
    world.begin(run);
    let trouble_ends_ms = run.now_ms + TROUBLE_MS;
    while run.now_ms < trouble_ends_ms {
        world.one(run)?;
    }
    world.heal(run);
    let rest_ends_ms = run.now_ms + REST_MS;
    while run.now_ms < rest_ends_ms {
        world.one(run)?;
        if world.is_at_rest() {
            break;
        }
    }
    world.at_the_end()
}

impl World {
    fn new(run: &mut Run, with_failover: bool) -> Self {
        let count = run.random.between(4, 8) as usize;
        let network = Network::drawn(run, count + 2);
        let random = &mut run.random;
        let mut detection = DetectionRules {
            grace_ms: 1_000,
            lost_window_ms: 30_000,
            hold_ms: 500,
            hold_max_ms: 4_000,
            tick_ms: 40,
            lag_max_ms: 120,
            ..DetectionRules::default()
        };
        if run.bug == Some(Bug::BrakeOff) {
            detection.lost_min = 1_000;
        }
        let member_crash = random.rate(60);
        let plan = Plan {
            with_failover,
            reliable: network.is_reliable() && member_crash == 0,
            member_crash,
            host_crash: random.rate(40),
            host_pause: random.rate(40),
            bad_advice: random.rate(300),
            start_fails: random.rate(300),
            sync_ms: random.between(1, 120),
            remove_after_ms: if random.chance(500) { 4_000 } else { 600_000 },
            detection,
            failover: FailoverRules {
                reconfirm_ms: 1_000,
                start_timeout_ms: 1_500,
                starts_per_member: 2,
                ..FailoverRules::default()
            },
        };
        let members = (0..count).map(|index| Member::new(random, index)).collect();
        let host = Host::new(&plan);
        Self {
            stage: Stage::new(network),
            plan,
            host,
            durable: Durable::default(),
            members,
            checker: Checker::default(),
            held: Vec::new(),
            paused_until_ms: 0,
            healing: false,
        }
    }

    fn begin(&mut self, run: &mut Run) {
        for member in 0..self.members.len() {
            self.stage.after(run, member as u64, Event::Boot(member));
        }
        for event in [Event::HostTick, Event::Weather, Event::ClientTick] {
            self.stage.after(run, 0, event);
        }
    }

    /// The place of clients in the network.
    fn client(&self) -> Place {
        self.members.len() + 1
    }

    fn one(&mut self, run: &mut Run) -> Checked {
        let Some(event) = self.stage.next(run) else { return Ok(()) };
        if event.is_at_host() && run.now_ms < self.paused_until_ms {
            // The host stands still; what arrives waits.
            let delay_ms = self.paused_until_ms - run.now_ms;
            self.stage.after(run, delay_ms, event);
            return Ok(());
        }
        self.happen(run, event)?;
        self.check()
    }

    fn happen(&mut self, run: &mut Run, event: Event) -> Checked {
        match event {
            Event::Weather => self.weather(run),
            Event::MemberTick(member) => self.member_tick(run, member),
            Event::Crash(member) => self.member_crash(run, member),
            Event::Boot(member) => self.member_boot(run, member),
            Event::PleaseRegister(member) => self.member_register(run, member),
            Event::Probe { member, probe } => self.member_probed(run, member, probe),
            Event::Start { member, agent, epoch } => self.member_start(run, member, agent, epoch),
            Event::Stop { member, agent, epoch } => return self.member_stop(run, member, &agent, epoch),
            Event::HostTick => return self.host_tick(run),
            Event::HostCrash => return self.host_crash(run),
            Event::HostPause => self.host_pause(run),
            Event::Synced { life } => return self.synced(run, life),
            Event::Register { member, incarnation } => return self.register(run, member, incarnation),
            Event::Heartbeat(beat) => return self.heartbeat(run, &beat),
            Event::Answered { member, incarnation, probe } => {
                return self.answered(run, member, incarnation, probe);
            }
            Event::Effect { member, agent, epoch } => return self.effect(run, member, &agent, epoch),
            Event::Started { agent, epoch, runs } => return self.started(run, agent, epoch, runs),
            Event::Asked(wish) => return self.asked(run, wish),
            Event::ClientTick => self.client_tick(run),
            Event::Held(id) => self.held.push(id),
        }
        Ok(())
    }

    fn weather(&mut self, run: &mut Run) {
        if !self.healing {
            self.stage.network.weather(run);
            if run.random.chance(self.plan.host_crash) {
                self.stage.after(run, 0, Event::HostCrash);
            }
            if run.random.chance(self.plan.host_pause) {
                self.stage.after(run, 0, Event::HostPause);
            }
            for member in 0..self.members.len() {
                if run.random.chance(self.plan.member_crash) {
                    self.stage.after(run, 0, Event::Crash(member));
                }
            }
            self.stage.after(run, WEATHER_MS, Event::Weather);
        }
    }

    fn host_pause(&mut self, run: &mut Run) {
        run.count("host: pause");
        self.paused_until_ms = run.now_ms + run.random.between(50, 4_000);
        run.note(format_args!("the host pauses until {}", self.paused_until_ms));
    }

    /// All faults stop.
    fn heal(&mut self, run: &mut Run) {
        run.note(format_args!("all faults stop"));
        self.healing = true;
        self.stage.network.heal();
        (self.plan.bad_advice, self.plan.start_fails) = (0, 0);
        for member in 0..self.members.len() {
            self.stage.after(run, 0, Event::Boot(member));
        }
    }
}
