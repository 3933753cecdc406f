//! Requirements of requests, and the members that meet them.
//!
//! Requests with equal requirements share a class; its bits are computed once per epoch and pushed to guests only
//! when they changed. A filter that empties the set names itself. Ranking is not here: that is a policy's.

mod classes;
mod matcher;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::fleet::column::BIT_WORDS;
use crate::id::{Label, MemberId};
use crate::member::{MemberKind, Resources};

pub use classes::{CLASSES_MAX, Classes};
pub use matcher::{could_host, explain, hosts};

/// A set of rows: bit `row % 64` of word `row / 64`.
pub type Rows = Arc<[u64]>;

/// What a request demands of a member, and what it would like. Equal values share a class.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Requirement {
    /// Only members of this kind; without it those that run work themselves: clusters and nodes.
    pub kind: Option<MemberKind>,
    /// Peer orchestrators as well: the work can be delegated.
    pub with_peers: bool,
    /// Only nodes of this cluster.
    pub cluster: Option<MemberId>,
    /// Must have all of these.
    pub capabilities: BTreeSet<Label>,
    /// Would like to have these; policies look at them.
    pub preferred_capabilities: BTreeSet<Label>,
    /// Must run all of these.
    pub services: BTreeSet<Label>,
    /// If not empty, only these regions.
    pub allowed_regions: BTreeSet<Label>,
    /// Never these regions.
    pub denied_regions: BTreeSet<Label>,
    /// If not empty, only these zones.
    pub allowed_zones: BTreeSet<Label>,
    /// Never these zones.
    pub denied_zones: BTreeSet<Label>,
    /// Must be certified for all of these.
    pub compliance: BTreeSet<Label>,
    /// If not empty, its accelerators must be of one of these models.
    pub accelerator_models: BTreeSet<Label>,
    /// Longest time to reach it, ms: the round trip from the source region, or without one its own response time.
    /// A member whose time is unknown does not meet it.
    pub latency_max_ms: Option<u32>,
    /// Least health, percent: healthy is 100, degraded or unknown 50, unhealthy 0.
    pub health_min_percent: u32,
    /// Only these rows: what rules about other workloads leave ([`crate::placement::relation`]).
    pub within: Option<Rows>,
    /// Never these members.
    pub excluded: BTreeSet<MemberId>,
    /// Must have this much free (only members with known totals are checked).
    pub needs: Resources,
    /// Where the request comes from; policies look at it.
    pub source_region: Option<Label>,
    /// Where in the region.
    pub source_zone: Option<Label>,
}

/// The members that meet a requirement at one epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct EligibleClass {
    /// Number by which guests know the class; unique within a run of the host.
    pub id: u32,
    /// Grows whenever bits or round-trip times changed; guests are updated when theirs is older.
    pub version: u64,
    /// What it is about.
    pub requirement: Arc<Requirement>,
    /// One bit per row, lowest first.
    pub eligible: Arc<[u64]>,
    /// How many bits are set; never 0.
    pub count: u32,
    /// Bits of the required capabilities.
    pub required_capabilities: [u64; BIT_WORDS],
    /// Bits of the preferred capabilities that any member has.
    pub preferred_capabilities: [u64; BIT_WORDS],
    /// Symbol of the source region, 0 if unknown.
    pub source_region: u32,
    /// Symbol of the source zone, 0 if unknown.
    pub source_zone: u32,
    /// Round-trip time from the source region to each row in ms; `None` without a source region.
    pub rtt_ms: Option<Arc<[f32]>>,
}

impl EligibleClass {
    /// Whether a row is eligible.
    #[must_use]
    pub fn contains(&self, row: u32) -> bool {
        self.eligible.get(row as usize / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// Eligible rows in ascending order.
    pub fn rows(&self) -> impl Iterator<Item = u32> + '_ {
        self.eligible.iter().zip(0u32..).flat_map(|(&word, index)| lanes(word, index))
    }
}

/// Rows whose bits are set, in ascending order.
fn set_rows(words: Rows) -> impl Iterator<Item = u32> {
    (0..words.len())
        .zip(0u32..)
        .flat_map(move |(index, number)| lanes(words.get(index).copied().unwrap_or(0), number))
}

fn lanes(mut left: u64, index: u32) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let lane = (left != 0).then(|| left.trailing_zeros())?;
        left &= left - 1;
        Some(index * 64 + lane)
    })
}

/// The step of filtering that a member did not pass, in the order in which they are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Filter {
    /// Is of the other kind, of another cluster, or excluded by name.
    Kind,
    /// Is not online, drains, is unhealthy, on standby, or has weight 0.
    Availability,
    /// Its circuit breaker is open.
    Breaker,
    /// Runs as much as it can.
    Capacity,
    /// Lacks a capability.
    Capability,
    /// Does not run a service.
    Service,
    /// Is in a region that is denied or not allowed.
    Region,
    /// Is in a zone that is denied or not allowed.
    Zone,
    /// Is not certified.
    Compliance,
    /// Has accelerators of another model.
    Accelerator,
    /// Is not healthy enough.
    Health,
    /// Is too far away, or nobody knows how far.
    Latency,
    /// A rule about other workloads (affinity, spread) keeps the workload away.
    Relation,
    /// Has not enough free resources.
    Resources,
}

/// No member meets the requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoneEligible {
    /// Members in the fleet.
    pub members: u32,
    /// How many members each filter cut, in order, only those that cut any.
    pub cut: Vec<(Filter, u32)>,
    /// Demanded names that no member has ever had (capabilities, services).
    pub unknown_names: Vec<String>,
}
