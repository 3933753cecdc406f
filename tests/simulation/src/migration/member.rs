//! A member: the real guard of each workload, an honest driver, a clock that drifts.
//!
//! orders -> [`Guard`] -> driver, some time later -> reports; heartbeats -> what the record says
//!
//! Invariant: the guard and the copies are durable, what the driver is at is not. A copy is the set of writes that it took.

use pilothouse_core::id::{AgentName, MemberId};
use pilothouse_core::member::Resources;
use pilothouse_core::time::Now;
use pilothouse_migration::member::{Command, Event as Told, Guard, Recorded, Role};
use pilothouse_migration::order::{Key, Order, Refusal, Report, Sent, StandbyFrom, Task};
use pilothouse_migration::transfer::StateDigest;

use super::{Event, MEMBER_TICK_MS, WORKLOADS, World, host};
use crate::bug::Bug;
use crate::run::{Checked, Run, ensure};

/// Bytes of a write, for the sums that sagas do with sizes.
const WRITE_BYTES: u64 = 100;
const HEARTBEAT_MS: u64 = 300;

/// What a member has of one workload.
pub(super) struct Place {
    pub(super) guard: Guard,
    /// Writes of the copy, in order.
    pub(super) copy: Option<Vec<u64>>,
    /// What was received, and by which order.
    received: Option<(Key, Vec<u64>)>,
    /// The copy did not start from the source's state.
    pub(super) without_source: bool,
    /// Holders of room; more or less than one is a mistake.
    pub(super) rooms: i32,
    /// The driver does one thing after the other; until then it is at something.
    busy_until_ms: u64,
}

/// One member.
pub(super) struct Member {
    pub(super) id: MemberId,
    pub(super) up: bool,
    boot: u64,
    drift_permille: u64,
    offset_ms: u64,
    heartbeat_at_ms: u64,
    pub(super) places: Vec<Place>,
}

#[allow(clippy::expect_used, reason = "names that the simulator makes")]
pub(super) fn workload(index: usize) -> AgentName {
    AgentName::parse(&format!("w{index}")).expect("a name")
}

#[allow(clippy::expect_used, reason = "names that the simulator makes")]
fn id(index: usize) -> MemberId {
    MemberId::parse(&format!("m{index}")).expect("a name")
}

pub(super) fn room() -> Resources {
    Resources { cpu_millis: 100, ..Resources::default() }
}

/// A digest of writes; two sets with the same one do not happen.
fn digest(writes: &[u64]) -> StateDigest {
    let sum = writes.iter().fold(writes.len() as u64, |sum, write| {
        pilothouse_core::fleet::facts::mix(sum.rotate_left(9) ^ write.wrapping_add(1))
    });
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&sum.to_le_bytes());
    StateDigest(bytes)
}

impl Member {
    pub(super) fn new(run: &mut Run, index: usize) -> Self {
        let places = (0..WORKLOADS).map(|_| Place {
            guard: host::seeded_guard(run, Guard::new(id(index))),
            copy: None,
            received: None,
            without_source: false,
            rooms: 0,
            busy_until_ms: 0,
        });
        Self {
            id: id(index),
            up: true,
            boot: 1,
            places: places.collect(),
            // Up to two per cent fast or slow.
            drift_permille: run.random.between(980, 1_020),
            offset_ms: run.random.below(1_000_000),
            heartbeat_at_ms: 0,
        }
    }

    /// A copy was placed here before the run began.
    pub(super) fn place(&mut self, run: &Run, workload: usize) {
        let lease_until = self.now(run).plus_ms(host::lease_of_heartbeats_ms());
        let placed = Guard::placed(self.id.clone(), 1, room(), lease_until);
        let place = &mut self.places[workload];
        (place.guard, place.copy, place.rooms) = (host::seeded_guard(run, placed), Some(Vec::new()), 1);
    }

    /// Its own monotonic clock.
    pub(super) fn now(&self, run: &Run) -> Now {
        Now(self.offset_ms + run.now_ms * self.drift_permille / 1_000)
    }

    pub(super) fn serves(&self, run: &Run, workload: usize) -> bool {
        let place = &self.places[workload];
        let frozen = run.has(Bug::WritesWhileFrozen) && place.guard.role() == Role::Frozen;
        self.up && (place.guard.serves(self.now(run)) || frozen)
    }
}

