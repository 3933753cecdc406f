//! The shipped scaling policies, as components in the engine, against references on loads made from a seed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::sync::{Arc, OnceLock};

use pilothouse_core::policy::state::SlotState;
use pilothouse_core::policy::{Decision, Policy};
use pilothouse_engine::{Budget, Cache, Compiler, Pool, PoolConfig, Runtime};
use pilothouse_lab::scaling::{
    HeadRoom, HostedPolicy, Kind, Report, Setup, Strategy, Trace, Utilisation, simulate, synthetic,
};

/// Arrivals per second of the loads: about four replicas.
const MEAN_PER_S: f64 = 150.0;
const HOUR: usize = 3_600;

fn judge(trace: &Trace, strategy: &mut dyn Strategy) -> Report {
    let setup = Setup::default();
    Report::of(&simulate(trace, &setup, strategy), trace, &setup)
}

/// Runs a shipped policy with settings. No call may fault: a fault would read as "leave it".
fn policy(name: &str, settings: &str, trace: &Trace) -> Report {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| Runtime::start(Compiler::here(), Cache::none()).unwrap());
    let loaded = Arc::new(runtime.load(pilothouse_policies::find("scaling", name).unwrap().bytes).unwrap());
    let budget = Budget { deadline_ms: 10_000, ..Budget::of(loaded.family()) };
    let config = PoolConfig { seats: 1, budget, state: Arc::new(SlotState::default()), seed: 1 };
    let pool = Pool::new(loaded, settings, config).unwrap();
    let Decision::Scaling(port) = pool.decision() else { panic!("{name} does not scale") };
    let report = judge(trace, &mut HostedPolicy::new(port));
    let usage = pool.usage();
    assert_eq!(usage.instances, 1, "{name} broke");
    assert!(usage.fuel / usage.calls.max(1) < budget.fuel / 2, "{name} needs too much fuel");
    report
}

fn hybrid(trace: &Trace) -> Report {
    policy("hybrid", "", trace)
}

#[test]
fn hybrid_violates_less_than_reactive_tracking_and_costs_no_more_than_a_tenth_more() {
    for kind in Kind::ALL {
        let trace = synthetic(kind, 10 * HOUR, MEAN_PER_S, 7);
        let (ours, tracking) = (hybrid(&trace), judge(&trace, &mut HeadRoom::new(0.75, f64::INFINITY, 300)));
        assert!(ours.violations <= tracking.violations, "{kind:?}: {ours:?} {tracking:?}");
        assert!(ours.cost <= 1.1 * tracking.cost, "{kind:?}: {ours:?} {tracking:?}");
    }
}

#[test]
fn no_target_of_scaling_by_utilisation_is_both_cheaper_and_better_than_hybrid() {
    let trace = synthetic(Kind::Surges, 10 * HOUR, MEAN_PER_S, 3);
    let ours = hybrid(&trace);
    for target in [0.3, 0.4, 0.5, 0.6, 0.7, 0.8] {
        let theirs = judge(&trace, &mut Utilisation::new(target, 300));
        assert!(
            ours.cost < theirs.cost || ours.violations < theirs.violations,
            "{target}: {ours:?} {theirs:?}"
        );
    }
}

#[test]
fn prediction_never_costs_more_than_a_fiftieth_where_it_gains_nothing() {
    for kind in Kind::ALL {
        let trace = synthetic(kind, 10 * HOUR, MEAN_PER_S, 11);
        let (ours, reactive) =
            (hybrid(&trace), policy("hybrid", r#"{"forecast":false,"surge-chance":1}"#, &trace));
        let gains = ours.violations < 0.8 * reactive.violations;
        assert!(gains || ours.cost <= 1.02 * reactive.cost, "{kind:?}: {ours:?} {reactive:?}");
        assert!(ours.violations <= reactive.violations + 1e-6, "{kind:?}: {ours:?} {reactive:?}");
    }
}

#[test]
fn a_fivefold_step_is_over_in_little_more_than_two_starts() {
    let trace = synthetic(Kind::Step, 2 * HOUR, MEAN_PER_S, 5);
    for (name, within_s) in [("hybrid", 75), ("predictive", 90)] {
        let report = policy(name, "", &trace);
        assert!(report.recovery_s.unwrap() <= within_s, "{name}: {report:?}");
    }
}

#[test]
fn queue_depth_answers_within_its_budget() {
    let report =
        policy("queue-depth", r#"{"min-agents":1}"#, &synthetic(Kind::Daily, 2 * HOUR, MEAN_PER_S, 5));
    assert!(report.cost > 0.5, "{report:?}");
}
