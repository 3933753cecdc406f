//! Places of workloads: requests, decisions, reservations and assignments.

use pilothouse_core::assignment::Assignment;
use pilothouse_proto::pilothouse as wire;

use super::terms::{terms_in, terms_out};
use super::{factors, given, number, texts};
use crate::rest::error::Problem;
use crate::rest::reasoning;
use crate::rest::v1::placements::{BulkBody, PlaceBody};
use crate::service::placement::{Placed, ReservationInfo};
use crate::service::{Alternative, Decided, ServiceError};

pub(in super::super) fn place_in(message: wire::PlaceRequest) -> Result<PlaceBody, Problem> {
    use wire::place_request::Hold;
    let wire::PlaceRequest { terms, strategy, alternatives, hold, preempt } = message;
    let (workload, reserve_ms) = match hold {
        None => (None, None),
        Some(Hold::Workload(name)) => (Some(name), None),
        Some(Hold::ReserveMs(ttl_ms)) => (None, Some(ttl_ms)),
    };
    let terms = terms_in(terms.unwrap_or_default())?;
    Ok(PlaceBody { workload, reserve_ms, preempt, strategy: given(strategy), alternatives, ..terms })
}

pub(in super::super) fn bulk_in(message: wire::PlaceBulkRequest) -> Result<BulkBody, Problem> {
    let wire::PlaceBulkRequest { workloads, whole } = message;
    let body = |message: wire::BulkWorkload| {
        let wire::BulkWorkload { workload, count } = message;
        let count = (count > 0).then_some(count);
        Ok(PlaceBody { count, ..place_in(workload.unwrap_or_default())? })
    };
    let workloads = workloads.into_iter().map(body).collect::<Result<_, Problem>>()?;
    Ok(BulkBody { workloads, whole })
}

fn alternative_out(alternative: &Alternative) -> wire::ClusterScore {
    let Alternative { member, score, factors: parts } = alternative;
    wire::ClusterScore {
        cluster_id: member.to_string(),
        score: number(*score),
        factors: factors(parts).collect(),
    }
}

pub(in super::super) fn placed_out(placed: &Placed) -> wire::PlacementDecision {
    let Placed { decided, assignment, reservation, evicted, preferences_dropped } = placed;
    let Decided {
        id,
        at: _,
        slot,
        member,
        endpoint,
        region,
        score,
        factors: parts,
        reason,
        policy,
        version: _,
        revision: _,
        generation,
        link,
        faults,
        eligible,
        epoch: _,
        seed: _,
        took_ns,
        alternatives,
    } = decided;
    wire::PlacementDecision {
        vm_id: assignment.as_ref().map(|held| held.agent.to_string()).unwrap_or_default(),
        target_cluster: member.to_string(),
        reasoning: reasoning(placed),
        score: number(*score),
        alternatives: alternatives.iter().map(alternative_out).collect(),
        factors: factors(parts).collect(),
        ownership_epoch: assignment.as_ref().map(|held| held.epoch),
        reservation: reservation.as_ref().map(reservation_out),
        evicted: texts(evicted.iter().map(|gone| &gone.agent)),
        preferences_dropped: u32::try_from(*preferences_dropped).unwrap_or(u32::MAX),
        decision_id: id.to_string(),
        slot: slot.to_string(),
        endpoint: endpoint.clone(),
        region: region.clone().unwrap_or_default(),
        reason: reason.clone(),
        policy: policy.clone(),
        generation: *generation,
        answered_by: (*link).to_owned(),
        faults: faults.clone(),
        eligible: *eligible,
        took_us: took_ns / 1_000,
    }
}

pub(in super::super) fn bulk_out(
    workload: Option<String>,
    place: &Result<Placed, ServiceError>,
) -> wire::BulkAnswer {
    use wire::bulk_answer::Answer;
    let answer = match place {
        Ok(placed) => Answer::Place(placed_out(placed)),
        Err(error) => Answer::Problem(error.to_string()),
    };
    wire::BulkAnswer { workload: workload.unwrap_or_default(), answer: Some(answer) }
}

pub(in super::super) fn reservation_out(held: &ReservationInfo) -> wire::Reservation {
    let ReservationInfo { id, member, terms, left_ms } = held;
    wire::Reservation {
        id: id.0.to_string(),
        member_id: member.to_string(),
        left_ms: *left_ms,
        terms: Some(terms_out(terms)),
    }
}

pub(in super::super) fn assignment_out(held: &Assignment) -> wire::Assignment {
    let Assignment { agent, member, epoch, assigned_at, terms, devices } = held;
    wire::Assignment {
        workload: agent.to_string(),
        member_id: member.to_string(),
        ownership_epoch: *epoch,
        assigned_at_ms: assigned_at.0,
        terms: Some(terms_out(terms)),
        device_millis: devices.millis().iter().copied().map(u32::from).collect(),
    }
}
