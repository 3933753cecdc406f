//! The same time yesterday: a forecast for groups whose samples reach back two seasons or more.

use pilothouse_sdk::scaling::{Reading, Readings};

/// Readings on each side that smooth a season's value.
const SMOOTH: usize = 2;
/// Readings on each side of the time by which two seasons are compared.
const LATELY: usize = 10;
/// The seasons compared may differ by this factor; beyond it they are not alike.
const ALIKE: std::ops::RangeInclusive<f64> = 0.5..=2.0;

/// Arrivals per second of earlier seasons, brought to today's level.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Season<'a> {
    list: &'a [Reading],
    season_s: f64,
    spacing_s: f64,
}

impl<'a> Season<'a> {
    /// If the readings span two seasons.
    pub(crate) fn of(readings: &'a Readings, season_s: f64) -> Option<Self> {
        let list = readings.list.as_slice();
        let span_s = list.last()?.at_s - list.first()?.at_s;
        (span_s >= 2.0 * season_s).then_some(Self { list, season_s, spacing_s: readings.spacing_s })
    }

    /// What could be foreseen at one time for `lead_s` later.
    pub(crate) fn foreseen(&self, at_s: f64, lead_s: f64) -> Option<f64> {
        let lately_s = at_s - self.spacing_s * LATELY as f64;
        let level = self.around(lately_s, LATELY)? / self.around(lately_s - self.season_s, LATELY)?;
        let then = self.around(at_s + lead_s - self.season_s, SMOOTH)?;
        ALIKE.contains(&level).then_some(then * level)
    }

    /// The mean of readings around a time.
    fn around(&self, at_s: f64, width: usize) -> Option<f64> {
        let place = self.list.partition_point(|reading| reading.at_s < at_s);
        let near = self.list.get(place.checked_sub(width)?..=place + width)?;
        let first = near.first()?;
        let whole = (first.at_s - at_s).abs() <= 2.0 * self.spacing_s * (width + 1) as f64;
        let mean = near.iter().map(|reading| reading.arrivals).sum::<f64>() / near.len() as f64;
        (whole && mean > 0.0).then_some(mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::testing::scaling::load;

    /// A wave of an hour over some hours, the last one larger than those before.
    fn wave(hours: u16, last: f32) -> Readings {
        let rate = |period: u16| {
            let factor = if period / 240 + 1 == hours { last } else { 1.0 };
            factor * (100.0 + 50.0 * (f32::from(period) / 240.0 * std::f32::consts::TAU).sin())
        };
        Readings::of(&load(&(0..hours * 240).map(rate).collect::<Vec<f32>>(), 4))
    }

    #[test]
    fn the_season_is_foreseen_at_the_level_of_today() {
        for last in [1.0, 1.5, 0.7] {
            let readings = wave(4, last);
            let season = Season::of(&readings, 3_600.0).unwrap();
            let (now_s, lead_s) = (3.5 * 3_600.0, 300.0);
            let truth = f64::from(last)
                * (100.0 + 50.0 * ((3.5 * 3_600.0 + lead_s) / 3_600.0 * std::f64::consts::TAU).sin());
            let foreseen = season.foreseen(now_s, lead_s).unwrap();
            assert!((foreseen / truth - 1.0).abs() < 0.05, "{foreseen} for {truth}");
        }
    }

    #[test]
    fn less_than_two_seasons_or_another_kind_of_day_say_nothing() {
        assert!(Season::of(&wave(1, 1.0), 3_600.0).is_none());
        let readings = wave(4, 9.0);
        assert_eq!(Season::of(&readings, 3_600.0).unwrap().foreseen(3.5 * 3_600.0, 300.0), None);
    }
}
