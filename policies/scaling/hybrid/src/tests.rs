//! What the policy answers to loads that are steady, rise, surge, vanish and make no sense.

use super::*;
use pilothouse_sdk::Value;
use pilothouse_sdk::testing::scaling::{answer, configured, load, spoiled};

fn hybrid(rates: &[f32], replicas: u32) -> Target {
    answer::<Hybrid>(&load(rates, replicas))
}

/// A history that ends with some rates.
fn ending(rates: &[f32]) -> Vec<f32> {
    [vec![100.0; 60], rates.to_vec()].concat()
}

#[test]
fn a_steady_load_gets_its_target() {
    for (rate, replicas) in [(0.0, 0), (10.0, 1), (37.0, 1), (75.0, 2), (750.0, 20), (7_500.0, 200)] {
        assert_eq!(hybrid(&[rate; 200], 200).replicas, replicas, "{rate}");
    }
}

#[test]
fn the_promise_counts_where_the_target_is_too_tight() {
    let mut tight = configured::<Hybrid>(&[("target-utilisation", Value::Integer(1))]).unwrap();
    let target = tight.scale(&load(&[100.0; 200], 2)).unwrap();
    assert_eq!((target.replicas, target.reason), (3, PROMISE));
}

#[test]
fn growth_is_met_before_it_comes() {
    let ramp: Vec<f32> = (0..200_u8).map(|index| 100.0 + 10.0 * f32::from(index)).collect();
    let target = hybrid(&ramp, 30);
    assert!(target.forecast_per_s > 2_100.0 && target.confidence > 0.8, "{target:?}");
    assert!(target.replicas > 42, "{target:?}");
}

#[test]
fn work_that_waits_is_drained_with_what_will_join_it() {
    let mut request = load(&ending(&[400.0]), 4);
    request.samples[60].queue_depth = 1_000.0;
    let target = answer::<Hybrid>(&request);
    // 1,000 wait, 30 s x 200/s join them; in 20 s that is 350/s on top of 400/s.
    assert_eq!((target.replicas, target.reason), (15, WAITING));
}

#[test]
fn a_jump_without_a_queue_only_doubles_the_size() {
    assert_eq!(hybrid(&ending(&[1e8]), 3).replicas, 7);
    assert_eq!(hybrid(&ending(&[1e8]), 30).replicas, 60);
}

#[test]
fn the_first_work_wakes_a_sleeping_group() {
    let mut request = load(&[0.0; 60], 0);
    request.samples.iter_mut().for_each(|sample| sample.utilisation = f32::NAN);
    request.samples[59].arrivals_per_s = 0.1;
    assert_eq!(answer::<Hybrid>(&request).replicas, 1);
}

#[test]
fn after_a_peak_the_size_falls_in_two_steps() {
    let settings = [("forecast", Value::Flag(false)), ("surge-chance", Value::Integer(1))];
    let mut plain = configured::<Hybrid>(&settings).unwrap();
    for (quiet, replicas) in [(1, 10), (8, 10), (9, 4), (20, 4), (21, 3)] {
        let rates = [vec![100.0; 60], vec![350.0; 4], vec![100.0; quiet]].concat();
        assert_eq!(plain.scale(&load(&rates, 20)).unwrap().replicas, replicas, "{quiet} quiet periods");
    }
}

#[test]
fn limits_hold_even_if_they_cross() {
    for (min_replicas, max_replicas, expected) in [(0, 1, 1), (5, 9, 5), (9, 5, 9)] {
        let request = Request { min_replicas, max_replicas, ..load(&[100.0; 200], 3) };
        assert_eq!(answer::<Hybrid>(&request).replicas, expected);
    }
}

#[test]
fn missing_or_absurd_samples_never_scale_down() {
    assert!(answer::<Hybrid>(&load(&[40.0; 60], 10)).replicas < 10);
    for seed in 0..5_000 {
        assert!(answer::<Hybrid>(&spoiled(seed)).replicas >= 10, "seed {seed}");
    }
}

#[test]
fn the_same_request_has_the_same_answer_on_any_instance() {
    let request = load(&ending(&[130.0, 90.0, 400.0]), 4);
    let mut used = configured::<Hybrid>(&[]).unwrap();
    used.scale(&load(&[900.0; 300], 2)).unwrap();
    let (fresh, used) = (answer::<Hybrid>(&request), used.scale(&request).unwrap());
    assert_eq!((fresh.replicas, fresh.reason), (used.replicas, used.reason));
}
