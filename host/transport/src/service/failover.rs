//! What a control plane can be asked about members that fail: failovers, the way home, and faults on purpose.
//!
//! Invariant: what is answered about a failover is in its journal, or follows from it.

use std::collections::BTreeSet;

use pilothouse_core::chaos::{Fault, FaultId, Victim};
use pilothouse_core::failback::Displaced;
use pilothouse_core::failover::{FailoverId, Lost, Progress};
use pilothouse_core::id::{AgentName, Label, MemberId};
use pilothouse_core::time::WallMs;

use super::{Pending, ServiceError};

/// Workloads that are listed with a failover; the counts are of all.
pub const WORKLOADS_SHOWN_MAX: usize = 1_000;

/// What an operator wants to run elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailoverQuery {
    /// All members of these regions.
    pub from_regions: BTreeSet<Label>,
    /// These members.
    pub from_members: BTreeSet<MemberId>,
    /// Only to these regions; empty = to any.
    pub to_regions: BTreeSet<Label>,
    /// Who asks.
    pub by: String,
}

/// One workload of a failover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedInfo {
    /// Which.
    pub workload: AgentName,
    /// Where it lived before.
    pub from: MemberId,
    /// Where it goes or went.
    pub to: Option<MemberId>,
    /// Why it goes nowhere.
    pub reason: Option<String>,
}

/// How a failover is, or how one would end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailoverInfo {
    /// Its name; `None` = it was only calculated.
    pub id: Option<FailoverId>,
    /// The operator who wants it; `None` = the failure detector.
    pub by: Option<String>,
    /// Only to these regions; empty = to any.
    pub to_regions: BTreeSet<Label>,
    /// What is left behind.
    pub lost: Lost,
    /// `detected`, `confirmed`, `planning`, `executing`, `done`, `partial` or `aborted`.
    pub phase: String,
    /// When it began, for people.
    pub began_at: WallMs,
    /// How long it takes or took, ms.
    pub took_ms: u64,
    /// Whether it takes longer than it should.
    pub overdue: bool,
    /// Workloads by how far they are.
    pub progress: Progress,
    /// The most important ones, at most [`WORKLOADS_SHOWN_MAX`].
    pub workloads: Vec<MovedInfo>,
}

/// A brake that is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrakeInfo {
    /// The region; `None` = the fleet.
    pub region: Option<Label>,
    /// Members that were missing when it was put on.
    pub lost: usize,
    /// Of how many.
    pub of: usize,
}

/// A fault that is not over.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultInfo {
    /// Its name.
    pub id: FaultId,
    /// Put on whom.
    pub victim: Victim,
    /// What.
    pub fault: Fault,
    /// How long it still lasts, ms.
    pub left_ms: u64,
    /// Who wanted it.
    pub by: String,
    /// Messages that it hit so far.
    pub fired: u64,
}

/// Failover, failback and chaos.
pub trait FailoverPlane {
    /// What a failover would move where, without moving anything.
    fn plan_failover(&self, query: FailoverQuery) -> Pending<FailoverInfo>;
    /// Moves the work of members elsewhere, whether they are there or not. Answers when it is under way.
    fn fail_over(&self, query: FailoverQuery) -> Pending<FailoverInfo>;
    /// Failovers, the newest first.
    fn failovers(&self) -> Vec<FailoverInfo>;
    /// One failover that is still known.
    fn failover(&self, id: FailoverId) -> Option<FailoverInfo>;
    /// Lets a failover go on that waits for an operator.
    fn confirm_failover(&self, id: FailoverId) -> Pending<FailoverInfo>;
    /// Stops a failover; what was committed is finished.
    fn cancel_failover(&self, id: FailoverId) -> Pending<FailoverInfo>;
    /// Brakes that are on.
    fn brakes(&self) -> Vec<BrakeInfo>;
    /// An operator confirms that those who are missing (in a region, or anywhere) are gone.
    fn lift_brake(&self, region: Option<Label>, by: String);
    /// Another observer says whether it finds a region down.
    fn hear_opinion(&self, place: Label, region: Label, down: bool);
    /// Workloads that live away from home.
    fn displaced(&self) -> Vec<Displaced>;
    /// An operator wants a home's workloads back (or, with `false`, to stay where they are).
    fn bring_home(&self, home: MemberId, back: bool) -> Pending<usize>;
    /// Puts a victim under a fault for a time.
    ///
    /// # Errors
    /// [`ServiceError::Disabled`], [`ServiceError::Invalid`], [`ServiceError::Conflict`].
    fn inject(
        &self,
        victim: Victim,
        fault: Fault,
        duration_ms: u64,
        by: String,
    ) -> Result<FaultInfo, ServiceError>;
    /// Faults that are not over.
    fn faults(&self) -> Vec<FaultInfo>;
    /// Ends a fault early.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    fn end_fault(&self, id: FaultId) -> Result<FaultInfo, ServiceError>;
}
