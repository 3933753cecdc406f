//! What a control plane can be asked about places of workloads: words of requests and answers.
//!
//! Invariant: a placement that was asked to hold something answers after that is durable (an assignment) or in force (a
//! reservation, which lives in memory and is gone after a restart).

use std::sync::Arc;

use pilothouse_core::assignment::Assignment;
use pilothouse_core::id::{AgentName, MemberId};
use pilothouse_core::member::MemberKind;
use pilothouse_core::placement::Terms;
use pilothouse_core::placement::ledger::ReservationId;
use pilothouse_core::rebalance::{Plan, PlanId, Summary};

use super::{Decided, Pending, ServiceError};

/// Most workloads placed by one request.
pub const BULK_MAX: usize = 10_000;

/// What to do with the chosen place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Hold {
    /// Only tell it.
    #[default]
    Nothing,
    /// Hold its room for a while.
    Reserve {
        /// How long, ms.
        ttl_ms: u64,
    },
    /// Assign this workload to it.
    Assign(AgentName),
}

/// A workload that needs a home.
#[derive(Debug, Clone, Default)]
pub struct PlaceQuery {
    /// What it asks of its place.
    pub terms: Terms,
    /// The strategy, if not the default one.
    pub strategy: Option<String>,
    /// How many alternatives to rank.
    pub alternatives: u32,
    /// What to do with the place.
    pub hold: Hold,
    /// Less important work may be evicted if there is no room; only for [`Hold::Assign`].
    pub preempt: bool,
}

/// Where a workload went.
#[derive(Debug, Clone)]
pub struct Placed {
    /// The decision.
    pub decided: Decided,
    /// The assignment that was made.
    pub assignment: Option<Assignment>,
    /// The reservation that was made.
    pub reservation: Option<ReservationInfo>,
    /// Whom it replaced.
    pub evicted: Vec<Assignment>,
    /// Soft relations that no eligible member keeps and that were dropped.
    pub preferences_dropped: usize,
}

/// A reservation as it is told.
#[derive(Debug, Clone)]
pub struct ReservationInfo {
    /// Its number.
    pub id: ReservationId,
    /// Where.
    pub member: MemberId,
    /// For what.
    pub terms: Arc<Terms>,
    /// How long it still lasts, ms.
    pub left_ms: u64,
}

/// Placement of workloads.
pub trait PlacementPlane {
    /// Places one workload.
    fn place(&self, query: PlaceQuery) -> Pending<Placed>;
    /// Places many, largest first; answers in the order asked. With `whole`, either all of them or none.
    fn place_all(&self, queries: Vec<PlaceQuery>, whole: bool) -> Pending<Vec<Result<Placed, ServiceError>>>;
    /// Reservations in force.
    fn reservations(&self) -> Vec<ReservationInfo>;
    /// Turns a reservation into an assignment.
    fn confirm(&self, id: ReservationId, workload: AgentName) -> Pending<Assignment>;
    /// What would be better, as a plan that waits for its execution.
    fn suggest(&self, kind: MemberKind, by: String) -> Pending<Plan>;
    /// Plans that wait, oldest first.
    fn plans(&self) -> Vec<Plan>;
    /// Executes a plan once, if it still holds.
    fn execute(&self, id: PlanId) -> Pending<Summary>;
    /// Gives a reservation's room back.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    fn release(&self, id: ReservationId) -> Result<ReservationInfo, ServiceError>;
}
