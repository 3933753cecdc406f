//! What estimates say and which probes they ask for, as cases.

use super::*;

const HERE: &str = "here";

fn seen(values: &[(&'static str, f32, u64)]) -> Estimates<&'static str, &'static str> {
    let mut estimates = Estimates::default();
    for &(target, rtt_ms, at_ms) in values {
        estimates.observe(&HERE, &target, rtt_ms, Now(at_ms));
    }
    estimates
}

#[test]
fn a_fresh_value_is_expected_and_an_old_one_returns_to_the_usual() {
    let steady: Vec<(&str, f32, u64)> = (1..=20).map(|step| ("a", 100.0, step * 1_000)).collect();
    let mut spiked = steady.clone();
    spiked.push(("a", 400.0, 21_000));
    for (name, values, at_ms, expected_ms) in [
        ("calm", &steady, 20_000, 100.0..=101.0),
        ("just spiked", &spiked, 21_000, 400.0..=441.0),
        ("spiked an hour ago", &spiked, 3_621_000, 130.0..=170.0),
        ("time that runs backwards", &spiked, 0, 400.0..=441.0),
    ] {
        let estimated_ms = seen(values).expected_ms(&HERE, &"a", Now(at_ms));
        assert!(expected_ms.contains(&estimated_ms), "{name}: {estimated_ms}");
    }
    assert!(seen(&steady).expected_ms(&HERE, &"b", Now(1)).is_nan(), "never measured");
}

#[test]
fn jitter_prefers_the_calmer_of_equals_and_hides_nothing_better() {
    let wobbling: Vec<(&str, f32, u64)> =
        (1..=20).map(|step| ("w", if step % 2 == 0 { 50.0 } else { 90.0 }, step * 1_000)).collect();
    let mut values = wobbling;
    values.extend([("calm", 50.0, 20_000), ("worse", 60.0, 20_000)]);
    let estimates = seen(&values);
    let expected_ms = |target| estimates.expected_ms(&HERE, &target, Now(20_000));
    assert!(expected_ms("calm") < expected_ms("w") && expected_ms("w") < expected_ms("worse"));
}

#[test]
fn the_lowest_value_is_of_the_last_minutes() {
    let values = [("a", 10.0, 1_000), ("a", 30.0, 50_000), ("a", 40.0, 70_000), ("a", 50.0, 140_000)];
    let lowest: Vec<f32> =
        (1..=4).map(|count| seen(&values[..count]).path(&HERE, &"a").unwrap().lowest_ms()).collect();
    assert_eq!(lowest, [10.0, 10.0, 10.0, 40.0]);
}

#[test]
fn probes_refresh_the_best_and_explore_the_longest_untried() {
    let known = [("a", 10.0, 1_000), ("b", 20.0, 2_000), ("c", 30.0, 3_000), ("d", 40.0, 4_000)];
    let all = ["a", "b", "c", "d", "e"];
    for (name, targets, budget, at_ms, expected) in [
        ("two best, one never tried", &all[..], 3, 60_000, vec!["a", "b", "e"]),
        ("two best, the oldest", &all[..4], 3, 60_000, vec!["a", "b", "c"]),
        ("the only probe explores", &all[..4], 1, 60_000, vec!["a"]),
        ("what is certain is not refreshed", &all[..4], 3, 4_000, vec!["a", "b", "c"]),
        ("more budget than targets", &all[..2], 9, 60_000, vec!["a", "b"]),
        ("none", &all[..0], 3, 60_000, vec![]),
    ] {
        let mut probes = seen(&known).choose_probes(&HERE, targets, budget, 7, Now(at_ms));
        probes.sort_unstable();
        assert_eq!(probes, expected, "{name}");
    }
}

#[test]
fn a_dead_target_does_not_eat_the_budget() {
    let mut estimates = seen(&[("a", 10.0, 1_000), ("b", 20.0, 1_000)]);
    let mut explored = std::collections::BTreeSet::new();
    for step in 0..4 {
        let now = Now(60_000 + step * 1_000);
        for target in estimates.choose_probes(&HERE, &["a", "b", "dead", "c"], 1, step, now) {
            explored.insert(target);
            if target == "dead" {
                estimates.missed(&HERE, &target, now);
            } else {
                estimates.observe(&HERE, &target, 20.0, now);
            }
        }
    }
    assert_eq!(explored.len(), 4, "{explored:?}");
}

#[test]
fn loss_is_the_share_of_tries_without_an_answer_and_forgets() {
    let mut estimates = Estimates::default();
    for (step, answered) in [true, false, true, false].into_iter().enumerate() {
        let now = Now(step as u64);
        if answered {
            estimates.observe(&HERE, &"a", 10.0, now);
        } else {
            estimates.missed(&HERE, &"a", now);
        }
    }
    let loss = |estimates: &Estimates<_, _>| estimates.path(&HERE, &"a").map(|path| (path.tries, path.loss));
    assert_eq!(loss(&estimates), Some((4, 0.5)));
    (0..100).for_each(|_| estimates.observe(&HERE, &"a", 10.0, Now(9)));
    assert!(loss(&estimates).unwrap().1 < 0.01);
    estimates.missed(&HERE, &"b", Now(9));
    assert_eq!(estimates.iter(Now(9)).filter(|(.., expected_ms)| expected_ms.is_nan()).count(), 1);
    estimates.retain(|target| *target == "b");
    assert_eq!(
        estimates.iter(Now(9)).map(|(_, target, path, _)| (*target, path.loss)).collect::<Vec<_>>(),
        [("b", 1.0)]
    );
}

#[test]
fn memory_is_bounded_and_nonsense_is_ignored() {
    let mut estimates: Estimates<u32, u32> = Estimates::default();
    for index in 0..3_000 {
        estimates.observe(&index, &0, 1.0, Now(u64::from(index)));
        estimates.observe(&5_000, &index, 1.0, Now(u64::from(index)));
    }
    assert_eq!(estimates.sources.len(), SOURCES_MAX);
    assert_eq!(estimates.sources[&5_000].paths.len(), TARGETS_MAX);
    for nonsense in [f32::NAN, f32::INFINITY, -1.0] {
        estimates.observe(&9_000, &0, nonsense, Now(1));
    }
    assert!(!estimates.sources.contains_key(&9_000));
}
