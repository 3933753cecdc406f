//! What a policy takes: time, fuel and memory of a decision, on made-up fleets of some sizes.
//!
//! Invariant: the fleets are plain (loads differ, nothing is unknown, everybody is eligible), so that figures of two policies can be
//! compared; hostile fleets are the business of the contract's checks.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use pilothouse_core::eligible::{Classes, EligibleClass, Requirement};
use pilothouse_core::fleet::Fleet;
use pilothouse_core::fleet::geography::Geography;
use pilothouse_core::id::{Label, MemberId};
use pilothouse_core::member::{LoadReport, MemberKind, Registration, Resources, Role};
use pilothouse_core::policy::fault::PolicyError;
use pilothouse_core::policy::request::{
    BalancingRequest, PlacementRequest, RoutingRequest, ScalingRequest, ScalingSample,
};
use pilothouse_core::policy::{Decision, Policy as _};
use pilothouse_core::registry::{Registry, Rules};
use pilothouse_core::time::{Now, WallMs};
use pilothouse_engine::{LoadedPolicy, Pool};
use serde::Serialize;

use super::engine;

/// Sizes of the fleets.
pub(super) const SIZES: [u32; 3] = [10, 100, 1_000];
/// Decisions that warm up, and the least and the most that are timed.
const WARM_UP: u64 = 50;
const DECISIONS_MIN: u64 = 100;
const DECISIONS_MAX: u64 = 100_000;
/// How long one size is timed, ms.
const TIMED_MS: u128 = 300;
const NOW_MS: u64 = 60_000;

/// What one decision takes.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Taken {
    pub(super) members: u32,
    pub(super) ns: u64,
    pub(super) fuel: u64,
    pub(super) memory_bytes: u64,
}

/// Measures every size.
pub(super) fn all(loaded: &Arc<LoadedPolicy>) -> anyhow::Result<Vec<Taken>> {
    SIZES.into_iter().map(|members| one(loaded, members)).collect()
}

/// Measures one size, with all the fuel and memory that a server could give.
pub(super) fn one(loaded: &Arc<LoadedPolicy>, members: u32) -> anyhow::Result<Taken> {
    let pool = engine::pool(loaded, engine::generous())?;
    let fleet = fleet(members);
    let class = Classes::default()
        .resolve(&fleet, &Requirement::default())
        .map_err(|error| anyhow::anyhow!("{error:?}"))
        .context("nobody is eligible in the made-up fleet")?;
    let decide = |seed| {
        let failed = || format!("a decision over {members} members failed");
        match ask(&pool, &fleet, &class, seed) {
            Ok(()) | Err(PolicyError::Refused(_)) => Ok(()),
            Err(PolicyError::Fault(fault)) => Err(anyhow::anyhow!("{fault}")).with_context(failed),
        }
    };
    (0..WARM_UP).try_for_each(decide)?;
    let before = pool.usage();
    let started = now();
    let mut decisions = 0;
    while decisions < DECISIONS_MIN || (started.elapsed().as_millis() < TIMED_MS && decisions < DECISIONS_MAX)
    {
        decide(WARM_UP + decisions)?;
        decisions += 1;
    }
    let ns = started.elapsed().as_nanos() as u64 / decisions;
    let usage = pool.usage();
    let fuel = (usage.fuel - before.fuel) / decisions;
    Ok(Taken { members, ns, fuel, memory_bytes: usage.memory_bytes })
}

fn fleet(members: u32) -> Fleet {
    let mut registry = Registry::new(Rules::default(), Geography::default());
    for index in 0..members {
        let Ok(id) = MemberId::parse(&format!("member-{index}")) else { continue };
        let room = Resources { cpu_millis: 64_000, memory_mib: 262_144, ..Resources::default() };
        let registration = Registration {
            id: id.clone(),
            kind: MemberKind::Cluster,
            endpoint: format!("member-{index}:1"),
            hostname: String::new(),
            region: Label::parse(&format!("region-{}", index % 5)).ok(),
            zone: None,
            cluster: None,
            role: Role::Worker,
            capacity: 1_000,
            weight: 1.0,
            capabilities: Default::default(),
            services: Default::default(),
            compliance: Default::default(),
            accelerator_model: None,
            cost_per_hour: 1.0 + (index % 7) as f32,
            carbon_g_per_kwh: 100.0,
            resources: room,
        };
        let report = LoadReport {
            cpu: Some((index % 10) as f32 / 10.0),
            memory: Some((index % 9) as f32 / 10.0),
            active: Some(index * 7 % 101),
            latency_ms: Some(5.0 + (index % 13) as f32),
            ..LoadReport::default()
        };
        // Nothing of this is refused; if it were, the fleet would only be smaller.
        let _ = registry.register(registration, Now(1_000), WallMs(0));
        let _ = registry.report(&id, &report, Now(1_000), WallMs(0));
    }
    registry.publish();
    registry.published().clone()
}

fn ask(pool: &Pool, fleet: &Fleet, class: &EligibleClass, seed: u64) -> Result<(), PolicyError> {
    let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let now_ms = NOW_MS;
    match pool.decision() {
        Decision::Balancing(port) => {
            port.choose(fleet, class, &BalancingRequest { seed, now_ms, session: None }).map(drop)
        }
        Decision::Placement(port) => {
            let needs = Resources { cpu_millis: 2_000, memory_mib: 4_096, ..Resources::default() };
            port.place(fleet, class, &PlacementRequest { seed, now_ms, needs, priority: 0 }).map(drop)
        }
        Decision::Routing(port) => {
            let request = RoutingRequest { seed, now_ms, traffic_class: 3, latency_goal_ms: 0.0 };
            port.route(fleet, class, &request).map(drop)
        }
        Decision::Scaling(port) => port.scale(fleet, &group(seed, fleet.members())).map(drop),
    }
}

/// A group with as many samples as the fleet has members.
fn group(seed: u64, samples: u32) -> ScalingRequest {
    let period_ms = 15_000;
    let sample = |index: u32| ScalingSample {
        at_ms: u64::from(index + 1) * u64::from(period_ms),
        arrivals_per_s: 40.0 + (index % 10) as f32,
        completions_per_s: 40.0,
        queue_depth: (index % 10) as f32,
        utilisation: 0.7,
        service_ms: 20.0,
        ready_replicas: 4,
    };
    ScalingRequest {
        seed,
        now_ms: u64::from(samples) * u64::from(period_ms),
        replicas: 4,
        min_replicas: 1,
        max_replicas: 100,
        start_ms: 30_000,
        period_ms,
        last_change_ms: 0,
        samples: (0..samples).map(sample).collect(),
    }
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "a bench measures time")]
    Instant::now()
}
