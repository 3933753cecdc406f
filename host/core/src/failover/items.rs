//! The workloads of a failover, each with its stage, and the survivors with their queues.
//!
//! Invariant: a workload is in exactly one stage; the sets of waiting, queued and starting ones are indexes of that.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::id::{AgentName, Label, MemberId};
use crate::room::Room;
use crate::time::Now;

use super::{Planned, Reason, Survivor, WORKLOADS_MAX, Workload};

/// Order of importance: priority, then place in its group, then arrival.
pub(super) type Rank = (Reverse<i32>, u32, usize);

/// How far one workload is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    /// For a question to the placement slot.
    Waiting,
    /// The question is under way.
    Asked,
    /// A place is reserved.
    Planned(MemberId),
    /// The change of owner is under way.
    Committing(MemberId),
    /// It is its owner's now, and being started until the time.
    Starting(Now),
    /// It runs at its owner.
    Running,
    /// It is not moved.
    Left(Reason),
}

#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) workload: Workload,
    pub(super) rank: Rank,
    pub(super) stage: Stage,
    /// Who owned it before the last change, if we made one.
    pub(super) from: Option<MemberId>,
    /// Targets that failed it.
    pub(super) refused: BTreeSet<MemberId>,
    pub(super) failures: u32,
    pub(super) asks: usize,
}

impl Item {
    /// The change of owner that is reserved.
    pub(super) fn planned(&self) -> Option<Planned> {
        let Stage::Planned(to) = &self.stage else { return None };
        Some(Planned {
            workload: self.workload.name.clone(),
            from: self.workload.owner.clone(),
            epoch: self.workload.epoch,
            to: to.clone(),
        })
    }
}

/// A survivor and what is on its way to it.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) region: Option<Label>,
    pub(super) room: Room,
    /// Workloads it is taking over now.
    pub(super) busy: usize,
    /// When it begins.
    pub(super) opens_at: Now,
    pub(super) queue: BTreeSet<Rank>,
}

/// How many workloads are how far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// No place is chosen yet.
    pub waiting: usize,
    /// A place is reserved.
    pub planned: usize,
    /// The owner is being changed, or it is being started.
    pub moving: usize,
    /// They run elsewhere.
    pub running: usize,
    /// They are left.
    pub left: usize,
}

/// How far one workload is, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// No place is chosen yet.
    Waiting,
    /// A place is reserved.
    Planned,
    /// The owner is being changed, or it is being started.
    Moving,
    /// It runs there.
    Running,
    /// It is not moved.
    Left(Reason),
}

/// One workload of a failover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlook {
    /// Which.
    pub workload: AgentName,
    /// Where it lived before the failover.
    pub from: MemberId,
    /// Where it goes or went.
    pub to: Option<MemberId>,
    /// How far it is.
    pub how: How,
}

impl From<&Item> for Outlook {
    fn from(item: &Item) -> Self {
        let owner = &item.workload.owner;
        let (to, how) = match &item.stage {
            Stage::Waiting | Stage::Asked => (None, How::Waiting),
            Stage::Planned(to) => (Some(to), How::Planned),
            Stage::Committing(to) => (Some(to), How::Moving),
            Stage::Starting(_) => (Some(owner), How::Moving),
            Stage::Running => (Some(owner), How::Running),
            Stage::Left(reason) => (None, How::Left(*reason)),
        };
        let workload = item.workload.name.clone();
        Self { workload, from: item.from.as_ref().unwrap_or(owner).clone(), to: to.cloned(), how }
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Items {
    pub(super) all: Vec<Item>,
    by_name: BTreeMap<AgentName, usize>,
    in_groups: BTreeMap<(i32, Label), u32>,
    pub(super) waiting: BTreeSet<Rank>,
    pub(super) asked: usize,
    /// Starting ones by their deadline.
    pub(super) starting: BTreeSet<(Now, usize)>,
    /// Neither running nor left.
    pub(super) open: usize,
}

impl Items {
    /// Adds a workload, unless it is there; beyond the bound it is left at once.
    pub(super) fn add(&mut self, workload: Workload) -> Option<usize> {
        if self.by_name.contains_key(&workload.name) {
            return None;
        }
        let index = self.all.len();
        let priority = workload.terms.priority;
        let place = workload.terms.group.clone().map_or(0, |group| {
            let count = self.in_groups.entry((priority, group)).or_default();
            *count += 1;
            *count
        });
        let rank = (Reverse(priority), place, index);
        self.by_name.insert(workload.name.clone(), index);
        let fits = index < WORKLOADS_MAX;
        let stage = if fits { Stage::Waiting } else { Stage::Left(Reason::TooMany) };
        if fits {
            self.waiting.insert(rank);
            self.open += 1;
        }
        let refused = BTreeSet::new();
        self.all.push(Item { workload, rank, stage, from: None, refused, failures: 0, asks: 0 });
        Some(index)
    }

    pub(super) fn index(&self, name: &AgentName) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    pub(super) fn get(&self, index: usize) -> Option<&Item> {
        self.all.get(index)
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Item> {
        self.all.get_mut(index)
    }

    /// The only way from stage to stage; keeps the indexes and answers with the stage before.
    pub(super) fn enter(&mut self, index: usize, stage: Stage) -> Option<Stage> {
        let item = self.all.get_mut(index)?;
        let rank = item.rank;
        let before = std::mem::replace(&mut item.stage, stage);
        let after = &item.stage;
        match before {
            Stage::Waiting => _ = self.waiting.remove(&rank),
            Stage::Asked => self.asked = self.asked.saturating_sub(1),
            Stage::Starting(until) => _ = self.starting.remove(&(until, index)),
            _ => {}
        }
        match after {
            Stage::Waiting => _ = self.waiting.insert(rank),
            Stage::Asked => self.asked += 1,
            Stage::Starting(until) => _ = self.starting.insert((*until, index)),
            _ => {}
        }
        let closed = |stage: &Stage| matches!(stage, Stage::Running | Stage::Left(_));
        match (closed(&before), closed(after)) {
            (false, true) => self.open = self.open.saturating_sub(1),
            (true, false) => self.open += 1,
            _ => {}
        }
        Some(before)
    }

    /// Whether every workload has a place or a reason.
    pub(super) fn is_planned(&self) -> bool {
        self.waiting.is_empty() && self.asked == 0
    }

    pub(super) fn progress(&self) -> Progress {
        let mut progress = Progress::default();
        for item in &self.all {
            *match item.stage {
                Stage::Waiting | Stage::Asked => &mut progress.waiting,
                Stage::Planned(_) => &mut progress.planned,
                Stage::Committing(_) | Stage::Starting(_) => &mut progress.moving,
                Stage::Running => &mut progress.running,
                Stage::Left(_) => &mut progress.left,
            } += 1;
        }
        progress
    }
}

impl From<Survivor> for Target {
    fn from(Survivor { member: _, region, room }: Survivor) -> Self {
        Self { region, room, busy: 0, opens_at: Now::default(), queue: BTreeSet::new() }
    }
}
