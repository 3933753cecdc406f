//! What of the host survives a crash: records that become durable in order, some time after they were written.
//!
//! [`Durable::write`] -> backlog -> [`Durable::sync`] -> records; what was to happen afterwards
//!
//! Invariant: records become durable in the order of their writes; whatever waits behind a write happens only after it, and a
//! crash loses the backlog whole. Torn writes are the store's own simulation.

use std::collections::{BTreeMap, VecDeque};

use pilothouse_core::assignment::Assignment;
use pilothouse_core::failover::{Command, Entry, FailoverId};
use pilothouse_core::id::AgentName;

/// One write.
#[derive(Debug, Clone)]
pub(super) enum Write {
    Assigned(Assignment),
    /// With the newest epoch that ended.
    Unassigned(AgentName, u64),
    Journaled(FailoverId, Entry),
}

/// What waits for the writes before it.
#[derive(Debug, Clone)]
pub(super) enum Then {
    Acknowledge(AgentName, u64),
    /// The owner was changed by the failover.
    Committed(AgentName, u64),
    /// A command of the failover.
    Carry(Box<Command>),
    /// A member may start it.
    Start(AgentName),
}

#[derive(Debug, Clone)]
enum Item {
    Write(Write),
    Then(Then),
}

/// Records, and what is not durable yet.
#[derive(Debug, Default)]
pub(super) struct Durable {
    pub(super) assignments: BTreeMap<AgentName, Assignment>,
    pub(super) journal: BTreeMap<FailoverId, Vec<Entry>>,
    /// Members that registered, with their newest run.
    pub(super) members: BTreeMap<usize, u64>,
    pub(super) ended_epoch: u64,
    backlog: VecDeque<Item>,
    /// Counts hosts, so that a sync that was begun by a dead one does nothing.
    pub(super) life: u64,
}

impl Durable {
    pub(super) fn write(&mut self, write: Write) {
        self.backlog.push_back(Item::Write(write));
    }

    pub(super) fn then(&mut self, then: Then) {
        self.backlog.push_back(Item::Then(then));
    }

    /// A member registered; taken as durable at once.
    pub(super) fn joined(&mut self, member: usize, incarnation: u64) {
        let newest = self.members.entry(member).or_default();
        *newest = incarnation.max(*newest);
    }

    /// Whether it is the newest run of a member.
    pub(super) fn is_current(&self, member: usize, incarnation: u64) -> bool {
        self.members.get(&member) == Some(&incarnation)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.backlog.is_empty()
    }

    /// Makes the first `count` writes durable; answers with what waited for them.
    pub(super) fn sync(&mut self, count: usize) -> Vec<Then> {
        let (mut left, mut after) = (count, Vec::new());
        while let Some(item) = self.backlog.pop_front() {
            match item {
                Item::Write(_) if left == 0 => {
                    self.backlog.push_front(item);
                    break;
                }
                Item::Write(write) => {
                    left -= 1;
                    self.apply(write);
                }
                Item::Then(then) => after.push(then),
            }
        }
        after
    }

    /// The host dies: some writes got through, nobody heard of it.
    pub(super) fn crash(&mut self, written: usize) {
        let _unheard = self.sync(written);
        self.backlog.clear();
        self.life += 1;
    }

    fn apply(&mut self, write: Write) {
        match write {
            Write::Assigned(assignment) => _ = self.assignments.insert(assignment.agent.clone(), assignment),
            Write::Unassigned(agent, ended_epoch) => {
                self.assignments.remove(&agent);
                self.ended_epoch = ended_epoch.max(self.ended_epoch);
            }
            Write::Journaled(id, entry) => self.journal.entry(id).or_default().push(entry),
        }
    }
}
