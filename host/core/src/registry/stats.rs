//! Sums over members.

use std::collections::BTreeMap;

use crate::member::{Health, Member, Role, Status};

/// Sums over a group of members.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Members.
    pub members: u64,
    /// Online and not unhealthy.
    pub healthy: u64,
    /// Online (draining ones not counted).
    pub online: u64,
    /// Work running.
    pub active: u64,
    /// Work that could run; unlimited members are not counted.
    pub capacity: u64,
    /// Members by role.
    pub by_role: BTreeMap<Role, u64>,
    /// Members by status.
    pub by_status: BTreeMap<Status, u64>,
    /// Members by health.
    pub by_health: BTreeMap<Health, u64>,
}

impl Stats {
    pub(super) fn of<'a>(members: impl Iterator<Item = &'a Member>) -> Self {
        let mut stats = Self::default();
        for member in members {
            stats.members += 1;
            stats.online += u64::from(member.status == Status::Online);
            stats.healthy += u64::from(member.status == Status::Online && member.health != Health::Unhealthy);
            stats.active += u64::from(member.active());
            stats.capacity += u64::from(member.capacity());
            *stats.by_role.entry(member.role).or_default() += 1;
            *stats.by_status.entry(member.status).or_default() += 1;
            *stats.by_health.entry(member.health).or_default() += 1;
        }
        stats
    }

    /// Share of the capacity in use, percent; 0 if there is none.
    #[must_use]
    pub fn utilisation_percent(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a percentage for people")]
        let percent = 100.0 * self.active as f64 / self.capacity.max(1) as f64;
        if self.capacity == 0 { 0.0 } else { percent }
    }
}
