//! How good was a run?

use super::{Run, Setup, Trace, oracle};

/// A run, judged. Smaller is better throughout.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Share of the work that waited too long, 0..1.
    pub violations: f64,
    /// Replica seconds as a multiple of the oracle's.
    pub cost: f64,
    /// How often the size turned from growing to shrinking or back, per hour.
    pub flips_per_h: f64,
    /// Replicas above the oracle's number, as a share of it: the elasticity metric of SPEC RG (Herbst et al. 2013).
    pub over: f64,
    /// Ready replicas below the oracle's number, as a share of it.
    pub under: f64,
    /// From the trace's step to the last violation within half an hour, s.
    pub recovery_s: Option<usize>,
}

/// After a step, violations belong to it for so long, s.
const RECOVERY_MAX_S: usize = 1_800;

impl Report {
    /// Judges a run of a strategy against the oracle on the same trace.
    #[must_use]
    pub fn of(run: &Run, trace: &Trace, setup: &Setup) -> Self {
        let best = oracle(trace, setup);
        let arrivals: f64 = run.ticks.iter().map(|tick| tick.arrivals).sum();
        let late: f64 = run.ticks.iter().map(|tick| tick.late).sum();
        let pairs = || run.ticks.iter().zip(&best.ticks);
        let over: f64 =
            pairs().map(|(ours, best)| f64::from(ours.replicas.saturating_sub(best.replicas))).sum();
        let under: f64 =
            pairs().map(|(ours, best)| f64::from(best.replicas.saturating_sub(ours.ready))).sum();
        let needed: f64 = best.ticks.iter().map(|tick| f64::from(tick.replicas)).sum();
        #[expect(clippy::cast_precision_loss, reason = "a year of seconds fits")]
        let hours = trace.per_second.len() as f64 / 3_600.0;
        Self {
            violations: ratio(late, arrivals),
            cost: ratio(run.replica_s, best.replica_s),
            flips_per_h: ratio(flips(run), hours),
            over: ratio(over, needed),
            under: ratio(under, needed),
            recovery_s: trace.step_at_s.map(|step| recovery(run, step)),
        }
    }
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

fn flips(run: &Run) -> f64 {
    let mut growing = None;
    let mut flips = 0.0;
    for (before, after) in run.ticks.iter().zip(run.ticks.iter().skip(1)) {
        if before.replicas == after.replicas {
            continue;
        }
        let grows = after.replicas > before.replicas;
        if growing == Some(!grows) {
            flips += 1.0;
        }
        growing = Some(grows);
    }
    flips
}

fn recovery(run: &Run, step: usize) -> usize {
    let within = |&late: &usize| late >= step && late < step + RECOVERY_MAX_S;
    let last = run.ticks.iter().filter_map(|tick| tick.last_late_s).filter(within).max();
    last.map_or(0, |last| last + 1 - step)
}
