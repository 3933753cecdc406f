//! Laws of the simulator: conservation, foresight, and what more replicas can do.

use super::*;

fn run(trace: &Trace, strategy: &mut dyn Strategy) -> Report {
    let setup = Setup::default();
    Report::of(&simulate(trace, &setup, strategy), trace, &setup)
}

fn traces() -> Vec<Trace> {
    Kind::ALL.iter().map(|&kind| synthetic(kind, 4 * 3_600, 120.0, 7)).collect()
}

#[test]
fn nothing_is_lost_or_invented() {
    for trace in traces() {
        for size in [0, 1, 2, 3, 9] {
            let setup = Setup { min_replicas: 0, ..Setup::default() };
            let run = simulate(&trace, &setup, &mut Fixed(size));
            let served: f64 = run.ticks.iter().map(|tick| tick.served).sum();
            let waiting = run.ticks.last().map_or(0.0, |tick| tick.waiting);
            assert!((served + waiting - trace.total()).abs() < 1e-6 * trace.total());
        }
    }
}

#[test]
fn the_oracle_keeps_the_promise_and_pays_for_the_work_at_least() {
    let setup = Setup::default();
    for trace in traces() {
        let best = oracle(&trace, &setup);
        assert_eq!(best.ticks.iter().map(|tick| tick.late).sum::<f64>(), 0.0);
        let mean = trace.total() / trace.per_second.len() as f64 / setup.served_per_s;
        assert!(best.replica_s / trace.per_second.len() as f64 >= mean);
    }
}

#[test]
fn more_replicas_never_violate_more() {
    for trace in traces() {
        let shares: Vec<f64> = (1..14).map(|size| run(&trace, &mut Fixed(size)).violations).collect();
        assert!(shares.is_sorted_by(|fewer, more| fewer >= more), "{shares:?}");
        assert!(shares.first() > Some(&0.1) && shares.last() == Some(&0.0), "{shares:?}");
    }
}

#[test]
fn a_replica_serves_only_after_its_start() {
    let trace = Trace { per_second: vec![10.0; 120], step_at_s: None };
    let run = simulate(&trace, &Setup::default(), &mut Fixed(5));
    let ready: Vec<u32> = run.ticks.iter().map(|tick| tick.ready).collect();
    let paid: Vec<u32> = run.ticks.iter().map(|tick| tick.replicas).collect();
    assert_eq!(ready, [1, 1, 1, 5, 5, 5, 5, 5]);
    assert_eq!(paid, [1, 5, 5, 5, 5, 5, 5, 5]);
}

#[test]
fn a_constant_size_never_flips_and_costs_its_share() {
    let report = run(&Trace { per_second: vec![100.0; 3_600], step_at_s: None }, &mut Fixed(3));
    assert_eq!((report.flips_per_h, report.violations, report.under), (0.0, 0.0, 0.0));
    assert!((report.cost - 1.5).abs() < 0.01 && (report.over - 0.5).abs() < 0.01, "{report:?}");
}

#[test]
fn recovery_counts_from_the_step_to_the_last_violation() {
    let trace = synthetic(Kind::Step, 7_200, 120.0, 7);
    let fast = run(&trace, &mut HeadRoom::new(0.7, 30.0, 300)).recovery_s.unwrap();
    let slow = run(&trace, &mut Utilisation::new(0.7, 300)).recovery_s.unwrap();
    assert!(fast >= 30 && fast < slow, "{fast} {slow}");
    assert_eq!(run(&trace, &mut Fixed(20)).recovery_s, Some(0));
}

#[test]
fn traces_are_read_from_text() {
    let counts = Trace::from_counts("3 0\n 7").unwrap();
    assert_eq!(counts.per_second, [3.0, 0.0, 7.0]);
    let csv = "TIMESTAMP,TOKENS\n2023-11-16 23:59:59.68,3\n2023-11-17 00:00:01,4\n2023-11-17 00:00:01.9,5\n";
    assert_eq!(Trace::from_timestamps(csv).unwrap().per_second, [1.0, 0.0, 2.0]);
    assert_eq!(Trace::from_timestamps("17.2\n15\n").unwrap().per_second, [1.0, 0.0, 1.0]);
    assert_eq!(Trace::from_timestamps("").unwrap(), Trace::default());
}

#[test]
fn a_window_is_a_part_of_the_load_and_follows_its_seed() {
    let trace = Trace { per_second: (0..1_000).map(f64::from).collect(), step_at_s: Some(500) };
    for seed in 0..20 {
        let window = trace.window(600, seed);
        assert_eq!(window, trace.window(600, seed));
        assert_eq!(window.per_second.len(), 600);
        assert!(window.per_second.windows(2).all(|pair| pair[1] == pair[0] + 1.0));
        let step = window.step_at_s.and_then(|step| window.per_second.get(step));
        assert!(step.is_none_or(|&at| at == 500.0));
    }
    assert_eq!(trace.window(usize::MAX, 1), trace);
}

#[test]
fn texts_that_are_no_trace_are_refused_with_their_place() {
    for (text, place) in [("1 x", 2), ("-1", 1), ("1 2 NaN", 3)] {
        assert_eq!(Trace::from_counts(text).unwrap_err().place, place, "{text}");
    }
    for (text, place) in [("0\n99999999999", 2), ("1\n2023-13-01 00:00:00", 2), ("head\n1\nnever", 3)] {
        assert_eq!(Trace::from_timestamps(text).unwrap_err().place, place, "{text}");
    }
}

#[test]
fn synthetic_loads_follow_their_seed_and_mean() {
    for kind in Kind::ALL {
        let trace = synthetic(kind, 86_400, 60.0, 3);
        assert_eq!(trace, synthetic(kind, 86_400, 60.0, 3));
        assert_ne!(trace, synthetic(kind, 86_400, 60.0, 4));
        let mean = trace.total() / 86_400.0;
        assert!((50.0..120.0).contains(&mean), "{kind:?}: {mean}");
    }
}
