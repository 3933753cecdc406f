//! One run: arrivals are placed one by one, and counted.
//!
//! Invariant: a choice that does not fit ends the run; nothing is ever placed twice or where there is no room. What is free
//! and what was placed always add up to the cluster.

use pilothouse_core::fleet::facts::mix;

use super::{Cluster, Mix, Node, Placer, Unplaced, View, Workload, arrivals};

/// Points of the series.
const SAMPLES: usize = 130;
/// Time between two arrivals, ms.
const INTERVAL_MS: u64 = 100;

/// The state after a part of the arrivals; all values in percent of the cluster's devices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Asked for so far.
    pub arrived: f64,
    /// Allocated.
    pub allocated: f64,
    /// Free, but of no use to a workload drawn from the mix ([`Mix::fragmented_millis`]).
    pub fragmented: f64,
}

/// What came out of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Devices allocated in the end, percent.
    pub allocation: f64,
    /// About one point per percent of arrivals, the end included.
    pub series: Vec<Sample>,
    /// Workloads that arrived.
    pub arrived: usize,
    /// Workloads that fitted nowhere.
    pub refused: usize,
    /// Workloads that the placer declined although they fitted somewhere.
    pub declined: usize,
    /// Decisions asked of the placer.
    pub decisions: usize,
}

/// The placer broke: it named a node that does not fit, or no answer could be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken(pub String);

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the placer broke: {}", self.0)
    }
}

impl std::error::Error for Broken {}

/// Runs the protocol with a seed.
///
/// # Errors
/// [`Broken`].
pub fn simulate(
    nodes: &[Node],
    workloads: &[Workload],
    seed: u64,
    placer: &mut dyn Placer,
) -> Result<Report, Broken> {
    let mut run = Run::new(nodes, workloads);
    let order = arrivals(workloads, run.total_millis, seed);
    for (index, workload) in (0_u64..).zip(&order) {
        run.arrive(workload, mix(seed ^ mix(index)), index * INTERVAL_MS, placer)?;
    }
    Ok(run.report())
}

struct Run {
    cluster: Cluster,
    demand: Mix,
    total_millis: u64,
    arrived_millis: u64,
    placed_millis: u64,
    /// By row, and their sum.
    fragmented: Vec<f64>,
    fragmented_millis: f64,
    report: Report,
}

impl Run {
    fn new(nodes: &[Node], workloads: &[Workload]) -> Self {
        let cluster = Cluster::new(nodes.to_vec());
        let demand = Mix::of(workloads);
        let fragmented: Vec<f64> = nodes.iter().map(|node| demand.fragmented_millis(node)).collect();
        Self {
            total_millis: cluster.free_millis(),
            cluster,
            demand,
            arrived_millis: 0,
            placed_millis: 0,
            fragmented_millis: fragmented.iter().sum(),
            fragmented,
            report: Report {
                allocation: 0.0,
                series: Vec::new(),
                arrived: 0,
                refused: 0,
                declined: 0,
                decisions: 0,
            },
        }
    }

    fn arrive(
        &mut self,
        workload: &Workload,
        seed: u64,
        now_ms: u64,
        placer: &mut dyn Placer,
    ) -> Result<(), Broken> {
        self.report.arrived += 1;
        self.arrived_millis += u64::from(workload.needs.accelerator_millis);
        match self.cluster.eligible(workload) {
            None => self.report.refused += 1,
            Some(class) => {
                self.report.decisions += 1;
                let view = View { cluster: &self.cluster, class: &class, workload, seed, now_ms };
                match placer.place(view) {
                    Ok(row) => self.place(row, workload)?,
                    Err(Unplaced::Declined) => self.report.declined += 1,
                    Err(Unplaced::Broken(problem)) => return Err(Broken(problem)),
                }
            }
        }
        let due = self.percent(self.arrived_millis as f64) >= self.report.series.len() as f64;
        if due && self.report.series.len() < SAMPLES {
            self.sample();
        }
        Ok(())
    }

