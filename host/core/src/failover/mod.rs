//! Failover: the workloads of dead members run elsewhere, most important first, as far as there is room.
//!
//! dead members, their workloads, survivors -> detected -> confirmed -> planning -> executing -> done | partial | aborted
//!
//! Planning asks the placement slot for each workload and checks and reserves what it advises; executing changes the
//! owner by compare-and-swap and starts it there. Every workload ends with a place or with a [`Reason`].
//!
//! Invariants: an effect comes after the journal entry that allows it; a workload has at most one change of owner under
//! way, and none before the failover was confirmed or while the brake is on; survivors keep their headroom; a reservation
//! is released exactly once unless it became an assignment; a member that returns keeps what was not committed elsewhere.
//! The ownership record is the only truth about a commit: it is read again after a crash, never guessed from the journal.
//! Deliberately absent: choosing places (a policy's), copying state and starting (the shell's), deleting anything (nobody's).

mod items;
mod machine;
mod planning;
mod resume;
mod returning;
#[cfg(test)]
mod tests;
mod workload;

use std::collections::BTreeSet;
use std::fmt;

use crate::eligible::NoneEligible;
use crate::id::{AgentName, Label, MemberId};
use crate::member::Resources;
use crate::placement::Terms;
use crate::setting::{SettingError, within};

pub use items::{How, Outlook, Progress};
pub use machine::Failover;
pub use resume::Unfinished;
pub use returning::{HeldCopy, Owner, Verdict, verdict};
pub use workload::{Reason, StateCopy, Survivor, Workload};

/// Most workloads of one failover; what is beyond is left with [`Reason::TooMany`] for the next one.
pub const WORKLOADS_MAX: usize = 100_000;

/// How careful and how fast.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// Whether it starts without an operator.
    pub automatic: bool,
    /// How long a detected death waits for the member's return, ms.
    pub confirm_ms: u64,
    /// The same after a restart of the host, when heartbeats have not been heard yet, ms.
    pub reconfirm_ms: u64,
    /// Share of every survivor that stays free, 0..1.
    pub headroom_share: f32,
    /// Most questions to the placement slot at a time.
    pub asks_max: usize,
    /// Most workloads that one survivor takes over at a time.
    pub starts_per_member: usize,
    /// Survivors begin within this time of each other, not all at once, ms.
    pub jitter_ms: u64,
    /// How long a start may take, ms.
    pub start_timeout_ms: u64,
    /// Targets that may fail before a workload is left.
    pub targets_max: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            automatic: true,
            confirm_ms: 0,
            reconfirm_ms: 5_000,
            headroom_share: 0.15,
            asks_max: 64,
            starts_per_member: 32,
            jitter_ms: 50,
            start_timeout_ms: 10_000,
            targets_max: 3,
        }
    }
}

impl Rules {
    /// Checks every rule against its range.
    ///
    /// # Errors
    /// The first that is out of it.
    #[allow(clippy::cast_precision_loss, reason = "ranges end far below 2^53")]
    pub fn check(&self) -> Result<(), SettingError> {
        within("confirm_ms", self.confirm_ms as f64, 0.0..=3_600_000.0)?;
        within("reconfirm_ms", self.reconfirm_ms as f64, 0.0..=3_600_000.0)?;
        within("headroom_share", self.headroom_share.into(), 0.0..=1.0)?;
        within("asks_max", self.asks_max as f64, 1.0..=1_024.0)?;
        within("starts_per_member", self.starts_per_member as f64, 1.0..=10_000.0)?;
        within("jitter_ms", self.jitter_ms as f64, 0.0..=60_000.0)?;
        within("start_timeout_ms", self.start_timeout_ms as f64, 1.0..=3_600_000.0)?;
        within("targets_max", self.targets_max.into(), 1.0..=100.0)
    }
}

/// Names a failover; a durable counter of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FailoverId(pub u64);

impl fmt::Display for FailoverId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "f-{:x}", self.0)
    }
}

impl FailoverId {
    /// Reads what `Display` writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        u64::from_str_radix(text.strip_prefix("f-")?, 16).ok().map(Self)
    }
}

/// Who wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The failure detector.
    Detector,
    /// An operator, whatever the detector says; members that are heard do not end it.
    Operator {
        /// Who.
        by: String,
        /// Only to these regions; empty = to any.
        to_regions: BTreeSet<Label>,
    },
}

/// What is left behind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lost {
    /// The members.
    pub members: BTreeSet<MemberId>,
    /// Regions of which nothing is used as a target.
    pub regions: BTreeSet<Label>,
}

/// What a failover begins with.
#[derive(Debug, Clone, PartialEq)]
pub struct Opening {
    /// Its name.
    pub id: FailoverId,
    /// Who wants it.
    pub origin: Origin,
    /// What is left behind.
    pub lost: Lost,
    /// Every workload whose owner is lost, as its record is now; when resuming, also those that were planned.
    pub workloads: Vec<Workload>,
    /// Who may take over.
    pub survivors: Vec<Survivor>,
    /// Randomness of the survivors' first moments.
    pub seed: u64,
}

