//! What a policy is to the host: ports that the engine implements and `node` calls.
//!
//! request + [`Fleet`] + [`EligibleClass`] -> port -> advice or [`PolicyError`] -> [`crate::guardrail`]
//!
//! Invariant: nothing that comes back from a port is trusted; only [`crate::guardrail`] turns it into something an
//! effect accepts. Which engine runs the policy, and how, is not known here.

pub mod fault;
pub mod request;
pub mod settings;
pub mod state;

use std::fmt::Debug;

use crate::eligible::EligibleClass;
use crate::fleet::Fleet;
use fault::{Fault, PolicyError, Refusal};
use request::{
    BalancingRequest, Candidate, Choice, Move, PlacementRequest, Resident, Route, RoutingRequest,
    ScalingRequest, ScalingTarget,
};

/// The four questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Where does a workload live?
    Placement,
    /// Which member takes this task now?
    Balancing,
    /// Which members serve this source and traffic class?
    Routing,
    /// How many replicas?
    Scaling,
}

impl Family {
    /// Every family.
    pub const ALL: &'static [Self] = &[Self::Placement, Self::Balancing, Self::Routing, Self::Scaling];

    /// The name in paths, slots and packages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Placement => "placement",
            Self::Balancing => "balancing",
            Self::Routing => "routing",
            Self::Scaling => "scaling",
        }
    }

    /// The family of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|family| family.name() == name)
    }
}

/// What a policy says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Description {
    /// Its name.
    pub name: String,
    /// Its semantic version.
    pub version: String,
    /// One line for people.
    pub summary: String,
    /// Columns it wants, by name.
    pub columns: Vec<String>,
    /// JSON Schema of its settings; empty = none.
    pub settings_schema: String,
    /// Texts for reason codes.
    pub reasons: Vec<String>,
    /// Names of score parts.
    pub factors: Vec<String>,
}

impl Description {
    /// The text of a reason code.
    #[must_use]
    pub fn reason(&self, code: u32) -> &str {
        self.reasons.get(code as usize).map_or("unknown reason", String::as_str)
    }
}

/// One revision, ready to decide: a component with its configuration, spread over seats.
///
/// A seat is one instance that serves one call at a time; as many calls run at once as there are seats.
pub trait Policy: Send + Sync + Debug {
    /// What it says of itself.
    fn description(&self) -> &Description;

    /// How many seats it has.
    fn seats(&self) -> usize;

    /// Makes sure that the seat has a live, configured instance that has seen `fleet`, and that it answers a probe
    /// over `class` if the family takes one. This is what "warm" and "serving" are counted by.
    ///
    /// # Errors
    /// What the instance did instead.
    fn probe(&self, seat: usize, fleet: &Fleet, class: Option<&EligibleClass>) -> Result<(), PolicyError>;

    /// What it has used so far.
    fn usage(&self) -> Usage;

    /// The decision it makes. Exactly one variant per family.
    fn decision(&self) -> Decision<'_>;
}

/// The family's own port.
#[derive(Debug, Clone, Copy)]
pub enum Decision<'a> {
    /// Balancing.
    Balancing(&'a dyn Balancing),
    /// Placement.
    Placement(&'a dyn Placement),
    /// Routing.
    Routing(&'a dyn Routing),
    /// Scaling.
    Scaling(&'a dyn Scaling),
}

/// Answers of a batch, one per request, or the fault that ended the batch.
pub type Batch<T> = Result<Vec<Result<T, Refusal>>, Fault>;

/// Which member takes this task now?
pub trait Balancing: Send + Sync + Debug {
    /// Picks one.
    ///
    /// # Errors
    /// A refusal or a fault.
    fn choose(
        &self,
        fleet: &Fleet,
        class: &EligibleClass,
        request: &BalancingRequest,
    ) -> Result<Choice, PolicyError>;

    /// Picks with alternatives, at most `limit`.
    ///
    /// # Errors
    /// A refusal or a fault.
    fn rank(
        &self,
        fleet: &Fleet,
        class: &EligibleClass,
        request: &BalancingRequest,
        limit: u32,
    ) -> Result<Vec<Candidate>, PolicyError>;

    /// Many picks of one class.
    ///
    /// # Errors
    /// The fault that ended the batch.
    fn choose_many(
        &self,
        fleet: &Fleet,
        class: &EligibleClass,
        requests: &[BalancingRequest],
    ) -> Batch<Choice>;
}

/// Where does a workload live?
pub trait Placement: Send + Sync + Debug {
    /// Picks one.
    ///
    /// # Errors
    /// A refusal or a fault.
    fn place(
        &self,
        fleet: &Fleet,
        class: &EligibleClass,
        request: &PlacementRequest,
    ) -> Result<Choice, PolicyError>;

    /// Picks with alternatives, at most `limit`.
    ///
    /// # Errors
    /// A refusal or a fault.
    fn rank(
        &self,
        fleet: &Fleet,
        class: &EligibleClass,
        request: &PlacementRequest,
        limit: u32,
    ) -> Result<Vec<Candidate>, PolicyError>;

    /// Many placements of one class.
    ///
    /// # Errors
    /// The fault that ended the batch.
    fn place_many(
        &self,
        fleet: &Fleet,
        class: &EligibleClass,
        requests: &[PlacementRequest],
    ) -> Batch<Choice>;

    /// Moves that would improve the fleet.
    ///
    /// # Errors
    /// A refusal or a fault.
    fn suggest_moves(
        &self,
        fleet: &Fleet,
        class: &EligibleClass,
        request: &PlacementRequest,
        residents: &[Resident],
        limit: u32,
    ) -> Result<Vec<Move>, PolicyError>;

    /// Residents that should yield, by their handle.
    ///
    /// # Errors
    /// A refusal or a fault.
    fn choose_victims(
        &self,
        fleet: &Fleet,
        class: &EligibleClass,
        request: &PlacementRequest,
        row: u32,
        residents: &[Resident],
    ) -> Result<Vec<u32>, PolicyError>;
}

/// Which members serve this source and traffic class?
pub trait Routing: Send + Sync + Debug {
    /// Routes one flow.
    ///
    /// # Errors
    /// A refusal or a fault.
    fn route(
        &self,
        fleet: &Fleet,
        class: &EligibleClass,
        request: &RoutingRequest,
    ) -> Result<Route, PolicyError>;
}

/// How many replicas?
pub trait Scaling: Send + Sync + Debug {
    /// Decides for one group.
    ///
    /// # Errors
    /// A refusal or a fault.
    fn scale(&self, fleet: &Fleet, request: &ScalingRequest) -> Result<ScalingTarget, PolicyError>;
}

/// Resources that a revision has used since it was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Decisions asked, batches counted by their length.
    pub calls: u64,
    /// Fuel burned by decisions.
    pub fuel: u64,
    /// Largest linear memory of any seat, bytes.
    pub memory_bytes: u64,
    /// Instances made, the first ones included.
    pub instances: u64,
    /// Log lines that were dropped because a call wrote too many.
    pub log_lines_dropped: u64,
}