    fn place(&mut self, row: u32, workload: &Workload) -> Result<(), Broken> {
        if !self.cluster.place(row, workload) {
            return Err(Broken(format!("{workload:?} does not fit on node {row}")));
        }
        self.placed_millis += u64::from(workload.needs.accelerator_millis);
        let node = self.cluster.nodes().get(row as usize);
        if let Some((node, known)) = node.zip(self.fragmented.get_mut(row as usize)) {
            let now = self.demand.fragmented_millis(node);
            self.fragmented_millis += now - *known;
            *known = now;
        }
        Ok(())
    }

    fn percent(&self, millis: f64) -> f64 {
        100.0 * millis / self.total_millis.max(1) as f64
    }

    fn sample(&mut self) {
        let sample = Sample {
            arrived: self.percent(self.arrived_millis as f64),
            allocated: self.percent(self.placed_millis as f64),
            fragmented: self.percent(self.fragmented_millis),
        };
        self.report.series.push(sample);
    }

    fn report(mut self) -> Report {
        self.sample();
        self.report.allocation = self.percent(self.placed_millis as f64);
        self.report
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::{BestFit, Fgd, Random, synthetic};

    fn run(seed: u64, placer: &mut dyn Placer) -> Report {
        let (nodes, workloads) = synthetic::scenario(seed, 48);
        simulate(&nodes, &workloads, seed, placer).unwrap()
    }

    #[test]
    fn a_run_follows_from_its_seed() {
        assert_eq!(run(1, &mut Random), run(1, &mut Random));
        assert_ne!(run(1, &mut Random), run(2, &mut Random));
    }

    #[test]
    fn what_arrived_is_placed_refused_or_declined_and_free_and_placed_add_up() {
        for seed in 0..4 {
            let (nodes, workloads) = synthetic::scenario(seed, 32);
            let mut run = Run::new(&nodes, &workloads);
            let mut placed = 0_usize;
            for (index, workload) in (0..).zip(&arrivals(&workloads, run.total_millis, seed)) {
                let before = run.placed_millis;
                run.arrive(workload, mix(index), 0, &mut Random).unwrap();
                placed += usize::from(run.report.decisions > placed);
                assert!(run.placed_millis >= before);
                assert_eq!(run.cluster.free_millis() + run.placed_millis, run.total_millis);
            }
            let measured: f64 =
                run.cluster.nodes().iter().map(|node| run.demand.fragmented_millis(node)).sum();
            assert!((measured - run.fragmented_millis).abs() < 1e-3);
            let report = run.report();
            assert_eq!(report.arrived, placed + report.refused + report.declined);
            assert!(report.allocation <= 100.0 && report.refused > 0);
            assert!(report.series.iter().all(|sample| sample.fragmented <= 100.0 - sample.allocated + 1e-6));
        }
    }

    #[test]
    fn a_choice_that_does_not_fit_ends_the_run() {
        #[derive(Debug)]
        struct First;
        impl Placer for First {
            fn place(&mut self, _view: View<'_>) -> Result<u32, Unplaced> {
                Ok(0)
            }
        }
        let (nodes, workloads) = synthetic::scenario(1, 8);
        assert!(simulate(&nodes, &workloads, 1, &mut First).is_err());
    }

    fn mean(placer: fn(&Cluster, Mix) -> Box<dyn Placer>) -> f64 {
        let allocation = |seed| {
            let (nodes, workloads) = synthetic::scenario(seed, 64);
            let mut placer = placer(&Cluster::new(nodes.clone()), Mix::of(&workloads));
            simulate(&nodes, &workloads, seed, placer.as_mut()).unwrap().allocation
        };
        (0..4).map(allocation).sum::<f64>() / 4.0
    }

    #[test]
    fn references_stand_in_their_known_order() {
        let random = mean(|_, _| Box::new(Random));
        let best_fit = mean(|cluster, _| Box::new(BestFit::of(cluster)));
        let fgd = mean(|cluster, mix| Box::new(Fgd::new(mix, cluster)));
        assert!(random + 1.0 < best_fit && best_fit + 0.3 < fgd, "{random} {best_fit} {fgd}");
    }
}
