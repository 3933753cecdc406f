//! Loads of members, and how far they are from even.
//!
//! Load and capacity are in any one unit (agents, MiB, thousandths of a core); utilisation is their quotient.
//! Members without a known capacity are neither sources of alarm nor targets.

use std::collections::BTreeMap;

use crate::id::{AgentName, MemberId};
use crate::member::Resources;
use crate::policy::request;
use crate::room::Room;

/// A member in a what-if snapshot.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberLoad {
    /// Who.
    pub id: MemberId,
    /// Its row, by which policies name it.
    pub row: u32,
    /// What it carries.
    pub load: u64,
    /// What it could carry; 0 = unknown.
    pub capacity: u64,
    /// Its hard room.
    pub room: Room,
    /// Whether it may be offered work at all.
    pub takes_work: bool,
}

impl MemberLoad {
    pub(super) fn utilisation(&self) -> f64 {
        quotient(self.load, self.capacity)
    }
}

/// A workload that could be moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resident {
    /// Which.
    pub workload: AgentName,
    /// Where it lives.
    pub member: MemberId,
    /// Its ownership epoch.
    pub epoch: u64,
    /// Its part of its member's load.
    pub load: u64,
    /// What it takes.
    pub needs: Resources,
    /// Higher is more important.
    pub priority: i32,
    /// How long it has run, ms.
    pub age_ms: u64,
}

/// The fleet as one plan sees it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Snapshot {
    /// Epoch of the fleet, for the record.
    pub epoch: u64,
    /// All members.
    pub members: Vec<MemberLoad>,
    /// Workloads that may move; their places are the policy's handles.
    pub residents: Vec<Resident>,
    /// All workloads, also those that may not move.
    pub workloads: usize,
}

impl Snapshot {
    /// The residents as a policy sees them. One whose member is not there is left without a row that exists.
    #[must_use]
    pub fn for_policy(&self) -> Vec<request::Resident> {
        let rows: BTreeMap<&MemberId, u32> =
            self.members.iter().map(|member| (&member.id, member.row)).collect();
        let resident = |(workload, resident): (u32, &Resident)| request::Resident {
            workload,
            row: rows.get(&resident.member).copied().unwrap_or(u32::MAX),
            needs: resident.needs,
            priority: resident.priority,
            age_ms: resident.age_ms,
        };
        (0..).zip(&self.residents).map(resident).collect()
    }

    /// Fewest moves that could bring every member below `ratio` times the mean:
    /// `sum max(0, L_i - ratio * mean * C_i) / max_item`, rounded up.
    #[must_use]
    pub fn moves_min(&self, ratio: f64) -> u64 {
        let mean = Imbalance::of(&self.members).mean;
        let biggest = self.residents.iter().map(|resident| resident.load).max().unwrap_or(0);
        let above =
            |member: &MemberLoad| (float(member.load) - ratio * mean * float(member.capacity)).max(0.0);
        let excess: f64 = self.members.iter().filter(|member| member.capacity > 0).map(above).sum();
        if biggest == 0 {
            return 0;
        }
        // Rounding errors of the mean are not a move.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative; saturates")]
        let moves = (excess / float(biggest) - 1e-9).ceil() as u64;
        moves
    }
}

/// How uneven the fleet is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Imbalance {
    /// Highest utilisation of a member.
    pub max: f64,
    /// Utilisation of the fleet as one.
    pub mean: f64,
}

impl Imbalance {
    /// Of members with a known capacity.
    pub fn of<'a>(members: impl IntoIterator<Item = &'a MemberLoad>) -> Self {
        let (mut max, mut load, mut capacity) = (0.0_f64, 0_u64, 0_u64);
        for member in members.into_iter().filter(|member| member.capacity > 0) {
            max = max.max(member.utilisation());
            load = load.saturating_add(member.load);
            capacity = capacity.saturating_add(member.capacity);
        }
        Self { max, mean: quotient(load, capacity) }
    }

    /// Highest over mean; 1 in an idle fleet.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        if self.mean > 0.0 { self.max / self.mean } else { 1.0 }
    }
}

pub(super) fn quotient(load: u64, capacity: u64) -> f64 {
    if capacity == 0 { 0.0 } else { float(load) / float(capacity) }
}

#[allow(clippy::cast_precision_loss, reason = "loads are compared with a margin far above the rounding")]
pub(super) fn float(value: u64) -> f64 {
    value as f64
}
