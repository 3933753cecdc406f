//! What a run came to.
//!
//! Invariant: only tasks that arrived after the warm-up are in it, each once, however often it had to start again.

/// Response times, queues and shares of one run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcome {
    /// Time from arrival to end of each task, ms, ascending.
    pub response_ms: Vec<f64>,
    /// Most tasks that waited at one member at any time.
    pub queue_max: usize,
    /// Work done by each member over what its speed allows, as a share of the mean.
    pub shares: Vec<f64>,
    /// Tasks that no member was found for.
    pub refused: u64,
    /// Tasks of sessions seen before, and those of them that went where the session's last task had gone.
    pub returning: (u64, u64),
    /// Time since the start (s) and mean tasks waiting at a member, at a hundred even steps.
    pub backlog: Vec<(f64, f64)>,
}

impl Outcome {
    /// Response time that this share of the tasks (`0..=1`) does not exceed, ms; a refused one never ends. NaN if there
    /// was none.
    #[must_use]
    pub fn quantile_ms(&self, share: f64) -> f64 {
        let all = self.response_ms.len() + self.refused as usize;
        let rank = (share * all as f64).ceil() as usize;
        let never = if all == 0 { f64::NAN } else { f64::INFINITY };
        self.response_ms.get(rank.max(1) - 1).copied().unwrap_or(never)
    }

    /// 99th percentile of response times, ms.
    #[must_use]
    pub fn p99_ms(&self) -> f64 {
        self.quantile_ms(0.99)
    }

    /// Mean response time, ms; NaN if there was none.
    #[must_use]
    pub fn mean_ms(&self) -> f64 {
        self.response_ms.iter().sum::<f64>() / self.response_ms.len() as f64
    }

    /// Relative work of the busiest member over the mean; 1 is even.
    #[must_use]
    pub fn imbalance(&self) -> f64 {
        self.shares.iter().copied().fold(0.0, f64::max)
    }

    /// Share of the returning tasks that met their session's member; NaN if none returned.
    #[must_use]
    pub fn affinity(&self) -> f64 {
        self.returning.1 as f64 / self.returning.0 as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred() {
        let outcome = Outcome { response_ms: (1..=200).map(f64::from).collect(), ..Outcome::default() };
        for (share, expected) in [(0.0, 1.0), (0.5, 100.0), (0.99, 198.0), (0.999, 200.0), (1.0, 200.0)] {
            assert!((outcome.quantile_ms(share) - expected).abs() < 1e-9, "{share}");
        }
        assert!((outcome.mean_ms() - 100.5).abs() < 1e-9);
        let refusing = Outcome { refused: 3, ..outcome };
        assert!(refusing.p99_ms().is_infinite(), "who refuses is never fast");
        assert!(Outcome::default().p99_ms().is_nan() && Outcome::default().mean_ms().is_nan());
    }
}
