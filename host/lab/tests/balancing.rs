//! The shipped balancing policies, as components in the engine, against the fresh-information bound and against references.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test helper fails by panicking")]

use std::sync::{Arc, LazyLock};

use pilothouse_core::eligible::EligibleClass;
use pilothouse_core::fleet::Fleet;
use pilothouse_core::policy::fault::PolicyError;
use pilothouse_core::policy::request::{BalancingRequest, Choice};
use pilothouse_core::policy::state::SlotState;
use pilothouse_core::policy::{Decision, Policy};
use pilothouse_engine::{Budget, Cache, Compiler, Pool, PoolConfig, Runtime};
use pilothouse_lab::balancing::{
    Balancer, Disruption, Knowledge, Loss, Outcome, Scenario, Sessions, bound, disruption, reference,
    simulate,
};

const SEED: u64 = 1;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Runtime::start(Compiler::here(), Cache::none()).unwrap());

/// A shipped policy that answers; a fault fails the test.
fn policy(
    name: &str,
) -> impl FnMut(&Fleet, &EligibleClass, &BalancingRequest) -> Result<Choice, PolicyError> {
    let shipped = pilothouse_policies::find("balancing", name).unwrap();
    let loaded = Arc::new(RUNTIME.load(shipped.bytes).unwrap());
    let budget = Budget { deadline_ms: 10_000, ..Budget::of(loaded.family()) };
    let config = PoolConfig { seats: 1, budget, state: Arc::new(SlotState::default()), seed: 1 };
    let pool = Pool::new(loaded, "", config).unwrap();
    move |fleet, class, request| {
        let Decision::Balancing(port) = pool.decision() else { panic!("not a balancing policy") };
        port.choose(fleet, class, request)
    }
}

/// What a policy comes to with as many hosts as asked for, each with an instance of its own.
fn judged(name: &str, scenario: &Scenario, hosts: usize) -> Outcome {
    let mut policies: Vec<_> = (0..hosts).map(|_| policy(name)).collect();
    let mut balancers: Vec<Balancer<'_>> = policies.iter_mut().map(|policy| policy as Balancer<'_>).collect();
    let outcome = simulate(scenario, SEED, &mut balancers);
    assert_eq!(outcome.refused, 0, "{name}");
    outcome
}

/// Both utilisations, with equal members and with a fifth of them half as fast.
fn loads() -> impl Iterator<Item = Scenario> {
    [(0.7, 0.0), (0.7, 0.2), (0.9, 0.0), (0.9, 0.2)].into_iter().map(|(utilisation, slow_share)| Scenario {
        utilisation,
        slow_share,
        tasks: 40_000,
        ..Scenario::default()
    })
}

/// p99 over that of the bound.
fn ratio(outcome: &Outcome, scenario: &Scenario) -> f64 {
    outcome.p99_ms() / bound(scenario, SEED).p99_ms()
}

#[test]
fn least_loaded_is_within_a_tenth_of_the_bound() {
    for scenario in loads() {
        let ours = ratio(&judged("least-loaded", &scenario, 1), &scenario);
        let blind = ratio(&simulate(&scenario, SEED, &mut [&mut reference::random]), &scenario);
        assert!(ours <= 1.10 && ours < blind, "{ours} {blind} at {scenario:?}");
    }
}

#[test]
fn adaptive_is_the_bound_where_knowledge_is_fresh() {
    for scenario in loads() {
        let ours = ratio(&judged("adaptive", &scenario, 1), &scenario);
        assert!(ours <= 1.02, "{ours} at {scenario:?}");
    }
}

#[test]
fn reports_of_100_ms_age_cost_at_most_half_and_queues_stay_bounded() {
    for scenario in loads() {
        let scenario = Scenario { knowledge: Knowledge::reported(100), ..scenario };
        for name in ["least-loaded", "adaptive"] {
            let outcome = judged(name, &scenario, 1);
            let ours = ratio(&outcome, &scenario);
            assert!(
                ours <= 1.5 && outcome.queue_max < 100,
                "{name}: {ours} {} at {scenario:?}",
                outcome.queue_max
            );
        }
    }
}

#[test]
fn hot_sessions_overflow_before_their_member_drowns_and_most_requests_meet_their_member() {
    for scenario in loads() {
        let sessions = Some(Sessions { count: 10_000, exponent: 0.9 });
        let scenario = Scenario { sessions, ..scenario };
        let outcome = judged("session-affinity", &scenario, 1);
        assert!(ratio(&outcome, &scenario) <= 1.15, "{} at {scenario:?}", ratio(&outcome, &scenario));
        assert!(outcome.affinity() > 0.5, "{}", outcome.affinity());
    }
}

#[test]
fn a_lost_member_moves_its_own_sessions_alone_and_its_return_none() {
    for members in [20, 400] {
        let sessions = 50 * members as u64;
        let moved = disruption(members, sessions, 7, SEED, &mut policy("session-affinity"));
        let Disruption { owned, others_moved, homeless, stolen, most_inherited } = moved;
        assert_eq!((others_moved, homeless, stolen), (0, 0, 0), "{members}: {moved:?}");
        assert!(owned > 0 && most_inherited <= owned.div_ceil(2), "{members}: {moved:?}");
    }
}

#[test]
fn a_member_lost_under_load_costs_no_task() {
    let loss = Some(Loss { member: 3, after: 0.5 });
    let scenario = Scenario { loss, utilisation: 0.8, tasks: 20_000, warm_up: 0.0, ..Scenario::default() };
    for name in ["least-loaded", "session-affinity", "random", "round-robin", "weighted", "least-agents"] {
        let sessions = Some(Sessions { count: 1_000, exponent: 0.9 });
        let outcome = judged(name, &Scenario { sessions, ..scenario.clone() }, 1);
        assert_eq!(outcome.response_ms.len(), 20_000, "{name}");
        assert!(outcome.shares[3] < 0.8, "{name}: {:?}", outcome.shares[3]);
    }
}

#[test]
fn weights_keep_blind_policies_stable_where_slow_members_would_drown() {
    let scenario = Scenario { utilisation: 0.9, slow_share: 0.2, tasks: 40_000, ..Scenario::default() };
    let blind = simulate(&scenario, SEED, &mut [&mut reference::round_robin()]).p99_ms();
    for name in ["weighted", "random"] {
        assert!(judged(name, &scenario, 1).p99_ms() < blind / 2.0, "{name}");
    }
}

#[test]
fn adaptive_forgives_reports_of_a_second_what_their_age_explains() {
    let knowledge = Knowledge::reported(1_000);
    let scenario = Scenario {
        knowledge,
        utilisation: 0.7,
        slow_share: 0.2,
        tasks: 100_000,
        warm_up: 0.4,
        ..Scenario::default()
    };
    let [plain, adaptive] = ["least-loaded", "adaptive"].map(|name| judged(name, &scenario, 1).mean_ms());
    assert!(adaptive < 0.8 * plain, "{adaptive} {plain}");
}

#[test]
fn ten_hosts_that_hear_reports_share_nearly_as_well_as_one() {
    let reported = Scenario { knowledge: Knowledge::reported(100), tasks: 40_000, ..Scenario::default() };
    let (one, ten) = (judged("least-loaded", &reported, 1), judged("least-loaded", &reported, 10));
    assert!(ratio(&ten, &reported) < 1.2 * ratio(&one, &reported), "{} {}", one.p99_ms(), ten.p99_ms());
}
