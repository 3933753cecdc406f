//! Routing, judged: how near to the best possible do flows run while round-trip times change?
//!
//! Invariant: a fault leaves the flow to any candidate for one slice and is counted; a refusal leaves it unanswered.

use pilothouse_core::eligible::EligibleClass;
use pilothouse_core::fleet::Fleet;
use pilothouse_core::policy::Decision;
use pilothouse_core::policy::fault::{PolicyError, Refusal};
use pilothouse_core::policy::request::{Route, RoutingRequest};
use serde::Deserialize;

use super::{Backdrop, Data, DataError, Kind, Known, Metric, Rival, RunError, Simulation, Trial, Who};
use crate::faults::{Answer, Faults};
use crate::plot::Frame;
use crate::routing::drift::Drift;
use crate::routing::{Knowledge, Report, Router, Scenario, Tensor, reference, run_observed};
use crate::scenario::{Checks, Origin};
use crate::statistics::Better;

/// Parameters in a scenario file.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Parameters {
    /// Nodes that serve, drawn by the seed; all others are sources.
    candidates: usize,
    /// Probes of a source in a slice.
    probes: usize,
    /// What a decision knows.
    knowledge: Knowledge,
    /// 0 = most urgent .. 7 = scavenger.
    traffic_class: u8,
    /// Wanted round-trip time, ms; 0 = no wish.
    latency_goal_ms: f32,
    /// Capacity of all candidates over the work of all flows.
    headroom: f32,
    /// Nodes at each of the twelve sites of the made-up world.
    per_site: usize,
    /// How its round-trip times change.
    drift: Drift,
    /// Recorded round-trip times.
    trace: Option<Slices>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Slices {
    file: String,
    format: Format,
    /// Slices used; a window of them is drawn by the seed.
    slices: Option<usize>,
}

/// How round-trip times are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Format {
    /// An archive of square matrices in seconds, one a slice.
    Slices,
    /// One table with names, in ms; `drift` lets it change.
    Table,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            candidates: 10,
            probes: 3,
            knowledge: Knowledge::ThisSlice,
            traffic_class: 3,
            latency_goal_ms: 0.0,
            headroom: 2.0,
            per_site: 3,
            drift: Drift::default(),
            trace: None,
        }
    }
}

pub(crate) const METRICS: &[Metric] = &[
    Metric {
        key: "rtt-ratio",
        name: "round trip",
        unit: "× oracle",
        better: Better::Lower,
        meaning: "mean round-trip time paid over that of an oracle that always knows the nearest; 1 is perfect",
    },
    Metric {
        key: "near-oracle",
        name: "within 10 % of the oracle",
        unit: "%",
        better: Better::Higher,
        meaning: "share of the work that paid at most a tenth more than the oracle",
    },
    Metric {
        key: "price",
        name: "price",
        unit: "× cheapest",
        better: Better::Lower,
        meaning: "mean price paid over that of the cheapest candidate",
    },
    Metric {
        key: "overload",
        name: "overload",
        unit: "%",
        better: Better::Lower,
        meaning: "share of the work that arrived above its target's capacity",
    },
    Metric {
        key: "switches",
        name: "switches",
        unit: "per flow and h",
        better: Better::Lower,
        meaning: "how often a flow changed its main target",
    },
    Metric {
        key: "unanswered",
        name: "unanswered",
        unit: "%",
        better: Better::Lower,
        meaning: "share of the flows without a usable answer",
    },
];

const PLOTS: &[Frame<'static>] = &[Frame {
    title: "Regret: round-trip time paid beyond the oracle's, so far",
    x: "time, min",
    y: "regret per source, s",
}];

const RIVALS: &[Rival] = &[
    Rival::reference("random", "any candidate, drawn anew for every decision"),
    Rival::reference("nearest at first", "the candidate that was nearest at the first question, for ever"),
    Rival::reference("nearest known", "the candidate with the least round-trip time known at the moment"),
];

/// A network that drifts.
#[derive(Debug)]
pub struct Routing {
    parameters: Parameters,
    recorded: Option<Tensor>,
}

impl Parameters {
    pub(crate) fn check(&self, checks: &mut Checks) {
        checks.within("routing.candidates", self.candidates as f64, 1.0, 64.0);
        checks.within("routing.probes", self.probes as f64, 1.0, 64.0);
        checks.within("routing.traffic-class", f64::from(self.traffic_class), 0.0, 7.0);
        checks.within("routing.latency-goal-ms", f64::from(self.latency_goal_ms), 0.0, 1e6);
        checks.within("routing.headroom", f64::from(self.headroom), 0.1, 1_000.0);
        checks.within("routing.per-site", self.per_site as f64, 1.0, 16.0);
        checks.within("routing.drift.slices", self.drift.slices as f64, 1.0, 10_000.0);
        checks.within("routing.drift.slice-ms", self.drift.slice_ms as f64, 1.0, 1e9);
        checks.within("routing.drift.hold-slices", self.drift.hold_slices, 1.0, 1e6);
        checks.within("routing.drift.spread", self.drift.spread, 0.0, 5.0);
        checks.within("routing.drift.noise", self.drift.noise, 0.0, 0.99);
    }

