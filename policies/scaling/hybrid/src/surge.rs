//! Surges that come back: newsletters, timers, matches. The load jumps at times of its own, not with the day's wave.
//!
//! Surges that began at one phase of a cycle (a quarter of an hour to a day) in enough of the past cycles are expected
//! at that phase again, as large as they were.

use pilothouse_sdk::scaling::{Reading, Readings};

/// Cycles that are looked for, s: the habits of clocks and calendars.
const CYCLES_S: [f64; 6] = [900.0, 1_800.0, 3_600.0, 7_200.0, 21_600.0, 86_400.0];
/// A cycle says something once it has been seen this often.
const SEEN_MIN: f64 = 4.0;
/// The shorter cycle counts as much as having seen the longer one this often.
const DRAW: f64 = 4.0;
/// A surge is so many times what came before, and so many standard deviations of a Poisson count above it.
const JUMP: f64 = 1.5;
const DEVIATIONS: f64 = 5.0;
/// A reading of nothing where so much work was to be expected is missing.
const EXPECTED: f64 = 10.0;
/// So many readings before a surge are its base; the last of them may already belong to it.
const BEFORE: usize = 8;
/// Within so many readings a surge reaches its height; after twice as many it is a new level.
const GROWTH: usize = 20;
/// A surge shows in the samples so many usual distances after its beginning, at most.
const SEEN_AFTER: f64 = 3.0;

/// A surge of the past.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Surge {
    /// When it was first seen, s.
    at_s: f64,
    /// How many more came at its height.
    rise: f64,
}

/// The surges of a group, the oldest first.
#[derive(Debug)]
pub(crate) struct Surges {
    list: Vec<Surge>,
    since_s: f64,
    spacing_s: f64,
}

impl Surges {
    /// Those in some readings.
    pub(crate) fn of(readings: &Readings) -> Self {
        let since_s = readings.list.first().map_or(f64::INFINITY, |first| first.at_s);
        Self { list: find(&readings.list, readings.spacing_s), since_s, spacing_s: readings.spacing_s }
    }

    /// How likely a surge is under way at some time within a period, and how many more arrivals per second it may bring.
    ///
    /// Each cycle's share is drawn towards that of the shorter cycle before it, the more the fewer were seen: what comes
    /// every hour shows at every second half hour too, but at the other half the cycle of an hour says no.
    pub(crate) fn recurring(&self, from_s: f64, until_s: f64) -> Option<(f64, f64)> {
        // It is seen after it began, and it may begin a little later than the times before.
        let (from_s, until_s) = (from_s - SEEN_AFTER * self.spacing_s, until_s + self.spacing_s);
        let (mut chance, mut rise) = (0.0, None);
        for cycle_s in CYCLES_S {
            let seen = ((from_s - self.since_s) / cycle_s).floor();
            if seen < SEEN_MIN {
                break;
            }
            let alike = self.alike(cycle_s, from_s, until_s);
            let mut cycles: Vec<f64> = alike.iter().map(|(cycles_ago, _)| *cycles_ago).collect();
            cycles.dedup();
            // Any surge has some phase: only the second one at it says more than that.
            let again = cycles.len().saturating_sub(1) as f64;
            chance = (again + DRAW * chance) / (seen + DRAW);
            rise = if alike.is_empty() { rise } else { Some(upper(alike.into_iter().map(|(_, rise)| rise))) };
        }
        rise.map(|rise| (chance, rise))
    }

    /// How many cycles ago a surge began between two times of this one, and how much it brought.
    fn alike(&self, cycle_s: f64, from_s: f64, until_s: f64) -> Vec<(f64, f64)> {
        let aged = self.list.iter().map(|surge| (((from_s - surge.at_s) / cycle_s).ceil(), surge));
        let again = |(ago, surge): &(f64, &Surge)| *ago >= 1.0 && surge.at_s + ago * cycle_s <= until_s;
        aged.filter(again).map(|(ago, surge)| (ago, surge.rise)).collect()
    }
}

