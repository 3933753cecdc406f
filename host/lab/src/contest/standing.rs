//! The table of a family over all its scenarios.
//!
//! Invariant: the score is the geometric mean, over scenarios, of how many times worse than the best policy one is; 1 means
//! best everywhere. Scenarios in which the judging metric is not positive say nothing about ratios and are left out of it.

use serde::Serialize;

use super::{Judged, Row};
use crate::judge::Kind;
use crate::statistics::{Better, Verdict};

/// One competitor over all scenarios of a family.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Standing {
    /// The family.
    pub family: &'static str,
    /// Its name, not safe to show unescaped.
    pub label: String,
    /// What it is.
    pub kind: Kind,
    /// How many times worse than the best policy, in the geometric mean.
    pub score: f64,
    /// In how many scenarios it is the best policy or not shown to be worse than it.
    pub best_or_equal: usize,
    /// In how many scenarios it ran.
    pub scenarios: usize,
    /// Faults in all of them.
    pub faults: u64,
}

/// The standings of a family, best first.
#[must_use]
pub fn standings(family: &'static str, judged: &[Judged]) -> Vec<Standing> {
    let ours: Vec<&Judged> = judged.iter().filter(|judged| judged.family == family).collect();
    let mut labels: Vec<(&str, Kind)> = Vec::new();
    for row in ours.iter().flat_map(|judged| &judged.rows) {
        let key = (row.label.as_str(), row.kind);
        if matches!(row.kind, Kind::Policy | Kind::Reference) && !labels.contains(&key) {
            labels.push(key);
        }
    }
    let mut table: Vec<Standing> =
        labels.iter().map(|&(label, kind)| standing(family, label, kind, &ours)).collect();
    let order = |standing: &Standing| if standing.score.is_nan() { f64::INFINITY } else { standing.score };
    table.sort_by(|a, b| order(a).total_cmp(&order(b)));
    table
}

fn standing(family: &'static str, label: &str, kind: Kind, ours: &[&Judged]) -> Standing {
    let rows: Vec<(&Judged, &Row)> = ours
        .iter()
        .filter_map(|judged| {
            let row = judged.rows.iter().find(|row| row.label == label && row.kind == kind)?;
            Some((*judged, row))
        })
        .collect();
    let logs: Vec<f64> =
        rows.iter().filter_map(|(judged, row)| times_worse(judged, row)).map(f64::ln).collect();
    let not_worse = |row: &Row| {
        row.problem.is_none()
            && row.against_best.is_none_or(|difference| difference.verdict != Verdict::Worse)
    };
    Standing {
        family,
        label: label.to_owned(),
        kind,
        score: (logs.iter().sum::<f64>() / logs.len() as f64).exp(),
        best_or_equal: rows.iter().filter(|(_, row)| not_worse(row)).count(),
        scenarios: rows.len(),
        faults: rows.iter().map(|(_, row)| row.faults.total()).sum(),
    }
}

fn times_worse(judged: &Judged, row: &Row) -> Option<f64> {
    let (judge, metric) = (judged.judge(), judged.metric()?);
    let (ours, best) = (row.mean(judge), judged.policies().next()?.mean(judge));
    let ratio = match metric.better {
        Better::Lower => ours / best,
        Better::Higher => best / ours,
    };
    (ours > 0.0 && best > 0.0 && ratio.is_finite()).then_some(ratio)
}
