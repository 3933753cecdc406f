//! Draws of one task: when it comes, how much work it is, whose session it belongs to.
//!
//! Invariant: the draws of a task follow from the seed and its number alone.

use pilothouse_core::fleet::facts::mix;

use super::scenario::{NS_PER_MS, Scenario, Service, Sessions};
use crate::unit;

/// One task.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Task {
    pub(super) number: u64,
    pub(super) arrived_ns: u64,
    /// Service time at speed 1.
    pub(super) work_ns: f64,
    pub(super) session: Option<u64>,
    /// Which balancer it came to.
    pub(super) balancer: usize,
}

/// All arrivals of a seed.
#[derive(Debug)]
pub(super) struct Demand {
    seed: u64,
    gap_ns: f64,
    service: Service,
    /// Cumulated shares of sessions.
    sessions: Option<Vec<f64>>,
    balancers: usize,
}

impl Demand {
    pub(super) fn new(scenario: &Scenario, balancers: usize, seed: u64) -> Self {
        Self {
            seed,
            gap_ns: scenario.gap_ns(),
            service: scenario.service,
            sessions: scenario.sessions.map(cumulated),
            balancers: balancers.max(1),
        }
    }

    /// The task with this number, which follows one that came at `before_ns`.
    pub(super) fn task(&self, number: u64, before_ns: u64) -> Task {
        let bits = |purpose: u64| mix(self.seed ^ mix(number << 3 | purpose));
        let session = self.sessions.as_ref().map(|shares| {
            let drawn = unit(bits(3));
            mix(shares.partition_point(|&share| share <= drawn) as u64)
        });
        Task {
            number,
            arrived_ns: before_ns + (exponential(bits(0)) * self.gap_ns).round() as u64,
            work_ns: self.service.draw_ms(unit(bits(1)), bits(2)) * NS_PER_MS,
            session,
            balancer: (bits(4) % self.balancers as u64) as usize,
        }
    }

    /// Randomness for a decision about a task.
    pub(super) fn decision_seed(&self, number: u64, attempt: u64) -> u64 {
        mix(self.seed ^ mix(number << 3 | 5) ^ attempt)
    }
}

impl Service {
    fn draw_ms(self, kind: f64, bits: u64) -> f64 {
        match self {
            Self::Bimodal { short_ms, long_ms, long_share } => {
                exponential(bits) * if kind < long_share { long_ms } else { short_ms }
            }
            Self::Exponential { mean_ms } => exponential(bits) * mean_ms,
            Self::Pareto { mean_ms, shape } => {
                mean_ms * (shape - 1.0) / shape * (1.0 - unit(bits)).powf(-1.0 / shape)
            }
        }
    }
}

/// Exponential with mean 1, by inversion.
fn exponential(bits: u64) -> f64 {
    -(1.0 - unit(bits)).ln()
}

fn cumulated(Sessions { count, exponent }: Sessions) -> Vec<f64> {
    let weight = |rank: usize| (rank as f64).powf(-exponent);
    let sum: f64 = (1..=count).map(weight).sum();
    let mut upto = 0.0;
    let mut shares: Vec<f64> = (1..=count)
        .map(|rank| {
            upto += weight(rank) / sum;
            upto
        })
        .collect();
    // Rounding must not leave a draw without a session.
    if let Some(last) = shares.last_mut() {
        *last = 1.0;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks(scenario: &Scenario, count: u64) -> Vec<Task> {
        let demand = Demand::new(scenario, 3, 7);
        let mut before_ns = 0;
        let next = |number| {
            let task = demand.task(number, before_ns);
            before_ns = task.arrived_ns;
            task
        };
        (0..count).map(next).collect()
    }

    #[test]
    fn rates_and_means_are_those_asked_for() {
        for service in [
            Service::BIMODAL,
            Service::Exponential { mean_ms: 10.0 },
            Service::Pareto { mean_ms: 10.0, shape: 2.5 },
        ] {
            let scenario = Scenario { service, ..Scenario::default() };
            let tasks = tasks(&scenario, 200_000);
            let mean_ms = tasks.iter().map(|task| task.work_ns).sum::<f64>() / 200_000.0 / NS_PER_MS;
            assert!((mean_ms / 10.0 - 1.0).abs() < 0.03, "{service:?}: {mean_ms}");
            let span_ns = tasks.last().unwrap().arrived_ns as f64;
            assert!((span_ns / (200_000.0 * scenario.gap_ns()) - 1.0).abs() < 0.02, "{span_ns}");
            assert!((0..3).all(|balancer| tasks.iter().any(|task| task.balancer == balancer)));
        }
    }

    #[test]
    fn the_first_session_has_the_share_that_zipf_gives_it() {
        let sessions = Some(Sessions { count: 1_000, exponent: 0.9 });
        let tasks = tasks(&Scenario { sessions, ..Scenario::default() }, 100_000);
        let first = tasks.iter().filter(|task| task.session == Some(mix(0))).count() as f64 / 100_000.0;
        let sum: f64 = (1..=1_000).map(|rank| f64::from(rank).powf(-0.9)).sum();
        assert!((first * sum - 1.0).abs() < 0.03, "{first}");
    }
}