fn find(readings: &[Reading], spacing_s: f64) -> Vec<Surge> {
    let mut found = Vec::new();
    let mut index = BEFORE;
    while let Some((reading, before)) = readings.get(index).zip(readings.get(index - BEFORE..index - 1)) {
        let base = before.iter().map(|reading| reading.arrivals).sum::<f64>() / before.len() as f64;
        let noise = DEVIATIONS * (base / spacing_s).sqrt();
        // Nothing where something was to be expected is a hole in the data, and its end no surge.
        let empty = before.iter().any(|reading| reading.arrivals <= 0.0);
        let hole = base <= 0.0 || (empty && base * spacing_s > EXPECTED);
        if hole || reading.arrivals <= JUMP * base + noise {
            index += 1;
            continue;
        }
        let after = readings.get(index..).unwrap_or_default();
        let height = after.iter().take(GROWTH).map(|reading| reading.arrivals).fold(0.0, f64::max);
        found.push(Surge { at_s: reading.at_s, rise: height - base });
        let half = base + (height - base) / 2.0;
        let length = after.iter().take(2 * GROWTH).position(|reading| reading.arrivals < half);
        index += length.unwrap_or(2 * GROWTH).max(1);
    }
    found
}

/// What surges bring at most, nine times in ten.
fn upper(rises: impl Iterator<Item = f64>) -> f64 {
    let mut rises: Vec<f64> = rises.collect();
    rises.sort_unstable_by(f64::total_cmp);
    rises.get((rises.len() as f64 * 0.9) as usize).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::testing::scaling::load;

    const HOUR: usize = 240;

    /// A steady load with surges that begin at some periods and last ten minutes.
    fn surges(periods: usize, begins: impl Fn(usize) -> bool) -> Surges {
        let in_surge = |period: usize| (period.saturating_sub(39)..=period).any(&begins);
        let rates: Vec<f32> =
            (0..periods).map(|period| if in_surge(period) { 400.0 } else { 100.0 }).collect();
        Surges::of(&Readings::of(&load(&rates, 9)))
    }

    /// The chance that a surge is under way at the beginning of some period.
    fn chance(surges: &Surges, period: usize) -> f64 {
        let at_s = period as f64 * 15.0;
        surges.recurring(at_s, at_s + 15.0).map_or(0.0, |(chance, _)| chance)
    }

    #[test]
    fn what_comes_every_hour_is_expected_then_and_at_no_other_time() {
        let hourly = surges(8 * HOUR, |period| period % HOUR == 100);
        assert_eq!(hourly.list.len(), 8);
        assert!(chance(&hourly, 8 * HOUR + 100) > 0.6);
        for period in [20, 50, 70, 90, 120, 150, 200] {
            assert_eq!(chance(&hourly, 8 * HOUR + period), 0.0, "{period}");
        }
    }

    #[test]
    fn one_coincidence_is_no_habit() {
        let once = surges(8 * HOUR, |period| period == 700);
        assert!((0..HOUR).all(|period| chance(&once, 8 * HOUR + period) == 0.0));
    }

    #[test]
    fn rare_habits_are_less_likely_than_faithful_ones() {
        let at = |every: usize| surges(16 * HOUR, move |period| period % (every * HOUR) == 100);
        let chances: Vec<f64> = [1, 2, 4].map(|every| chance(&at(every), 16 * HOUR + 100)).to_vec();
        assert!(chances.is_sorted_by(|often, seldom| often > seldom) && chances[2] > 0.1, "{chances:?}");
    }

    #[test]
    fn waves_noise_and_the_ends_of_holes_are_no_surges() {
        let wave = |period: usize| 100.0 + 80.0 * (period as f32 / 1_000.0).sin();
        let hole = |period: usize| if (500..700).contains(&period) { 0.0 } else { 100.0 };
        let few = |period: usize| if period.is_multiple_of(7) { 2.0 } else { 1.0 };
        let rates: [Vec<f32>; 3] =
            [wave as fn(usize) -> f32, hole, few].map(|rate| (0..4_000).map(rate).collect());
        for rates in rates {
            assert_eq!(Surges::of(&Readings::of(&load(&rates, 9))).list, []);
        }
    }
}
