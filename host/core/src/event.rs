//! What happened, in order, for those who follow along.
//!
//! Invariant: sequence numbers grow by one; the log keeps the newest [`EVENTS_MAX`] and says when a reader missed some.

use std::collections::VecDeque;

use crate::assignment::Assignment;
use crate::chaos;
use crate::failback::Ending;
use crate::failover::{self, FailoverId, Phase};
use crate::id::{AgentName, Label, OrchestratorId};
use crate::orchestrator;
use crate::placement::ledger::Reservation;
use crate::rebalance::{Plan, Summary};
use crate::registry::MemberChange;
use crate::scaling;
use crate::slot::{HistoryEntry, SlotId};
use crate::time::WallMs;
use crate::trust;

/// Most events kept.
pub const EVENTS_MAX: usize = 4_096;

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum EventKind {
    /// A member or the registry changed.
    Member(MemberChange),
    /// A slot changed.
    Slot(SlotId, Box<HistoryEntry>),
    /// An agent was assigned.
    Assigned(Assignment),
    /// An agent was unassigned.
    Unassigned(Assignment),
    /// A workload had to make room for another.
    Evicted(Assignment, AgentName),
    /// Room is held.
    Reserved(Reservation),
    /// Room is no longer held, without having been used.
    Released(Reservation),
    /// A rebalancing plan waits for its execution.
    Planned(Box<Plan>),
    /// A rebalancing plan was executed.
    Rebalanced(Box<Summary>),
    /// A failover went on to a phase.
    Failover(FailoverId, Phase),
    /// A failover ended.
    FailedOver(Box<failover::Summary>),
    /// An attempt to bring a displaced workload home ended.
    Failback(AgentName, Ending),
    /// Too many members vanished at once, in a region or (without one) in the fleet: nobody is declared dead.
    BrakeOn {
        /// Where.
        region: Option<Label>,
        /// How many are missing.
        lost: usize,
        /// Of how many.
        of: usize,
    },
    /// Members are declared dead again.
    BrakeOff {
        /// Where.
        region: Option<Label>,
    },
    /// Whether this host finds a region down.
    RegionDown(Label, bool),
    /// Whether observers in enough places agree that a region is down.
    RegionDead(Label, bool),
    /// A fault began on purpose.
    FaultBegan(chaos::FaultId, Box<chaos::Planned>),
    /// A fault is over.
    FaultEnded(chaos::FaultId, Box<chaos::Planned>),
    /// A scaling group has another count.
    Scaled(Label, scaling::Change),
    /// Something happened between this orchestrator and another.
    Orchestrator(OrchestratorId, orchestrator::Notice),
    /// Somebody changed whom this host trusts, or made an exception.
    Trust(Box<trust::Notice>),
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Grows by one.
    pub sequence: u64,
    /// When, for people.
    pub at: WallMs,
    /// What.
    pub kind: EventKind,
}

/// The newest events.
#[derive(Debug, Default)]
pub struct EventLog {
    events: VecDeque<Event>,
    last: u64,
}

impl EventLog {
    /// Adds an event and gives it its number.
    pub fn push(&mut self, at: WallMs, kind: EventKind) -> Event {
        self.last += 1;
        let event = Event { sequence: self.last, at, kind };
        self.events.push_back(event.clone());
        if self.events.len() > EVENTS_MAX {
            self.events.pop_front();
        }
        event
    }

    /// Events after a number, oldest first, at most `limit`; the flag says that some before them are no longer kept.
    #[must_use]
    pub fn since(&self, sequence: u64, limit: usize) -> (Vec<Event>, bool) {
        let missed = self.events.front().is_some_and(|first| first.sequence > sequence + 1);
        let events =
            self.events.iter().filter(|event| event.sequence > sequence).take(limit).cloned().collect();
        (events, missed)
    }
}
