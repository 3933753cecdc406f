//! What a migration will cost, before anybody starts it: pause, duration, steps, changes and risks.
//!
//! Invariant: a plan is a forecast and binds nobody; the bound on downtime is kept by the saga with measured
//! rates. Choosing the target is a policy's.

mod bulk;
mod pause;
mod risk;
#[cfg(test)]
mod tests;

use pilothouse_core::id::{Label, MemberId};

use crate::charter::{Charter, Link, Mode};
use crate::step::Step;

pub use bulk::{Bulk, forecast_bulk};
pub use pause::pause_us;
pub(crate) use pause::{Next, Round};
pub use risk::Risk;

use pause::transfer_us;

/// Most rounds that a forecast follows, whatever the charter's patience.
pub const ROUNDS_MAX: u32 = 64;

/// What is known about the workload and the two members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts<'a> {
    /// Size of the state, bytes; `None` = not known.
    pub state_bytes: Option<u64>,
    /// How fast it changes, bytes per second; `None` = not known.
    pub dirty_bytes_per_s: Option<u64>,
    /// Whether the source can take part.
    pub source_reachable: bool,
    /// Where the source is.
    pub source_region: Option<&'a Label>,
    /// Where the target is.
    pub target_region: Option<&'a Label>,
}

/// One step of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedStep {
    /// Which.
    pub step: Step,
    /// How long it takes, µs.
    pub takes_us: u64,
    /// The workload does not serve meanwhile.
    pub pauses: bool,
}

/// What changes for those who reach the workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkChange {
    /// Requests go to another member.
    Route {
        /// Before.
        from: MemberId,
        /// Afterwards.
        to: MemberId,
    },
    /// They leave the region.
    Region {
        /// Before.
        from: Label,
        /// Afterwards.
        to: Label,
    },
}

/// What changes on disks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorageChange {
    /// State is written on the target.
    Write {
        /// Where.
        on: MemberId,
        /// How much, over all rounds, bytes.
        bytes: u64,
    },
    /// The source's copy is erased after the commit.
    Erase {
        /// Where.
        on: MemberId,
    },
}

/// A forecast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// How long the workload does not serve, µs; [`u64::MAX`] = no end can be seen.
    pub downtime_us: u64,
    /// From begin to end, µs.
    pub duration_us: u64,
    /// Bytes over the wire.
    pub transfer_bytes: u64,
    /// What happens, in order.
    pub steps: Vec<PlannedStep>,
    /// Changes for those who reach the workload.
    pub network: Vec<NetworkChange>,
    /// Changes on disks.
    pub storage: Vec<StorageChange>,
    /// What may go wrong, the worst first.
    pub risks: Vec<Risk>,
}

/// How copying is expected to go.
struct Copying {
    rounds_us: u64,
    rounds_bytes: u64,
    last_delta_bytes: u64,
    converges: bool,
}

/// Forecasts a migration.
#[must_use]
pub fn forecast(charter: &Charter, facts: &Facts<'_>) -> Plan {
    let with_source = facts.source_reachable;
    let copies = charter.options.preserve_state && with_source;
    let copying = if copies { copy(charter, facts) } else { Copying::none() };
    let steps = steps(charter, &copying, with_source);
    let sum = |sum: u64, planned: &PlannedStep| sum.saturating_add(planned.takes_us);
    let downtime_us = steps.iter().filter(|planned| planned.pauses).fold(0, sum);
    let duration_us = steps.iter().fold(0, sum);
    let transfer_bytes = copying.rounds_bytes.saturating_add(copying.last_delta_bytes);
    Plan {
        downtime_us,
        duration_us,
        transfer_bytes,
        steps,
        network: network(charter, facts),
        storage: storage(charter, copies.then_some(transfer_bytes), with_source),
        risks: risk::risks(charter, facts, downtime_us, copying.converges),
    }
}

