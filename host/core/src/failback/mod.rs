//! Failback: workloads that a failover displaced go home again, slowly, and only to a home that stays well.
//!
//! failover's report -> displaced; home back (after its hold-down) -> live migrations, so many per minute -> settled
//!
//! Recovery is an event with a policy of its own, not failure played backwards: off, by hand, or automatic.
//!
//! Invariants: nothing moves before the detector says that the home is back, nor after it is suspected again; no more
//! starts than the rate in any minute; each on the epoch that it was displaced under, so whoever changed the owner since
//! wins. Nothing is deleted: a workload that cannot go home stays where it runs. What is remembered is durable with
//! [`Command::Persist`], and bounded by [`DISPLACED_MAX`].

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::failover::Placed;
use crate::id::{AgentName, MemberId};
use crate::setting::{SettingError, within};
use crate::time::Now;

/// Most displaced workloads remembered; later ones stay where they are.
pub const DISPLACED_MAX: usize = 100_000;
/// Attempts after which a workload stays where it is.
pub const ATTEMPTS_MAX: u32 = 3;
const MINUTE_MS: u64 = 60_000;

/// Who decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Nobody: nothing is remembered.
    Off,
    /// An operator, home by home.
    #[default]
    Manual,
    /// The end of the hold-down; an operator for what an operator sent away.
    Automatic,
}

/// How eager.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// Who decides.
    pub mode: Mode,
    /// Most migrations started in any minute.
    pub per_minute: usize,
    /// Most migrations at a time.
    pub parallel_max: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self { mode: Mode::Manual, per_minute: 60, parallel_max: 10 }
    }
}

impl Rules {
    /// Checks every rule against its range.
    ///
    /// # Errors
    /// The first that is out of it.
    #[allow(clippy::cast_precision_loss, reason = "ranges end far below 2^53")]
    pub fn check(&self) -> Result<(), SettingError> {
        within("per_minute", self.per_minute as f64, 1.0..=10_000.0)?;
        within("parallel_max", self.parallel_max as f64, 1.0..=1_000.0)
    }
}

/// A workload that lives away from home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Displaced {
    /// The change that took it away.
    pub placed: Placed,
    /// An operator sent it away; it goes home only when one says so.
    pub by_hand: bool,
    /// Attempts to bring it home that failed.
    pub attempts: u32,
}

/// How a homeward migration ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It is at home.
    Home,
    /// It was rolled back and runs where it did.
    RolledBack,
    /// Its owner had been changed by somebody else, or it is no more.
    Gone,
}

/// What failback is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A failover ended.
    Displaced {
        /// What runs elsewhere now.
        placed: Vec<Placed>,
        /// Whether an operator wanted it.
        by_hand: bool,
    },
    /// A member's hold-down ended.
    HomeBack(MemberId),
    /// A member is suspected, unhealthy, draining or dead.
    HomeUnwell(MemberId),
    /// An operator wants a home's workloads back.
    Approved(MemberId),
    /// An operator wants them to stay where they are.
    Forgotten(MemberId),
    /// A migration ended.
    Settled(AgentName, Ending),
    /// Time went by.
    Tick,
}

/// What the shell does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Store what [`Failback::displaced`] says now, before anything that follows.
    Persist,
    /// Migrate live to its home, committing only on the epoch; answer `Settled`.
    Migrate(Placed),
    /// Roll the migration back if it is not committed yet; answer `Settled`.
    Cancel(AgentName),
}

/// What is to go home.
#[derive(Debug, Clone)]
pub struct Failback {
    rules: Rules,
    displaced: BTreeMap<AgentName, Displaced>,
    back: BTreeSet<MemberId>,
    approved: BTreeSet<MemberId>,
    moving: BTreeSet<AgentName>,
    /// Starts within the last minute; at most `per_minute`.
    starts: VecDeque<Now>,
}

impl Failback {
    /// With checked rules, and what was stored. No home counts as back until the detector says so.
    #[must_use]
    pub fn new(rules: Rules, displaced: impl IntoIterator<Item = Displaced>) -> Self {
        let named = |displaced: Displaced| (displaced.placed.workload.clone(), displaced);
        Self {
            rules,
            displaced: displaced.into_iter().map(named).collect(),
            back: BTreeSet::new(),
            approved: BTreeSet::new(),
            moving: BTreeSet::new(),
            starts: VecDeque::new(),
        }
    }

