//! Checks advice against the host's hard constraints. Policies are untrusted: propose, check, commit.
//!
//! advice -> [`check`] -> [`Validated`] (the only type effects accept) | [`Breach`]
//!
//! Invariant: a [`Validated`] choice was eligible in its snapshot, is still in its row, below capacity with the work in
//! flight counted, and has passed its breaker's gate. Nothing here prefers one member to another.

use crate::eligible::EligibleClass;
use crate::fleet::Fleet;
use crate::fleet::block::Block;
use crate::fleet::column::Column;
use crate::policy::request::{Choice, Route};

/// Advice that passed the guardrails. Cannot be made elsewhere.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Validated<T>(T);

impl<T> Validated<T> {
    /// The advice.
    pub fn get(&self) -> &T {
        &self.0
    }
}

/// What was wrong with a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Breach {
    /// The row is not in the eligible set; the policy's fault.
    #[error("row {row} is not among the {eligible} eligible ones")]
    Ineligible {
        /// The row it chose.
        row: u32,
        /// How many were eligible.
        eligible: u32,
    },
    /// The score is NaN; the policy's fault.
    #[error("the score is not a number")]
    NotANumber,
    /// No target of a route has a share; the policy's fault.
    #[error("no target has a share")]
    NoShare,
    /// The row is empty; a race.
    #[error("row {row} is empty")]
    Gone {
        /// The row.
        row: u32,
    },
    /// The member filled up since the snapshot; a race.
    #[error("row {row} is full")]
    Full {
        /// The row.
        row: u32,
    },
    /// The member's breaker opened, or its trials are used up; a race.
    #[error("the breaker of row {row} is open")]
    GateClosed {
        /// The row.
        row: u32,
    },
}

/// Checks the shares of a flow: every target is eligible, and at least one has a share.
///
/// # Errors
/// [`Breach`]
pub fn check_route(fleet: &Fleet, class: &EligibleClass, route: Route) -> Result<Validated<Route>, Breach> {
    for row in route.targets.iter().map(|&(row, _)| row).chain(route.fallbacks.iter().copied()) {
        present(fleet, class, row)?;
    }
    if route.targets.iter().all(|&(_, weight)| weight == 0) {
        return Err(Breach::NoShare);
    }
    Ok(Validated(route))
}

fn present<'a>(fleet: &'a Fleet, class: &EligibleClass, row: u32) -> Result<(&'a Block, usize), Breach> {
    if !class.contains(row) {
        return Err(Breach::Ineligible { row, eligible: class.count });
    }
    let found = fleet.block(row).filter(|(block, lane)| block.present >> lane & 1 == 1);
    found.map(|(block, lane)| (&**block, lane)).ok_or(Breach::Gone { row })
}

/// Checks a choice; passing takes one trial of a half-open breaker.
///
/// # Errors
/// [`Breach`], in the order: the policy's faults first, then races.
pub fn check(fleet: &Fleet, class: &EligibleClass, choice: Choice) -> Result<Validated<Choice>, Breach> {
    let row = choice.row;
    if choice.score.is_nan() {
        return Err(Breach::NotANumber);
    }
    let (block, lane) = present(fleet, class, row)?;
    let capacity = block.u32(Column::Capacity, lane);
    let taken = block.u32(Column::Active, lane).saturating_add(fleet.live.in_flight(row));
    if capacity > 0 && taken >= capacity {
        return Err(Breach::Full { row });
    }
    if !fleet.live.pass_gate(row) {
        return Err(Breach::GateClosed { row });
    }
    Ok(Validated(choice))
}