    pub(crate) fn prepare(&self, data: &dyn Data) -> Result<(Routing, Origin), DataError> {
        let parameters = self.clone();
        let Some(Slices { file, format, .. }) = &self.trace else {
            return Ok((Routing { parameters, recorded: None }, Origin::Synthetic));
        };
        let texts = data.texts(file)?;
        let tensor = match format {
            Format::Slices => Tensor::parse_slices(texts.iter().map(String::as_str), self.drift.slice_ms),
            Format::Table => {
                Tensor::parse_csv(texts.first().map_or("", String::as_str)).map(|(_, tensor)| tensor)
            }
        };
        let tensor = tensor.map_err(|error| DataError::unusable(file, error))?;
        if tensor.nodes() <= self.candidates {
            let problem = format!("{} nodes are too few for {} candidates", tensor.nodes(), self.candidates);
            return Err(DataError::unusable(file, problem));
        }
        Ok((Routing { parameters, recorded: Some(tensor) }, Origin::Recorded { files: vec![file.clone()] }))
    }
}

impl Routing {
    /// The round-trip times of a seed.
    fn tensor(&self, seed: u64) -> Tensor {
        let drift = &self.parameters.drift;
        let trace = self.parameters.trace.as_ref();
        match (&self.recorded, trace) {
            (Some(table), Some(Slices { format: Format::Table, .. })) => {
                let base_ms = |source: usize, target: usize| match table.rtt_ms(0, source, target) {
                    rtt_ms if rtt_ms.is_nan() => f64::from(table.rtt_ms(0, target, source)),
                    rtt_ms => f64::from(rtt_ms),
                };
                drift.over(table.nodes(), base_ms, seed)
            }
            (Some(slices), Some(trace)) => slices.window(trace.slices.unwrap_or(usize::MAX), seed),
            _ => drift.of_sites(self.parameters.per_site, seed),
        }
    }
}

impl Simulation for Routing {
    fn metrics(&self) -> &'static [Metric] {
        METRICS
    }

    fn plots(&self) -> &'static [Frame<'static>] {
        PLOTS
    }

    fn backdrops(&self, _seed: u64) -> Vec<Option<Backdrop>> {
        vec![None]
    }

    fn rivals(&self) -> &'static [Rival] {
        RIVALS
    }

    fn known(&self) -> Vec<Known> {
        let nan = f64::NAN;
        vec![Known {
            label: "oracle".to_owned(),
            kind: Kind::Bound,
            source: "knows every round-trip time at every moment, without probing; each metric at its best",
            values: vec![1.0, 100.0, 1.0, 0.0, nan, 0.0],
        }]
    }

    fn run(&self, seed: u64, who: Who<'_>) -> Result<Trial, RunError> {
        let tensor = self.tensor(seed);
        let Parameters { candidates, probes, knowledge, traffic_class, latency_goal_ms, headroom, .. } =
            self.parameters;
        let scenario = Scenario {
            probes,
            knowledge,
            traffic_class,
            latency_goal_ms,
            headroom,
            ..Scenario::draw(&tensor, candidates, seed)
        };
        let sources = (tensor.nodes() - scenario.candidates.len()).max(1) as f64;
        let minutes = tensor.slice_ms() as f64 / 60_000.0;
        let mut regret = Vec::with_capacity(tensor.slices());
        let mut run = |router: Router<'_>| {
            run_observed(&scenario, router, &mut |slice, report| {
                regret.push(((slice + 1) as f64 * minutes, report.regret_ms() / sources / 1_000.0));
            })
        };
        let mut faults = Faults::default();
        let report = match who {
            Who::Policy(policy) => {
                let Decision::Routing(port) = policy.decision() else {
                    return Err(RunError::Family { family: "routing" });
                };
                run(&mut |fleet, class, request| {
                    guarded(&mut faults, fleet, class, request, &|| port.route(fleet, class, request))
                })
            }
            Who::Rival("random") => run(&mut reference::random),
            Who::Rival("nearest at first") => run(&mut reference::nearest_at_first()),
            Who::Rival("nearest known") => run(&mut reference::nearest_known),
            Who::Rival(name) => return Err(RunError::Rival { name }),
        };
        Ok(Trial { values: values(&report), curves: vec![regret], faults })
    }
}

fn guarded(
    faults: &mut Faults,
    fleet: &Fleet,
    class: &EligibleClass,
    request: &RoutingRequest,
    ask: &dyn Fn() -> Result<Route, PolicyError>,
) -> Result<Route, PolicyError> {
    if faults.is_exhausted() {
        return reference::random(fleet, class, request);
    }
    match faults.judge(ask()) {
        Answer::Given(route) => Ok(route),
        Answer::Refused => Err(PolicyError::Refused(Refusal::Unsupported)),
        Answer::Broke => reference::random(fleet, class, request),
    }
}

fn values(report: &Report) -> Vec<f64> {
    vec![
        report.rtt_ratio(),
        100.0 * report.near_oracle_share(),
        report.price_ratio(),
        100.0 * report.overload_share(),
        report.switches_per_hour(),
        100.0 * report.unanswered_share(),
    ]
}
