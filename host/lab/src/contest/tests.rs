//! Contests of references: everybody runs everything, in the same order whatever the threads do.

use super::*;
use crate::judge::{Kind, NoData};
use crate::scenario::Scenario;
use crate::statistics::Verdict;

fn prepared(text: &str) -> Prepared {
    let head = "name = \"t\"\nmodels = \"t\"\nseeds = 3\n";
    Scenario::parse(&format!("{head}{text}")).unwrap().prepare(&NoData).unwrap()
}

fn scenarios() -> Vec<Prepared> {
    [
        "[placement]\nnodes = 24",
        "[balancing]\nmembers = 5\ntasks = 500\nsessions = { count = 20, exponent = 1 }",
        "[routing]\nper-site = 1\ndrift = { slices = 20 }",
        "[scaling.load]\nhours = 0.5",
    ]
    .map(prepared)
    .into()
}

fn judged(threads: usize) -> Vec<Judged> {
    hold(&scenarios(), &|_| Vec::new(), Seeds { first: 1, count: None }, threads, &|_, _| {})
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let text = |judged: &[Judged]| format!("{judged:?}");
    assert_eq!(text(&judged(1)), text(&judged(3)));
}

#[test]
fn every_rival_has_every_metric_for_every_seed_and_the_best_stands_first() {
    for judged in judged(2) {
        let better = judged.metric().unwrap().better;
        for row in &judged.rows {
            assert_eq!(row.measured.len(), judged.metrics.len(), "{}", row.label);
            let runs = row.kind == Kind::Reference;
            assert!(!runs || row.measured.iter().all(|measured| measured.by_seed.len() == 3));
            assert!(!runs || row.curves.len() == judged.plots.len() && !row.curves[0].is_empty());
        }
        let means: Vec<f64> = judged.rows.iter().map(|row| row.mean(judged.judge())).collect();
        let sorted = match better {
            crate::statistics::Better::Lower => means.is_sorted(),
            crate::statistics::Better::Higher => means.is_sorted_by(|a, b| a >= b),
        };
        assert!(sorted, "{means:?}");
    }
}

#[test]
fn progress_ends_at_all_runs_and_seeds_can_be_moved() {
    let seen = std::sync::Mutex::new(Vec::new());
    let done = |finished, all| seen.lock().unwrap().push((finished, all));
    let scenarios = scenarios();
    let judged = hold(&scenarios[..1], &|_| Vec::new(), Seeds { first: 7, count: Some(2) }, 1, &done);
    assert_eq!(judged[0].seeds, [7, 8]);
    assert_eq!(seen.into_inner().unwrap(), (1..=6).map(|finished| (finished, 6)).collect::<Vec<_>>());
}

#[test]
fn a_policy_that_cannot_be_made_is_a_row_with_a_problem() {
    let scenarios = scenarios();
    let make = || Err("no such thing".to_owned());
    let contenders =
        |_: &Prepared| vec![Contender { label: "broken", digest: "sha256:0", does: "", make: &make }];
    for judged in hold(&scenarios, &contenders, Seeds { first: 1, count: Some(2) }, 2, &|_, _| {}) {
        let last = judged.rows.last().unwrap();
        assert_eq!((last.label.as_str(), last.problem.as_deref()), ("broken", Some("no such thing")));
        assert!(judged.compare("broken", "broken").is_none());
        assert!(judged.rows.iter().all(|row| row.against_best.is_none()), "there is no best policy");
        let standing = standings(judged.family, std::slice::from_ref(&judged));
        let broken = standing.iter().find(|standing| standing.label == "broken").unwrap();
        assert_eq!((broken.best_or_equal, broken.score.is_nan()), (0, true));
    }
}

#[test]
fn equal_runs_show_no_difference() {
    let verdict =
        crate::statistics::Difference::of(&[1.0, 2.0], &[1.0, 2.0], crate::statistics::Better::Lower);
    assert_eq!(verdict.verdict, Verdict::NoDifferenceShown);
}