impl World {
    pub(super) fn index(&self, id: &MemberId) -> usize {
        self.members.iter().position(|member| member.id == *id).unwrap_or(0)
    }

    pub(super) fn workload_index(&self, name: &AgentName) -> usize {
        self.workloads.iter().position(|workload| workload == name).unwrap_or(0)
    }

    pub(super) fn member_tick(&mut self, run: &mut Run, index: usize) {
        self.stage.after(run, MEMBER_TICK_MS, Event::MemberTick(index));
        if !self.members[index].up {
            return;
        }
        for workload in 0..WORKLOADS {
            self.tell(run, index, workload, Told::Tick);
        }
        let member = &mut self.members[index];
        if run.now_ms >= member.heartbeat_at_ms {
            member.heartbeat_at_ms = run.now_ms + HEARTBEAT_MS;
            let (boot, asked_at_ms) = (member.boot, member.now(run).0);
            self.stage.send(run, index + 1, 0, &Event::Heartbeat { member: index, boot, asked_at_ms });
        }
    }

    /// The process ends and comes back after a while.
    pub(super) fn restart(&mut self, run: &mut Run, index: usize) {
        let member = &mut self.members[index];
        if !member.up {
            return;
        }
        run.count("member: restart");
        run.note(format_args!("{} restarts", member.id));
        member.up = false;
        member.boot += 1;
        for place in &mut member.places {
            let me = member.id.clone();
            place.guard =
                if run.has(Bug::GuardForgotten) { Guard::new(me) } else { place.guard.clone().restarted() };
        }
        let back_ms = run.random.between(10, 2_500);
        self.stage.after(run, back_ms, Event::Up(index));
    }

    pub(super) fn ordered(&mut self, run: &mut Run, index: usize, order: Order) {
        if self.members[index].up {
            let workload = self.workload_index(&order.workload);
            self.tell(run, index, workload, Told::Order(order));
        }
    }

    pub(super) fn recorded(
        &mut self,
        run: &mut Run,
        index: usize,
        boot: u64,
        workload: usize,
        recorded: Recorded,
    ) {
        let member = &self.members[index];
        if member.up && member.boot == boot {
            let asked_at = if run.has(Bug::LeaseFromAnswer) { member.now(run) } else { recorded.asked_at };
            self.tell(run, index, workload, Told::Recorded(Recorded { asked_at, ..recorded }));
        }
    }

    fn tell(&mut self, run: &mut Run, index: usize, workload: usize, told: Told) {
        let member = &mut self.members[index];
        let now = member.now(run);
        let before = member.places[workload].guard.role();
        let commands = member.places[workload].guard.step(told, now);
        let after = member.places[workload].guard.role();
        if before != after {
            run.note(format_args!("{} w{workload}: {before:?} -> {after:?}", member.id));
        }
        for command in commands {
            self.obey(run, index, workload, command);
        }
    }

    fn obey(&mut self, run: &mut Run, index: usize, workload: usize, command: Command) {
        let place = &mut self.members[index].places[workload];
        match command {
            Command::Do(order) => {
                place.busy_until_ms =
                    run.now_ms.max(place.busy_until_ms) + run.random.below(self.rates.drive_ms);
                let delay_ms = place.busy_until_ms - run.now_ms;
                let boot = self.members[index].boot;
                self.stage.after(run, delay_ms, Event::Driven { member: index, boot, order });
            }
            Command::Reply(reply) => self.stage.send(run, index + 1, 0, &Event::Reply(reply)),
            Command::Discard => (place.copy, place.received) = (None, None),
            Command::GiveBack(_) => place.rooms -= 1,
        }
    }

