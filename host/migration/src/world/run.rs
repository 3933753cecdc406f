//! One path through the world: everything is delivered in order, and nothing goes wrong but what a test asks
//! for.
//!
//! Invariant: a run ends within a bounded number of actions or fails the test, and looks at the laws after
//! each of them.

use super::{Action, Host, Message, Outcome, Side, World};
use crate::id::Attempt;

/// More actions than any run of a bounded migration takes.
const ACTIONS_MAX: usize = 2_000;

impl World {
    /// Does something and looks at the laws.
    #[track_caller]
    pub(crate) fn act_lawfully(&mut self, action: Action) {
        let shown = format!("{action:?}");
        self.act(action);
        assert_eq!(self.broken_law(), None, "after {shown}: {self:#?}");
        assert!(self.effects_are_journaled(), "after {shown}: {self:#?}");
    }

    /// What happens if nothing goes wrong; `None` = it is over. Members' heartbeats are answered before time
    /// passes.
    pub(crate) fn next_ordinary(&self) -> Option<Action> {
        if !self.writing.is_empty() {
            return Some(Action::Persist);
        }
        if let Some(message) = self.messages.first() {
            return Some(Action::Deliver(message.clone()));
        }
        match self.host {
            Host::Down => Some(Action::Recover),
            Host::Up(_) => Some(Action::Tick),
            Host::Idle(_) => None,
        }
    }

    /// Goes on until the migration is over, and settles what heartbeats settle.
    #[track_caller]
    pub(crate) fn run_to_the_end(&mut self) {
        self.run(ACTIONS_MAX);
        assert!(matches!(self.host, Host::Idle(_)), "still at it: {self:#?}");
        self.heartbeats();
        assert!(self.is_tidy(), "left over: {self:#?}");
    }

    /// At most so many actions; returns how many there were.
    #[track_caller]
    pub(crate) fn run(&mut self, actions_max: usize) -> usize {
        for done in 0..actions_max {
            let Some(action) = self.next_ordinary() else { return done };
            if action == Action::Tick {
                self.budget.ticks = 1;
                self.heartbeats();
            }
            self.act_lawfully(action);
        }
        actions_max
    }

    #[track_caller]
    pub(crate) fn heartbeats(&mut self) {
        self.budget.heartbeats = 2;
        for side in [Side::Source, Side::Target] {
            self.act_lawfully(Action::Heartbeat(side));
        }
    }

    /// The attempts to which something is on its way from the host.
    pub(crate) fn attempts_under_way(&self) -> impl Iterator<Item = Attempt> {
        self.messages.iter().filter_map(|message| match message {
            Message::Order(_, order) => Some(order.key.attempt),
            Message::Validate(attempt) | Message::Swap(attempt, _) | Message::Read(attempt) => Some(*attempt),
            Message::Reply(_) | Message::Swapped(..) | Message::OwnerRead(..) => None,
        })
    }

    /// The outcome, once it is over.
    #[track_caller]
    pub(crate) fn outcome(&self) -> &Outcome {
        match &self.host {
            Host::Idle(Some(outcome)) => outcome,
            _ => panic!("not over: {self:#?}"),
        }
    }
}
