//! What a caller wants decided, whatever the family: asked of any policy of that family.

use pilothouse_core::eligible::EligibleClass;
use pilothouse_core::fleet::Fleet;
use pilothouse_core::policy::fault::{Fault, FaultKind, PolicyError};
use pilothouse_core::policy::request::{BalancingRequest, Candidate, Choice, PlacementRequest};
use pilothouse_core::policy::{Decision, Policy};

/// A request that is answered with one member.
#[derive(Debug, Clone, Copy)]
pub enum Question {
    /// Which member takes this task?
    Balancing(BalancingRequest),
    /// Where does this workload live?
    Placement(PlacementRequest),
}

impl Question {
    /// Asks for one member.
    pub(super) fn choose(
        &self,
        policy: &dyn Policy,
        fleet: &Fleet,
        class: &EligibleClass,
    ) -> Result<Choice, PolicyError> {
        match (self, policy.decision()) {
            (Self::Balancing(request), Decision::Balancing(port)) => port.choose(fleet, class, request),
            (Self::Placement(request), Decision::Placement(port)) => port.place(fleet, class, request),
            _ => Err(PolicyError::Fault(wrong_family())),
        }
    }

    /// Asks for at most `limit` members, best first.
    pub(super) fn rank(
        &self,
        policy: &dyn Policy,
        fleet: &Fleet,
        class: &EligibleClass,
        limit: u32,
    ) -> Result<Vec<Candidate>, PolicyError> {
        match (self, policy.decision()) {
            (Self::Balancing(request), Decision::Balancing(port)) => port.rank(fleet, class, request, limit),
            (Self::Placement(request), Decision::Placement(port)) => port.rank(fleet, class, request, limit),
            _ => Err(PolicyError::Fault(wrong_family())),
        }
    }

    /// Randomness of the decision.
    pub(super) fn seed(&self) -> u64 {
        match self {
            Self::Balancing(request) => request.seed,
            Self::Placement(request) => request.seed,
        }
    }

    /// Hash of the session key.
    pub(super) fn session(&self) -> Option<u64> {
        match self {
            Self::Balancing(request) => request.session,
            Self::Placement(_) => None,
        }
    }
}

/// A slot holds policies of its own family only; should that ever break, the chain goes on.
pub(super) fn wrong_family() -> Fault {
    Fault::new(FaultKind::Contract, "the policy is of another family than its slot")
}
