//! When heartbeats arrived, and how surprising silence is.
//!
//! intervals -> mean and deviation of the last [`WINDOW`] -> phi = -log10 P(an interval is longer than this silence)
//!
//! Invariant: at most [`WINDOW`] intervals, sums in integers, so that nothing drifts however long it runs.

use std::collections::VecDeque;

use pilothouse_core::time::Now;

/// Intervals remembered of a member.
pub const WINDOW: usize = 200;
/// Smallest deviation, ms, and as a share of the mean: perfectly regular arrivals are luck.
const DEVIATION_MS_MIN: f64 = 10.0;
const DEVIATION_SHARE_MIN: f64 = 0.1;
/// Longer intervals count as this, ms; keeps sums far from overflow.
const INTERVAL_MS_MAX: u64 = 3_600_000;

/// Arrivals of one member.
#[derive(Debug, Clone)]
pub(super) struct Arrivals {
    intervals: VecDeque<u32>,
    sum: u64,
    squares: u64,
    last: Option<Now>,
}

impl Arrivals {
    /// Before the first arrival the promised interval is assumed, with a deviation of a quarter.
    pub(super) fn promised(interval_ms: u64) -> Self {
        let mut arrivals =
            Self { intervals: VecDeque::with_capacity(WINDOW), sum: 0, squares: 0, last: None };
        arrivals.push(interval_ms - interval_ms / 4);
        arrivals.push(interval_ms.saturating_add(interval_ms / 4));
        arrivals
    }

    /// A heartbeat arrived.
    pub(super) fn arrived(&mut self, now: Now) {
        if let Some(last) = self.last {
            self.push(now.since_ms(last));
        }
        self.last = Some(now);
    }

    /// The time up to the next arrival is not an interval: the member was dead in between.
    pub(super) fn interrupt(&mut self) {
        self.last = None;
    }

    /// Mean and deviation, ms.
    pub(super) fn shape(&self) -> (f64, f64) {
        #[allow(clippy::cast_precision_loss, reason = "200 times an hour in ms, squared, is below 2^53")]
        let (count, sum, squares) = (self.intervals.len() as f64, self.sum as f64, self.squares as f64);
        let mean = sum / count.max(1.0);
        let variance = (squares / count.max(1.0) - mean * mean).max(0.0);
        (mean, variance.sqrt().max(DEVIATION_MS_MIN).max(DEVIATION_SHARE_MIN * mean))
    }

    fn push(&mut self, interval_ms: u64) {
        if self.intervals.len() >= WINDOW
            && let Some(oldest) = self.intervals.pop_front()
        {
            let oldest = u64::from(oldest);
            self.sum -= oldest;
            self.squares -= oldest * oldest;
        }
        let interval_ms = interval_ms.min(INTERVAL_MS_MAX);
        self.sum += interval_ms;
        self.squares += interval_ms * interval_ms;
        self.intervals.push_back(u32::try_from(interval_ms).unwrap_or(u32::MAX));
    }
}

/// Phi of a silence that is so many deviations longer than the mean, for intervals with a normal tail.
/// `erfc` by the Chebyshev fit of Numerical Recipes (3rd ed., 6.2.2), in logarithms, so that it never underflows.
#[must_use]
pub fn phi_of(deviations: f64) -> f64 {
    const FIT: [f64; 10] = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let x = deviations.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.5 * x);
    let fit = FIT.iter().rev().fold(0.0, |sum, coefficient| sum * t + coefficient);
    let log_tail = t.ln() - x * x + fit - std::f64::consts::LN_2;
    let log_longer = if deviations >= 0.0 { log_tail } else { (-log_tail.exp()).ln_1p() };
    -log_longer / std::f64::consts::LN_10
}

/// How many deviations longer than the mean a silence is when it has this phi; the inverse of [`phi_of`].
pub(super) fn deviations_of(phi: f64) -> f64 {
    // Phi grows with the deviations; 64 halvings of this range exhaust a float.
    let (mut low, mut high) = (-10.0, 50.0);
    for _ in 0..64 {
        let middle = f64::midpoint(low, high);
        if phi_of(middle) < phi {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn phi_is_the_logarithm_of_the_normal_tail() {
        // Tables of the normal distribution: Q(1.2816) = 0.1, Q(4.2649) = 1e-5, Q(6.3613) = 1e-10.
        for (deviations, phi) in [(1.2816, 1.0), (4.2649, 5.0), (6.3613, 10.0), (-3.0, 0.000_586)] {
            assert!((phi_of(deviations) - phi).abs() < 1e-3, "{deviations}: {}", phi_of(deviations));
            assert!((deviations_of(phi) - deviations).abs() < 0.01, "{phi}: {}", deviations_of(phi));
        }
        assert!(phi_of(1_000.0).is_finite());
    }

    #[test]
    fn regular_arrivals_have_a_smallest_deviation_and_dead_time_is_not_learned() {
        let mut arrivals = Arrivals::promised(100);
        for step in 0..=WINDOW as u64 + 2 {
            arrivals.arrived(Now(step * 100));
        }
        assert_eq!(arrivals.shape(), (100.0, 10.0));
        arrivals.interrupt();
        arrivals.arrived(Now(10_000_000));
        assert_eq!(arrivals.shape(), (100.0, 10.0));
    }

    proptest! {
        #[test]
        fn sums_never_drift_from_the_window(intervals in prop::collection::vec(0_u64..10_000_000, 0..500)) {
            let (mut arrivals, mut now) = (Arrivals::promised(100), Now(1));
            for interval in intervals {
                now = now.plus_ms(interval);
                arrivals.arrived(now);
            }
            let sum: u64 = arrivals.intervals.iter().map(|&interval| u64::from(interval)).sum();
            let squares: u64 = arrivals.intervals.iter().map(|&interval| u64::from(interval).pow(2)).sum();
            prop_assert_eq!((arrivals.sum, arrivals.squares), (sum, squares));
            prop_assert!(arrivals.intervals.len() <= WINDOW);
        }
    }
}
