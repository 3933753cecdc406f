//! Places of workloads and reservations.
//!
//! Invariant: `vmID`, `targetCluster`, `reasoning`, `score` and `alternatives` are named as in the federation plan's
//! `PlacementDecision`; the rest is ours.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::{DecidedView, number};
use crate::service::ServiceError;
use crate::service::placement::{Placed, ReservationInfo};

/// Where a workload went, and why.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlacedView {
    /// The workload, if one was named.
    #[serde(rename = "vmID")]
    workload: Option<String>,
    #[serde(rename = "targetCluster")]
    target: String,
    /// Why, by factor, for people.
    reasoning: String,
    /// Parts of the chosen member's score by name, if alternatives were asked for.
    factors: BTreeMap<String, Option<f32>>,
    /// Grows with every change of the workload's owner; absent if nothing was assigned.
    ownership_epoch: Option<u64>,
    reservation: Option<ReservationView>,
    /// Workloads that had to make room.
    evicted: Vec<String>,
    /// Soft relations that nobody keeps.
    preferences_dropped: usize,
    #[serde(flatten)]
    decision: DecidedView,
}

impl From<&Placed> for PlacedView {
    fn from(placed: &Placed) -> Self {
        let Placed { decided, assignment, reservation, evicted, preferences_dropped } = placed;
        let factors = &decided.factors;
        Self {
            workload: assignment.as_ref().map(|assignment| assignment.agent.to_string()),
            target: decided.member.to_string(),
            reasoning: reasoning(placed),
            factors: factors.iter().map(|(name, value)| (name.clone(), number(*value))).collect(),
            ownership_epoch: assignment.as_ref().map(|assignment| assignment.epoch),
            reservation: reservation.as_ref().map(ReservationView::from),
            evicted: evicted.iter().map(|gone| gone.agent.to_string()).collect(),
            preferences_dropped: *preferences_dropped,
            decision: decided.into(),
        }
    }
}

fn reasoning(placed: &Placed) -> String {
    let decided = &placed.decided;
    let mut text = format!(
        "{} of {} eligible by {}: {}",
        decided.member, decided.eligible, decided.policy, decided.reason
    );
    if !decided.factors.is_empty() {
        let parts: Vec<String> =
            decided.factors.iter().map(|(name, value)| format!("{name} {value:.2}")).collect();
        text.push_str(&format!(" ({})", parts.join(", ")));
    }
    if !placed.evicted.is_empty() {
        let names: Vec<String> = placed.evicted.iter().map(|gone| gone.agent.to_string()).collect();
        text.push_str(&format!("; made room by evicting {}", names.join(", ")));
    }
    text
}

/// Room that is held.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReservationView {
    id: String,
    member: String,
    /// How long it still lasts.
    left_ms: u64,
    cpu_millis: u32,
    memory_mib: u32,
    storage_mib: u32,
    accelerator_millis: u32,
}

impl From<&ReservationInfo> for ReservationView {
    fn from(held: &ReservationInfo) -> Self {
        let needs = held.terms.requirement.needs;
        Self {
            id: held.id.0.to_string(),
            member: held.member.to_string(),
            left_ms: held.left_ms,
            cpu_millis: needs.cpu_millis,
            memory_mib: needs.memory_mib,
            storage_mib: needs.storage_mib,
            accelerator_millis: needs.accelerator_millis,
        }
    }
}

/// Reservations in force, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReservationsView {
    pub(crate) count: usize,
    pub(crate) reservations: Vec<ReservationView>,
}

/// Answers to a bulk request, in the order asked.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BulkView {
    placed: usize,
    refused: usize,
    answers: Vec<BulkAnswerView>,
}

/// One of them.
#[derive(Debug, Serialize, ToSchema)]
struct BulkAnswerView {
    workload: Option<String>,
    /// Where it went.
    place: Option<PlacedView>,
    /// Why it went nowhere.
    problem: Option<String>,
}

impl BulkView {
    pub(crate) fn of(names: Vec<Option<String>>, places: &[Result<Placed, ServiceError>]) -> Self {
        let answer = |(workload, place): (Option<String>, &Result<Placed, ServiceError>)| BulkAnswerView {
            workload,
            place: place.as_ref().ok().map(PlacedView::from),
            problem: place.as_ref().err().map(ToString::to_string),
        };
        let refused = places.iter().filter(|place| place.is_err()).count();
        let answers = names.into_iter().zip(places).map(answer).collect();
        Self { placed: places.len() - refused, refused, answers }
    }
}
