//! An axis: which values it spans, where its ticks are, and where a value lies on it.
//!
//! Ticks lie at 1, 2 or 5 times a power of ten (Heckbert, "Nice numbers for graph labels", Graphics Gems 1990).
//!
//! Invariant: an axis is never empty, and every place on it is finite.

use std::ops::Range;

/// About so many ticks.
const TICKS: f64 = 5.0;
/// Values that differ by more than this factor get a logarithmic axis, where that was asked for.
const LOGARITHMIC_FROM: f64 = 8.0;
/// Values beyond it draw nothing that anyone could read.
const LARGEST: f64 = 1e15;

/// An axis from one end to the other.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    from: f64,
    to: f64,
    is_logarithmic: bool,
    place: Range<f64>,
}

impl Axis {
    /// Spans the values that are of use, and `least` if given, in a range of the picture.
    pub(super) fn linear(values: impl Iterator<Item = f64>, least: Option<f64>, place: Range<f64>) -> Self {
        let (from, to) = span(values.chain(least));
        Self { from, to, is_logarithmic: false, place }
    }

    /// The same with some air at both ends; logarithmic if the values differ by orders of magnitude.
    pub(super) fn airy(values: &[f64], place: Range<f64>) -> Self {
        let (from, to) = span(values.iter().copied());
        if from > 0.0 && to / from > LOGARITHMIC_FROM {
            return Self { from: from / 1.15, to: to * 1.15, is_logarithmic: true, place };
        }
        let air = 0.06 * (to - from);
        // Shares and ratios are never negative, and an axis that says so misleads.
        let from = if from >= 0.0 { (from - air).max(0.0) } else { from - air };
        Self { from, to: to + air, is_logarithmic: false, place }
    }

    /// Where a value lies in the picture.
    pub(super) fn at(&self, value: f64) -> f64 {
        let share = if self.is_logarithmic {
            (value.max(self.from) / self.from).ln() / (self.to / self.from).ln()
        } else {
            (value - self.from) / (self.to - self.from)
        };
        self.place.start + share.clamp(0.0, 1.0) * (self.place.end - self.place.start)
    }

    /// Ticks with their labels.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        if self.is_logarithmic { self.logarithmic_ticks() } else { self.linear_ticks() }
    }

    fn linear_ticks(&self) -> Vec<(f64, String)> {
        let rough = (self.to - self.from) / TICKS;
        let power = 10_f64.powf(rough.log10().floor());
        let step = power * [1.0, 2.0, 5.0].into_iter().find(|nice| nice * power >= rough).unwrap_or(10.0);
        let decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
        let first = (self.from / step).ceil();
        let values = (0..=2 * TICKS as usize).map(|index| (first + index as f64) * step);
        values
            .take_while(|value| *value <= self.to + step * 1e-9)
            // Zero has no sign.
            .map(|value| (value, format!("{:.decimals$}", value + 0.0)))
            .collect()
    }

    fn logarithmic_ticks(&self) -> Vec<(f64, String)> {
        let powers = self.from.log10().floor() as i32..=self.to.log10().ceil() as i32;
        let wide = powers.clone().count() > 4;
        let nice: &[f64] = if wide { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let values = powers.flat_map(|power| nice.iter().map(move |nice| nice * 10_f64.powi(power)));
        values
            .filter(|value| (self.from..=self.to).contains(value))
            .map(|value| (value, value.to_string()))
            .collect()
    }
}

/// Whether a value can be drawn.
pub(super) fn is_drawable(value: f64) -> bool {
    value.abs() <= LARGEST
}

fn span(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let drawable = values.filter(|value| is_drawable(*value));
    let (low, high) = drawable
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    match high - low {
        apart if apart > 1e-9 * high.abs() => (low, high),
        _ if low <= high => (low - 0.5 * low.abs().max(1.0), high + 0.5 * high.abs().max(1.0)),
        _ => (0.0, 1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks().into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round_and_within() {
        for (values, wanted) in [
            (&[0.0, 10.0][..], &["0", "2", "4", "6", "8", "10"][..]),
            (&[0.0, 0.05], &["0.00", "0.01", "0.02", "0.03", "0.04", "0.05"]),
            (&[-1.0, 1.0], &["-1.0", "-0.5", "0.0", "0.5", "1.0"]),
            (&[130.0, 0.0, f64::NAN], &["0", "50", "100"]),
        ] {
            assert_eq!(labels(&Axis::linear(values.iter().copied(), None, 0.0..1.0)), wanted);
        }
        assert_eq!(labels(&Axis::airy(&[1.0, 30.0], 0.0..1.0)), ["1", "2", "5", "10", "20"]);
    }

    #[test]
    fn values_lie_in_their_order_and_outliers_at_the_end() {
        for values in [&[1.0, 2.0][..], &[1.0, 100.0], &[0.0, 5.0], &[3.0, 3.0], &[]] {
            let axis = Axis::airy(values, 10.0..20.0);
            let places: Vec<f64> = [-1e300, 0.0, 1.0, 2.0, 100.0, 1e300].map(|value| axis.at(value)).into();
            assert!(places.is_sorted() && places.iter().all(|place| (10.0..=20.0).contains(place)));
        }
    }
}