impl Copying {
    const fn none() -> Self {
        Self { rounds_us: 0, rounds_bytes: 0, last_delta_bytes: 0, converges: true }
    }
}

/// Plays the rounds with the rates that are assumed.
fn copy(charter: &Charter, facts: &Facts<'_>) -> Copying {
    let link = charter.link;
    let state_bytes = facts.state_bytes.unwrap_or(0);
    let mut copying = Copying { last_delta_bytes: state_bytes, ..Copying::none() };
    for number in 1..=ROUNDS_MAX {
        let to_send_bytes = copying.last_delta_bytes;
        let takes_us = transfer_us(to_send_bytes, link);
        copying.rounds_us = copying.rounds_us.saturating_add(takes_us);
        copying.rounds_bytes = copying.rounds_bytes.saturating_add(to_send_bytes);
        copying.last_delta_bytes = changed_bytes(facts, takes_us).min(state_bytes);
        let round =
            Round { number, dirty_before_bytes: to_send_bytes, dirty_bytes: copying.last_delta_bytes, link };
        match round.next(charter) {
            Next::CopyAgain => {}
            Next::Freeze => return copying,
            Next::GiveUp => break,
        }
    }
    Copying { converges: false, ..copying }
}

fn changed_bytes(facts: &Facts<'_>, during_us: u64) -> u64 {
    let changed = u128::from(facts.dirty_bytes_per_s.unwrap_or(0)) * u128::from(during_us) / 1_000_000;
    u64::try_from(changed).unwrap_or(u64::MAX)
}

fn steps(charter: &Charter, copying: &Copying, with_source: bool) -> Vec<PlannedStep> {
    let rtt_us = charter.link.rtt_us;
    let served = |step, takes_us| Some(PlannedStep { step, takes_us, pauses: false });
    let paused = |step, takes_us| Some(PlannedStep { step, takes_us, pauses: true });
    let copies = with_source && charter.options.preserve_state;
    let last_delta_us = transfer_us(copying.last_delta_bytes, charter.link);
    let lease_us = charter.patience.lease_ms.saturating_mul(1_000);
    [
        served(Step::Validate, rtt_us),
        served(Step::Reserve, rtt_us),
        served(Step::PreCopy, copying.rounds_us).filter(|_| copies),
        paused(Step::Freeze, rtt_us - rtt_us / 2).filter(|_| with_source),
        paused(Step::LastDelta, last_delta_us).filter(|_| copies),
        paused(Step::StartStandby, charter.start_us),
        paused(Step::Verify, rtt_us / 2),
        paused(Step::Commit, 0),
        paused(Step::Activate, if with_source { rtt_us / 2 } else { lease_us }),
        served(Step::StopSource, rtt_us).filter(|_| with_source),
        served(Step::Release, rtt_us).filter(|_| with_source),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn network(charter: &Charter, facts: &Facts<'_>) -> Vec<NetworkChange> {
    let mut changes = vec![NetworkChange::Route { from: charter.source.clone(), to: charter.target.clone() }];
    if let (Some(from), Some(to)) = (facts.source_region, facts.target_region)
        && from != to
    {
        changes.push(NetworkChange::Region { from: from.clone(), to: to.clone() });
    }
    changes
}

fn storage(charter: &Charter, copied_bytes: Option<u64>, with_source: bool) -> Vec<StorageChange> {
    let write = copied_bytes.map(|bytes| StorageChange::Write { on: charter.target.clone(), bytes });
    let erase = with_source.then(|| StorageChange::Erase { on: charter.source.clone() });
    write.into_iter().chain(erase).collect()
}

/// Whether the source's silence is waited out instead of a pause.
pub(super) fn is_forced(charter: &Charter) -> bool {
    charter.options.mode == Mode::Forced
}

/// The way is not known, or nothing passes.
pub(super) fn is_cut(link: Link) -> bool {
    link.bandwidth_bytes_per_s == 0
}
