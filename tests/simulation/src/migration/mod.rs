//! Migrations between members while clients write: real sagas on the host, real guards on the members.
//!
//! writes, migrations, crashes, faults -> sagas, journal, owner records, guards, copies -> acknowledgements, one serving copy
//!
//! The host crashes with its journal half written, members restart, messages are lost, doubled and late, clocks drift, state is
//! damaged on its way, changes of owner are applied without an answer. Invariants, checked after every event: I1 (one copy of
//! a workload serves), I2 (none is lost), I3 (a serving copy has every acknowledged write), I6 (a migration ends once, its
//! journal has no gap), I5 (room is given back once); at the end everything comes to rest.

mod answers;
mod check;
mod host;
mod member;
mod recovery;

use pilothouse_core::id::AgentName;
use pilothouse_migration::id::{Attempt, MigrationId};
use pilothouse_migration::member::Recorded;
use pilothouse_migration::order::{Key, Order, Reply};
use pilothouse_migration::owner::{Owner, Swap, SwapAnswer};

use crate::run::{Checked, Run};
use crate::stage::{Network, Stage};
use check::Checker;
use host::Host;
use member::Member;

/// Virtual time in which faults happen, ms.
const TROUBLE_MS: u64 = 15_000;
/// Virtual time in which everything must come to rest afterwards, ms.
const REST_MS: u64 = 60_000;
const WEATHER_MS: u64 = 400;
const HOST_TICK_MS: u64 = 20;
const MEMBER_TICK_MS: u64 = 50;
const CLIENT_MS: u64 = 40;
const MEMBERS: usize = 3;
const WORKLOADS: usize = 2;

/// What a run of this profile must have seen now and then.
pub(crate) const EXPECTED: &[&str] = &[
    "network: message lost",
    "network: message doubled",
    "network: message late",
    "network: link cut one way",
    "network: party isolated",
    "host: crash",
    "host: journal refused",
    "host: source taken for dead",
    "member: restart",
    "transfer: damaged",
    "store: change of owner without an answer",
    "client: write acknowledged",
    "client: write refused",
    "migration: begun",
    "migration: forced",
    "migration: cancelled",
    "migration: moved",
    "migration: rolled back",
    "migration: recovered after a crash",
    "migration: fenced",
    "migration: another target",
];

/// What happens.
#[derive(Debug, Clone)]
enum Event {
    Weather,
    ClientTick,
    // At the host.
    HostTick,
    HostCrash,
    HostUp,
    Synced { life: u64 },
    Reply(Reply),
    Validate { life: u64, migration: MigrationId, attempt: Attempt },
    Swapped { life: u64, migration: MigrationId, attempt: Attempt, answer: SwapAnswer },
    OwnerRead { life: u64, migration: MigrationId, attempt: Attempt, owner: Option<Owner> },
    Heartbeat { member: usize, boot: u64, asked_at_ms: u64 },
    // At the store.
    Swap { life: u64, workload: usize, migration: MigrationId, attempt: Attempt, swap: Swap },
    Read { life: u64, workload: usize, migration: MigrationId, attempt: Attempt },
    // At a member.
    MemberTick(usize),
    Restart(usize),
    Up(usize),
    Order { member: usize, order: Order },
    Driven { member: usize, boot: u64, order: Order },
    State { from: usize, to: usize, boot: u64, order: Order, writes: Vec<u64>, damaged: bool },
    StateTaken { member: usize, boot: u64, workload: usize, key: Key, writes: Vec<u64> },
    Recorded { member: usize, boot: u64, workload: usize, recorded: Recorded },
    Write { member: usize, workload: usize, write: u64 },
}

/// How likely what is, of a thousand.
struct Rates {
    host_crash: u64,
    journal_refused: u64,
    restart: u64,
    damaged: u64,
    forced: u64,
    taken_for_dead: u64,
    cancelled: u64,
    unanswered: u64,
    sync_ms: u64,
    drive_ms: u64,
}

struct World {
    stage: Stage<Event>,
    rates: Rates,
    host: Host,
    members: Vec<Member>,
    workloads: Vec<AgentName>,
    /// The store's records, one of each workload.
    owners: Vec<Owner>,
    checker: Checker,
    writes: u64,
    healing: bool,
}

pub(crate) fn run(run: &mut Run) -> Checked {
    let mut world = World::new(run);
    let trouble_ends_ms = run.now_ms + TROUBLE_MS;
    while run.now_ms < trouble_ends_ms {
        world.one(run)?;
    }
    world.heal(run);
    let rest_ends_ms = run.now_ms + REST_MS;
    while run.now_ms < rest_ends_ms {
        world.one(run)?;
        if world.host.ticks.is_multiple_of(16) && world.unrest(run).is_none() {
            break;
        }
    }
    world.at_the_end(run)
}

