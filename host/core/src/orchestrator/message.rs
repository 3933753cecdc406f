//! What orchestrators tell each other, in our words; the wire's JSON is the transport's.
//!
//! Invariant: every message has a weight, so that what waits can be bounded in bytes as well as in number. JSON of others (results,
//! contexts) is carried as text and never looked into.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::id::{Label, OrchestratorId, TaskId};
use crate::time::WallMs;

/// What a message weighs beside its texts, bytes.
const MESSAGE_BYTES: usize = 256;

/// How urgent a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Whenever there is time.
    Low,
    /// As usual.
    Medium,
    /// Before others.
    High,
    /// Before everything.
    Critical,
}

impl Priority {
    /// All, least urgent first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// Its name in the document.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// A piece of work.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Its name; unique for its origin.
    pub id: TaskId,
    /// What kind of work it is, for people.
    pub kind: String,
    /// What is to be done.
    pub description: String,
    /// How urgent its author finds it.
    pub priority: Priority,
    /// Where its author says it stands, for example `pending`.
    pub status: String,
    /// When it was made.
    pub created_at: WallMs,
    /// When it was last changed.
    pub updated_at: WallMs,
    /// Its other fields, a JSON object as text; they travel with it.
    pub other: Arc<str>,
}

/// What a delegation demands of who takes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Demands {
    /// All of these.
    pub capabilities: BTreeSet<Label>,
    /// So many tokens.
    pub tokens: Option<u64>,
}

/// Asks an orchestrator to take a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Delegation {
    /// Who asks.
    pub from: OrchestratorId,
    /// Who is asked.
    pub to: OrchestratorId,
    /// The task.
    pub task: Task,
    /// How urgent it is here; may differ from the task's own.
    pub priority: Priority,
    /// What it needs.
    pub demands: Demands,
    /// Orchestrators that delegated it on already, first one first: none of them gets it again.
    pub passed: Vec<OrchestratorId>,
    /// The rest of the context, a JSON object as text; it travels with the task.
    pub context: Option<Arc<str>>,
    /// How long the whole task may take, ms.
    pub timeout_ms: Option<u64>,
    /// The origin's own name for this delegation.
    pub callback_id: Option<String>,
}

/// Why a task is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefusalKind {
    /// Nobody here can do it.
    CapabilityMismatch,
    /// Those who can do it are full.
    Overloaded,
    /// The one who could do it is not connected.
    Unreachable,
    /// It contradicts something: a loop, a used id, an impossible demand, a policy.
    Rejected,
    /// Nobody answered in time.
    Timeout,
}

impl RefusalKind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::CapabilityMismatch, Self::Overloaded, Self::Unreachable, Self::Rejected, Self::Timeout];

    /// Its name, with which the reason on the wire begins.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CapabilityMismatch => "capability_mismatch",
            Self::Overloaded => "overloaded",
            Self::Unreachable => "unreachable",
            Self::Rejected => "rejected",
            Self::Timeout => "timeout",
        }
    }
}

/// A refusal with its facts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", kind.name())]
pub struct Refusal {
    /// Which decision the asker has.
    pub kind: RefusalKind,
    /// What exactly, for people.
    pub detail: String,
}

impl Refusal {
    /// A refusal.
    #[must_use]
    pub fn new(kind: RefusalKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }
}

/// What an accepted task got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// When it is expected to be done; `None` = nothing is known about how long such work takes.
    pub estimated_completion: Option<WallMs>,
    /// Sessions that it holds.
    pub sessions: u32,
    /// Tokens that it may use.
    pub tokens: u64,
}

/// The answer to a delegation.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The task.
    pub task: TaskId,
    /// What it got, or why not.
    pub answer: Result<Grant, Refusal>,
}

/// How an accepted task goes.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// It runs; percent, if known.
    Running(Option<f32>),
    /// It is done; the result as JSON text.
    Completed(Option<Arc<str>>),
    /// It is not done; why.
    Failed(String),
}

impl Progress {
    /// Whether nothing comes after it.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        !matches!(self, Self::Running(_))
    }
}

/// News of an accepted task.
#[derive(Debug, Clone, PartialEq)]
pub struct Callback {
    /// The task.
    pub task: TaskId,
    /// How it goes.
    pub progress: Progress,
}

/// Something for everybody.
#[derive(Debug, Clone, PartialEq)]
pub struct Broadcast {
    /// What it is about.
    pub topic: String,
    /// JSON text.
    pub data: Arc<str>,
    /// How long it is worth anything, ms, as its author says.
    pub ttl_ms: Option<u64>,
}

/// How an orchestrator finds itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Well.
    Healthy,
    /// Not quite.
    Degraded,
    /// It has more than it can do.
    Overloaded,
}

impl Condition {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Healthy, Self::Degraded, Self::Overloaded];

    /// Its name in the document.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Overloaded => "overloaded",
        }
    }
}

/// A sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    /// How it finds itself; nothing said = well.
    pub condition: Condition,
    /// Connections that it has.
    pub connections: u32,
}

/// What an orchestrator offers; peers that do not say it are asked by configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offer {
    /// What its members can do.
    pub capabilities: BTreeSet<Label>,
    /// Sessions that it can hold; 0 = unlimited or unknown.
    pub sessions_max: u32,
    /// Sessions that it holds.
    pub sessions: u32,
}

/// What was wrong with a message; told to who sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// A name per kind of mistake.
    pub code: String,
    /// What exactly.
    pub detail: String,
    /// The correlation id of the message, if it had one.
    pub about: Option<String>,
}

/// What peers tell each other.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// Take this task.
    Delegation(Box<Delegation>),
    /// The task is taken, or not.
    Reply(Reply),
    /// How the task goes.
    Callback(Callback),
    /// Something for everybody.
    Broadcast(Broadcast),
    /// A sign of life.
    Heartbeat(Heartbeat),
    /// How the sender finds the connection, and what it offers.
    Status(Option<Offer>),
    /// A message of the receiver was wrong.
    Complaint(Complaint),
}

impl Message {
    /// About how much memory it takes, bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        MESSAGE_BYTES
            + match self {
                Self::Delegation(delegation) => delegation.weight(),
                Self::Callback(Callback { progress: Progress::Completed(Some(result)), .. }) => result.len(),
                Self::Callback(Callback { progress: Progress::Failed(error), .. }) => error.len(),
                Self::Broadcast(broadcast) => broadcast.topic.len() + broadcast.data.len(),
                Self::Complaint(complaint) => complaint.detail.len(),
                Self::Reply(Reply { answer: Err(refusal), .. }) => refusal.detail.len(),
                Self::Reply(_) | Self::Callback(_) | Self::Heartbeat(_) | Self::Status(_) => 0,
            }
    }
}

impl Delegation {
    /// About how much memory it takes, bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        let Task { kind, description, status, other, .. } = &self.task;
        let context = self.context.as_ref().map_or(0, |context| context.len());
        let callback = self.callback_id.as_ref().map_or(0, String::len);
        kind.len() + description.len() + status.len() + other.len() + context + callback
    }
}
