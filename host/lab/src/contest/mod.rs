//! A contest: everybody runs every seed of every scenario, and the results are put in order.
//!
//! [`Prepared`] scenarios x ([`Contender`]s + the simulation's rivals) x seeds -> [`hold`] -> [`Judged`], one a scenario
//!
//! Every run gets a fresh policy, so that nothing learned in one run helps in the next.
//!
//! Invariant: results do not depend on the number of threads or on who is first done; a contender that cannot run is a row
//! with a problem, never an end of the contest.

mod judged;
mod standing;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use pilothouse_core::policy::Policy;

pub use judged::{Judged, Measured, Row};
pub use standing::{Standing, standings};

use crate::judge::{Rival, RunError, Trial, Who};
use crate::scenario::Prepared;

/// Makes a policy for one run.
pub type Make<'a> = dyn Fn() -> Result<Box<dyn Policy>, String> + Sync + 'a;

/// A policy that competes.
#[derive(Clone, Copy)]
pub struct Contender<'a> {
    /// Its name in reports.
    pub label: &'a str,
    /// Digest of the component.
    pub digest: &'a str,
    /// What it says that it does; not safe to show unescaped.
    pub does: &'a str,
    /// Makes it anew.
    pub make: &'a Make<'a>,
}

impl std::fmt::Debug for Contender<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contender").field("label", &self.label).finish_non_exhaustive()
    }
}

/// How many seeds, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seeds {
    /// The first one.
    pub first: u64,
    /// How many; each scenario's own number if `None`.
    pub count: Option<u32>,
}

impl Seeds {
    fn of(self, prepared: &Prepared) -> Vec<u64> {
        let count = u64::from(self.count.unwrap_or(prepared.scenario.seeds));
        (self.first..self.first.saturating_add(count)).collect()
    }
}

/// Somebody in a scenario.
#[derive(Debug, Clone, Copy)]
enum Runner<'a> {
    Contender(Contender<'a>),
    Rival(Rival),
}

/// One run to do.
#[derive(Debug, Clone, Copy)]
struct Job<'a> {
    prepared: &'a Prepared,
    runner: Runner<'a>,
    seed: u64,
}

type Ran = Result<Trial, String>;

/// Runs a contest on some threads. `contenders` gives those of a scenario's family; `done` is told after every run how many
/// are done, of how many.
pub fn hold<'a>(
    scenarios: &'a [Prepared],
    contenders: &dyn Fn(&Prepared) -> Vec<Contender<'a>>,
    seeds: Seeds,
    threads: usize,
    done: &(dyn Fn(usize, usize) + Sync),
) -> Vec<Judged> {
    let runners = |prepared: &'a Prepared| {
        let ours = contenders(prepared).into_iter().map(Runner::Contender);
        let rivals = prepared.simulation.rivals().iter().map(|rival| Runner::Rival(*rival));
        ours.chain(rivals).collect::<Vec<_>>()
    };
    let mut jobs = Vec::new();
    for prepared in scenarios {
        for runner in runners(prepared) {
            jobs.extend(seeds.of(prepared).into_iter().map(|seed| Job { prepared, runner, seed }));
        }
    }
    let mut ran = run_all(&jobs, threads, done).into_iter();
    let judge = |prepared: &'a Prepared| {
        let seeds = seeds.of(prepared);
        let row = |runner: Runner<'a>| {
            let trials: Vec<Ran> = ran.by_ref().take(seeds.len()).collect();
            let metrics = prepared.simulation.metrics();
            match runner {
                Runner::Contender(contender) => Row::of_policy(contender, metrics, trials),
                Runner::Rival(rival) => Row::of_rival(rival, metrics, trials),
            }
        };
        let mut rows: Vec<Row> = runners(prepared).into_iter().map(row).collect();
        rows.extend(
            prepared
                .simulation
                .known()
                .into_iter()
                .map(|known| Row::of_known(known, prepared.simulation.metrics())),
        );
        Judged::new(prepared, seeds, rows)
    };
    scenarios.iter().map(judge).collect()
}

/// What the jobs came to, in their order.
fn run_all(jobs: &[Job<'_>], threads: usize, done: &(dyn Fn(usize, usize) + Sync)) -> Vec<Ran> {
    let slots: Vec<Mutex<Option<Ran>>> = jobs.iter().map(|_| Mutex::default()).collect();
    let (next, finished) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some((job, slot)) = jobs.get(place).zip(slots.get(place)) else { break };
            let ran = run(job);
            *slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(ran);
            done(finished.fetch_add(1, Ordering::Relaxed) + 1, jobs.len());
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, jobs.len().max(1)) {
            scope.spawn(work);
        }
    });
    let result = |slot: Mutex<Option<Ran>>| {
        let ran = slot.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        ran.unwrap_or_else(|| Err("it was not run".to_owned()))
    };
    slots.into_iter().map(result).collect()
}

fn run(job: &Job<'_>) -> Ran {
    let simulation = &job.prepared.simulation;
    let say = |error: RunError| error.to_string();
    match job.runner {
        Runner::Rival(rival) => simulation.run(job.seed, Who::Rival(rival.name)).map_err(say),
        Runner::Contender(contender) => {
            let policy = (contender.make)()?;
            simulation.run(job.seed, Who::Policy(policy.as_ref())).map_err(say)
        }
    }
}

#[cfg(test)]
mod tests;
