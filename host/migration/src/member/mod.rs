//! What a member may do with one workload, as source and as target of a migration: a pure machine.
//!
//! order -> refused | done before: the same reply | [`Command::Do`] -> the driver -> [`Event::Done`] -> reply
//!
//! Invariants: an order of an older epoch, or older than one that was seen, is refused; a copy serves only
//! while its lease runs; a copy that was frozen serves again only under a newer epoch; room is given back
//! once. The state is to be durable before a command is carried out. Processes, disks and sockets are the
//! driver's.

mod admit;
mod record;
#[cfg(test)]
mod tests;

use pilothouse_core::id::MemberId;
use pilothouse_core::member::Resources;
use pilothouse_core::time::Now;

use crate::bug::{Bug, Seeded};
use crate::id::{Attempt, MigrationId};
use crate::order::{Key, Order, Refusal, Reply, Report, Task};

pub use record::Recorded;

/// What the member has of the workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Nothing.
    Absent,
    /// Room, which lapses.
    Reserved {
        /// When, unless the migration gives a sign before.
        until: Now,
        /// How much later with each sign, ms.
        hold_ms: u64,
    },
    /// A copy that does not serve yet. It does not lapse: the owner record may name it already.
    Standby {
        /// It was found healthy, and may serve once it is told.
        verified: bool,
    },
    /// The copy; it serves while its lease runs.
    Serving,
    /// The copy; it does not serve, and its epoch is used up.
    Frozen,
    /// The state of a copy that has ended.
    Stopped,
}

/// What the machine is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The host orders something.
    Order(Order),
    /// The driver ended what [`Command::Do`] asked for; [`Report::Progress`] is passed on.
    Done(Key, Report),
    /// State of a migration arrived: a sign that it lives.
    Sign(MigrationId),
    /// The host answered a heartbeat.
    Recorded(Recorded),
    /// Time passed; due at [`Guard::next_deadline`].
    Tick,
}

/// What the shell has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Have the driver do this, idempotently, and report [`Event::Done`].
    Do(Order),
    /// Send a reply.
    Reply(Reply),
    /// Erase whatever is here of the workload.
    Discard,
    /// The room is free again.
    GiveBack(Resources),
}

/// The newest order that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Newest {
    order: Order,
    at: Now,
    /// `None` = the driver is at it.
    report: Option<Report>,
}

/// One workload on one member.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Guard {
    me: MemberId,
    role: Role,
    /// Newest ownership epoch known; that of the copy, if there is one.
    epoch: u64,
    lease_until: Now,
    newest: Option<Newest>,
    /// What a restart leaves of `newest`.
    newest_name: Option<(MigrationId, Attempt)>,
    room: Option<Resources>,
    seeded: Seeded,
}

impl Guard {
    /// A member that has never heard of the workload.
    #[must_use]
    pub fn new(me: MemberId) -> Self {
        Self {
            me,
            role: Role::Absent,
            epoch: 0,
            lease_until: Now::default(),
            newest: None,
            newest_name: None,
            room: None,
            seeded: Seeded::default(),
        }
    }

    /// A member on which a copy was placed.
    #[must_use]
    pub fn placed(me: MemberId, epoch: u64, room: Resources, lease_until: Now) -> Self {
        Self { role: Role::Serving, epoch, lease_until, room: Some(room), ..Self::new(me) }
    }

    #[cfg(any(test, feature = "seeded-bugs"))]
    pub(crate) fn with_seeded(self, seeded: Seeded) -> Self {
        Self { seeded, ..self }
    }

    /// After a restart of the member: what was durable, without a lease, and without the driver's work.
    #[must_use]
    pub fn restarted(self) -> Self {
        Self { lease_until: Now::default(), newest: None, ..self }
    }

    /// What the member has.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The newest ownership epoch that the member knows.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether the copy may answer requests now.
    #[must_use]
    pub fn serves(&self, now: Now) -> bool {
        self.role == Role::Serving && (now < self.lease_until || self.seeded.has(Bug::NoSelfFencing))
    }

    /// When [`Event::Tick`] is due, or the copy stops serving.
    #[must_use]
    pub fn next_deadline(&self, now: Now) -> Option<Now> {
        match self.role {
            Role::Reserved { until, .. } => Some(until),
            Role::Serving if now < self.lease_until => Some(self.lease_until),
            _ => None,
        }
    }

    /// One step.
    pub fn step(&mut self, event: Event, now: Now) -> Vec<Command> {
        match event {
            Event::Order(order) => self.ordered(order, now),
            Event::Done(key, report) => self.done(key, report, now),
            Event::Sign(migration) => {
                if self.newest_name.is_some_and(|(newest, _)| newest == migration) {
                    self.sign(now);
                }
                Vec::new()
            }
            Event::Recorded(recorded) => self.recorded(&recorded, now),
            Event::Tick => match self.role {
                Role::Reserved { until, .. } if now >= until => self.discard(),
                _ => Vec::new(),
            },
        }
    }