    /// Workloads away from home.
    pub fn displaced(&self) -> impl ExactSizeIterator<Item = &Displaced> {
        self.displaced.values()
    }

    /// One step.
    pub fn step(&mut self, event: Event, now: Now) -> Vec<Command> {
        let mut commands = match event {
            Event::Displaced { placed, by_hand } => self.remember(placed, by_hand),
            Event::HomeBack(home) => {
                self.back.insert(home);
                Vec::new()
            }
            Event::HomeUnwell(home) => self.unwell(&home),
            Event::Approved(home) => {
                if self.displaced.values().any(|displaced| displaced.placed.home == home) {
                    self.approved.insert(home);
                }
                Vec::new()
            }
            Event::Forgotten(home) => self.forget(&home),
            Event::Settled(workload, ending) => self.settled(&workload, ending),
            Event::Tick => Vec::new(),
        };
        self.proceed(now, &mut commands);
        commands
    }

    fn remember(&mut self, placed: Vec<Placed>, by_hand: bool) -> Vec<Command> {
        if self.rules.mode == Mode::Off || placed.is_empty() {
            return Vec::new();
        }
        for mut placed in placed {
            // After a second failover home is still where it lived before the first.
            let known = self.displaced.get(&placed.workload);
            if let Some(known) = known.filter(|known| known.placed.member == placed.home) {
                placed.home = known.placed.home.clone();
            }
            let fits = known.is_some() || self.displaced.len() < DISPLACED_MAX;
            if placed.home == placed.member {
                self.displaced.remove(&placed.workload);
            } else if fits {
                let workload = placed.workload.clone();
                self.displaced.insert(workload, Displaced { placed, by_hand, attempts: 0 });
            }
        }
        vec![Command::Persist]
    }

    fn unwell(&mut self, home: &MemberId) -> Vec<Command> {
        // A home that failed again must be approved again.
        self.back.remove(home);
        self.approved.remove(home);
        let away = |name: &&AgentName| {
            self.displaced.get(*name).is_some_and(|displaced| displaced.placed.home == *home)
        };
        self.moving.iter().filter(away).cloned().map(Command::Cancel).collect()
    }

    fn forget(&mut self, home: &MemberId) -> Vec<Command> {
        let moving = &self.moving;
        self.displaced.retain(|name, displaced| displaced.placed.home != *home || moving.contains(name));
        self.approved.remove(home);
        vec![Command::Persist]
    }

    fn settled(&mut self, workload: &AgentName, ending: Ending) -> Vec<Command> {
        if !self.moving.remove(workload) {
            return Vec::new();
        }
        let Some(displaced) = self.displaced.get_mut(workload) else { return Vec::new() };
        displaced.attempts += 1;
        if ending != Ending::RolledBack || displaced.attempts >= ATTEMPTS_MAX {
            self.displaced.remove(workload);
        }
        let homes: BTreeSet<&MemberId> =
            self.displaced.values().map(|displaced| &displaced.placed.home).collect();
        self.approved.retain(|home| homes.contains(home));
        vec![Command::Persist]
    }

    fn proceed(&mut self, now: Now, commands: &mut Vec<Command>) {
        while self.starts.front().is_some_and(|start| now.since_ms(*start) >= MINUTE_MS) {
            self.starts.pop_front();
        }
        let room = self.rules.per_minute.saturating_sub(self.starts.len());
        let free = self.rules.parallel_max.saturating_sub(self.moving.len());
        let wanted = |Displaced { placed: Placed { home, .. }, by_hand, .. }: &Displaced| {
            let decided = match self.rules.mode {
                Mode::Off => false,
                Mode::Manual => self.approved.contains(home),
                Mode::Automatic => !by_hand || self.approved.contains(home),
            };
            decided && self.back.contains(home)
        };
        let ready = self
            .displaced
            .values()
            .filter(|displaced| wanted(displaced) && !self.moving.contains(&displaced.placed.workload));
        let chosen: Vec<Placed> =
            ready.take(room.min(free)).map(|displaced| displaced.placed.clone()).collect();
        for placed in chosen {
            self.starts.push_back(now);
            self.moving.insert(placed.workload.clone());
            commands.push(Command::Migrate(placed));
        }
    }
}
