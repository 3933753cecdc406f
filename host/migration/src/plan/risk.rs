//! What may go wrong with a migration, as far as it can be seen before.
//!
//! Invariant: risks are facts with their numbers; weighing them against each other is the operator's. Their
//! order is the order of the enum, the worst first.

use pilothouse_core::id::MemberId;

use super::{Facts, is_cut, is_forced};
use crate::charter::Charter;

/// One risk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Risk {
    /// Nothing passes between the two members, or the bandwidth is not known.
    #[error("no bandwidth is known between source and target")]
    NoBandwidth,
    /// The source cannot take part.
    #[error(
        "the source `{source_member}` is not reachable: unreplicated state is lost, and its lease is waited for"
    )]
    SourceUnreachable {
        /// Who.
        source_member: MemberId,
    },
    /// The state is left behind on purpose.
    #[error("the state is not moved; the workload starts afresh")]
    StateDropped,
    /// The bound on downtime cannot be kept; a graceful migration would end before the freeze.
    #[error("the pause would be {pause_us} µs, {allowed_us} µs are allowed")]
    PauseTooLong {
        /// Forecast, µs.
        pause_us: u64,
        /// Bound, µs.
        allowed_us: u64,
    },
    /// The state changes faster than it is copied: rounds do not help.
    #[error("the state changes by {dirty_bytes_per_s} B/s, the link carries {bandwidth_bytes_per_s} B/s")]
    DirtyFasterThanLink {
        /// Rate of change, bytes per second.
        dirty_bytes_per_s: u64,
        /// Bytes per second.
        bandwidth_bytes_per_s: u64,
    },
    /// A forced migration does not keep the bound.
    #[error("the mode is forced: the bound on downtime is not kept")]
    BoundIgnored,
    /// The size of the state is not known, so every estimate is too low.
    #[error("the size of the state is not known")]
    SizeUnknown,
    /// The rate of change is not known; assumed to be none.
    #[error("the rate of change is not known")]
    RateUnknown,
    /// Clients in the old region have a longer way.
    #[error("the workload leaves its region")]
    LeavesRegion,
}

pub(super) fn risks(charter: &Charter, facts: &Facts<'_>, pause_us: u64, converges: bool) -> Vec<Risk> {
    let options = &charter.options;
    let bandwidth_bytes_per_s = charter.link.bandwidth_bytes_per_s;
    let allowed_us = options.max_downtime_ms.saturating_mul(1_000);
    let copies = options.preserve_state && facts.source_reachable;
    let dirty_bytes_per_s = facts.dirty_bytes_per_s.unwrap_or(0);
    let too_fast = copies && !is_cut(charter.link) && dirty_bytes_per_s >= bandwidth_bytes_per_s;
    let leaves = facts.source_region.zip(facts.target_region).is_some_and(|(from, to)| from != to);
    let source_member = charter.source.clone();
    [
        (copies && is_cut(charter.link), Risk::NoBandwidth),
        (!facts.source_reachable, Risk::SourceUnreachable { source_member }),
        (!options.preserve_state, Risk::StateDropped),
        (!converges || pause_us > allowed_us, Risk::PauseTooLong { pause_us, allowed_us }),
        (too_fast, Risk::DirtyFasterThanLink { dirty_bytes_per_s, bandwidth_bytes_per_s }),
        (is_forced(charter), Risk::BoundIgnored),
        (copies && facts.state_bytes.is_none(), Risk::SizeUnknown),
        (copies && facts.dirty_bytes_per_s.is_none(), Risk::RateUnknown),
        (leaves, Risk::LeavesRegion),
    ]
    .into_iter()
    .filter_map(|(applies, risk)| applies.then_some(risk))
    .collect()
}
