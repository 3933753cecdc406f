//! A world in memory in which a migration runs: a host with a journal, a store, two members, a network that
//! loses and repeats.
//!
//! Action -> the real [`Saga`] and the real [`Guard`]s -> messages -> next actions
//!
//! Invariant: every choice is an [`Action`], so a test can take one path and a model checker all of them.
//! Each kind of mishap has a budget. Time moves only by [`Action::Tick`], to the next deadline of anybody.

mod action;
mod check;
mod driver;
mod host;
mod run;

use pilothouse_core::id::MemberId;
use pilothouse_core::time::Now;

use crate::bug::{Bug, Seeded};
use crate::charter::{Charter, Mode};
use crate::id::Attempt;
use crate::member::{Event as MemberEvent, Guard, Recorded};
use crate::order::{Order, Reply};
use crate::owner::{Owner, Swap, SwapAnswer};
use crate::saga::{Entry, Event, Outcome, Saga, Validated};

pub(crate) use action::{Action, Budget, Side};
pub(crate) use check::LAWS;
use driver::Place;

/// The host of the migration.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    /// It runs it.
    Up(Box<Saga>),
    /// It is down.
    Down,
    /// The migration is over, or was never begun.
    Idle(Option<Outcome>),
}

/// Something on its way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Message {
    Validate(Attempt),
    Order(MemberId, Order),
    Reply(Reply),
    Swap(Attempt, Swap),
    Swapped(Attempt, SwapAnswer),
    Read(Attempt),
    OwnerRead(Attempt, Option<Owner>),
}

/// Everything there is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) now: Now,
    pub(crate) charter: Charter,
    pub(crate) host: Host,
    pub(crate) journal: Vec<Entry>,
    writing: Vec<Entry>,
    /// A host that does not know that it was replaced, and what it is writing.
    rival: Option<Box<Saga>>,
    rival_writing: Vec<Entry>,
    pub(crate) owner: Owner,
    pub(crate) source: Place,
    pub(crate) target: Place,
    messages: Vec<Message>,
    /// Writes that clients were told are safe.
    pub(crate) acknowledged: u8,
    pub(crate) budget: Budget,
    /// Bytes that change during each round of copying; none after the last.
    pub(crate) dirty_bytes: Vec<u64>,
    seeded: Seeded,
}

impl World {
    /// The migration begins; the source serves under the charter's epoch.
    pub(crate) fn new(charter: Charter, budget: Budget, bug: Option<Bug>) -> Self {
        let (now, seeded) = (Now(1_000), Seeded(bug));
        let lease_until = now.plus_ms(charter.patience.lease_ms);
        let placed = Guard::placed(charter.source.clone(), charter.epoch, charter.resources, lease_until);
        let absent = Guard::new(charter.target.clone());
        let (saga, commands) = Saga::begin_seeded(charter.clone(), now, seeded);
        let mut world = Self {
            now,
            owner: Owner { member: charter.source.clone(), epoch: charter.epoch, by: None },
            charter,
            host: Host::Up(Box::new(saga)),
            journal: Vec::new(),
            writing: Vec::new(),
            rival: None,
            rival_writing: Vec::new(),
            source: Place::serving(placed.with_seeded(seeded)),
            target: Place::empty(absent.with_seeded(seeded)),
            messages: Vec::new(),
            acknowledged: 0,
            budget,
            dirty_bytes: Vec::new(),
            seeded,
        };
        world.carry_out(commands);
        world
    }

    pub(crate) fn place(&mut self, side: Side) -> &mut Place {
        match side {
            Side::Source => &mut self.source,
            Side::Target => &mut self.target,
        }
    }

