//! Values that several tests start from.
//!
//! Invariant: everything here is small, so that exhaustive walks stay small.

use pilothouse_core::id::{AgentName, MemberId};
use pilothouse_core::member::Resources;

use crate::charter::{Charter, Link, Options, Patience};
use crate::id::MigrationId;

pub(crate) fn member(name: &str) -> MemberId {
    MemberId::parse(name).unwrap()
}

/// `w` moves from `a` to `b`; it is in epoch 1.
pub(crate) fn charter() -> Charter {
    Charter {
        migration: MigrationId(4),
        workload: AgentName::parse("w").unwrap(),
        source: member("a"),
        target: member("b"),
        alternatives: Vec::new(),
        epoch: 1,
        resources: Resources { cpu_millis: 100, memory_mib: 64, ..Resources::default() },
        link: Link { bandwidth_bytes_per_s: 1_000_000, rtt_us: 0 },
        start_us: 0,
        options: Options::default(),
        patience: Patience::default(),
    }
}
