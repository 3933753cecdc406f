//! Sends each task to the least loaded members that what is known allows to tell apart.
//!
//! Rule: look at `sample` random members. If none of them has reported work, what the host counts itself is all there is, and it
//! is not old: take the least loaded of the sample. Else take the less loaded of two of them, because the least of
//! many old reports is where everybody goes (Mitzenmacher 2000, "How useful is old information?").
//! Load is `(active + in flight + 1) / weight - trend x age`. Work in flight is counted since a member's last report, and if
//! nobody says when it ends, much of it is done already: members would look the busier the older their report. When a
//! member last reported has nothing to do with its load, so what the report's age explains is not load: `trend` is the
//! slope of load over age in the sample by least squares, at least 0; it vanishes by itself where ends are told.
//! Ages count up to thrice their median, so that a member that fell silent does not seem to have finished.

use pilothouse_sdk::balancing::{Balancing, Request};
use pilothouse_sdk::{About, Choice, Class, Column, Fleet, Refusal, Rng, Settings, export_balancing};

/// A report older than this many medians is that of a member that fell silent; if all report in turn, none is above two.
const SILENT: f32 = 3.0;

const REASON_COUNTED: u32 = 0;
const REASON_REPORTED: u32 = 1;

/// The policy.
#[derive(Debug)]
pub struct Adaptive {
    sample: u32,
}
export_balancing!(Adaptive);

impl Balancing for Adaptive {
    const ABOUT: About = About {
        columns: &[Column::Active, Column::Weight, Column::ReportedAtMs],
        settings_schema: r#"{"type":"object","additionalProperties":false,"properties":{
"sample":{"type":"integer","minimum":2,"maximum":64,"default":16,"description":"Members looked at per task."}}}"#,
        reasons: &[
            "least loaded of the sample by the host's own counts",
            "less loaded of two, corrected for the age of reports",
        ],
        factors: &["load"],
        ..About::new("adaptive", "1.0.0", "As many choices as the age of what is known allows.")
    };

    fn new(settings: &mut Settings) -> Self {
        Self { sample: settings.integer("sample", 16, 2..=64) }
    }

    fn choose(&mut self, fleet: &Fleet, class: &Class, request: &Request) -> Result<Choice, Refusal> {
        let sample = self.look(fleet, class, request);
        let is_reported = sample.iter().any(|seen| seen.active > 0);
        let (compared, trend, reason) = if is_reported {
            (2, Trend::of(&sample), REASON_REPORTED)
        } else {
            (sample.len(), Trend::default(), REASON_COUNTED)
        };
        let loads = sample.iter().take(compared).map(|seen| (trend.without(seen), seen.row));
        let least = loads.min_by(|a, b| a.0.total_cmp(&b.0));
        least.map(|(load, row)| Choice { row, score: -load, reason }).ok_or(Refusal::Unsupported)
    }

    fn score(&mut self, fleet: &Fleet, _class: &Class, _request: &Request, row: u32) -> f32 {
        -load(fleet, row, fleet.in_flight(row))
    }

    fn factors(&mut self, fleet: &Fleet, _class: &Class, _request: &Request, row: u32) -> Vec<f32> {
        vec![load(fleet, row, fleet.in_flight(row))]
    }
}

/// What is known of a member.
#[derive(Debug, Clone, Copy)]
struct Seen {
    row: u32,
    active: u32,
    load: f32,
    /// Of its report; `None` if it never reported.
    age_ms: Option<f32>,
}

/// How loads of the sample grow with the age of reports.
#[derive(Debug, Clone, Copy, Default)]
struct Trend {
    per_ms: f32,
    /// Older reports come from members that fell silent.
    age_max_ms: f32,
}

impl Trend {
    /// By least squares over those that did not fall silent; never falling.
    fn of(sample: &[Seen]) -> Self {
        let mut ages_ms: Vec<f32> = sample.iter().filter_map(|seen| seen.age_ms).collect();
        ages_ms.sort_unstable_by(f32::total_cmp);
        let age_max_ms = SILENT * ages_ms.get(ages_ms.len() / 2).copied().unwrap_or_default();
        let point = |seen: &Seen| Some((seen.age_ms.filter(|&age_ms| age_ms <= age_max_ms)?, seen.load));
        let points: Vec<(f32, f32)> = sample.iter().filter_map(point).collect();
        let mean = |value: fn(&(f32, f32)) -> f32| {
            points.iter().map(value).sum::<f32>() / points.len().max(1) as f32
        };
        let (age_ms, load) = (mean(|point| point.0), mean(|point| point.1));
        let together: f32 = points.iter().map(|point| (point.0 - age_ms) * (point.1 - load)).sum();
        let square: f32 = points.iter().map(|point| (point.0 - age_ms).powi(2)).sum();
        let per_ms = if square > 0.0 { (together / square).max(0.0) } else { 0.0 };
        Self { per_ms, age_max_ms }
    }