    /// Does it.
    pub(crate) fn act(&mut self, action: Action) {
        let budget = &mut self.budget;
        match action {
            Action::Deliver(message) => self.deliver(&message, false, false),
            Action::DeliverTwice(message) => {
                budget.duplicates -= 1;
                self.deliver(&message, true, false);
            }
            Action::DeliverCorrupt(message) => {
                budget.corruptions -= 1;
                self.deliver(&message, false, true);
            }
            Action::Lose(message) => {
                budget.losses -= 1;
                self.messages.retain(|known| *known != message);
            }
            Action::Persist => self.persist(),
            Action::Crash { persisted, sent } => {
                budget.host_crashes -= 1;
                self.crash(persisted, sent);
            }
            Action::Recover => self.recover(),
            Action::Restart(side) => {
                budget.restarts -= 1;
                self.place(side).restart();
            }
            Action::Die(side) => {
                budget.deaths -= 1;
                self.place(side).die();
            }
            Action::Write(side) => {
                budget.writes -= 1;
                let now = self.now;
                let taken = self.place(side).write(now);
                self.acknowledged += u8::from(taken);
            }
            Action::Heartbeat(side) => {
                budget.heartbeats -= 1;
                self.heartbeat(side);
            }
            Action::Cancel => {
                budget.cancels -= 1;
                let now = self.now;
                if let Host::Up(saga) = &mut self.host
                    && let Ok(commands) = saga.cancel(now)
                {
                    self.carry_out(commands);
                }
            }
            Action::Rival => {
                budget.rivals -= 1;
                if let Host::Up(saga) = std::mem::replace(&mut self.host, Host::Down) {
                    self.rival = Some(saga);
                    self.rival_writing = std::mem::take(&mut self.writing);
                }
            }
            Action::PersistRival => self.persist_rival(),
            Action::FailOver => {
                budget.failovers -= 1;
                let member = self.charter.source.clone();
                self.owner = Owner { member, epoch: self.owner.epoch + 1, by: None };
                self.heartbeat(Side::Source);
            }
            Action::Tick => {
                budget.ticks -= 1;
                self.tick();
            }
        }
        self.messages.sort();
        self.messages.dedup();
    }

    fn deliver(&mut self, message: &Message, again: bool, corrupt: bool) {
        if !again {
            self.messages.retain(|known| known != message);
        }
        match message.clone() {
            Message::Validate(attempt) => {
                let source_lease_ms = self.charter.patience.lease_ms;
                let validated = Validated { source_reachable: self.source.is_alive(), source_lease_ms };
                self.tell(Event::Validated(attempt, Ok(validated)));
            }
            Message::Order(to, order) => {
                let replies = self.order(&to, order, corrupt);
                self.messages.extend(replies.into_iter().map(Message::Reply));
            }
            Message::Reply(reply) => self.tell(Event::Reply(reply)),
            Message::Swap(attempt, swap) => {
                let answer = match swap.apply(Some(&self.owner)) {
                    Ok(owner) => {
                        self.owner = owner;
                        SwapAnswer::Applied
                    }
                    Err(found) => SwapAnswer::Found(found),
                };
                self.messages.push(Message::Swapped(attempt, answer));
            }
            Message::Swapped(attempt, answer) => self.tell(Event::Swapped(attempt, answer)),
            Message::Read(attempt) => {
                self.messages.push(Message::OwnerRead(attempt, Some(self.owner.clone())));
            }
            Message::OwnerRead(attempt, owner) => self.tell(Event::OwnerRead(attempt, owner)),
        }
    }

    /// A heartbeat is answered at once. A forced migration grants its source no lease.
    fn heartbeat(&mut self, side: Side) {
        let settled = matches!(self.host, Host::Idle(_));
        let deprived = !settled && side == Side::Source && self.charter.options.mode == Mode::Forced;
        let lease_ms = if deprived { 0 } else { self.charter.patience.lease_ms };
        let (owner, now) = (self.owner.clone(), self.now);
        let recorded = Recorded { owner, settled, asked_at: now, lease_ms };
        self.place(side).tell(MemberEvent::Recorded(recorded), now);
    }

    fn next_deadline(&self) -> Option<Now> {
        let saga = match &self.host {
            Host::Up(saga) => saga.next_deadline(),
            Host::Down | Host::Idle(_) => None,
        };
        let members = [&self.source, &self.target].map(|place| place.next_deadline(self.now));
        let rival = self.rival.as_ref().and_then(|rival| rival.next_deadline());
        members.into_iter().flatten().chain(saga).chain(rival).min().map(|at| at.max(self.now))
    }

    fn tick(&mut self) {
        let Some(at) = self.next_deadline() else { return };
        self.now = at;
        for side in [Side::Source, Side::Target] {
            self.place(side).tell(MemberEvent::Tick, at);
        }
        self.tell(Event::Tick);
    }
}
