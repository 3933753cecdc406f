//! What a member concludes from the owner record, which the host sends with its answer to a heartbeat.
//!
//! Invariant: the record only ever takes a copy out of service, renews a lease, or returns a frozen copy to
//! service under a newer epoch that names this member. It never starts a standby: only an order does. Epochs
//! only grow, so a late answer is as true as a fresh one in all but what it says about migrations.

use pilothouse_core::time::Now;

use super::{Command, Guard, Role};
use crate::owner::Owner;

/// The host's answer to a heartbeat, about one workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The record.
    pub owner: Owner,
    /// No migration of the workload is under way.
    pub settled: bool,
    /// When the heartbeat was sent, by the member's clock; the lease counts from then, so a late answer is
    /// worth less. Answers to heartbeats of an earlier boot are not for this machine.
    pub asked_at: Now,
    /// Length of the lease, ms; 0 = none is granted.
    pub lease_ms: u64,
}

impl Guard {
    pub(super) fn recorded(&mut self, recorded: &Recorded, now: Now) -> Vec<Command> {
        let Recorded { owner, settled, asked_at, lease_ms } = recorded;
        if owner.epoch < self.epoch || *asked_at > now {
            return Vec::new();
        }
        if owner.member == self.me {
            let ended = owner.epoch > self.epoch && matches!(self.role, Role::Serving | Role::Frozen);
            if ended {
                (self.role, self.epoch) = (Role::Serving, owner.epoch);
            }
            self.lease_until = self.lease_until.max(asked_at.plus_ms(*lease_ms));
            return Vec::new();
        }
        if self.role == Role::Serving {
            self.role = Role::Frozen;
        }
        // A migration may have begun since the host said that none is under way.
        let ordered_since = self.newest.as_ref().is_some_and(|newest| newest.at >= *asked_at);
        let is_left_over = *settled && !ordered_since && self.role != Role::Absent;
        if is_left_over { self.discard() } else { Vec::new() }
    }
}
