//! Placement, judged: how full does a cluster with accelerators get before work finds no room?
//!
//! Invariant: a fault never ends a run; the workload then goes to any node that fits, and the fault is counted.

use pilothouse_core::policy::{Decision, Placement as Port};
use serde::Deserialize;

use super::{
    Backdrop, Data, DataError, Kind, Known, Metric, Rival, RunError, Simulation, Trial, Who, published,
};
use crate::faults::{Answer, Faults};
use crate::placement::synthetic::Demand;
use crate::placement::trace::{self, Models};
use crate::placement::{
    BestFit, Cluster, Fgd, Mix, Node, Placer, Policy, Random, Report, Unplaced, View, Workload, simulate,
    synthetic,
};
use crate::plot::Frame;
use crate::scenario::{Checks, Origin};
use crate::statistics::Better;

/// Parameters in a scenario file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Parameters {
    /// Nodes of the made-up cluster.
    #[serde(default = "default_nodes")]
    nodes: usize,
    /// What the made-up workloads look like.
    #[serde(default)]
    demand: Demand,
    /// Recorded nodes and workloads.
    trace: Option<Tables>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tables {
    nodes: String,
    workloads: String,
    /// Name of the workload in the published figures.
    published: Option<String>,
}

const fn default_nodes() -> usize {
    150
}

pub(crate) const METRICS: &[Metric] = &[
    Metric {
        key: "allocation",
        name: "devices allocated",
        unit: "%",
        better: Better::Higher,
        meaning: "share of the cluster's accelerators in use when work for 130 % of them has arrived",
    },
    Metric {
        key: "stranded",
        name: "free but useless",
        unit: "%",
        better: Better::Lower,
        meaning: "share of the accelerators that is free in the end and that typical work cannot use",
    },
    Metric {
        key: "refused",
        name: "work refused",
        unit: "%",
        better: Better::Lower,
        meaning: "share of the workloads for which there was no room anywhere",
    },
];

const PLOTS: &[Frame<'static>] = &[
    Frame {
        title: "Allocation: how the cluster fills",
        x: "accelerators asked for so far, % of the cluster",
        y: "allocated, %",
    },
    Frame {
        title: "Lost: asked for, there would be devices, and still not allocated",
        x: "accelerators asked for so far, % of the cluster",
        y: "lost, % of the cluster",
    },
];

const RIVALS: &[Rival] = &[
    Rival::reference("random", "any node that fits, all equally likely"),
    Rival::reference("best fit", "the node with the least left of everything"),
    Rival::reference(
        "FGD",
        "fragmentation gradient descent (Weng et al. 2023) in native code: the node on which the least becomes useless for typical work",
    ),
];

/// A cluster to fill.
#[derive(Debug)]
pub struct Placement {
    parameters: Parameters,
    recorded: Option<(Vec<Node>, Vec<Workload>)>,
}

impl Parameters {
    pub(crate) fn check(&self, checks: &mut Checks) {
        checks.within("placement.nodes", self.nodes as f64, 1.0, 10_000.0);
        if self.demand.is_empty() {
            checks.problem(
                "placement.demand",
                "all weights are 0; give at least one kind of work with devices",
            );
        }
        let published = self.trace.as_ref().and_then(|trace| trace.published.as_deref());
        if let Some(unknown) = published.filter(|name| published::allocation(name).is_none()) {
            let known: Vec<&str> = published::workloads().collect();
            let problem = format!("`{unknown}` was not published; use one of {}", known.join(", "));
            checks.problem("placement.trace.published", problem);
        }
    }

    pub(crate) fn prepare(&self, data: &dyn Data) -> Result<(Placement, Origin), DataError> {
        let parameters = self.clone();
        let Some(files) = &self.trace else {
            return Ok((Placement { parameters, recorded: None }, Origin::Synthetic));
        };
        let mut models = Models::default();
        let nodes = trace::nodes(&data.text(&files.nodes)?, &mut models)
            .map_err(|error| DataError::unusable(&files.nodes, error))?;
        let workloads = trace::workloads(&data.text(&files.workloads)?, &mut models)
            .map_err(|error| DataError::unusable(&files.workloads, error))?;
        let origin = Origin::Recorded { files: vec![files.nodes.clone(), files.workloads.clone()] };
        Ok((Placement { parameters, recorded: Some((nodes, workloads)) }, origin))
    }
}