    fn sign(&mut self, now: Now) {
        if let Role::Reserved { until, hold_ms } = &mut self.role {
            *until = now.plus_ms(*hold_ms);
        }
    }

    fn ordered(&mut self, order: Order, now: Now) -> Vec<Command> {
        if let Some(newest) = self.newest.as_ref().filter(|newest| newest.order.key == order.key) {
            let report = newest.report.clone();
            return report.map(|report| self.reply(&order, report)).into_iter().collect();
        }
        if order.task == Task::Abort && self.is_reserving() {
            // The room that the driver is about to take would be nobody's; the host asks again.
            return Vec::new();
        }
        if let Err(refusal) = self.admit(&order, now) {
            return vec![self.reply(&order, Report::Refused(refusal))];
        }
        // A frozen copy takes the newer epoch when it has resumed: should the driver's work be lost in a restart, the record
        // must still be newer than the copy, or it would stay frozen.
        if !(order.task == Task::Resume && self.role == Role::Frozen) {
            self.epoch = self.epoch.max(order.epoch);
        }
        self.newest_name = Some((order.key.migration, order.key.attempt));
        self.newest = Some(Newest { order: order.clone(), at: now, report: None });
        self.sign(now);
        // Giving something up counts from the order on, gaining something from its end on.
        match order.task {
            Task::Freeze if !self.seeded.has(Bug::NoFreeze) => self.role = Role::Frozen,
            Task::Stop if self.role != Role::Absent => self.role = Role::Stopped,
            _ => {}
        }
        vec![Command::Do(order)]
    }

    fn done(&mut self, key: Key, report: Report, now: Now) -> Vec<Command> {
        let current =
            self.newest.as_mut().filter(|newest| newest.order.key == key && newest.report.is_none());
        let Some(newest) = current else { return Vec::new() };
        let (order, began) = (newest.order.clone(), newest.at);
        if matches!(report, Report::Progress { .. }) {
            return vec![self.reply(&order, report)];
        }
        newest.report = Some(report.clone());
        let mut commands = Vec::new();
        if !matches!(report, Report::Refused(_)) {
            commands = self.gain(&order, began, now);
        }
        commands.push(self.reply(&order, report));
        commands
    }

    fn gain(&mut self, order: &Order, began: Now, now: Now) -> Vec<Command> {
        match &order.task {
            Task::Reserve { resources, hold_ms } => {
                self.room = Some(*resources);
                self.role = Role::Reserved { until: now.plus_ms(*hold_ms), hold_ms: *hold_ms };
            }
            Task::StartStandby(_) if self.seeded.has(Bug::StandbyServesEarly) => {
                (self.role, self.lease_until) = (Role::Serving, Now(u64::MAX));
            }
            Task::StartStandby(_) => self.role = Role::Standby { verified: false },
            Task::Verify { lease_ms } => {
                self.role = Role::Standby { verified: true };
                self.lease_until = began.plus_ms(*lease_ms);
            }
            Task::Activate | Task::Resume => {
                (self.role, self.epoch) = (Role::Serving, self.epoch.max(order.epoch));
            }
            Task::Release | Task::Abort => return self.give_back(),
            Task::Send { .. } | Task::Freeze | Task::Stop => {}
        }
        Vec::new()
    }

    /// Drops everything; the driver has to erase it.
    fn discard(&mut self) -> Vec<Command> {
        let mut commands = vec![Command::Discard];
        commands.extend(self.give_back());
        commands
    }

    fn give_back(&mut self) -> Vec<Command> {
        self.role = Role::Absent;
        let room = if self.seeded.has(Bug::DoubleRelease) { self.room } else { self.room.take() };
        room.map(Command::GiveBack).into_iter().collect()
    }

    fn reply(&self, order: &Order, report: Report) -> Command {
        let Order { key, workload, epoch, .. } = order.clone();
        Command::Reply(Reply { key, workload, from: self.me.clone(), epoch, report })
    }

    /// Whether an order comes too late to be looked at.
    fn is_stale(&self, order: &Order) -> Option<Refusal> {
        if self.seeded.has(Bug::NoEpochCheck) {
            return None;
        }
        if order.epoch < self.epoch {
            return Some(Refusal::StaleEpoch { known: self.epoch });
        }
        let name = (order.key.migration, order.key.attempt);
        self.newest_name.is_some_and(|newest| name < newest).then_some(Refusal::StaleAttempt)
    }
}
