//! The result of one scenario: everybody's measures, ranked.
//!
//! Invariant: rows stand best first by the judging metric; what could not be measured stands last. Differences are paired by
//! seed and taken against the best policy.

use serde::Serialize;

use super::{Contender, Ran};
use crate::faults::Faults;
use crate::judge::{Backdrop, Kind, Known, Metric, Rival};
use crate::plot::Frame;
use crate::scenario::{Origin, Prepared};
use crate::statistics::{Better, Difference, Estimate};

/// One metric of one competitor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// The metric's key.
    pub metric: &'static str,
    /// Mean and interval.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// By seed.
    pub by_seed: Vec<f64>,
}

/// One competitor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Its name, as it was given: not safe to show unescaped.
    pub label: String,
    /// What it is.
    pub kind: Kind,
    /// What it does, in a sentence; that of a policy is its own and not safe to show unescaped.
    pub does: String,
    /// Digest of the component.
    pub digest: Option<String>,
    /// By metric.
    pub measured: Vec<Measured>,
    /// What it broke, over all seeds.
    pub faults: Faults,
    /// Why it has no measures, if it has none.
    pub problem: Option<String>,
    /// Judging metric minus that of the best policy, and what that shows; `None` for the best itself and for known figures.
    pub against_best: Option<Difference>,
    /// By plot, for the first seed.
    #[serde(skip)]
    pub curves: Vec<Vec<(f64, f64)>>,
}

impl Row {
    pub(super) fn of_policy(contender: Contender<'_>, metrics: &[Metric], trials: Vec<Ran>) -> Self {
        let Contender { label, digest, does, .. } = contender;
        Self { digest: Some(digest.to_owned()), ..Self::of_runs(label, Kind::Policy, does, metrics, trials) }
    }

    pub(super) fn of_rival(rival: Rival, metrics: &[Metric], trials: Vec<Ran>) -> Self {
        Self::of_runs(rival.name, rival.kind, rival.does, metrics, trials)
    }

    fn of_runs(label: &str, kind: Kind, does: &str, metrics: &[Metric], trials: Vec<Ran>) -> Self {
        let problem = trials.iter().find_map(|ran| ran.as_ref().err().cloned());
        let trials: Vec<_> = trials.into_iter().flatten().collect();
        let mut faults = Faults::default();
        trials.iter().for_each(|trial| faults.add(&trial.faults));
        let measured = |(place, metric): (usize, &Metric)| {
            let value = |trial: &crate::judge::Trial| trial.values.get(place).copied().unwrap_or(f64::NAN);
            let by_seed: Vec<f64> = trials.iter().map(value).collect();
            Measured { metric: metric.key, estimate: Estimate::of(&by_seed), by_seed }
        };
        // A row that lacks seeds would be paired with the wrong ones.
        let complete = if problem.is_some() { &[] } else { metrics };
        let measured = complete.iter().enumerate().map(measured).collect();
        let curves = trials.into_iter().next().map(|trial| trial.curves).unwrap_or_default();
        let (label, does) = (label.to_owned(), does.to_owned());
        Self { label, kind, does, digest: None, measured, faults, problem, against_best: None, curves }
    }

    pub(super) fn of_known(known: Known, metrics: &[Metric]) -> Self {
        let measured = metrics.iter().zip(&known.values).map(|(metric, &value)| Measured {
            metric: metric.key,
            estimate: Estimate::known(value),
            by_seed: Vec::new(),
        });
        Self {
            label: known.label,
            kind: known.kind,
            does: known.source.to_owned(),
            digest: None,
            measured: measured.collect(),
            faults: Faults::default(),
            problem: None,
            against_best: None,
            curves: Vec::new(),
        }
    }

    /// The mean of a metric; NaN if there is none.
    #[must_use]
    pub fn mean(&self, metric: usize) -> f64 {
        self.measured.get(metric).map_or(f64::NAN, |measured| measured.estimate.mean)
    }

    fn by_seed(&self, metric: usize) -> &[f64] {
        self.measured.get(metric).map_or(&[], |measured| &measured.by_seed)
    }
}

/// One scenario, judged.
#[derive(Debug, Clone, Serialize)]
pub struct Judged {
    /// Its name.
    pub scenario: String,
    /// The family of policies that it judges.
    pub family: &'static str,
    /// What it models.
    pub models: String,
    /// Where its data come from.
    pub data: Origin,
    /// The seeds that ran.
    pub seeds: Vec<u64>,
    /// What is measured.
    pub metrics: &'static [Metric],
    /// Key of the metric that ranks.
    pub judged_by: &'static str,
    /// Best first.
    pub rows: Vec<Row>,
    /// The scenario's file.
    #[serde(skip)]
    pub file: String,
    /// Frames of the curves.
    #[serde(skip)]
    pub plots: &'static [Frame<'static>],
    /// What stands behind the curves, by plot.
    #[serde(skip)]
    pub backdrops: Vec<Option<Backdrop>>,
}

impl Judged {
    pub(super) fn new(prepared: &Prepared, seeds: Vec<u64>, mut rows: Vec<Row>) -> Self {
        let metrics = prepared.simulation.metrics();
        let judge = prepared.judged_by();
        let better = metrics.get(judge).map_or(Better::Lower, |metric| metric.better);
        let cost = |row: &Row| match (row.mean(judge), better) {
            (mean, _) if mean.is_nan() => f64::INFINITY,
            (mean, Better::Lower) => mean,
            (mean, Better::Higher) => -mean,
        };
        rows.sort_by(|a, b| cost(a).total_cmp(&cost(b)));
        let best = rows.iter().find(|row| row.kind == Kind::Policy && row.problem.is_none()).cloned();
        if let Some(best) = best {
            let others =
                rows.iter_mut().filter(|row| !row.by_seed(judge).is_empty() && row.label != best.label);
            for row in others {
                row.against_best = Some(Difference::of(row.by_seed(judge), best.by_seed(judge), better));
            }
        }
        Self {
            scenario: prepared.scenario.name.clone(),
            family: prepared.scenario.family().name(),
            models: prepared.scenario.models.trim().to_owned(),
            data: prepared.origin.clone(),
            backdrops: seeds.first().map(|seed| prepared.simulation.backdrops(*seed)).unwrap_or_default(),
            seeds,
            metrics,
            judged_by: metrics.get(judge).map_or("", |metric| metric.key),
            rows,
            file: prepared.scenario.text.clone(),
            plots: prepared.simulation.plots(),
        }
    }

    /// The place of the metric that ranks.
    #[must_use]
    pub fn judge(&self) -> usize {
        self.metrics.iter().position(|metric| metric.key == self.judged_by).unwrap_or_default()
    }

    /// The metric that ranks.
    #[must_use]
    pub fn metric(&self) -> Option<&'static Metric> {
        self.metrics.get(self.judge())
    }

    /// The policies, best first.
    pub fn policies(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.kind == Kind::Policy)
    }

    /// One policy against another by the judging metric, seed by seed; `None` if one of them has no measures.
    #[must_use]
    pub fn compare(&self, first: &str, second: &str) -> Option<Difference> {
        let find =
            |label: &str| self.policies().find(|row| row.label == label).filter(|row| row.problem.is_none());
        let (first, second) = find(first).zip(find(second))?;
        let (judge, better) = (self.judge(), self.metric()?.better);
        Some(Difference::of(first.by_seed(judge), second.by_seed(judge), better))
    }
}
