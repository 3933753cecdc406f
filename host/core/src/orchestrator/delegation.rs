//! The words of the ledger: one delegation, what happens to it, what the ledger commands.
//!
//! Invariant: a record in a final stage holds nothing that grows. The machine that uses them is [`super::Ledger`].

use std::collections::BTreeSet;
use std::sync::Arc;

use super::message::{Callback, Delegation, Grant, Progress, Refusal, RefusalKind, Reply};
use crate::id::{MemberId, OrchestratorId, TaskId};
use crate::time::{Now, WallMs};

/// What an operator says of delegations.
#[derive(Debug, Clone, PartialEq)]
pub struct LedgerSettings {
    /// This orchestrator.
    pub own: OrchestratorId,
    /// How long a task may take if its origin does not say, ms.
    pub timeout_ms: u64,
    /// Tokens that tasks executed here may use at once.
    pub tokens: u64,
}

/// Names a delegation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Who asked this orchestrator; itself for what was submitted here.
    pub origin: OrchestratorId,
    /// The origin's name of the task.
    pub task: TaskId,
}

/// Who executes a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Executor {
    /// A member of this orchestrator.
    Member(MemberId),
    /// A peer.
    Orchestrator(OrchestratorId),
}

/// Where a delegation stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// Somebody is being chosen.
    Choosing,
    /// A member was chosen and is being assigned, or a peer was asked.
    Asked,
    /// It is taken.
    Accepted,
    /// It runs; percent, if known.
    Running(Option<f32>),
    /// It is done; the result as JSON text.
    Completed(Option<Arc<str>>),
    /// It was taken and is not done; why.
    Failed(String),
    /// It was not taken.
    Refused(Refusal),
}

impl Stage {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Choosing => "choosing",
            Self::Asked => "asked",
            Self::Accepted => "accepted",
            Self::Running(_) => "running",
            Self::Completed(_) => "completed",
            Self::Failed(_) => "failed",
            Self::Refused(_) => "refused",
        }
    }

    /// Whether nothing comes after it.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Completed(_) | Self::Failed(_) | Self::Refused(_))
    }
}

/// One delegation.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its name.
    pub key: Key,
    /// What was asked; without context and extra fields once it is finished.
    pub delegation: Arc<Delegation>,
    /// Who has it.
    pub executor: Option<Executor>,
    /// Where it stands.
    pub stage: Stage,
    /// What it got.
    pub grant: Option<Grant>,
    /// When it was asked.
    pub asked_at: Now,
    /// When it must be finished.
    pub deadline: Now,
    /// Peers that did not take it.
    pub(super) tried: BTreeSet<OrchestratorId>,
    /// How often somebody was chosen and did not take it.
    pub(super) tries: usize,
    /// What the last of them said.
    pub(super) refusal: Option<Refusal>,
    pub(super) weight: usize,
    pub(super) started_at: Option<Now>,
}

impl Record {
    /// The same question again: the same answer, if there is one already.
    pub(super) fn again(&self, asked: &Delegation) -> Vec<LedgerCommand> {
        let (before, now) = (&self.delegation.task, &asked.task);
        let answer = if (&before.kind, &before.description) != (&now.kind, &now.description) {
            Err(Refusal::new(RefusalKind::Rejected, "another task of this origin has this id"))
        } else if let Stage::Refused(refusal) = &self.stage {
            Err(refusal.clone())
        } else if let Some(grant) = self.grant {
            Ok(grant)
        } else {
            return Vec::new();
        };
        let reply = Reply { task: self.key.task.clone(), answer };
        vec![LedgerCommand::Answer(self.key.clone(), reply)]
    }

    /// A delegation as it goes to a peer.
    pub(super) fn onward(&self, own: OrchestratorId, to: OrchestratorId, now: Now) -> Delegation {
        let mut delegation = (*self.delegation).clone();
        if self.key.origin != own && !delegation.passed.contains(&self.key.origin) {
            delegation.passed.push(self.key.origin.clone());
        }
        delegation.passed.push(own.clone());
        (delegation.from, delegation.to) = (own, to);
        delegation.timeout_ms = Some(self.deadline.since_ms(now));
        delegation
    }
}

/// How busy a member is when it gets a task.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct MemberLoad {
    /// Work that waits there.
    pub waiting: u32,
    /// Work that it runs, this task included.
    pub active: u32,
    /// Most it can run; 0 = unlimited.
    pub capacity: u32,
    /// What it says a piece of work takes, ms.
    pub service_ms: Option<f32>,
}

/// What happens to delegations.
#[derive(Debug, Clone, PartialEq)]
pub enum LedgerEvent {
    /// A task is to be taken.
    Ask {
        /// Who asks.
        origin: OrchestratorId,
        /// What.
        delegation: Box<Delegation>,
    },
    /// Somebody was chosen.
    Chosen(Key, Executor),
    /// Nobody was.
    NotChosen(Key, Refusal),
    /// The member is assigned, durably.
    Assigned {
        /// Which.
        key: Key,
        /// How busy it is.
        load: MemberLoad,
        /// The time for people.
        wall: WallMs,
    },
    /// The assignment was not stored.
    NotAssigned(Key, Refusal),
    /// The peer's connection did not take the message.
    NotSent(Key, Refusal),
    /// A peer answered.
    Replied(OrchestratorId, Reply),
    /// A peer tells how a task goes.
    Called(OrchestratorId, Callback),
    /// A member, or somebody for it, tells how a task goes.
    Reported(Key, Progress),
    /// Time went by.
    Tick,
}

/// What the shell does.
#[derive(Debug, Clone, PartialEq)]
pub enum LedgerCommand {
    /// Ask the policy who takes it; never one of these peers.
    Choose(Key, Arc<Delegation>, BTreeSet<OrchestratorId>),
    /// Assign it to a member, and say how that went.
    Assign(Key, MemberId),
    /// Send it to a peer; say so if that is not possible.
    Forward {
        /// Which.
        key: Key,
        /// To whom.
        to: OrchestratorId,
        /// As it goes out.
        delegation: Box<Delegation>,
        /// From then on it must not go out any more.
        until: Now,
    },
    /// Answer the origin (nothing to send if that is this orchestrator).
    Answer(Key, Reply),
    /// Tell the origin how it goes.
    Call(Key, Callback),
    /// The member is done with it.
    Release {
        /// Which.
        key: Key,
        /// Who had it.
        member: MemberId,
        /// How it went, if that says something about the member.
        success: Option<bool>,
    },
    /// What a peer made of a task says something about the peer.
    Judge(OrchestratorId, bool),
    /// The peer spoke of a task that it does not have.
    Unknown(OrchestratorId, TaskId),
}
