//! A world in memory in which a migration runs: a host with a journal, a store, two members, a network that loses and repeats.
//!
//! Action -> the real [`Saga`] and the real [`Guard`]s -> messages -> next actions
//!
//! Invariant: every choice is an [`Action`], so a test can take one path and a model checker all of them. Each kind of mishap has a
//! budget. Time moves only by [`Action::Tick`], to the next deadline of anybody.

mod check;
mod driver;
mod run;

use pilothouse_core::id::MemberId;
use pilothouse_core::time::Now;

use crate::bug::{Bug, Seeded};
use crate::charter::{Charter, Mode};
use crate::id::Attempt;
use crate::member::{Event as MemberEvent, Guard, Recorded, Role};
use crate::order::{Order, Reply};
use crate::owner::{Owner, Swap, SwapAnswer};
use crate::saga::recover::recover_seeded;
use crate::saga::{Command, Entry, Event, Note, Outcome, Saga, Validated};

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

/// How often each mishap may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    pub(crate) losses: u8,
    pub(crate) duplicates: u8,
    pub(crate) corruptions: u8,
    pub(crate) host_crashes: u8,
    pub(crate) restarts: u8,
    pub(crate) deaths: u8,
    pub(crate) ticks: u8,
    pub(crate) writes: u8,
    pub(crate) cancels: u8,
    pub(crate) heartbeats: u8,
    pub(crate) failovers: u8,
}

/// Source or target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    Source,
    Target,
}

/// A choice.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Deliver(Message),
    DeliverTwice(Message),
    /// The state that the order sends is damaged on its way.
    DeliverCorrupt(Message),
    Lose(Message),
    /// The oldest entry becomes durable.
    Persist,
    /// The host goes down: with the entry that was being written durable or not, with its messages sent or not.
    Crash {
        persisted: bool,
        sent: bool,
    },
    Recover,
    /// A member's process ends and comes back.
    Restart(Side),
    /// A member ends for good.
    Die(Side),
    /// A client writes, and is answered if the copy serves.
    Write(Side),
    /// A member has its heartbeat answered.
    Heartbeat(Side),
    Cancel,
    /// Somebody makes the source the owner again, because the target is dead, and makes sure that it still has its copy.
    FailOver,
    Tick,
}

/// Everything there is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) now: Now,
    pub(crate) charter: Charter,
    pub(crate) host: Host,
    pub(crate) journal: Vec<Entry>,
    writing: Vec<Entry>,
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

    /// What can happen now.
    pub(crate) fn actions(&self) -> Vec<Action> {
        let Budget { losses, duplicates, corruptions, host_crashes, restarts, deaths, .. } = self.budget;
        let Budget { ticks, writes, cancels, heartbeats, failovers, .. } = self.budget;
        let mut actions = Vec::new();
        for message in &self.messages {
            actions.push(Action::Deliver(message.clone()));
            let corruptible = driver::is_last_delta(message) && corruptions > 0;
            actions.extend(corruptible.then(|| Action::DeliverCorrupt(message.clone())));
            actions.extend((losses > 0).then(|| Action::Lose(message.clone())));
            actions.extend((duplicates > 0).then(|| Action::DeliverTwice(message.clone())));
        }
        if !self.writing.is_empty() {
            actions.push(Action::Persist);
        }
        match &self.host {
            Host::Up(_) => {
                if host_crashes > 0 {
                    let ways = [(false, false), (false, true), (true, false), (true, true)];
                    actions.extend(ways.map(|(persisted, sent)| Action::Crash { persisted, sent }));
                }
                actions.extend((cancels > 0).then_some(Action::Cancel));
            }
            Host::Down => actions.push(Action::Recover),
            Host::Idle(_) => {}
        }
        for (side, place) in [(Side::Source, &self.source), (Side::Target, &self.target)] {
            actions.extend((restarts > 0).then_some(Action::Restart(side)));
            actions.extend((deaths > 0).then_some(Action::Die(side)));
            actions.extend((writes > 0 && place.serves(self.now)).then_some(Action::Write(side)));
            let answered = heartbeats > 0 && self.host != Host::Down;
            actions.extend(answered.then_some(Action::Heartbeat(side)));
        }
        let deserted = self.owner.member == self.charter.target
            && !self.target.is_alive()
            && self.source.guard.role() == Role::Frozen;
        actions.extend((failovers > 0 && deserted).then_some(Action::FailOver));
        actions.extend((ticks > 0 && self.next_deadline().is_some()).then_some(Action::Tick));
        actions
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

    fn tell(&mut self, event: Event) {
        let now = self.now;
        if let Host::Up(saga) = &mut self.host {
            let commands = saga.step(event, now);
            saga.forget_stale();
            self.carry_out(commands);
        }
    }

    fn carry_out(&mut self, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::Journal(entry) => self.writing.push(entry),
                Command::Validate(attempt) => self.messages.push(Message::Validate(attempt)),
                Command::Order(to, order) => self.messages.push(Message::Order(to, order)),
                Command::Swap(attempt, swap) => self.messages.push(Message::Swap(attempt, swap)),
                Command::ReadOwner(attempt) => self.messages.push(Message::Read(attempt)),
                Command::End(outcome) => self.host = Host::Idle(Some(outcome)),
            }
        }
    }

    fn persist(&mut self) {
        if self.writing.is_empty() {
            return;
        }
        let entry = self.writing.remove(0);
        let sequence = entry.sequence;
        self.journal.push(entry);
        self.tell(Event::Journaled(sequence));
    }

    fn crash(&mut self, persisted: bool, sent: bool) {
        self.host = Host::Down;
        if persisted && !self.writing.is_empty() {
            self.journal.push(self.writing.remove(0));
        }
        self.writing.clear();
        // What is in the host's own memory goes with it; what others have sent stays on its way, and is told to nobody.
        self.messages.retain(|message| sent && matches!(message, Message::Order(..) | Message::Swap(..)));
    }

    fn recover(&mut self) {
        if self.journal.is_empty() {
            self.host = Host::Idle(None);
            return;
        }
        let recovered = recover_seeded(&self.journal, Some(&self.owner), self.now, self.seeded);
        let (saga, commands) = recovered.unwrap();
        self.host = match self.journal.last() {
            Some(Entry { note: Note::End(outcome), .. }) => Host::Idle(Some(outcome.clone())),
            _ => Host::Up(Box::new(saga)),
        };
        self.carry_out(commands);
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
        members.into_iter().flatten().chain(saga).min().map(|at| at.max(self.now))
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