    /// A load without what its age explains.
    fn without(self, seen: &Seen) -> f32 {
        seen.load - self.per_ms * seen.age_ms.map_or(0.0, |age_ms| age_ms.min(self.age_max_ms))
    }
}

impl Adaptive {
    fn look(&self, fleet: &Fleet, class: &Class, request: &Request) -> Vec<Seen> {
        let rows = self.rows(class, &mut Rng::new(request.seed));
        let in_flight = fleet.in_flight_many(&rows);
        let seen = |(&row, in_flight): (&u32, u32)| Seen {
            row,
            active: fleet.u32(Column::Active, row),
            load: load(fleet, row, in_flight),
            age_ms: match fleet.u64(Column::ReportedAtMs, row) {
                0 => None,
                at_ms => Some(request.now_ms.saturating_sub(at_ms) as f32),
            },
        };
        rows.iter().zip(in_flight).map(seen).collect()
    }

    /// The sample; its first two are any two different members.
    fn rows(&self, class: &Class, rng: &mut Rng) -> Vec<u32> {
        let count = class.count();
        if count > self.sample {
            let (first, second) = rng.two_below(count);
            let others = (2..self.sample).map(|_| rng.below(count));
            return [first, second].into_iter().chain(others).map(|rank| class.nth(rank)).collect();
        }
        // All of them, from a random one on, because the first of equals is taken.
        let start = rng.below(count);
        let mut rows: Vec<u32> = (0..count).map(|place| class.nth(start + place)).collect();
        let second = 1 + rng.below(count.saturating_sub(1)) as usize;
        if second < rows.len() {
            rows.swap(1, second);
        }
        rows
    }
}

fn load(fleet: &Fleet, row: u32, in_flight: u32) -> f32 {
    let work = fleet.u32(Column::Active, row).saturating_add(in_flight).saturating_add(1) as f32;
    work / fleet.f32(Column::Weight, row).max(f32::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::testing::{Member, World, request};

    const NOW_MS: u64 = 10_000;

    fn busy(active: u32) -> Member {
        Member::default().with(Column::Active, f64::from(active)).with(Column::Weight, 1.0)
    }

    fn reported(active: u32, age_ms: u64) -> Member {
        busy(active).with(Column::ReportedAtMs, (NOW_MS - age_ms) as f64)
    }

    fn counts(world: &mut World<Adaptive>, tasks: u64) -> Vec<u32> {
        let mut counts = vec![0; 64];
        for seed in 0..tasks {
            let choice = world.choose(Request { now_ms: NOW_MS, ..request(seed) }).unwrap();
            counts[choice.row as usize] += 1;
        }
        counts
    }

    #[test]
    fn own_counts_alone_are_compared_as_widely_as_the_sample_goes() {
        let mut world = World::<Adaptive>::of()
            .members((0..12).map(|row| busy(0).in_flight(if row == 5 { 1 } else { 2 })));
        assert_eq!(counts(&mut world, 100)[5], 100);
    }

    #[test]
    fn of_reports_only_two_are_compared() {
        let idle_among_busy = (0..12).map(|row| reported(if row == 5 { 1 } else { 9 }, 50));
        let counts = counts(&mut World::<Adaptive>::of().members(idle_among_busy), 6_000);
        assert!(counts[5].abs_diff(1_000) < 120, "in a sixth of all pairs: {counts:?}");
    }

    #[test]
    fn work_sent_since_an_old_report_counts_for_what_its_age_explains() {
        // Each was sent one task in 10 ms, and each is as busy as any other.
        let aged = (0..12_u32).map(|row| reported(4, u64::from(row) * 10).in_flight(row));
        let even = counts(&mut World::<Adaptive>::of().members(aged), 12_000);
        assert!(even.iter().take(12).all(|count| count.abs_diff(1_000) < 400), "{even:?}");
        // Where work does not grow with age it is compared as it is.
        let told = (0..12_u32).map(|row| reported(4, u64::from(row) * 10).in_flight(12 - row));
        let uneven = counts(&mut World::<Adaptive>::of().members(told), 12_000);
        assert!(uneven[11] > 1_500 && uneven[0] < 100, "{uneven:?}");
    }

    #[test]
    fn a_member_that_fell_silent_is_not_taken_for_one_that_finished() {
        let members = (0..12).map(|row| {
            if row == 5 { reported(4, 9_000).in_flight(900) } else { reported(4, 50).in_flight(5) }
        });
        assert_eq!(counts(&mut World::<Adaptive>::of().members(members), 1_000)[5], 0);
    }

    #[test]
    fn equal_members_share_evenly() {
        for size in [1_usize, 2, 3, 16, 40] {
            for active in [0, 3] {
                let mut world = World::<Adaptive>::of().members((0..size).map(|_| busy(active)));
                let fair = 8_000 / size as u32;
                let counts = counts(&mut world, 8_000);
                assert!(counts.iter().take(size).all(|count| count.abs_diff(fair) < fair / 2), "{counts:?}");
            }
        }
    }
}