/// What a failover is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// An operator says that it shall start.
    Confirmed,
    /// The placement slot advises a member.
    Advised {
        /// For which workload.
        workload: AgentName,
        /// Whom.
        member: MemberId,
    },
    /// No member meets the requirement.
    NoneEligible {
        /// Of which workload.
        workload: AgentName,
        /// What cut them off.
        none: NoneEligible,
    },
    /// The placement slot failed.
    AdviceFailed {
        /// For which workload.
        workload: AgentName,
    },
    /// The owner was changed.
    Committed {
        /// Of which workload.
        workload: AgentName,
        /// The epoch in force now.
        epoch: u64,
    },
    /// Somebody else had changed the owner before.
    Fenced {
        /// Of which workload.
        workload: AgentName,
        /// The epoch in force.
        found: u64,
    },
    /// Its target does not take it: it could not be reserved, or no longer passes a filter at the commit. Nothing changed.
    Refused {
        /// Which workload.
        workload: AgentName,
    },
    /// A workload runs.
    Started {
        /// Which.
        workload: AgentName,
        /// Under which epoch.
        epoch: u64,
    },
    /// A workload could not be started.
    StartFailed {
        /// Which.
        workload: AgentName,
        /// Under which epoch.
        epoch: u64,
    },
    /// A lost member is heard again.
    Returned(MemberId),
    /// One more member died, perhaps a target; with the workloads whose owner it is.
    Died {
        /// Who.
        member: MemberId,
        /// What it ran.
        workloads: Vec<Workload>,
    },
    /// The detector's brake was put on or off.
    Braked(bool),
    /// An operator stops it; what was committed is finished.
    Cancelled,
    /// Time went by.
    Tick,
}

/// A workload and the place chosen for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Which.
    pub workload: AgentName,
    /// Its owner now.
    pub from: MemberId,
    /// The epoch that must be in force when it is committed.
    pub epoch: u64,
    /// Where to.
    pub to: MemberId,
}

/// What has to be durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// It exists.
    Opened {
        /// Which.
        id: FailoverId,
        /// Who wants it.
        origin: Origin,
        /// What is left behind.
        lost: Lost,
    },
    /// It may act.
    Confirmed,
    /// Places were chosen; later ones replace earlier ones of the same workload.
    Planned(Vec<Planned>),
    /// One more member is lost.
    Widened(MemberId),
    /// A member is not lost any more.
    Returned(MemberId),
    /// Nothing of it is open.
    Ended(Outcome),
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every workload runs.
    Done,
    /// Some were left, each with a reason.
    Partial,
    /// Nothing was moved: the members returned, or an operator stopped it.
    Aborted,
}

/// What the shell does, in this order: a command is carried out only after every [`Command::Journal`] before it is
/// durable. All are idempotent under the failover, the workload and the epoch.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "at most `asks_max` questions exist at a time")]
pub enum Command {
    /// Make it durable before anything that follows.
    Journal(Entry),
    /// Ask the placement slot; answer `Advised`, `NoneEligible` or `AdviceFailed`.
    Ask {
        /// For which workload.
        workload: AgentName,
        /// Its terms, with the failover's constraints added.
        terms: Terms,
    },
    /// Count the workload on its target from now on; answer only if that fails: `Refused`.
    Reserve {
        /// Which.
        workload: AgentName,
        /// Where.
        member: MemberId,
        /// How much.
        needs: Resources,
    },
    /// Count it there no longer; nothing to do if it was refused.
    Release {
        /// Which.
        workload: AgentName,
        /// Where.
        member: MemberId,
        /// How much.
        needs: Resources,
    },
    /// Change the owner by compare-and-swap on the epoch, the reservation becoming the assignment; answer `Committed`
    /// (also if this very change was made before), `Fenced` or `Refused`. It may be queued behind its own reservation:
    /// if that was refused, it is void, neither carried out nor answered.
    Commit(Planned),
    /// Start it from its newest copy of state; answer `Started` or `StartFailed`.
    Start {
        /// Which.
        workload: AgentName,
        /// Where.
        member: MemberId,
        /// Under which epoch.
        epoch: u64,
    },
    /// It has ended; what was left keeps its owner record and its state.
    Report(Summary),
}

/// A workload that was moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Which.
    pub workload: AgentName,
    /// Where it lived before the failover.
    pub home: MemberId,
    /// Its owner now.
    pub member: MemberId,
    /// The epoch in force.
    pub epoch: u64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Which.
    pub id: FailoverId,
    /// How it ended.
    pub outcome: Outcome,
    /// What runs elsewhere now.
    pub placed: Vec<Placed>,
    /// What does not, and why, most important first.
    pub left: Vec<(AgentName, Reason)>,
    /// From the detection to the end, ms, by the clock of this run of the host.
    pub took_ms: u64,
}

impl Outcome {
    /// `done`, `partial` or `aborted`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Partial => "partial",
            Self::Aborted => "aborted",
        }
    }
}

/// How far a failover is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Waits for confirmation.
    Detected,
    /// Confirmed, but the brake is on.
    Confirmed,
    /// Places are being chosen.
    Planning,
    /// Owners are being changed.
    Executing,
    /// Over.
    Ended(Outcome),
}

impl Phase {
    /// `detected`, `confirmed`, `planning`, `executing`, or how it ended.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Detected => "detected",
            Self::Confirmed => "confirmed",
            Self::Planning => "planning",
            Self::Executing => "executing",
            Self::Ended(outcome) => outcome.name(),
        }
    }
}
