//! Balancers to compare with, in native code.
//!
//! Invariant: they look at nothing that a policy could not look at; what makes [`bound`] a bound is that its host always knows.

use pilothouse_core::eligible::EligibleClass;
use pilothouse_core::fleet::Fleet;
use pilothouse_core::fleet::column::Column;
use pilothouse_core::fleet::facts::mix;
use pilothouse_core::policy::fault::{PolicyError, Refusal};
use pilothouse_core::policy::request::{BalancingRequest, Choice};

use super::{Knowledge, Outcome, Scenario, simulate};

/// The fresh-information bound of a scenario: [`least_of_all`] in one host that hears of every end at once.
#[must_use]
pub fn bound(scenario: &Scenario, seed: u64) -> Outcome {
    let fresh = Scenario { knowledge: Knowledge::FRESH, ..scenario.clone() };
    simulate(&fresh, seed, &mut [&mut least_of_all])
}

/// The member with the smallest `(active + in flight + 1) / weight`; ties by the seed.
///
/// # Errors
/// A refusal if nobody is eligible.
pub fn least_of_all(
    fleet: &Fleet,
    class: &EligibleClass,
    request: &BalancingRequest,
) -> Result<Choice, PolicyError> {
    let load = |row: u32| {
        let (block, lane) = fleet.block(row)?;
        let tasks = block.u32(Column::Active, lane) + fleet.live.in_flight(row) + 1;
        Some((tasks as f32 / block.f32(Column::Weight, lane), mix(request.seed ^ u64::from(row)), row))
    };
    let least = class.rows().filter_map(load).min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    least.map(|(load, _, row)| Choice { row, score: -load, reason: 0 }).ok_or_else(nobody)
}

/// Any member, whatever its weight.
///
/// # Errors
/// A refusal if nobody is eligible.
pub fn random(
    _fleet: &Fleet,
    class: &EligibleClass,
    request: &BalancingRequest,
) -> Result<Choice, PolicyError> {
    nth(class, mix(request.seed))
}

/// Every member in turn.
pub fn round_robin() -> impl FnMut(&Fleet, &EligibleClass, &BalancingRequest) -> Result<Choice, PolicyError> {
    let mut turn = 0;
    move |_, class, _| {
        turn += 1;
        nth(class, turn)
    }
}

fn nth(class: &EligibleClass, number: u64) -> Result<Choice, PolicyError> {
    let rank = number % u64::from(class.count.max(1));
    let row = class.rows().nth(rank as usize).ok_or_else(nobody)?;
    Ok(Choice { row, score: 0.0, reason: 0 })
}

fn nobody() -> PolicyError {
    PolicyError::Refused(Refusal::NothingSuits(0))
}
