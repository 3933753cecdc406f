//! Holt's linear smoothing with a damped trend (Holt 1957; Gardner and McKenzie 1985), replayed over the readings.

use pilothouse_sdk::scaling::Reading;

const LEVEL: f64 = 0.5;
const TREND: f64 = 0.1;
const DAMPING: f64 = 0.95;
/// The smoothing starts anew after a gap of more than this many usual distances.
const GAP: f64 = 3.0;
/// Of how many forecasts the errors count.
pub(crate) const ERRORS: usize = 60;
/// The share of what comes that a forecast with its error is meant to cover: a surge spoils half a dozen forecasts of an
/// hour, which must not raise all others.
const COVERED: f64 = 0.9;
/// Worst relative error that is prepared for: a hole in the data must not ask for ten times the replicas.
const ERROR_MAX: f64 = 0.5;

/// The arrivals per second that were foreseen at every reading for `ahead` readings later.
pub(crate) fn foreseen(readings: &[Reading], spacing_s: f64, ahead: usize) -> Vec<f64> {
    let reach: f64 = (1..=ahead as i32).map(|step| DAMPING.powi(step)).sum();
    let (mut level, mut trend, mut last_s) = (0.0, 0.0, f64::NEG_INFINITY);
    let replay = |reading: &Reading| {
        // Nothing at all right after something is more likely a hole in the data than the end of the load.
        if reading.arrivals > 0.0 {
            let expected = level + DAMPING * trend;
            let next = expected + LEVEL * (reading.arrivals - expected);
            (level, trend) = if reading.at_s - last_s > GAP * spacing_s {
                (reading.arrivals, 0.0)
            } else {
                (next, TREND * (next - level) + (1.0 - TREND) * DAMPING * trend)
            };
            last_s = reading.at_s;
        }
        (level + reach * trend).max(0.0)
    };
    readings.iter().map(replay).collect()
}

/// How good forecasts were lately.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Quality {
    /// By how much of itself a forecast has to be raised to cover 90 % of what comes, 0..0.5.
    pub(crate) error: f64,
    /// How many raised forecasts covered what came, of those that should have, 0..1. Each was raised by the errors of
    /// the hour before it, not by its own.
    pub(crate) reliability: f64,
    /// Mean distance from what came, per second.
    pub(crate) distance: f64,
}

impl Quality {
    /// Of pairs of what was foreseen and what came, the newest first.
    pub(crate) fn of(pairs: impl Iterator<Item = (f64, f64)>) -> Self {
        let pairs: Vec<(f64, f64)> =
            pairs.filter(|(foreseen, came)| *foreseen > 0.0 && *came > 0.0).take(2 * ERRORS).collect();
        let (newer, older) = pairs.split_at(pairs.len() / 2);
        let past = raise(older);
        let covered = newer.iter().filter(|(foreseen, came)| *came <= foreseen * (1.0 + past)).count() as f64;
        let distance: f64 = newer.iter().map(|(foreseen, came)| (foreseen - came).abs()).sum();
        let count = newer.len().max(1) as f64;
        Self {
            error: raise(newer),
            reliability: (covered / count / COVERED).min(1.0),
            distance: if newer.is_empty() { f64::INFINITY } else { distance / count },
        }
    }
}

/// The quantile of relative errors.
fn raise(pairs: &[(f64, f64)]) -> f64 {
    let mut errors: Vec<f64> = pairs.iter().map(|(foreseen, came)| came / foreseen - 1.0).collect();
    errors.sort_unstable_by(f64::total_cmp);
    let rank = (errors.len() as f64 * COVERED) as usize;
    errors.get(rank).map_or(ERROR_MAX, |error| error.clamp(0.0, ERROR_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::scaling::Readings;
    use pilothouse_sdk::testing::scaling::load;
    use pilothouse_sdk::{mix, unit};

    fn last(rates: &[f32]) -> f64 {
        *foreseen(&Readings::of(&load(rates, 4)).list, 15.0, 3).last().unwrap()
    }

    #[test]
    fn levels_are_kept_and_trends_carried_on() {
        assert!((last(&[100.0; 50]) - 100.0).abs() < 1e-6);
        let ramp: Vec<f32> = (0..100_u8).map(|index| 100.0 + 5.0 * f32::from(index)).collect();
        assert!((600.0..=612.0).contains(&last(&ramp)), "{}", last(&ramp));
    }

    #[test]
    fn a_hole_in_the_data_is_not_a_fall() {
        let rates = [vec![100.0; 50], vec![0.0; 9]].concat();
        assert!((last(&rates) - 100.0).abs() < 1e-6);
        assert!((last(&[rates, vec![200.0]].concat()) - 200.0).abs() < 1e-6, "it starts anew");
    }

    #[test]
    fn what_is_said_to_cover_nine_in_ten_does() {
        let noise =
            |index: u64| 100.0 + 20.0 * (0..6).map(|draw| unit(mix(index * 7 + draw)) - 0.5).sum::<f64>();
        let covered: f64 = (0..200)
            .map(|start| Quality::of((0..120).map(|index| (100.0, noise(start * 1_000 + index)))))
            .map(|quality| quality.reliability * COVERED / 200.0)
            .sum();
        assert!((0.85..=0.92).contains(&covered), "{covered}");
    }
}
