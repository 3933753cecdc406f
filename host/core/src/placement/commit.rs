//! The compare-and-swap of placement: check on the newest state and count, in one step.
//!
//! choice + terms -> filters on a fresh snapshot -> registry's books + [`Ledger`] | [`NotCommitted`], nothing changed
//!
//! Invariant: after every call, each member's books hold exactly its assignments and reservations, and no known total is
//! exceeded by them.

use std::sync::Arc;

use super::Terms;
use super::ledger::{Ledger, Reservation, ReservationId, TooManyReservations};
use crate::assignment::{Assignment, TooManyAssignments};
use crate::eligible::{Filter, explain};
use crate::id::{AgentName, MemberId};
use crate::member::Claim;
use crate::registry::Registry;
use crate::time::{Now, WallMs};

/// Why a choice was not committed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotCommitted {
    /// The member left since the decision; decide again.
    #[error("member `{0}` is gone")]
    Gone(MemberId),
    /// The member no longer passes a filter; decide again.
    #[error("member `{member}` no longer passes the filter {filter:?}")]
    Cut {
        /// Who.
        member: MemberId,
        /// Which filter.
        filter: Filter,
    },
    /// The workload has a place; unassign it first.
    #[error("`{agent}` is placed on `{member}` already; unassign it first")]
    Placed {
        /// The workload.
        agent: AgentName,
        /// Where it is.
        member: MemberId,
    },
    /// A victim is not where it was, or not less important; decide again.
    #[error("`{0}` cannot yield any more")]
    NoVictim(AgentName),
    /// No such reservation, or its time is over; place again.
    #[error("there is no reservation {}; it was confirmed, released, timed out, or made before a restart", .0.0)]
    NoReservation(ReservationId),
    /// A bound of the host.
    #[error(transparent)]
    Assignments(#[from] TooManyAssignments),
    /// A bound of the host.
    #[error(transparent)]
    Reservations(#[from] TooManyReservations),
}

/// Assigns a new workload to a member that still meets its terms.
///
/// # Errors
/// [`NotCommitted`]; nothing changed.
pub fn assign(
    registry: &mut Registry,
    ledger: &mut Ledger,
    agent: &AgentName,
    member: &MemberId,
    terms: &Arc<Terms>,
    wall: WallMs,
) -> Result<Assignment, NotCommitted> {
    if let Some(placed) = ledger.get(agent) {
        return Err(NotCommitted::Placed { agent: agent.clone(), member: placed.member.clone() });
    }
    let claim = check(registry, ledger, member, terms)?;
    let assignment = ledger.assign(agent, member, Arc::clone(terms), claim.devices, wall)?;
    registry.count_assigned(member, true, claim);
    Ok(assignment)
}

/// Holds room on a member that still meets the terms.
///
/// # Errors
/// [`NotCommitted`]; nothing changed.
pub fn reserve(
    registry: &mut Registry,
    ledger: &mut Ledger,
    member: &MemberId,
    terms: &Arc<Terms>,
    until: Now,
) -> Result<Reservation, NotCommitted> {
    let claim = check(registry, ledger, member, terms)?;
    let reservation = ledger.reserve(member, Arc::clone(terms), claim.devices, until)?;
    registry.count_assigned(member, true, claim);
    Ok(reservation)
}

/// Holds room for a workload that lives elsewhere; in rules about its own group it does not count where it is.
///
/// # Errors
/// [`NotCommitted`]; nothing changed.
pub fn reserve_move(
    registry: &mut Registry,
    ledger: &mut Ledger,
    agent: &AgentName,
    member: &MemberId,
    until: Now,
) -> Result<Reservation, NotCommitted> {
    let Some(living) = ledger.unassign(agent) else { return Err(NotCommitted::NoVictim(agent.clone())) };
    let terms = Arc::clone(&living.terms);
    let reserved = reserve(registry, ledger, member, &terms, until);
    ledger.insert(living);
    reserved
}

/// Turns a reservation into an assignment: its room is never free in between.
///
/// # Errors
/// [`NotCommitted`]; nothing changed.
pub fn confirm(
    ledger: &mut Ledger,
    id: ReservationId,
    agent: &AgentName,
    now: Now,
    wall: WallMs,
) -> Result<Assignment, NotCommitted> {
    let held = ledger.reservation(id).filter(|held| held.until > now);
    let Some(held) = held.cloned() else { return Err(NotCommitted::NoReservation(id)) };
    if let Some(placed) = ledger.get(agent) {
        return Err(NotCommitted::Placed { agent: agent.clone(), member: placed.member.clone() });
    }
    let assignment = ledger.assign(agent, &held.member, Arc::clone(&held.terms), held.devices, wall)?;
    ledger.release(id);
    Ok(assignment)
}

/// Ends a reservation and gives its room back.
pub fn release(registry: &mut Registry, ledger: &mut Ledger, id: ReservationId) -> Option<Reservation> {
    let held = ledger.release(id)?;
    registry.count_assigned(&held.member, false, held.claim());
    Some(held)
}

/// Takes a workload off its member and gives its room back.
pub fn unassign(registry: &mut Registry, ledger: &mut Ledger, agent: &AgentName) -> Option<Assignment> {
    let assignment = ledger.unassign(agent)?;
    registry.count_assigned(&assignment.member, false, assignment.claim());
    Some(assignment)
}

/// Moves a workload that is still where the mover saw it (the same ownership epoch) to a member that meets its terms.
///
/// # Errors
/// [`NotCommitted`]; nothing changed.
pub fn relocate(
    registry: &mut Registry,
    ledger: &mut Ledger,
    agent: &AgentName,
    epoch: u64,
    to: &MemberId,
    wall: WallMs,
) -> Result<Assignment, NotCommitted> {
    let seen = ledger.get(agent).filter(|assignment| assignment.epoch == epoch).cloned();
    let Some(before) = seen else { return Err(NotCommitted::NoVictim(agent.clone())) };
    unassign(registry, ledger, agent);
    let checked = check(registry, ledger, to, &before.terms);
    // Back first: the epoch has to grow from the one it had.
    ledger.insert(before.clone());
    registry.count_assigned(&before.member, true, before.claim());
    let claim = checked?;
    let after = ledger.assign(agent, to, Arc::clone(&before.terms), claim.devices, wall)?;
    registry.count_assigned(&before.member, false, before.claim());
    registry.count_assigned(to, true, claim);
    Ok(after)
}

/// Assigns a workload to a member from which less important ones are taken first.
///
/// # Errors
/// [`NotCommitted`]; nothing changed.
pub fn preempt(
    registry: &mut Registry,
    ledger: &mut Ledger,
    agent: &AgentName,
    member: &MemberId,
    terms: &Arc<Terms>,
    victims: &[AgentName],
    wall: WallMs,
) -> Result<(Assignment, Vec<Assignment>), NotCommitted> {
    for victim in victims {
        let yields = |held: &Assignment| held.member == *member && held.terms.priority < terms.priority;
        if !ledger.get(victim).is_some_and(yields) {
            return Err(NotCommitted::NoVictim(victim.clone()));
        }
    }
    let evicted: Vec<Assignment> =
        victims.iter().filter_map(|victim| unassign(registry, ledger, victim)).collect();
    assign(registry, ledger, agent, member, terms, wall).map(|placed| (placed, evicted.clone())).inspect_err(
        |_| {
            for back in evicted {
                registry.count_assigned(&back.member, true, back.claim());
                ledger.insert(back);
            }
        },
    )
}

/// What the workload gets of the member, if that passes every filter on the state in force.
fn check(
    registry: &mut Registry,
    ledger: &Ledger,
    member: &MemberId,
    terms: &Terms,
) -> Result<Claim, NotCommitted> {
    registry.publish();
    let found = registry.member(member);
    let Some(found) = found else { return Err(NotCommitted::Gone(member.clone())) };
    let fleet = registry.published();
    let requirement = terms.narrowed(fleet, ledger.census(), 0);
    match explain(fleet, &requirement, found.row) {
        None => Ok(found.claim(terms.requirement.needs)),
        Some(filter) => Err(NotCommitted::Cut { member: member.clone(), filter }),
    }
}
