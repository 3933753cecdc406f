//! The simulator against queueing theory, and laws that hold whoever balances.

use super::*;

fn one_queue(workers: usize, service: Service, utilisation: f64) -> Scenario {
    Scenario { members: 1, workers, service, utilisation, tasks: 400_000, ..Scenario::default() }
}

fn run(scenario: &Scenario, seed: u64) -> Outcome {
    simulate(scenario, seed, &mut [&mut reference::random])
}

#[test]
fn one_member_waits_as_long_as_theory_says() {
    // Mean response of M/M/1: s / (1 - rho). Of M/M/4 at 0.8 Erlang's C gives a wait of 0.745 s. Of M/G/1 by
    // Pollaczek and Khinchine: s + rho * E[S^2] / (2 * s * (1 - rho)), with E[S^2] = 250 ms^2 here.
    let exponential = Service::Exponential { mean_ms: 10.0 };
    for (scenario, expected_ms) in [
        (one_queue(1, exponential, 0.5), 20.0),
        (one_queue(4, exponential, 0.8), 17.45),
        (one_queue(1, Service::Bimodal { short_ms: 5.0, long_ms: 15.0, long_share: 0.5 }, 0.5), 22.5),
    ] {
        let mean_ms = run(&scenario, 1).mean_ms();
        assert!((mean_ms / expected_ms - 1.0).abs() < 0.04, "{mean_ms} instead of {expected_ms}");
    }
}

#[test]
fn without_queues_the_tail_is_that_of_the_work() {
    let idle = Scenario { utilisation: 0.05, ..Scenario::default() };
    let p99_ms = bound(&idle, 3).p99_ms();
    assert!((p99_ms - 169.0).abs() < 8.0, "{p99_ms}");
}

#[test]
fn every_task_ends_once_whoever_is_lost() {
    let loss = Some(Loss { member: 3, after: 0.5 });
    let scenario =
        Scenario { members: 10, tasks: 20_000, warm_up: 0.0, loss, slow_share: 0.2, ..Scenario::default() };
    for knowledge in [Knowledge::FRESH, Knowledge::reported(100)] {
        let outcome = run(&Scenario { knowledge, ..scenario.clone() }, 5);
        assert_eq!((outcome.response_ms.len(), outcome.refused), (20_000, 0));
        assert!(outcome.shares[3] < 0.8, "{:?}", outcome.shares);
    }
}

#[test]
fn who_refuses_everything_serves_nobody() {
    let scenario = Scenario { tasks: 100, warm_up: 0.0, ..Scenario::default() };
    let refuse: Balancer<'_> = &mut |_, _, _| {
        Err(pilothouse_core::policy::fault::PolicyError::Refused(
            pilothouse_core::policy::fault::Refusal::NothingSuits(0),
        ))
    };
    let outcome = simulate(&scenario, 1, &mut [refuse]);
    assert_eq!((outcome.refused, outcome.response_ms.len()), (100, 0));
}

#[test]
fn arrivals_are_the_same_for_all_and_knowing_more_is_never_worse() {
    for (utilisation, slow_share) in [(0.7, 0.0), (0.9, 0.2)] {
        let scenario = Scenario { utilisation, slow_share, tasks: 30_000, ..Scenario::default() };
        let (best, other) = (bound(&scenario, 2), run(&scenario, 2));
        assert_eq!(best.response_ms.len(), other.response_ms.len());
        assert!(best.p99_ms() < other.p99_ms() && best.queue_max < other.queue_max);
        assert_eq!(bound(&scenario, 2), best, "a run follows from its seed");
    }
}

#[test]
fn taking_the_least_of_old_reports_is_a_herd() {
    let p99_ms = |period_ms, balancer: Balancer<'_>| {
        let knowledge = Knowledge::reported(period_ms);
        let scenario = Scenario { knowledge, tasks: 60_000, ..Scenario::default() };
        simulate(&scenario, 1, &mut [balancer]).p99_ms()
    };
    assert!(p99_ms(1_000, &mut reference::least_of_all) > 2.0 * p99_ms(1_000, &mut reference::random));
    assert!(p99_ms(10, &mut reference::least_of_all) < p99_ms(10, &mut reference::random));
}
