//! Failovers, brakes, displaced workloads and faults.

use pilothouse_core::chaos::{Fault, Victim};
use pilothouse_core::failback::Displaced;
use pilothouse_core::failover::Progress;
use serde::Serialize;
use utoipa::ToSchema;

use super::time;
use crate::service::failover::{BrakeInfo, FailoverInfo, FaultInfo, MovedInfo};

/// A failover, or what one would do.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FailoverView {
    /// `null` if it was only calculated.
    pub(crate) id: Option<String>,
    /// The operator who wants it; `null` = the failure detector.
    by: Option<String>,
    from_members: Vec<String>,
    from_regions: Vec<String>,
    /// Empty = to any.
    to_regions: Vec<String>,
    /// `detected` (waits for confirmation), `confirmed` (the brake is on), `planning`, `executing`, `done`, `partial` (some were
    /// left, each with a reason) or `aborted`.
    phase: String,
    began_at: String,
    took_ms: u64,
    /// It takes longer than `failover.max-failover-time-ms`.
    overdue: bool,
    progress: ProgressView,
    /// The most important ones, at most 1,000.
    workloads: Vec<MovedView>,
}

/// Workloads by how far they are.
#[derive(Debug, Serialize, ToSchema)]
struct ProgressView {
    /// No place is chosen yet.
    waiting: usize,
    /// A place is reserved.
    planned: usize,
    /// The owner is being changed.
    moving: usize,
    /// They run elsewhere.
    running: usize,
    /// They stay where they were.
    left: usize,
}

/// One workload of a failover.
#[derive(Debug, Serialize, ToSchema)]
struct MovedView {
    workload: String,
    from: String,
    to: Option<String>,
    /// Why it goes nowhere.
    reason: Option<String>,
}

impl From<&FailoverInfo> for FailoverView {
    fn from(info: &FailoverInfo) -> Self {
        let Progress { waiting, planned, moving, running, left } = info.progress;
        let moved = |moved: &MovedInfo| MovedView {
            workload: moved.workload.to_string(),
            from: moved.from.to_string(),
            to: moved.to.as_ref().map(ToString::to_string),
            reason: moved.reason.clone(),
        };
        Self {
            id: info.id.map(|id| id.to_string()),
            by: info.by.clone(),
            from_members: info.lost.members.iter().map(ToString::to_string).collect(),
            from_regions: info.lost.regions.iter().map(ToString::to_string).collect(),
            to_regions: info.to_regions.iter().map(ToString::to_string).collect(),
            phase: info.phase.clone(),
            began_at: time(info.began_at),
            took_ms: info.took_ms,
            overdue: info.overdue,
            progress: ProgressView { waiting, planned, moving, running, left },
            workloads: info.workloads.iter().map(moved).collect(),
        }
    }
}

/// Failovers, and the brakes that hold some.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FailoversView {
    pub(crate) count: usize,
    /// The newest first.
    pub(crate) failovers: Vec<FailoverView>,
    pub(crate) brakes: Vec<BrakeView>,
}

/// Too many members vanished at once, so nobody is declared dead.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BrakeView {
    /// `null` = in the whole fleet.
    region: Option<String>,
    /// Members that were missing when it was put on.
    lost: usize,
    /// Of how many.
    of: usize,
}

impl From<&BrakeInfo> for BrakeView {
    fn from(info: &BrakeInfo) -> Self {
        Self { region: info.region.as_ref().map(ToString::to_string), lost: info.lost, of: info.of }
    }
}

/// Brakes that are still on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BrakesView {
    pub(crate) count: usize,
    pub(crate) brakes: Vec<BrakeView>,
}

/// Workloads away from home.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DisplacedsView {
    pub(crate) count: usize,
    pub(crate) displaced: Vec<DisplacedView>,
}

/// A workload away from home.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DisplacedView {
    workload: String,
    home: String,
    /// Where it runs.
    member: String,
    /// An operator sent it away; it goes home only when one says so.
    by_hand: bool,
    /// Attempts to bring it home that failed.
    attempts: u32,
}

impl From<&Displaced> for DisplacedView {
    fn from(Displaced { placed, by_hand, attempts }: &Displaced) -> Self {
        Self {
            workload: placed.workload.to_string(),
            home: placed.home.to_string(),
            member: placed.member.to_string(),
            by_hand: *by_hand,
            attempts: *attempts,
        }
    }
}

/// What was decided about a home's displaced workloads.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HomewardView {
    pub(crate) home: String,
    /// How many it is about.
    pub(crate) workloads: usize,
}

/// Faults that are not over.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FaultsView {
    pub(crate) count: usize,
    pub(crate) faults: Vec<FaultView>,
}

/// A fault on purpose.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FaultView {
    id: String,
    /// `member:ID`, `region:NAME` or `path:SOURCE->TARGET`.
    victim: String,
    /// `down`, `slow` or `lossy`.
    fault: &'static str,
    /// Of `slow`.
    latency_ms: Option<u64>,
    /// Of `lossy`, 0..1.
    share: Option<f64>,
    left_ms: u64,
    by: String,
    /// Messages that it hit so far.
    fired: u64,
}

impl From<&FaultInfo> for FaultView {
    fn from(info: &FaultInfo) -> Self {
        let (fault, latency_ms, share) = match info.fault {
            Fault::Down => ("down", None, None),
            Fault::Slow { latency_ms } => ("slow", Some(latency_ms), None),
            Fault::Lossy { share } => ("lossy", None, Some(share)),
        };
        let victim = victim_name(&info.victim);
        let (left_ms, by, fired) = (info.left_ms, info.by.clone(), info.fired);
        Self { id: info.id.to_string(), victim, fault, latency_ms, share, left_ms, by, fired }
    }
}

pub(super) fn victim_name(victim: &Victim) -> String {
    match victim {
        Victim::Member(member) => format!("member:{member}"),
        Victim::Region(region) => format!("region:{region}"),
        Victim::Path { source, target } => format!("path:{source}->{target}"),
    }
}
