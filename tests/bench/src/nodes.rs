//! Placement at the 1,213 nodes of a real cluster, filled by its own workloads: the same source natively and through Wasm.
//!
//! Every decision of a filling is timed, what it takes to tell the policy of the placement before included. Fillings are
//! the same to the last node, so that the fastest of five runs is known for every single decision.

use std::fmt::Debug;
use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use pilothouse_engine::Runtime;
use pilothouse_lab::placement::trace::{self, Models};
use pilothouse_lab::placement::{Node, Placer, Policy, Unplaced, View, Workload, simulate, synthetic};
use pilothouse_sdk::instance::Instance;
use pilothouse_sdk::placement::{Placement, Request, Resources};
use placement_gpu_packing::GpuPacking;
use placement_multi_factor::MultiFactor;

use crate::measure::{row, table};
use crate::native;
use crate::policies::{default_policy, placing};

const NODES: usize = 1_213;
const RUNS: usize = 5;
const SEED: u64 = 1;

/// A policy's own source, compiled for this machine.
#[derive(Debug)]
struct Native<P> {
    instance: Instance<P>,
    /// Version of the snapshot that the instance has seen.
    seen: u64,
}

impl<P: Placement> Native<P> {
    fn start() -> Self {
        let mut instance = Instance::default();
        instance.configure(&P::ABOUT, Vec::new(), P::new).expect("the defaults are valid");
        Self { instance, seen: 0 }
    }
}

impl<P: Placement + Debug> Placer for Native<P> {
    fn place(&mut self, view: View<'_>) -> Result<u32, Unplaced> {
        let fleet = view.cluster.fleet();
        native::sync(&mut self.instance, &P::ABOUT, fleet, view.class, self.seen);
        self.seen = fleet.epoch;
        let pilothouse_core::member::Resources { cpu_millis, memory_mib, storage_mib, accelerator_millis } =
            view.workload.needs;
        let needs = Resources { cpu_millis, memory_mib, storage_mib, accelerator_millis };
        let request =
            Request { class: view.class.id, seed: view.seed, now_ms: view.now_ms, needs, priority: 0 };
        let choice =
            self.instance.decide(request.class, |policy, fleet, class| policy.place(fleet, class, &request));
        choice.map(|choice| choice.row).map_err(|_| Unplaced::Declined)
    }
}

/// Times every decision of another placer.
#[derive(Debug)]
struct Timed<P> {
    placer: P,
    nanoseconds: Vec<u64>,
    rows: Vec<u32>,
}

impl<P: Placer> Placer for Timed<P> {
    fn place(&mut self, view: View<'_>) -> Result<u32, Unplaced> {
        let started = Instant::now();
        let answer = self.placer.place(view);
        self.nanoseconds.push(u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX));
        self.rows.extend(answer.as_ref().ok());
        answer
    }
}

/// Nodes, and the workloads that fill them.
struct Filling {
    nodes: Vec<Node>,
    workloads: Vec<Workload>,
}

impl Filling {
    fn of(data: Option<&Path>) -> anyhow::Result<Self> {
        let Some(data) = data else {
            let (nodes, workloads) = synthetic::scenario(SEED, NODES);
            return Ok(Self { nodes, workloads });
        };
        let mut models = Models::default();
        let read = |name: &str| {
            let path = data.join("placement").join(name);
            std::fs::read_to_string(&path).with_context(|| path.display().to_string())
        };
        let nodes = trace::nodes(&read("openb_node_list_gpu_node.csv")?, &mut models)?;
        let workloads = trace::workloads(&read("openb_pod_list_default.csv")?, &mut models)?;
        Ok(Self { nodes, workloads })
    }

    /// The fastest of all runs for every decision, sorted; and where everything went.
    fn fastest<P: Placer>(&self, mut placer: impl FnMut() -> P) -> anyhow::Result<(Vec<u64>, Vec<u32>)> {
        let mut fastest: Option<Timed<P>> = None;
        for _ in 0..RUNS {
            let mut run = Timed { placer: placer(), nanoseconds: Vec::new(), rows: Vec::new() };
            simulate(&self.nodes, &self.workloads, SEED, &mut run)
                .map_err(|broken| anyhow::anyhow!("{broken:?}"))?;
            if let Some(before) = fastest {
                anyhow::ensure!(run.rows == before.rows, "two runs went different ways");
                for (now, before) in run.nanoseconds.iter_mut().zip(before.nanoseconds) {
                    *now = before.min(*now);
                }
            }
            fastest = Some(run);
        }
        let Timed { mut nanoseconds, rows, .. } = fastest.context("no run")?;
        nanoseconds.sort_unstable();
        Ok((nanoseconds, rows))
    }

    fn compare<P: Placement + Debug>(&self, runtime: &Runtime, name: &str) -> anyhow::Result<()> {
        let (native, expected) = self.fastest(Native::<P>::start)?;
        let pools =
            (0..RUNS).map(|_| default_policy(runtime, "placement", name)).collect::<Result<Vec<_>, _>>()?;
        let mut fresh = pools.iter();
        let (wasm, rows) = self.fastest(|| Policy(placing(fresh.next().expect("one for every run"))))?;
        anyhow::ensure!(rows == expected, "{name} decides otherwise through Wasm");
        for (percentile, share) in [("p50", 0.50), ("p99", 0.99)] {
            let at = |sorted: &[u64]| sorted[(sorted.len() as f64 * share) as usize] as f64;
            let (native, wasm) = (at(&native), at(&wasm));
            row(&[
                name.to_owned(),
                percentile.to_owned(),
                rows.len().to_string(),
                format!("{:.1}", native / 1_000.0),
                format!("{:.1}", wasm / 1_000.0),
                format!("{:.2}", wasm / native),
            ]);
        }
        Ok(())
    }
}

/// Measures both policies that look at every node.
pub fn run() -> anyhow::Result<()> {
    let data = std::env::var_os("PILOTHOUSE_DATA");
    let filling = Filling::of(data.as_deref().map(Path::new))?;
    let from =
        if data.is_some() { "real nodes (openb)" } else { "made-up nodes (`PILOTHOUSE_DATA` is not set)" };
    table(
        &format!("Placement while {} {from} fill up", filling.nodes.len()),
        &["policy", "of decisions", "placed", "native us", "Wasm us", "ratio"],
    );
    let runtime = Runtime::start(pilothouse_engine::Compiler::here(), pilothouse_engine::Cache::none())?;
    filling.compare::<GpuPacking>(&runtime, "gpu-packing")?;
    filling.compare::<MultiFactor>(&runtime, "multi-factor")
}