impl Simulation for Placement {
    fn metrics(&self) -> &'static [Metric] {
        METRICS
    }

    fn plots(&self) -> &'static [Frame<'static>] {
        PLOTS
    }

    fn backdrops(&self, _seed: u64) -> Vec<Option<Backdrop>> {
        vec![Some(("asked for", vec![(0.0, 0.0), (100.0, 100.0), (130.0, 100.0)])), None]
    }

    fn rivals(&self) -> &'static [Rival] {
        RIVALS
    }

    fn known(&self) -> Vec<Known> {
        let workload = self.parameters.trace.as_ref().and_then(|trace| trace.published.as_deref());
        let figures = workload.filter(|_| self.recorded.is_some()).and_then(published::allocation);
        let known = |(policy, figure): (&str, f64)| Known {
            label: policy.to_owned(),
            kind: Kind::Published,
            source: "published by the authors of FGD for this workload: mean of ten seeds of their own simulator",
            values: vec![figure, f64::NAN, f64::NAN],
        };
        figures
            .map(|figures| published::POLICIES.into_iter().zip(figures).map(known).collect())
            .unwrap_or_default()
    }

    fn run(&self, seed: u64, who: Who<'_>) -> Result<Trial, RunError> {
        let made;
        let (nodes, workloads) = match &self.recorded {
            Some((nodes, workloads)) => (nodes, workloads),
            None => {
                made = synthetic::scenario_of(seed, self.parameters.nodes, &self.parameters.demand);
                (&made.0, &made.1)
            }
        };
        let run = |placer: &mut dyn Placer| {
            simulate(nodes, workloads, seed, placer).map_err(|broken| RunError::Stopped(broken.0))
        };
        let mut faults = Faults::default();
        let report = match who {
            Who::Policy(policy) => {
                let Decision::Placement(port) = policy.decision() else {
                    return Err(RunError::Family { family: "placement" });
                };
                let mut guarded = Guarded { port, faults: Faults::default() };
                let report = run(&mut guarded)?;
                faults = guarded.faults;
                report
            }
            Who::Rival("random") => run(&mut Random)?,
            Who::Rival("best fit") => run(&mut BestFit::of(&Cluster::new(nodes.clone())))?,
            Who::Rival("FGD") => run(&mut Fgd::new(Mix::of(workloads), &Cluster::new(nodes.clone())))?,
            Who::Rival(name) => return Err(RunError::Rival { name }),
        };
        Ok(trial(&report, faults))
    }
}

fn trial(report: &Report, faults: Faults) -> Trial {
    let stranded = report.series.last().map_or(0.0, |last| last.fragmented);
    let refused = 100.0 * (report.refused + report.declined) as f64 / report.arrived.max(1) as f64;
    let allocated = report.series.iter().map(|sample| (sample.arrived, sample.allocated));
    let lost =
        report.series.iter().map(|sample| (sample.arrived, sample.arrived.min(100.0) - sample.allocated));
    Trial {
        values: vec![report.allocation, stranded, refused],
        curves: vec![allocated.collect(), lost.collect()],
        faults,
    }
}

/// A policy whose faults are counted and answered by chance.
#[derive(Debug)]
struct Guarded<'a> {
    port: &'a dyn Port,
    faults: Faults,
}

impl Placer for Guarded<'_> {
    fn place(&mut self, view: View<'_>) -> Result<u32, Unplaced> {
        if self.faults.is_exhausted() {
            return Random.place(view);
        }
        match self.faults.judge(Policy(self.port).ask(view)) {
            Answer::Given(choice) => Ok(choice.row),
            Answer::Refused => Err(Unplaced::Declined),
            Answer::Broke => Random.place(view),
        }
    }
}