    /// The driver has done what it was told.
    pub(super) fn driven(&mut self, run: &mut Run, index: usize, boot: u64, order: &Order) {
        let workload = self.workload_index(&order.workload);
        let member = &mut self.members[index];
        if !member.up || member.boot != boot {
            return;
        }
        let place = &mut member.places[workload];
        let report = match &order.task {
            Task::Send { to, .. } => return self.send_state(run, index, order, to),
            Task::Reserve { .. } => {
                (place.copy, place.received) = (None, None);
                // The same room, if it is held already.
                place.rooms = 1;
                Report::Done
            }
            Task::StartStandby(from) => {
                place.without_source = !matches!(from, StandbyFrom::Received(_));
                match from {
                    StandbyFrom::Received(_) => {
                        let received =
                            place.received.as_ref().filter(|(key, _)| key.migration == order.key.migration);
                        place.copy = received.map(|(_, writes)| writes.clone());
                    }
                    StandbyFrom::LastKnown | StandbyFrom::Nothing => place.copy = Some(Vec::new()),
                }
                if place.copy.is_some() { Report::Done } else { Report::Refused(Refusal::Missing) }
            }
            Task::Verify { .. } => {
                let blind = self.checker.sent_digest.filter(|_| run.has(Bug::DigestRepeated));
                Report::Verified(blind.unwrap_or_else(|| digest(place.copy.as_deref().unwrap_or_default())))
            }
            Task::Release | Task::Abort => {
                (place.copy, place.received) = (None, None);
                Report::Done
            }
            Task::Freeze | Task::Activate | Task::Stop | Task::Resume => Report::Done,
        };
        self.tell(run, index, workload, Told::Done(order.key, report));
    }

    fn send_state(&mut self, run: &mut Run, from: usize, order: &Order, to: &MemberId) {
        let workload = self.workload_index(&order.workload);
        let writes = self.members[from].places[workload].copy.clone().unwrap_or_default();
        let damaged = run.fires("transfer: damaged", self.rates.damaged);
        let (to, boot) = (self.index(to), self.members[from].boot);
        let state = Event::State { from, to, boot, order: order.clone(), writes, damaged };
        self.stage.send(run, from + 1, to + 1, &state);
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of one message")]
    pub(super) fn state_arrives(
        &mut self,
        run: &mut Run,
        from: usize,
        to: usize,
        boot: u64,
        order: &Order,
        writes: &[u64],
        damaged: bool,
    ) {
        let (workload, key) = (self.workload_index(&order.workload), order.key);
        if !self.members[to].up {
            return;
        }
        let place = &mut self.members[to].places[workload];
        let newer = place
            .received
            .as_ref()
            .is_none_or(|(known, _)| (known.migration, known.attempt) < (key.migration, key.attempt));
        if newer {
            let mut taken = writes.to_vec();
            if damaged {
                taken.pop();
            }
            place.received = Some((key, taken));
        }
        self.tell(run, to, workload, Told::Sign(key.migration));
        let taken = Event::StateTaken { member: from, boot, workload, key, writes: writes.to_vec() };
        self.stage.send(run, to + 1, from + 1, &taken);
    }

    /// The target has everything that was sent.
    pub(super) fn state_taken(
        &mut self,
        run: &mut Run,
        index: usize,
        boot: u64,
        workload: usize,
        key: Key,
        writes: &[u64],
    ) {
        let member = &self.members[index];
        if !member.up || member.boot != boot {
            return;
        }
        let now_held = member.places[workload].copy.as_ref().map_or(0, Vec::len);
        let dirty = now_held.saturating_sub(writes.len()) as u64;
        let digest = digest(writes);
        self.checker.sent_digest = Some(digest);
        let bytes = writes.len() as u64 * WRITE_BYTES;
        let sent = Sent { bytes, elapsed_us: 1_000, dirty_bytes: dirty * WRITE_BYTES, digest };
        self.tell(run, index, workload, Told::Done(key, Report::Sent(sent)));
    }

    /// A client writes.
    pub(super) fn write(&mut self, run: &mut Run, index: usize, workload: usize, write: u64) -> Checked {
        if !self.members[index].serves(run, workload) {
            run.count("client: write refused");
            return Ok(());
        }
        let member = &mut self.members[index];
        let Some(copy) = &mut member.places[workload].copy else {
            ensure!(false, "I2 what serves is there", "{} serves w{workload} without a copy", member.id);
            return Ok(());
        };
        if !copy.contains(&write) {
            copy.push(write);
        }
        run.count("client: write acknowledged");
        self.checker.acknowledged[workload].insert(write);
        Ok(())
    }
}
