//! Every default policy, through the real engine: answers are eligible, repeatable, and settings are checked.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking, and figures are printed"
)]

use std::collections::BTreeSet;
use std::sync::Arc;

use pilothouse_core::eligible::{Classes, EligibleClass, Requirement};
use pilothouse_core::fleet::Fleet;
use pilothouse_core::fleet::geography::Geography;
use pilothouse_core::id::{Label, MemberId};
use pilothouse_core::member::{MemberKind, Registration, Resources, Role};
use pilothouse_core::policy::request::{
    BalancingRequest, PlacementRequest, RoutingRequest, ScalingRequest, ScalingSample,
};
use pilothouse_core::policy::state::SlotState;
use pilothouse_core::policy::{Decision, Policy};
use pilothouse_core::registry::{Registry, Rules};
use pilothouse_core::time::{Now, WallMs};
use pilothouse_engine::{Budget, Cache, Compiler, Pool, PoolConfig, PoolError, Runtime};
use pilothouse_policies::DefaultPolicy;

fn fleet(members: u32) -> Fleet {
    let mut registry = Registry::new(Rules::default(), Geography::default());
    for index in 0..members {
        let registration = Registration {
            id: MemberId::parse(&format!("m-{index}")).unwrap(),
            kind: MemberKind::Cluster,
            endpoint: format!("m-{index}:1"),
            hostname: String::new(),
            region: Label::parse(&format!("region-{}", index % 3)).ok(),
            zone: None,
            cluster: None,
            role: Role::Worker,
            capacity: 100,
            weight: 1.0 + (index % 3) as f32,
            capabilities: BTreeSet::new(),
            services: BTreeSet::new(),
            compliance: BTreeSet::new(),
            accelerator_model: None,
            cost_per_hour: 1.0,
            carbon_g_per_kwh: f32::NAN,
            resources: Resources::default(),
        };
        registry.register(registration, Now(1_000), WallMs(0)).unwrap();
    }
    registry.publish().unwrap()
}

fn class(fleet: &Fleet) -> Arc<EligibleClass> {
    Classes::default().resolve(fleet, &Requirement::default()).unwrap()
}

fn pool(runtime: &Runtime, name: &str, settings: &str) -> Result<Pool, PoolError> {
    let policy = pilothouse_policies::ALL.iter().find(|policy| policy.name == name).unwrap();
    pool_of(runtime, policy, settings)
}

fn pool_of(runtime: &Runtime, policy: &DefaultPolicy, settings: &str) -> Result<Pool, PoolError> {
    let loaded = runtime.load(policy.bytes).unwrap();
    assert_eq!(loaded.description.name, policy.name);
    let budget = Budget::of(loaded.family());
    let config = PoolConfig { seats: 2, budget, state: Arc::new(SlotState::default()), seed: 7 };
    Pool::new(Arc::new(loaded), settings, config)
}

/// What is answered for seeds `0 .. 20`: rows, or counts of replicas.
fn answers(pool: &Pool, fleet: &Fleet, class: &EligibleClass) -> Vec<u32> {
    (0..20)
        .flat_map(|seed| match pool.decision() {
            Decision::Balancing(port) => {
                let request = BalancingRequest { seed, now_ms: 5, session: Some(seed) };
                let ranked = port.rank(fleet, class, &request, 5).unwrap();
                assert!(ranked.len() <= 5 && !ranked.is_empty());
                vec![port.choose(fleet, class, &request).unwrap().row]
            }
            Decision::Placement(port) => {
                let request = PlacementRequest { seed, now_ms: 5, needs: Resources::default(), priority: 0 };
                vec![port.place(fleet, class, &request).unwrap().row]
            }
            Decision::Routing(port) => {
                let request = RoutingRequest { seed, now_ms: 5, traffic_class: 3, latency_goal_ms: 50.0 };
                let route = port.route(fleet, class, &request).unwrap();
                route.targets.iter().map(|&(row, _)| row).chain(route.fallbacks).collect()
            }
            Decision::Scaling(port) => vec![port.scale(fleet, &scaling_request(seed)).unwrap().replicas],
        })
        .collect()
}

/// As many samples as a request can carry.
fn scaling_request(seed: u64) -> ScalingRequest {
    let sample = |index: u64| ScalingSample {
        at_ms: index * 1_000,
        arrivals_per_s: 20.0 + (index % 60) as f32,
        completions_per_s: 20.0,
        queue_depth: (index % 40) as f32,
        utilisation: 0.6,
        service_ms: 20.0,
        ready_replicas: 10,
    };
    ScalingRequest {
        seed,
        now_ms: 4_096_000,
        replicas: 10,
        min_replicas: 1,
        max_replicas: 100,
        start_ms: 30_000,
        period_ms: 15_000,
        last_change_ms: 0,
        samples: (1..=4_096).map(sample).collect(),
    }
}

#[test]
fn every_default_policy_answers_within_its_budget_on_small_and_large_fleets() {
    let runtime = Runtime::start(Compiler::here(), Cache::none()).unwrap();
    for members in [1, 3, 64, 65, 2_000] {
        let fleet = fleet(members);
        let class = class(&fleet);
        for policy in pilothouse_policies::ALL {
            let ask = || answers(&pool_of(&runtime, policy, "").unwrap(), &fleet, &class);
            let first = ask();
            assert_eq!(first, ask(), "{} must answer the same to the same", policy.name);
            let most = if policy.family == "scaling" { 101 } else { members };
            assert!(first.iter().all(|&answer| answer < most), "{}: {first:?}", policy.name);
        }
    }
}

#[test]
fn a_batch_answers_like_single_calls() {
    let runtime = Runtime::start(Compiler::here(), Cache::none()).unwrap();
    let fleet = fleet(100);
    let class = class(&fleet);
    let pool = pool(&runtime, "least-loaded", "").unwrap();
    let Decision::Balancing(port) = pool.decision() else { panic!("not balancing") };
    let requests: Vec<_> =
        (0..3_000).map(|seed| BalancingRequest { seed, now_ms: 5, session: None }).collect();
    let batch = port.choose_many(&fleet, &class, &requests).unwrap();
    for (request, answer) in requests.iter().zip(batch) {
        assert_eq!(port.choose(&fleet, &class, request).unwrap(), answer.unwrap());
    }
}

#[test]
fn settings_are_checked_by_schema_and_by_the_policy() {
    let runtime = Runtime::start(Compiler::here(), Cache::none()).unwrap();
    let zero = r#"{"weights":{"latency":0,"cost":0,"capacity":0,"health":0,"priority":0}}"#;
    for (name, settings, path) in [
        ("least-loaded", r#"{"choices":1}"#, "choices"),
        ("least-loaded", r#"{"metric":"speed"}"#, "metric"),
        ("round-robin", r#"{"x":1}"#, "x"),
        ("multi-factor", zero, "weights"),
    ] {
        let Err(PoolError::Settings(problems)) = pool(&runtime, name, settings) else {
            panic!("{name} took {settings}")
        };
        assert_eq!(problems[0].path, path, "{name} {settings}");
    }
    pool(&runtime, "least-loaded", r#"{"choices":3,"metric":"latency"}"#).unwrap();
}