impl World {
    fn new(run: &mut Run) -> Self {
        // The host, the members, the store and the clients.
        let network = Network::drawn(run, MEMBERS + 3);
        let random = &mut run.random;
        let rates = Rates {
            host_crash: random.rate(60),
            journal_refused: random.rate(20),
            restart: random.rate(50),
            damaged: random.rate(200),
            forced: random.rate(300),
            taken_for_dead: random.rate(300),
            cancelled: random.rate(150),
            unanswered: random.rate(200),
            sync_ms: random.between(1, 60),
            drive_ms: random.between(1, 80),
        };
        let workloads: Vec<AgentName> = (0..WORKLOADS).map(member::workload).collect();
        let mut members: Vec<Member> = (0..MEMBERS).map(|index| Member::new(run, index)).collect();
        let mut owners = Vec::new();
        for workload in 0..WORKLOADS {
            let home = run.random.index(MEMBERS);
            owners.push(Owner { member: members[home].id.clone(), epoch: 1, by: None });
            members[home].place(run, workload);
        }
        let mut world = Self {
            stage: Stage::new(network),
            rates,
            host: Host::default(),
            members,
            workloads,
            owners,
            checker: Checker::new(WORKLOADS),
            writes: 0,
            healing: false,
        };
        for event in [Event::Weather, Event::ClientTick, Event::HostTick] {
            world.stage.after(run, 1, event);
        }
        for member in 0..MEMBERS {
            world.stage.after(run, member as u64, Event::MemberTick(member));
        }
        world
    }

    const fn store(&self) -> usize {
        MEMBERS + 1
    }

    fn one(&mut self, run: &mut Run) -> Checked {
        let Some(event) = self.stage.next(run) else { return Ok(()) };
        self.happen(run, event)?;
        self.check(run)
    }

    fn happen(&mut self, run: &mut Run, event: Event) -> Checked {
        match event {
            Event::Weather => self.weather(run),
            Event::ClientTick => self.client_tick(run),
            Event::HostTick => return self.host_tick(run),
            Event::HostCrash => self.host_crash(run),
            Event::HostUp => return self.host_up(run),
            Event::Synced { life } => return self.synced(run, life),
            Event::Reply(reply) => return self.replied(run, reply),
            Event::Validate { life, migration, attempt } => {
                return self.validate(run, life, migration, attempt);
            }
            Event::Swapped { life, migration, attempt, answer } => {
                return self.swapped(run, life, migration, attempt, answer);
            }
            Event::OwnerRead { life, migration, attempt, owner } => {
                return self.owner_read(run, life, migration, attempt, owner);
            }
            Event::Heartbeat { member, boot, asked_at_ms } => self.heartbeat(run, member, boot, asked_at_ms),
            Event::Swap { life, workload, migration, attempt, swap } => {
                self.swap(run, life, workload, migration, attempt, &swap);
            }
            Event::Read { life, workload, migration, attempt } => {
                let owner = Some(self.owners[workload].clone());
                let read = Event::OwnerRead { life, migration, attempt, owner };
                self.stage.send(run, self.store(), 0, &read);
            }
            Event::MemberTick(member) => self.member_tick(run, member),
            Event::Restart(member) => self.restart(run, member),
            Event::Up(member) => self.members[member].up = true,
            Event::Order { member, order } => self.ordered(run, member, order),
            Event::Driven { member, boot, order } => self.driven(run, member, boot, &order),
            Event::State { from, to, boot, order, writes, damaged } => {
                self.state_arrives(run, from, to, boot, &order, &writes, damaged);
            }
            Event::StateTaken { member, boot, workload, key, writes } => {
                self.state_taken(run, member, boot, workload, key, &writes);
            }
            Event::Recorded { member, boot, workload, recorded } => {
                self.recorded(run, member, boot, workload, recorded);
            }
            Event::Write { member, workload, write } => return self.write(run, member, workload, write),
        }
        Ok(())
    }

    fn weather(&mut self, run: &mut Run) {
        if self.healing {
            return;
        }
        self.stage.after(run, WEATHER_MS, Event::Weather);
        self.stage.network.weather(run);
        if run.random.chance(self.rates.host_crash) {
            self.stage.after(run, 0, Event::HostCrash);
        }
        for member in 0..MEMBERS {
            if run.random.chance(self.rates.restart) {
                self.stage.after(run, 0, Event::Restart(member));
            }
        }
        if run.random.chance(600) {
            self.begin(run);
        }
        if run.random.chance(self.rates.cancelled) {
            self.cancel(run);
        }
    }

    /// A client writes, mostly to the owner.
    fn client_tick(&mut self, run: &mut Run) {
        if self.healing {
            return;
        }
        self.stage.after(run, CLIENT_MS, Event::ClientTick);
        let workload = run.random.index(WORKLOADS);
        let owner = self.members.iter().position(|member| member.id == self.owners[workload].member);
        let guess = run.random.index(MEMBERS);
        let member = owner.filter(|_| run.random.chance(700)).unwrap_or(guess);
        self.writes += 1;
        let write = Event::Write { member, workload, write: self.writes };
        self.stage.send(run, MEMBERS + 2, member + 1, &write);
    }

    fn heal(&mut self, run: &mut Run) {
        run.note(format_args!("all faults stop"));
        self.healing = true;
        self.stage.network.heal();
        self.rates = Rates { sync_ms: self.rates.sync_ms, drive_ms: self.rates.drive_ms, ..Rates::none() };
        self.stage.after(run, 0, Event::HostUp);
        for member in 0..MEMBERS {
            self.stage.after(run, 0, Event::Up(member));
        }
    }
}

impl Rates {
    const fn none() -> Self {
        Self {
            host_crash: 0,
            journal_refused: 0,
            restart: 0,
            damaged: 0,
            forced: 0,
            taken_for_dead: 0,
            cancelled: 0,
            unanswered: 0,
            sync_ms: 1,
            drive_ms: 1,
        }
    }
}
