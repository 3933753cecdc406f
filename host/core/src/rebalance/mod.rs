//! Rebalancing: few moves that a placement policy suggests, checked on a what-if snapshot, executed as live migrations.
//!
//! snapshot per window -> [`Trigger`] -> cause -> policy (`suggest-moves`) -> [`Rebalancer::plan`] -> [`Plan`] with an id
//! -> [`Rebalancer::execute`] checks everything again -> [`Command::Migrate`], each by compare-and-swap on the epoch
//!
//! Invariants: a plan never raises the highest utilisation, every move wins by the margin (so no sequence of plans can go
//! in circles), no more than the budget of a window is moved, and no workload twice within its cooldown. Which moves are
//! worth trying is the policy's judgement. Nothing here is durable: a plan that is lost in a crash was only an opinion,
//! and a migration that was started has a journal of its own.

mod execution;
mod load;
mod plan;
mod recent;
#[cfg(test)]
mod tests;
mod trigger;

use crate::policy::request;
use crate::setting::{SettingError, within};
use crate::time::Now;

pub use execution::{Command, ExecuteError, FAILURES_MAX, Failure, PLANS_MAX, Rebalancer, Summary};
pub use load::{Imbalance, MemberLoad, Resident, Snapshot};
pub use plan::{ADVICE_MAX, Move, Plan, PlanId, Refused, Stale, Why};
pub use recent::{RECENT_MAX, Recent};
pub use trigger::{Cause, Trigger};

/// When to act, and how much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// Highest utilisation over the mean from which the fleet is out of balance.
    pub imbalance_max: f64,
    /// Utilisation from which a single member is a cause, 0..1.
    pub full_share: f64,
    /// Windows in a row in which a cause must hold.
    pub windows: u32,
    /// Length of a window, ms.
    pub window_ms: u64,
    /// How far a move's target must end below its source, as a share of the source's utilisation.
    pub margin: f64,
    /// Least gain in the policy's own score.
    pub gain_min: f32,
    /// Most share of all workloads moved in a window; one may always move.
    pub moved_share_max: f64,
    /// Time in which a workload is not moved again, ms.
    pub cooldown_ms: u64,
    /// How long a plan may wait for its execution, ms.
    pub valid_ms: u64,
    /// Most migrations at a time.
    pub parallel_max: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            imbalance_max: 1.2,
            full_share: 0.9,
            windows: 3,
            window_ms: 60_000,
            margin: 0.05,
            gain_min: 0.0,
            moved_share_max: 0.01,
            cooldown_ms: 600_000,
            valid_ms: 300_000,
            parallel_max: 4,
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
        within("imbalance_max", self.imbalance_max, 1.0..=100.0)?;
        within("full_share", self.full_share, 0.0..=1.0)?;
        within("windows", self.windows.into(), 1.0..=1_000.0)?;
        within("window_ms", self.window_ms as f64, 1_000.0..=86_400_000.0)?;
        within("margin", self.margin, 0.001..=1.0)?;
        within("gain_min", self.gain_min.into(), 0.0..=f32::MAX.into())?;
        within("moved_share_max", self.moved_share_max, 0.0..=1.0)?;
        within("cooldown_ms", self.cooldown_ms as f64, 0.0..=86_400_000.0)?;
        within("valid_ms", self.valid_ms as f64, 1_000.0..=86_400_000.0)?;
        within("parallel_max", self.parallel_max as f64, 1.0..=1_000.0)
    }
}

/// What a plan is made or checked against.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The fleet as it is.
    pub snapshot: &'a Snapshot,
    /// Whether a member meets a workload's hard constraints (capability, sovereignty, quota), by the eligible filter.
    pub eligible: &'a dyn Fn(&Resident, &crate::id::MemberId) -> bool,
    /// The time of the snapshot.
    pub now: Now,
}

impl std::fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View")
            .field("snapshot", self.snapshot)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

/// What the policy proposed; its handles are places in [`Snapshot::residents`].
pub type Advice<'a> = &'a [request::Move];
