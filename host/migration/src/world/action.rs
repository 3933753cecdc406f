//! What can happen in the world, and how often.
//!
//! Invariant: an action that is offered can be carried out, and each mishap is offered as long as its budget
//! lasts.

use super::{Host, Message, World, driver};
use crate::member::Role;

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
    pub(crate) rivals: u8,
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
    /// The host goes down: with the entry that was being written durable or not, with its messages sent or
    /// not.
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
    /// The host is thought dead while it only pauses: another one takes over, and the first goes on.
    Rival,
    /// The oldest entry of the first host is written, if its place in the journal is free.
    PersistRival,
    /// Somebody makes the source the owner again, because the target is dead, and makes sure that it still
    /// has its copy.
    FailOver,
    Tick,
}

impl World {
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
        if !self.rival_writing.is_empty() {
            actions.push(Action::PersistRival);
        }
        match &self.host {
            Host::Up(_) => {
                if host_crashes > 0 {
                    let ways = [(false, false), (false, true), (true, false), (true, true)];
                    actions.extend(ways.map(|(persisted, sent)| Action::Crash { persisted, sent }));
                }
                actions.extend((cancels > 0).then_some(Action::Cancel));
                // A host that was replaced begins nothing new: beginning is a write of the leader's.
                let replaceable = self.budget.rivals > 0 && !self.journal.is_empty();
                actions.extend(replaceable.then_some(Action::Rival));
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
}
