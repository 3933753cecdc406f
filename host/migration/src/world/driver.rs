//! A member of the world: the real guard, and a driver whose state is the number of writes it holds.
//!
//! Invariant: the driver is honest and durable; what a restart loses is the lease, the work under way and the
//! last reply. Its room is counted, so that giving it back twice shows.

use pilothouse_core::id::MemberId;
use pilothouse_core::time::Now;

use super::{Message, World};
use crate::member::{Command, Event, Guard};
use crate::order::{Order, Refusal, Reply, Report, Sent, StandbyFrom, Task};
use crate::transfer::StateDigest;

/// One member.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) guard: Guard,
    alive: bool,
    /// Writes that the copy holds.
    pub(crate) value: Option<u8>,
    /// Writes that were received from the source.
    received: Option<u8>,
    pub(crate) has_room: bool,
    /// Another workload has taken the rest.
    pub(crate) is_full: bool,
    pub(crate) released_twice: bool,
}

/// Whether the order makes the source send its last delta.
pub(super) fn is_last_delta(message: &Message) -> bool {
    matches!(message, Message::Order(_, Order { task: Task::Send { last: true, .. }, .. }))
}

const fn digest(value: u8) -> StateDigest {
    StateDigest([value; 32])
}

impl Place {
    pub(super) fn serving(guard: Guard) -> Self {
        Self { value: Some(0), has_room: true, ..Self::empty(guard) }
    }

    pub(super) fn empty(guard: Guard) -> Self {
        Self {
            guard,
            alive: true,
            value: None,
            received: None,
            has_room: false,
            is_full: false,
            released_twice: false,
        }
    }

    pub(crate) const fn is_alive(&self) -> bool {
        self.alive
    }

    pub(crate) fn serves(&self, now: Now) -> bool {
        self.alive && self.guard.serves(now)
    }

    pub(super) fn next_deadline(&self, now: Now) -> Option<Now> {
        self.guard.next_deadline(now).filter(|_| self.alive)
    }

    pub(super) fn restart(&mut self) {
        self.guard = self.guard.clone().restarted();
    }

    pub(super) const fn die(&mut self) {
        self.alive = false;
    }

    /// Whether the client was told that the write is safe.
    pub(super) fn write(&mut self, now: Now) -> bool {
        let serves = self.serves(now);
        if serves {
            self.value = self.value.map(|value| value + 1);
        }
        serves
    }

    /// Tells the guard something, and carries out what needs no driver.
    pub(super) fn tell(&mut self, event: Event, now: Now) -> (Vec<Order>, Vec<Reply>) {
        let (mut orders, mut replies) = (Vec::new(), Vec::new());
        let commands = if self.alive { self.guard.step(event, now) } else { Vec::new() };
        for command in commands {
            match command {
                Command::Do(order) => orders.push(order),
                Command::Reply(reply) => replies.push(reply),
                Command::Discard => self.erase(),
                Command::GiveBack(_) => {
                    self.released_twice |= !self.has_room;
                    self.has_room = false;
                }
            }
        }
        (orders, replies)
    }

    const fn erase(&mut self) {
        (self.value, self.received) = (None, None);
    }

    fn drive(&mut self, task: &Task) -> Report {
        match task {
            Task::Reserve { .. } if self.is_full => return Report::Refused(Refusal::NoRoom),
            Task::Reserve { .. } => {
                self.erase();
                self.has_room = true;
            }
            Task::StartStandby(from) => {
                self.value = match from {
                    StandbyFrom::Received(_) => self.received,
                    StandbyFrom::LastKnown | StandbyFrom::Nothing => Some(0),
                };
                if self.value.is_none() {
                    return Report::Refused(Refusal::Missing);
                }
            }
            Task::Verify { .. } => return Report::Verified(digest(self.value.unwrap_or(u8::MAX))),
            Task::Release | Task::Abort => self.erase(),
            Task::Send { .. } | Task::Freeze | Task::Activate | Task::Stop | Task::Resume => {}
        }
        Report::Done
    }
}

impl World {
    /// Gives an order to a member and has it done at once; a dead member says nothing.
    pub(super) fn order(&mut self, to: &MemberId, order: Order, corrupt: bool) -> Vec<Reply> {
        let now = self.now;
        let is_source = *to == self.charter.source;
        let place = if is_source { &mut self.source } else { &mut self.target };
        let (orders, mut replies) = place.tell(Event::Order(order), now);
        for order in orders {
            let report = match &order.task {
                Task::Send { .. } => self.copy(corrupt),
                task if is_source => Some(self.source.drive(task)),
                task => Some(self.target.drive(task)),
            };
            let Some(report) = report else { continue };
            let place = if is_source { &mut self.source } else { &mut self.target };
            replies.extend(place.tell(Event::Done(order.key, report), now).1);
        }
        replies
    }

    /// The source's state goes to the target; a dead target leaves the source waiting.
    fn copy(&mut self, corrupt: bool) -> Option<Report> {
        if !self.target.alive {
            return None;
        }
        let value = self.source.value?;
        self.target.received = Some(if corrupt { value.wrapping_add(100) } else { value });
        self.target.tell(Event::Sign(self.charter.migration), self.now);
        let dirty_bytes = if self.dirty_bytes.is_empty() { 0 } else { self.dirty_bytes.remove(0) };
        Some(Report::Sent(Sent { bytes: 1_000, elapsed_us: 1_000, dirty_bytes, digest: digest(value) }))
    }
}
