//! When a migration may start: bounded parallelism, bounded waiting, one migration per workload.
//!
//! submit -> waiting (by priority, then by age) -> start -> running -> finished
//!
//! Invariant: a workload is in the queue at most once, waiting or running; neither all running ones nor those
//! of one source or one target exceed their limit. A waiting one whose members are busy does not hold up
//! those behind it. Priority is strict: a steady stream of urgent migrations holds up the others. Deciding
//! what to move is elsewhere.

mod limits;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BTreeMap;

use pilothouse_core::id::{AgentName, MemberId};

use crate::id::MigrationId;

pub use limits::{Limits, LimitsError, PARALLEL_MAX, WAITING_MAX};

/// How urgent; more is first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// For a better balance.
    Rebalance,
    /// Somebody asked for it.
    #[default]
    Requested,
    /// A member is being emptied.
    Drain,
    /// A member or region is lost.
    Failover,
}

/// What waits or runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its name.
    pub migration: MigrationId,
    /// What moves.
    pub workload: AgentName,
    /// From where.
    pub source: MemberId,
    /// To where.
    pub target: MemberId,
    /// How urgent.
    pub priority: Priority,
}

/// Why a migration is not queued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitRefused {
    /// The workload is being moved, or waits to be.
    #[error("migration {by} of the same workload waits or runs")]
    Conflict {
        /// That migration.
        by: MigrationId,
    },
    /// The name is taken: the shell gave it twice.
    #[error("migration {0} is in the queue already")]
    SameName(MigrationId),
    /// Too many wait; ask again later.
    #[error("{waiting} migrations wait already")]
    Full {
        /// How many.
        waiting: usize,
    },
}

/// What to do to cancel a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cancelled {
    /// It waited and is gone; it has had no effect.
    Removed(Request),
    /// It runs: its saga decides.
    Running,
    /// It is not here.
    Unknown,
}

type Rank = (Reverse<Priority>, u64);

/// All migrations of a host.
#[derive(Debug, Clone, Default)]
pub struct Queue {
    limits: Limits,
    submitted: u64,
    waiting: BTreeMap<Rank, Request>,
    running: BTreeMap<MigrationId, Request>,
    by_workload: BTreeMap<AgentName, MigrationId>,
    ranks: BTreeMap<MigrationId, Rank>,
    per_source: BTreeMap<MemberId, usize>,
    per_target: BTreeMap<MemberId, usize>,
}

impl Queue {
    /// An empty one.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Puts a migration in; returns those to start now.
    ///
    /// # Errors
    /// [`SubmitRefused`]; nothing has changed then.
    pub fn submit(&mut self, request: Request) -> Result<Vec<Request>, SubmitRefused> {
        self.check_new(&request)?;
        if self.waiting.len() >= self.limits.waiting() {
            return Err(SubmitRefused::Full { waiting: self.waiting.len() });
        }
        self.submitted = self.submitted.saturating_add(1);
        let rank = (Reverse(request.priority), self.submitted);
        self.by_workload.insert(request.workload.clone(), request.migration);
        self.ranks.insert(request.migration, rank);
        self.waiting.insert(rank, request);
        Ok(self.start_ready())
    }

    /// Takes in a migration that was recovered from its journal: it runs already, whatever the limits say.
    ///
    /// # Errors
    /// [`SubmitRefused::Conflict`] or [`SubmitRefused::SameName`]; an operator has to look.
    pub fn adopt(&mut self, request: Request) -> Result<(), SubmitRefused> {
        self.check_new(&request)?;
        self.by_workload.insert(request.workload.clone(), request.migration);
        self.run(request);
        Ok(())
    }

    fn check_new(&self, request: &Request) -> Result<(), SubmitRefused> {
        if let Some(by) = self.by_workload.get(&request.workload) {
            return Err(SubmitRefused::Conflict { by: *by });
        }
        let known =
            self.ranks.contains_key(&request.migration) || self.running.contains_key(&request.migration);
        if known { Err(SubmitRefused::SameName(request.migration)) } else { Ok(()) }
    }

    /// A migration ended; returns those to start now.
    pub fn finished(&mut self, migration: MigrationId) -> Vec<Request> {
        let Some(request) = self.running.remove(&migration) else { return Vec::new() };
        self.by_workload.remove(&request.workload);
        leave(&mut self.per_source, &request.source);
        leave(&mut self.per_target, &request.target);
        self.start_ready()
    }

    /// Takes a waiting migration out.
    pub fn cancel(&mut self, migration: MigrationId) -> Cancelled {
        if self.running.contains_key(&migration) {
            return Cancelled::Running;
        }
        let waiting = self.ranks.remove(&migration).and_then(|rank| self.waiting.remove(&rank));
        let Some(request) = waiting else { return Cancelled::Unknown };
        self.by_workload.remove(&request.workload);
        Cancelled::Removed(request)
    }

    /// Changes the limits; returns those to start now. What runs or waits beyond new, lower limits stays.
    pub fn limit(&mut self, limits: Limits) -> Vec<Request> {
        self.limits = limits;
        self.start_ready()
    }

    /// Those that wait, in the order in which they are looked at.
    pub fn waiting(&self) -> impl Iterator<Item = &Request> {
        self.waiting.values()
    }

    /// Those that run, by name.
    pub fn running(&self) -> impl Iterator<Item = &Request> {
        self.running.values()
    }

    fn start_ready(&mut self) -> Vec<Request> {
        let mut started = Vec::new();
        let mut after = None;
        while self.running.len() < self.limits.parallel() {
            let Some(rank) = self.next_ready(after) else { break };
            after = Some(rank);
            let Some(request) = self.waiting.remove(&rank) else { break };
            self.ranks.remove(&request.migration);
            self.run(request.clone());
            started.push(request);
        }
        started
    }

    /// The first after a rank whose members have room. What was passed over stays blocked: starting only
    /// fills members.
    fn next_ready(&self, after: Option<Rank>) -> Option<Rank> {
        use std::ops::Bound::{Excluded, Unbounded};
        let mut behind = self.waiting.range((after.map_or(Unbounded, Excluded), Unbounded));
        behind.find(|(_, request)| self.has_room(request)).map(|(rank, _)| *rank)
    }

    fn has_room(&self, request: &Request) -> bool {
        let count = |counts: &BTreeMap<MemberId, usize>, member| counts.get(member).copied().unwrap_or(0);
        count(&self.per_source, &request.source) < self.limits.per_source()
            && count(&self.per_target, &request.target) < self.limits.per_target()
    }

    fn run(&mut self, request: Request) {
        *self.per_source.entry(request.source.clone()).or_default() += 1;
        *self.per_target.entry(request.target.clone()).or_default() += 1;
        self.running.insert(request.migration, request);
    }
}

fn leave(counts: &mut BTreeMap<MemberId, usize>, member: &MemberId) {
    match counts.get_mut(member) {
        Some(count) if *count > 1 => *count -= 1,
        _ => {
            counts.remove(member);
        }
    }
}
