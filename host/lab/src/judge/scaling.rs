//! Scaling, judged: how few replicas keep the promise under a load that changes?
//!
//! Two things count against each other, replicas and late work, so a scenario names the price of late work and the bill
//! adds both up.
//!
//! Invariant: a fault leaves the group as it is and is counted, as a host would do it.

use pilothouse_core::policy::Decision;
use serde::Deserialize;

use super::{Backdrop, Data, DataError, Kind, Known, Metric, Rival, RunError, Simulation, Trial, Who};
use crate::faults::Faults;
use crate::plot::Frame;
use crate::scaling::{
    Drawn, Fixed, HeadRoom, HostedPolicy, Kind as Shape, Report, Run, Setup, Strategy, Trace, Utilisation,
    oracle, simulate, synthetic,
};
use crate::scenario::{Checks, Origin};
use crate::statistics::Better;

/// Parameters in a scenario file.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Parameters {
    /// What one ready replica serves, pieces of work per second.
    served_per_s: f64,
    /// Until a new replica is ready, s.
    start_s: u32,
    /// Between two decisions, s.
    period_s: u32,
    /// Longest wait that keeps the promise, s.
    wait_max_s: f64,
    /// Limits of the group.
    min_replicas: u32,
    /// Limits of the group.
    max_replicas: u32,
    /// What it adds to the bill if all work is late, in bills of the oracle.
    late_price: f64,
    /// The made-up load.
    load: Load,
    /// A recorded load.
    trace: Option<Recording>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Load {
    shape: Shape,
    hours: f64,
    mean_per_s: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Recording {
    file: String,
    format: Format,
    /// Length of the part that is used, drawn by the seed; all of it if left out.
    hours: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Format {
    /// Counts per second, separated by blanks.
    Counts,
    /// A line for each piece of work that begins with its time.
    Timestamps,
}

impl Default for Load {
    fn default() -> Self {
        Self { shape: Shape::Daily, hours: 10.0, mean_per_s: 150.0 }
    }
}

impl Default for Parameters {
    fn default() -> Self {
        let setup = Setup::default();
        Self {
            served_per_s: setup.served_per_s,
            start_s: setup.start_s,
            period_s: setup.period_s,
            wait_max_s: setup.wait_max_s,
            min_replicas: setup.min_replicas,
            max_replicas: setup.max_replicas,
            late_price: 25.0,
            load: Load::default(),
            trace: None,
        }
    }
}

pub(crate) const METRICS: &[Metric] = &[
    Metric {
        key: "bill",
        name: "bill",
        unit: "× oracle",
        better: Better::Lower,
        meaning: "replicas paid for plus the price of late work, over the bill of an oracle that knows the future",
    },
    Metric {
        key: "late",
        name: "late work",
        unit: "%",
        better: Better::Lower,
        meaning: "share of the work that waited longer than promised",
    },
    Metric {
        key: "cost",
        name: "replicas paid",
        unit: "× oracle",
        better: Better::Lower,
        meaning: "replica seconds over the fewest with which nothing would have been late",
    },
    Metric {
        key: "flips",
        name: "turns",
        unit: "per h",
        better: Better::Lower,
        meaning: "how often the size turned from growing to shrinking or back",
    },
    Metric {
        key: "under",
        name: "missing",
        unit: "%",
        better: Better::Lower,
        meaning: "ready replicas below the oracle's number, as a share of it",
    },
];

const PLOTS: &[Frame<'static>] = &[Frame { title: "Replicas over demand", x: "time, h", y: "replicas" }];

const ORACLE: &str = "oracle";
const RIVALS: &[Rival] = &[
    Rival {
        name: ORACLE,
        kind: Kind::Bound,
        does: "knows the future and pays for the fewest replicas with which nothing is late",
    },
    Rival::reference("random", "a size drawn anew for every decision, up to twice the static one"),
    Rival::reference("static at p99.9", "the one size that is enough for 99.9 % of all seconds, for ever"),
    Rival::reference("CPU target 50 %", "as the autoscaler of Kubernetes with a target utilisation of 50 %"),
    Rival::reference("CPU target 70 %", "as the autoscaler of Kubernetes with a target utilisation of 70 %"),
    Rival::reference("arrivals at 75 %", "what the arrivals of the last period need if replicas run at 75 %"),
];

/// Points of a curve: more than that no plot shows.
const POINTS: usize = 400;
/// Scales down after, s: the usual stabilisation of references.
const STABLE_S: u32 = 300;

/// A group under load.
#[derive(Debug)]
pub struct Scaling {
    parameters: Parameters,
    recorded: Option<Trace>,
}

impl Parameters {
    pub(crate) fn check(&self, checks: &mut Checks) {
        checks.within("scaling.served-per-s", self.served_per_s, 1e-6, 1e9);
        checks.within("scaling.start-s", f64::from(self.start_s), 0.0, 86_400.0);
        checks.within("scaling.period-s", f64::from(self.period_s), 1.0, 3_600.0);
        checks.within("scaling.wait-max-s", self.wait_max_s, 0.0, 86_400.0);
        checks.within(
            "scaling.min-replicas",
            f64::from(self.min_replicas),
            0.0,
            f64::from(self.max_replicas),
        );
        checks.within("scaling.max-replicas", f64::from(self.max_replicas), 1.0, 1e6);
        checks.within("scaling.late-price", self.late_price, 0.0, 1e6);
        checks.within("scaling.load.hours", self.load.hours, 0.1, 24.0 * 60.0);
        checks.within("scaling.load.mean-per-s", self.load.mean_per_s, 0.001, 1e7);
        if let Some(hours) = self.trace.as_ref().and_then(|trace| trace.hours) {
            checks.within("scaling.trace.hours", hours, 0.1, 24.0 * 366.0);
        }
    }

    pub(crate) fn prepare(&self, data: &dyn Data) -> Result<(Scaling, Origin), DataError> {
        let parameters = self.clone();
        let Some(Recording { file, format, .. }) = &self.trace else {
            return Ok((Scaling { parameters, recorded: None }, Origin::Synthetic));
        };
        let text = data.text(file)?;
        let trace = match format {
            Format::Counts => Trace::from_counts(&text),
            Format::Timestamps => Trace::from_timestamps(&text),
        };
        let trace = trace.map_err(|error| DataError::unusable(file, error))?;
        if trace.total() <= 0.0 {
            return Err(DataError::unusable(file, "no work arrives in it"));
        }
        Ok((Scaling { parameters, recorded: Some(trace) }, Origin::Recorded { files: vec![file.clone()] }))
    }
}

impl Scaling {
    fn setup(&self) -> Setup {
        let Parameters { served_per_s, start_s, period_s, wait_max_s, min_replicas, max_replicas, .. } =
            self.parameters;
        Setup { served_per_s, start_s, period_s, wait_max_s, min_replicas, max_replicas, ..Setup::default() }
    }

    /// The load of a seed.
    fn trace(&self, seed: u64) -> Trace {
        let hours = self.parameters.trace.as_ref().and_then(|trace| trace.hours);
        match (&self.recorded, hours) {
            (Some(trace), Some(hours)) => trace.window(seconds(hours), seed),
            (Some(trace), None) => trace.clone(),
            (None, _) => {
                let Load { shape, hours, mean_per_s } = self.parameters.load;
                synthetic(shape, seconds(hours), mean_per_s, seed)
            }
        }
    }

    fn trial(&self, run: &Run, trace: &Trace, setup: &Setup, faults: Faults) -> Trial {
        let report = Report::of(run, trace, setup);
        let bill = report.cost + self.parameters.late_price * report.violations;
        Trial {
            values: vec![
                bill,
                100.0 * report.violations,
                report.cost,
                report.flips_per_h,
                100.0 * report.under,
            ],
            curves: vec![curve(run.ticks.iter().map(|tick| f64::from(tick.replicas)), setup.period_s)],
            faults,
        }
    }
}

fn seconds(hours: f64) -> usize {
    (hours * 3_600.0) as usize
}

/// Values of periods by hour, the most of neighbouring ones where there are more than a plot shows.
fn curve(by_period: impl Iterator<Item = f64>, period_s: u32) -> Vec<(f64, f64)> {
    let values: Vec<f64> = by_period.collect();
    let together = values.len().div_ceil(POINTS).max(1);
    let hours = f64::from(period_s) * together as f64 / 3_600.0;
    let most = values.chunks(together).map(|values| values.iter().copied().fold(0.0, f64::max));
    most.enumerate().map(|(index, most)| (index as f64 * hours, most)).collect()
}

impl Simulation for Scaling {
    fn metrics(&self) -> &'static [Metric] {
        METRICS
    }

    fn plots(&self) -> &'static [Frame<'static>] {
        PLOTS
    }

    fn backdrops(&self, seed: u64) -> Vec<Option<Backdrop>> {
        let period = self.parameters.period_s.max(1);
        let trace = self.trace(seed);
        let busy = trace.per_second.chunks(period as usize).map(|seconds| {
            let mean = seconds.iter().sum::<f64>() / seconds.len() as f64;
            mean / self.parameters.served_per_s
        });
        vec![Some(("arrivals, in replicas kept busy", curve(busy, period)))]
    }

    fn rivals(&self) -> &'static [Rival] {
        RIVALS
    }

    fn known(&self) -> Vec<Known> {
        Vec::new()
    }

    fn run(&self, seed: u64, who: Who<'_>) -> Result<Trial, RunError> {
        let (trace, setup) = (self.trace(seed), self.setup());
        let static_size = (trace.quantile(0.999) / setup.served_per_s).ceil() as u32;
        let mut strategy: Box<dyn Strategy> = match who {
            Who::Policy(policy) => {
                let Decision::Scaling(port) = policy.decision() else {
                    return Err(RunError::Family { family: "scaling" });
                };
                let mut hosted = HostedPolicy::new(port);
                let run = simulate(&trace, &setup, &mut hosted);
                return Ok(self.trial(&run, &trace, &setup, hosted.faults));
            }
            Who::Rival(ORACLE) => {
                return Ok(self.trial(&oracle(&trace, &setup), &trace, &setup, Faults::default()));
            }
            Who::Rival("random") => Box::new(Drawn { most: static_size.saturating_mul(2), seed }),
            Who::Rival("static at p99.9") => Box::new(Fixed(static_size)),
            Who::Rival("CPU target 50 %") => Box::new(Utilisation::new(0.5, STABLE_S)),
            Who::Rival("CPU target 70 %") => Box::new(Utilisation::new(0.7, STABLE_S)),
            Who::Rival("arrivals at 75 %") => Box::new(HeadRoom::new(0.75, f64::INFINITY, STABLE_S)),
            Who::Rival(name) => return Err(RunError::Rival { name }),
        };
        let run = simulate(&trace, &setup, strategy.as_mut());
        Ok(self.trial(&run, &trace, &setup, Faults::default()))
    }
}
