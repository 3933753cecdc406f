//! What the host orders members to do, and what they report.
//!
//! Invariant: an order is named by (migration, step, attempt) and carries the ownership epoch; the reply
//! repeats both. The same order given twice has one effect and the same reply.

use pilothouse_core::id::{AgentName, MemberId};
use pilothouse_core::member::Resources;

use crate::id::{Attempt, MigrationId};
use crate::step::Step;
use crate::transfer::StateDigest;

/// Longest text of a failure, bytes.
pub const FAILURE_BYTES_MAX: usize = 256;

/// Names an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Which migration.
    pub migration: MigrationId,
    /// Which step.
    pub step: Step,
    /// Which attempt.
    pub attempt: Attempt,
}

/// An order to a member.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Order {
    /// Its name.
    pub key: Key,
    /// About which workload.
    pub workload: AgentName,
    /// The ownership epoch under which it is given.
    pub epoch: u64,
    /// What to do.
    pub task: Task,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Task {
    /// Target: hold room, for so long after the last sign of the migration.
    Reserve {
        /// How much.
        resources: Resources,
        /// How long, ms.
        hold_ms: u64,
    },
    /// Source: send the state, or what changed since the round before.
    Send {
        /// To whom.
        to: MemberId,
        /// Round, from 1.
        round: u32,
        /// The copy is frozen and this is the rest.
        last: bool,
        /// Compress chunks.
        compress: bool,
    },
    /// Source: stop serving, keep the copy.
    Freeze,
    /// Target: start a copy that does not serve.
    StartStandby(StandbyFrom),
    /// Target: is the standby healthy, and what is the digest of its state? The reply begins a lease of this
    /// length.
    Verify {
        /// Length of the lease, ms.
        lease_ms: u64,
    },
    /// Target: serve, under the order's epoch.
    Activate,
    /// Source: end the copy, keep its state.
    Stop,
    /// Source: erase the copy and give its room back.
    Release,
    /// Source: serve again, under the order's epoch.
    Resume,
    /// Target: drop what this migration brought and give its room back.
    Abort,
}

/// What a standby starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StandbyFrom {
    /// The state that was received; its digest must be this.
    Received(StateDigest),
    /// The newest state that can be found (snapshot, replica).
    LastKnown,
    /// Nothing.
    Nothing,
}

/// What a member reports.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reply {
    /// To which order.
    pub key: Key,
    /// About which workload.
    pub workload: AgentName,
    /// Who reports.
    pub from: MemberId,
    /// The epoch of the order.
    pub epoch: u64,
    /// What.
    pub report: Report,
}

/// How an order went.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Report {
    /// It is done and durable.
    Done,
    /// A round was sent, and the target has all of it.
    Sent(Sent),
    /// It goes on.
    Progress {
        /// Bytes sent so far in this round.
        bytes: u64,
    },
    /// The standby is healthy.
    Verified(StateDigest),
    /// It was not done.
    Refused(Refusal),
}

/// One round of copying.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sent {
    /// Bytes that went over the wire.
    pub bytes: u64,
    /// How long it took, µs.
    pub elapsed_us: u64,
    /// Bytes that changed meanwhile and are not on the target.
    pub dirty_bytes: u64,
    /// Digest of the state as of this round.
    pub digest: StateDigest,
}

/// Why an order was not done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Refusal {
    /// A newer epoch is known.
    #[error("the order's epoch is older than epoch {known}")]
    StaleEpoch {
        /// The newest epoch known to the member.
        known: u64,
    },
    /// A newer order of the same migration was seen.
    #[error("a newer order of this migration was seen")]
    StaleAttempt,
    /// No room.
    #[error("the member has no room")]
    NoRoom,
    /// A copy of the workload is there already.
    #[error("the member holds a copy already")]
    Occupied,
    /// What the order is about is not there (any more).
    #[error("the member does not hold what the order is about")]
    Missing,
    /// The state is not the one that was sent.
    #[error("the digest of the received state differs")]
    DigestDiffers,
    /// The copy has no lease; try again after the member's next heartbeat.
    #[error("the copy has no lease")]
    LeaseOver,
    /// The driver failed; escaped, at most [`FAILURE_BYTES_MAX`] bytes.
    #[error("{0}")]
    Failed(String),
}

impl Refusal {
    /// A driver's failure; the text is escaped and cut.
    #[must_use]
    pub fn failed(text: &str) -> Self {
        let mut cut = String::new();
        for character in text.chars().flat_map(char::escape_debug) {
            if cut.len() + character.len_utf8() > FAILURE_BYTES_MAX {
                break;
            }
            cut.push(character);
        }
        Self::Failed(cut)
    }
}
