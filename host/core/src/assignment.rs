//! One workload's owner: the record that says who may run it.
//!
//! Invariant: the ownership epoch grows with every change of the owner, so that a command with an older epoch can be
//! refused. All of them are kept by [`crate::placement::ledger`], at most [`ASSIGNMENTS_MAX`].

use std::sync::Arc;

use crate::device::Devices;
use crate::id::{AgentName, MemberId};
use crate::member::Claim;
use crate::placement::Terms;
use crate::time::WallMs;

/// Most agents assigned at once.
pub const ASSIGNMENTS_MAX: usize = 1_000_000;

/// One agent's assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The agent.
    pub agent: AgentName,
    /// Where it runs.
    pub member: MemberId,
    /// Grows with every change of the owner.
    pub epoch: u64,
    /// When, for people, and for whom of two equals to evict.
    pub assigned_at: WallMs,
    /// What it asks of its place.
    pub terms: Arc<Terms>,
    /// Which shares of which accelerators it has, by the host's books.
    pub devices: Devices,
}

impl Assignment {
    /// What it has of its member.
    #[must_use]
    pub fn claim(&self) -> Claim {
        Claim { needs: self.terms.requirement.needs, devices: self.devices }
    }
}

/// There are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{ASSIGNMENTS_MAX} agents are assigned already; unassign some")]
pub struct TooManyAssignments;
