//! The default routing policies, as the components that ship, in a world that drifts.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test helper fails by panicking")]

use std::sync::{Arc, LazyLock};

use pilothouse_core::policy::state::SlotState;
use pilothouse_core::policy::{Decision, Policy};
use pilothouse_engine::{Budget, Cache, Compiler, Pool, PoolConfig, Runtime};
use pilothouse_lab::routing::drift::Drift;
use pilothouse_lab::routing::{Knowledge, Report, Scenario, Tensor, reference, run};

const CANDIDATES: usize = 10;
const DRAWS: u64 = 2;

static WORLD: LazyLock<Tensor> = LazyLock::new(|| Drift { slices: 120, ..Drift::default() }.of_sites(3, 7));
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Runtime::start(Compiler::here(), Cache::none()).unwrap());

fn pool(name: &str) -> Pool {
    let policy = pilothouse_policies::find("routing", name).unwrap();
    let loaded = Arc::new(RUNTIME.load(policy.bytes).unwrap());
    let budget = Budget { deadline_ms: 5_000, ..Budget::of(loaded.family()) };
    let config = PoolConfig { seats: 1, budget, state: Arc::new(SlotState::default()), seed: 1 };
    Pool::new(loaded, "", config).unwrap()
}

fn judged(name: &str, change: impl Fn(&mut Scenario<'_>)) -> Report {
    let mut sum = Report::default();
    for seed in 0..DRAWS {
        let mut scenario = Scenario::draw(&WORLD, CANDIDATES, seed);
        change(&mut scenario);
        let pool = pool(name);
        let Decision::Routing(port) = pool.decision() else { panic!("{name} does not route") };
        sum.add(&run(&scenario, &mut |fleet, class, request| port.route(fleet, class, request)));
    }
    sum
}

fn plain(name: &str) -> Report {
    judged(name, |_| {})
}

#[test]
fn latency_is_near_the_oracle_with_three_probes_of_ten() {
    let latency = plain("latency");
    assert!(latency.rtt_ratio() < 1.25, "{latency:?}");
    assert!(latency.near_oracle_share() > 0.8, "{latency:?}");
    let earlier = judged("latency", |scenario| scenario.knowledge = Knowledge::EarlierSlices);
    assert!(earlier.rtt_ratio() < 1.45, "{earlier:?}");
    let mut never_again = reference::nearest_at_first();
    let random = run(&Scenario::draw(&WORLD, CANDIDATES, 0), &mut reference::random);
    let fixed = run(&Scenario::draw(&WORLD, CANDIDATES, 0), &mut never_again);
    assert!(latency.rtt_ratio() < fixed.rtt_ratio() && fixed.rtt_ratio() < random.rtt_ratio());
}

#[test]
fn hysteresis_saves_switches_and_costs_next_to_nothing() {
    let (mut greedy, steady) = (Report::default(), plain("latency"));
    for seed in 0..DRAWS {
        greedy.add(&run(&Scenario::draw(&WORLD, CANDIDATES, seed), &mut reference::nearest_known));
    }
    assert!(steady.switches_per_hour() < 0.8 * greedy.switches_per_hour(), "{steady:?} {greedy:?}");
    assert!(steady.rtt_ratio() < 1.03 * greedy.rtt_ratio(), "{steady:?} {greedy:?}");
}

#[test]
fn each_policy_is_best_at_its_own() {
    let crowded = |name| judged(name, |scenario| scenario.headroom = 1.3);
    let [latency, cost, balanced, near, hybrid] =
        ["latency", "cost", "load-balanced", "geo-proximity", "hybrid"].map(crowded);
    for report in [&latency, &cost, &balanced, &near, &hybrid] {
        assert!(report.unanswered_share() == 0.0, "{report:?}");
    }
    assert!(cost.price_ratio() < 1.1 && cost.price_ratio() < latency.price_ratio(), "{cost:?}");
    assert!(near.rtt_ratio() < 1.25, "{near:?}");
    assert!(
        balanced.overload_share() < latency.overload_share() / 2.0,
        "{} {}",
        balanced.overload_share(),
        latency.overload_share()
    );
    assert!(hybrid.overload_share() < latency.overload_share() / 2.0, "{hybrid:?} {latency:?}");
    assert!(hybrid.rtt_ratio() < balanced.rtt_ratio(), "{hybrid:?} {balanced:?}");
}

#[test]
fn a_run_follows_from_its_seed() {
    for name in ["latency", "hybrid"] {
        assert_eq!(plain(name), plain(name), "{name}");
    }
}
