//! The journal of a migration, and how it ends.
//!
//! Invariant: entries of one migration are numbered from 1 without a gap, the first is `Begin`, the last of a
//! finished one is `End`. An entry is durable before anything that it announces is done. How entries are
//! encoded and stored is the shell's.

use crate::charter::Charter;
use crate::id::MigrationId;
use crate::order::Refusal;
use crate::step::Step;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Of which migration.
    pub migration: MigrationId,
    /// Its number.
    pub sequence: u32,
    /// What it announces.
    pub note: Note,
}

/// What an entry announces.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Note {
    /// The migration exists; validation may begin, which has no effects.
    Begin(Box<Charter>),
    /// A step. `Freeze`, or `StartStandby` where the source takes no part, announces everything up to
    /// `Activate`.
    Enter(Step),
    /// It is rolled back, unless the owner record shows that the commit was made.
    Undo(Failure),
    /// It is over.
    End(Outcome),
}

/// Why a migration is rolled back.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Failure {
    /// Somebody cancelled it.
    #[error("cancelled")]
    Cancelled,
    /// A rule forbids it, or the workload is not where it should be.
    #[error("not allowed: {0}")]
    Invalid(String),
    /// The source cannot take part and the mode is graceful.
    #[error("the source is not reachable; a forced migration would go on without it")]
    SourceUnreachable,
    /// A step was not answered.
    #[error("step `{}` was not answered in time", .0.name())]
    TimedOut(Step),
    /// A member refused a step.
    #[error("step `{}` was refused: {refusal}", step.name())]
    Refused {
        /// Which step.
        step: Step,
        /// Why.
        refusal: Refusal,
    },
    /// The state changes too fast for the bound on downtime.
    #[error(
        "the pause would be {predicted_us} µs where {allowed_ms} ms are allowed; more rounds do not help"
    )]
    NotConverging {
        /// Pause after the last round, µs.
        predicted_us: u64,
        /// The bound, ms.
        allowed_ms: u64,
    },
    /// The target's state is not the source's.
    #[error("the digests of source and target differ")]
    DigestDiffers,
    /// The source was frozen for too long.
    #[error("the bound on downtime was reached before the commit")]
    DowntimeExceeded,
    /// It took too long.
    #[error("the deadline was reached before the commit")]
    DeadlineExceeded,
    /// Somebody else changed the owner.
    #[error("the owner was changed by somebody else")]
    OwnerChanged,
    /// The host went down before the commit.
    #[error("the host was interrupted before the commit")]
    Interrupted,
}

/// How a migration ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The target serves.
    Moved {
        /// From the order to freeze until the target served, by the host's clock; `None` after a crash in
        /// between, ms.
        downtime_ms: Option<u64>,
        /// Whether the source's copy is gone; otherwise it goes when the source is back.
        source_cleaned: bool,
    },
    /// The workload stays where it was.
    RolledBack {
        /// Why.
        failure: Failure,
        /// Whether the source serves again; otherwise it does with its next lease.
        source_resumed: bool,
        /// Whether the target gave everything back; otherwise it does when it is back or its reservation
        /// lapses.
        target_cleaned: bool,
    },
    /// It was committed, then somebody else changed the owner.
    Superseded,
    /// It was committed, then the target lost its copy: failover goes on from the source's frozen one.
    NeedsFailover,
}
