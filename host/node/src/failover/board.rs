//! What is under way, what has ended, who is away from home.
//!
//! Invariant: commands of a failover wait here in their order; what is told of it is durable; at most [`ENDED_MAX`] ended
//! failovers are told about.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use pilothouse_core::failback::{Displaced, Failback};
use pilothouse_core::failover::{Command, Event, Failover, FailoverId, How, Origin, Outlook, Phase};
use pilothouse_core::id::{AgentName, Label, MemberId};
use pilothouse_core::placement::ledger::Reservation;
use pilothouse_core::time::{Now, WallMs};
use pilothouse_transport::service::failover::{FailoverInfo, MovedInfo, WORKLOADS_SHOWN_MAX};

use super::journal::ENDED_MAX;

/// A failover that has not ended.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) machine: Failover,
    pub(super) commands: VecDeque<Command>,
    pub(super) reserved: BTreeMap<AgentName, Reservation>,
    /// Records in its journal.
    pub(super) records: u64,
    /// The phase that was told last.
    told: Phase,
    began: Now,
    began_at: WallMs,
    overdue: bool,
}

impl Open {
    pub(super) fn new(
        machine: Failover,
        commands: Vec<Command>,
        records: u64,
        began: Now,
        began_at: WallMs,
    ) -> Self {
        let (told, commands) = (machine.phase(), commands.into());
        Self { machine, commands, reserved: BTreeMap::new(), records, told, began, began_at, overdue: false }
    }

    /// Steps the machine; its commands wait. Answers with the phase, if it is another one.
    pub(super) fn step(&mut self, event: Event, now: Now) -> Option<Phase> {
        self.commands.extend(self.machine.step(event, now));
        let phase = self.machine.phase();
        (std::mem::replace(&mut self.told, phase) != phase).then_some(phase)
    }

    /// The reservation that a commit uses up; `None` if it was refused, or is for another member.
    pub(super) fn take_reserved(&mut self, workload: &AgentName, to: &MemberId) -> Option<Reservation> {
        self.reserved.get(workload).filter(|held| held.member == *to)?;
        self.reserved.remove(workload)
    }

    /// Whether it takes too long only since now.
    pub(super) fn falls_overdue(&mut self, after_ms: u64, now: Now) -> bool {
        !std::mem::replace(&mut self.overdue, now.since_ms(self.began) > after_ms) && self.overdue
    }

    /// How it is; `None` until it is in its journal. Until its end is written it is being executed.
    pub(super) fn info(&self, now: Now) -> Option<FailoverInfo> {
        let info = (self.records > 0).then(|| self.closing(now))?;
        let phase = match self.machine.phase() {
            Phase::Ended(_) => Phase::Executing.name().to_owned(),
            _ => info.phase,
        };
        Some(FailoverInfo { phase, ..info })
    }

    /// How it will be told when its end is written.
    pub(super) fn closing(&self, now: Now) -> FailoverInfo {
        FailoverInfo {
            id: Some(self.machine.id()),
            began_at: self.began_at,
            took_ms: now.since_ms(self.began),
            overdue: self.overdue,
            ..info(&self.machine)
        }
    }
}

/// Everything but the detector.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) open: BTreeMap<FailoverId, Open>,
    pub(super) ended: VecDeque<FailoverInfo>,
    pub(super) failback: Failback,
    /// Displaced workloads as the store has them.
    pub(super) stored: BTreeMap<AgentName, Displaced>,
    /// Homes that are well.
    pub(super) well: BTreeSet<MemberId>,
    /// When homes were looked at.
    pub(super) looked: Now,
    /// Brakes that are on, with the members missing then, of how many.
    pub(super) brakes: BTreeMap<Option<Label>, (usize, usize)>,
    last: u64,
}

impl Board {
    pub(super) fn new(
        failback: Failback,
        ended: Vec<FailoverInfo>,
        displaced: Vec<Displaced>,
        last: u64,
    ) -> Self {
        let named = |displaced: Displaced| (displaced.placed.workload.clone(), displaced);
        Self {
            open: BTreeMap::new(),
            ended: ended.into(),
            failback,
            stored: displaced.into_iter().map(named).collect(),
            well: BTreeSet::new(),
            looked: Now::default(),
            brakes: BTreeMap::new(),
            last,
        }
    }

    /// A name that was never used.
    pub(super) fn next_id(&mut self) -> FailoverId {
        self.last += 1;
        FailoverId(self.last)
    }

    /// The failover of the detector that is under way; there is at most one.
    pub(super) fn detected(&self) -> Option<FailoverId> {
        let mut all = self.open.values();
        all.find(|open| *open.machine.origin() == Origin::Detector).map(|open| open.machine.id())
    }

    /// The oldest ended failover, if there is no room for one more.
    pub(super) fn oldest(&self) -> Option<FailoverId> {
        self.ended.front().filter(|_| self.ended.len() >= ENDED_MAX).and_then(|info| info.id)
    }

    /// A failover has ended.
    pub(super) fn close(&mut self, id: FailoverId, info: FailoverInfo) {
        self.open.remove(&id);
        if self.ended.len() >= ENDED_MAX {
            self.ended.pop_front();
        }
        self.ended.push_back(info);
    }

    /// One failover.
    pub(super) fn info(&self, id: FailoverId, now: Now) -> Option<FailoverInfo> {
        let open = self.open.get(&id).and_then(|open| open.info(now));
        open.or_else(|| self.ended.iter().find(|info| info.id == Some(id)).cloned())
    }

    /// All failovers, the newest first.
    pub(super) fn infos(&self, now: Now) -> Vec<FailoverInfo> {
        let open = self.open.values().filter_map(|open| open.info(now));
        let mut all: Vec<FailoverInfo> = self.ended.iter().cloned().chain(open).collect();
        all.sort_by_key(|info| std::cmp::Reverse(info.id));
        all
    }
}

/// What a machine says of itself; times are for those who know them.
pub(super) fn info(machine: &Failover) -> FailoverInfo {
    let (by, to_regions) = match machine.origin() {
        Origin::Detector => (None, BTreeSet::new()),
        Origin::Operator { by, to_regions } => (Some(by.clone()), to_regions.clone()),
    };
    let moved = |outlook: Outlook| MovedInfo {
        workload: outlook.workload,
        from: outlook.from,
        to: outlook.to,
        reason: match outlook.how {
            How::Left(reason) => Some(reason.to_string()),
            How::Waiting | How::Planned | How::Moving | How::Running => None,
        },
    };
    FailoverInfo {
        id: None,
        by,
        to_regions,
        lost: machine.lost().clone(),
        phase: machine.phase().name().to_owned(),
        began_at: WallMs::default(),
        took_ms: 0,
        overdue: false,
        progress: machine.progress(),
        workloads: machine.outlook().into_iter().take(WORKLOADS_SHOWN_MAX).map(moved).collect(),
    }
}
