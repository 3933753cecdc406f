//! What a few seeds allow to say: means with confidence intervals, and differences paired by seed.
//!
//! values by seed -> [`Estimate::of`] | [`Difference::of`] -> [`Verdict`]
//!
//! Invariant: an interval is claimed only from two values on. Source: Student, "The probable error of a mean", 1908;
//! quantiles beyond ten degrees of freedom by the expansion in Abramowitz and Stegun 26.7.5.

use serde::Serialize;

/// 97.5 % quantiles of Student's distribution for 1 to 10 degrees of freedom.
const STUDENT: [f64; 10] = [12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281];
/// The same of the normal distribution.
const NORMAL: f64 = 1.959_963_985;
/// Differences below this share of the values are rounding.
const ROUNDING: f64 = 1e-12;

/// A mean, and where it lies with 95 % confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The mean; NaN of no values.
    pub mean: f64,
    /// Lower and upper end; `None` of fewer than two values.
    pub interval: Option<(f64, f64)>,
}

impl Estimate {
    /// Estimates from one value per seed.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let interval = (values.len() > 1).then(|| {
            let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
            let half = student(values.len() - 1) * (variance / count).sqrt();
            (mean - half, mean + half)
        });
        Self { mean, interval }
    }

    /// A figure that is known and not measured here.
    #[must_use]
    pub const fn known(mean: f64) -> Self {
        Self { mean, interval: None }
    }
}

/// Half width of a 95 % interval in standard errors.
fn student(degrees: usize) -> f64 {
    if let Some(tabled) = degrees.checked_sub(1).and_then(|place| STUDENT.get(place)) {
        return *tabled;
    }
    let (z, n) = (NORMAL, degrees as f64);
    let first = (z.powi(3) + z) / 4.0;
    let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
    let third = (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0;
    z + first / n + second / n.powi(2) + third / n.powi(3)
}

/// Which side of a measure is the good one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Less is better.
    Lower,
    /// More is better.
    Higher,
}

/// What was shown about a first policy against a second one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The first is better.
    Better,
    /// The first is worse.
    Worse,
    /// The seeds do not show which one is.
    NoDifferenceShown,
}

impl Verdict {
    /// In words, of the first.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::NoDifferenceShown => "no difference shown",
        }
    }
}

/// The first minus the second, seed by seed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// Its mean and interval.
    pub estimate: Estimate,
    /// What it shows.
    pub verdict: Verdict,
}

impl Difference {
    /// Compares two policies that ran with the same seeds. A difference counts if its whole interval lies on one side.
    #[must_use]
    pub fn of(first: &[f64], second: &[f64], better: Better) -> Self {
        let pairs: Vec<f64> = first.iter().zip(second).map(|(first, second)| first - second).collect();
        let scale = first.iter().chain(second).fold(0.0_f64, |scale, value| scale.max(value.abs()));
        let estimate = Estimate::of(&pairs);
        let margin = ROUNDING * scale;
        let side = match estimate.interval {
            Some((lower, _)) if lower > margin => Some(Better::Higher),
            Some((_, upper)) if upper < -margin => Some(Better::Lower),
            _ => None,
        };
        let verdict = match side {
            Some(side) if side == better => Verdict::Better,
            Some(_) => Verdict::Worse,
            None => Verdict::NoDifferenceShown,
        };
        Self { estimate, verdict }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (degrees, expected) in
            [(1, 12.706), (9, 2.262), (10, 2.228), (11, 2.201), (20, 2.086), (29, 2.045), (999, 1.962)]
        {
            assert!((student(degrees) - expected).abs() < 2e-3, "{degrees}: {}", student(degrees));
        }
    }

    #[test]
    fn an_interval_needs_two_values_and_closes_around_equal_ones() {
        assert_eq!(Estimate::of(&[3.0]), Estimate::known(3.0));
        assert_eq!(Estimate::of(&[3.0, 3.0]).interval, Some((3.0, 3.0)));
        assert!(Estimate::of(&[]).mean.is_nan());
        let (lower, upper) = Estimate::of(&[1.0, 2.0, 3.0]).interval.unwrap();
        assert!((lower - (2.0 - 2.4841)).abs() < 1e-3 && (upper - (2.0 + 2.4841)).abs() < 1e-3);
    }

    #[test]
    fn verdicts_follow_the_interval_of_the_difference() {
        use Verdict::{Better as B, NoDifferenceShown as N, Worse as W};
        for (first, second, lower_is_better, higher_is_better) in [
            (&[1.0, 2.0, 3.0][..], &[2.0, 3.1, 4.0][..], B, W),
            (&[2.0, 3.1, 4.0], &[1.0, 2.0, 3.0], W, B),
            (&[1.0, 5.0, 3.0], &[2.0, 3.0, 4.0], N, N),
            (&[1.0, 1.0], &[1.0, 1.0], N, N),
            (&[1.0], &[2.0], N, N),
            (&[f64::NAN, 1.0], &[2.0, 2.0], N, N),
        ] {
            let verdict = |better| Difference::of(first, second, better).verdict;
            assert_eq!(verdict(Better::Lower), lower_is_better, "{first:?} {second:?}");
            assert_eq!(verdict(Better::Higher), higher_is_better, "{first:?} {second:?}");
        }
    }
}
