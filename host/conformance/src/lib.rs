//! Checks a policy against the contract, on any implementation of core's port.
//!
//! policy + [`fleet`] -> [`smoke`] -> findings; a revision with a finding is not activated
//!
//! Invariant: the kit asks only what the contract promises: an answer or a refusal, eligible rows, rankings without
//! doubles. What a policy prefers is its own affair. The full kit with reports is not here yet.

use std::collections::BTreeSet;

use pilothouse_core::eligible::{Classes, EligibleClass, Requirement};
use pilothouse_core::fleet::Fleet;
use pilothouse_core::fleet::geography::Geography;
use pilothouse_core::id::{Label, MemberId};
use pilothouse_core::member::{LoadReport, MemberKind, Registration, Resources, Role};
use pilothouse_core::policy::fault::PolicyError;
use pilothouse_core::policy::request::{BalancingRequest, PlacementRequest, RoutingRequest, ScalingRequest};
use pilothouse_core::policy::{Decision, Policy};
use pilothouse_core::registry::{Registry, Rules};
use pilothouse_core::time::{Now, WallMs};

/// Sizes of the fleets that a policy is tried on: one, few, the edges of a block.
const SIZES: [u32; 4] = [1, 3, 64, 65];

/// Something that a policy did wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which check.
    pub check: &'static str,
    /// What happened.
    pub detail: String,
}

/// A small fleet of a size: some members report extreme values, some nothing.
///
/// The registry refuses nothing of what is registered here; should it ever, that member is missing.
#[must_use]
pub fn fleet(size: u32) -> Fleet {
    let mut registry = Registry::new(Rules::default(), Geography::default());
    for index in 0..size {
        let Ok(id) = MemberId::parse(&format!("member-{index}")) else { continue };
        let registration = Registration {
            id: id.clone(),
            kind: MemberKind::Cluster,
            endpoint: format!("member-{index}:1"),
            hostname: String::new(),
            region: Label::parse(&format!("region-{}", index % 3)).ok(),
            zone: None,
            cluster: None,
            role: Role::Worker,
            capacity: if index % 4 == 0 { 0 } else { u32::MAX - index },
            weight: if index % 5 == 0 { f32::MIN_POSITIVE } else { 1e30 },
            capabilities: BTreeSet::new(),
            services: BTreeSet::new(),
            compliance: BTreeSet::new(),
            accelerator_model: None,
            cost_per_hour: if index % 2 == 0 { 0.0 } else { f32::NAN },
            carbon_g_per_kwh: f32::NAN,
            resources: Resources::default(),
        };
        let report = LoadReport {
            cpu: Some(0.5),
            active: Some(index),
            latency_ms: Some(0.0),
            ..LoadReport::default()
        };
        let _ = registry.register(registration, Now(1_000), WallMs(0));
        if index % 3 != 0 {
            let _ = registry.report(&id, &report, Now(1_000), WallMs(0));
        }
    }
    registry.publish();
    registry.published().clone()
}

/// The checks that a revision must pass before it serves.
#[must_use]
pub fn smoke(policy: &dyn Policy) -> Vec<Finding> {
    let mut findings = Vec::new();
    // One object for all sizes, because guests know classes by the numbers that it gives.
    let classes = Classes::default();
    for (size, epoch) in SIZES.into_iter().zip(1..) {
        let fleet = Fleet { epoch, ..fleet(size) };
        let Ok(class) = classes.resolve(&fleet, &Requirement::default()) else { continue };
        for seed in 0..3 {
            if let Err(finding) = ask(policy, &fleet, &class, seed) {
                findings
                    .push(Finding { detail: format!("with {size} members: {}", finding.detail), ..finding });
            }
        }
    }
    findings
}

fn ask(policy: &dyn Policy, fleet: &Fleet, class: &EligibleClass, seed: u64) -> Result<(), Finding> {
    let (now_ms, needs) = (5_000, Resources::default());
    match policy.decision() {
        Decision::Balancing(port) => {
            let request = BalancingRequest { seed, now_ms, session: (seed == 2).then_some(seed) };
            answered("choose", port.choose(fleet, class, &request).map(drop))?;
            answered("rank", port.rank(fleet, class, &request, 3).map(drop))?;
            answered(
                "choose-many",
                port.choose_many(fleet, class, &[request; 3]).map(drop).map_err(PolicyError::Fault),
            )
        }
        Decision::Placement(port) => {
            let request = PlacementRequest { seed, now_ms, needs, priority: 0 };
            answered("place", port.place(fleet, class, &request).map(drop))?;
            answered("rank", port.rank(fleet, class, &request, 3).map(drop))?;
            answered(
                "place-many",
                port.place_many(fleet, class, &[request; 3]).map(drop).map_err(PolicyError::Fault),
            )
        }
        Decision::Routing(port) => {
            let request = RoutingRequest { seed, now_ms, traffic_class: 3, latency_goal_ms: 0.0 };
            answered("route", port.route(fleet, class, &request).map(drop))
        }
        Decision::Scaling(port) => {
            let request = ScalingRequest {
                seed,
                now_ms,
                replicas: 1,
                min_replicas: 1,
                max_replicas: 10,
                start_ms: 0,
                period_ms: 15_000,
                last_change_ms: 0,
                samples: Vec::new(),
            };
            answered("scale", port.scale(fleet, &request).map(drop))
        }
    }
}

/// A refusal is an answer.
fn answered(check: &'static str, answer: Result<(), PolicyError>) -> Result<(), Finding> {
    match answer {
        Ok(()) | Err(PolicyError::Refused(_)) => Ok(()),
        Err(PolicyError::Fault(fault)) => Err(Finding { check, detail: fault.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fleets_have_the_size_they_say() {
        for size in SIZES {
            assert_eq!(fleet(size).members(), size);
        }
    }
}
