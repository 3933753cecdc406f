//! Sends each task to the less loaded of a few random members.
//!
//! Rule: draw `choices` different eligible members, take the one with the smallest load; with at most `scan-below` members look
//! at all of them. Load is `(active + in flight + 1) / weight`; with `metric = "latency"` it is multiplied by the
//! reported response time, with `"cpu"` by the reported utilisation.
//! Source: the power of two choices (Mitzenmacher 2001), which stays good on old reports where taking the minimum herds.
//! Errors must not look fast: a member's error rate stretches its latency. Ties are broken by the seed.

use pilothouse_sdk::balancing::{Balancing, Request};
use pilothouse_sdk::{About, Choice, Class, Column, Fleet, Refusal, Rng, Settings, export_balancing};

/// What load is measured by.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Metric {
    Requests,
    Latency,
    Cpu,
}

/// The policy.
#[derive(Debug)]
pub struct LeastLoaded {
    choices: u32,
    scan_below: u32,
    metric: Metric,
}
export_balancing!(LeastLoaded);

const REASON_TWO: u32 = 0;
const REASON_SCAN: u32 = 1;

impl Balancing for LeastLoaded {
    const ABOUT: About = About {
        columns: &[Column::Active, Column::Weight, Column::LatencyMs, Column::ErrorRate, Column::Cpu],
        settings_schema: r#"{"type":"object","additionalProperties":false,"properties":{
"choices":{"type":"integer","minimum":2,"maximum":10,"default":2,"description":"Members drawn per task."},
"scan-below":{"type":"integer","minimum":0,"maximum":1024,"default":16,"description":"Look at all members up to this many."},
"metric":{"enum":["requests","latency","cpu"],"default":"requests","description":"What load is measured by."}}}"#,
        reasons: &["least loaded of the members drawn", "least loaded of all"],
        factors: &["load"],
        properties: &["prefers-less-loaded"],
        ..About::new("least-loaded", "1.0.0", "Least loaded of a few random members (power of two choices).")
    };

    fn new(settings: &mut Settings) -> Self {
        Self {
            choices: settings.integer("choices", 2, 2..=10),
            scan_below: settings.integer("scan-below", 16, 0..=1_024),
            metric: match settings.one_of("metric", &["requests", "latency", "cpu"]) {
                0 => Metric::Requests,
                1 => Metric::Latency,
                _ => Metric::Cpu,
            },
        }
    }

    fn choose(&mut self, fleet: &Fleet, class: &Class, request: &Request) -> Result<Choice, Refusal> {
        let mut rng = Rng::new(request.seed);
        let count = class.count();
        if count <= self.scan_below {
            // A random start breaks ties evenly, because a later equal load does not replace an earlier one.
            let start = rng.below(count);
            return Ok(self.least(fleet, (0..count).map(|place| class.nth(start + place)), REASON_SCAN));
        }
        if self.choices == 2 {
            let (a, b) = two(class, request);
            let (in_flight_a, in_flight_b) = fleet.in_flight_pair(a, b);
            return Ok(self.less(fleet, (a, in_flight_a), (b, in_flight_b)));
        }
        let drawn = (0..self.choices).map(|_| class.nth(rng.below(count)));
        Ok(self.least(fleet, drawn, REASON_TWO))
    }

    fn choose_many(
        &mut self,
        fleet: &Fleet,
        class: &Class,
        requests: &[Request],
    ) -> Vec<Result<Choice, Refusal>> {
        if self.choices != 2 || class.count() <= self.scan_below {
            return requests.iter().map(|request| self.choose(fleet, class, request)).collect();
        }
        let drawn: Vec<u32> =
            requests.iter().flat_map(|request| <[u32; 2]>::from(two(class, request))).collect();
        let in_flight = fleet.in_flight_many(&drawn);
        let pairs = drawn.chunks_exact(2).zip(in_flight.chunks_exact(2));
        pairs
            .map(|(rows, counts)| match (rows, counts) {
                (&[a, b], &[in_flight_a, in_flight_b]) => {
                    Ok(self.less(fleet, (a, in_flight_a), (b, in_flight_b)))
                }
                _ => Err(Refusal::Unsupported),
            })
            .collect()
    }

    fn score(&mut self, fleet: &Fleet, _class: &Class, _request: &Request, row: u32) -> f32 {
        -self.load(fleet, row, fleet.in_flight(row))
    }

    fn factors(&mut self, fleet: &Fleet, _class: &Class, _request: &Request, row: u32) -> Vec<f32> {
        vec![self.load(fleet, row, fleet.in_flight(row))]
    }
}

impl LeastLoaded {
    #[inline]
    fn load(&self, fleet: &Fleet, row: u32, in_flight: u32) -> f32 {
        let work = fleet.u32(Column::Active, row).saturating_add(in_flight).saturating_add(1) as f32;
        let weight = fleet.f32(Column::Weight, row).max(f32::MIN_POSITIVE);
        let stretch = match self.metric {
            Metric::Requests => 1.0,
            Metric::Latency => {
                let errors = fleet.f32(Column::ErrorRate, row).clamp(0.0, 1.0);
                let latency = fleet.f32(Column::LatencyMs, row);
                // Unknown counts as slow, or a member that never reports would take everything.
                if latency.is_nan() {
                    1_000.0
                } else {
                    latency.max(1.0) + 5_000.0 * if errors > 0.0 { errors } else { 0.0 }
                }
            }
            Metric::Cpu => {
                0.05 + if fleet.f32(Column::Cpu, row).is_nan() { 1.0 } else { fleet.f32(Column::Cpu, row) }
            }
        };
        work * stretch / weight
    }

    /// The less loaded of two rows, each with its work in flight.
    #[inline]
    fn less(&self, fleet: &Fleet, a: (u32, u32), b: (u32, u32)) -> Choice {
        let (load_a, load_b) = (self.load(fleet, a.0, a.1), self.load(fleet, b.0, b.1));
        let (row, load) = if load_b < load_a { (b.0, load_b) } else { (a.0, load_a) };
        Choice { row, score: -load, reason: REASON_TWO }
    }

    fn least(&self, fleet: &Fleet, rows: impl Iterator<Item = u32>, reason: u32) -> Choice {
        let rows: Vec<u32> = rows.collect();
        let mut best = Choice { row: 0, score: f32::NEG_INFINITY, reason };
        for (&row, in_flight) in rows.iter().zip(fleet.in_flight_many(&rows)) {
            let score = -self.load(fleet, row, in_flight);
            if score > best.score {
                (best.row, best.score) = (row, score);
            }
        }
        best
    }
}

/// Two different rows, drawn by the request's seed.
#[inline]
fn two(class: &Class, request: &Request) -> (u32, u32) {
    let (first, second) = Rng::new(request.seed).two_below(class.count());
    (class.nth(first), class.nth(second))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::Value;
    use pilothouse_sdk::testing::{Member, World};

    fn busy(active: u32) -> Member {
        Member::default().with(Column::Active, f64::from(active)).with(Column::Weight, 1.0)
    }

    #[test]
    fn a_small_fleet_is_scanned_and_live_work_counts() {
        let mut world = World::<LeastLoaded>::of().members([busy(5), busy(2).in_flight(1), busy(4), busy(9)]);
        assert_eq!(world.row(1), 1);
        world.update(|members| members[1] = busy(2).in_flight(3));
        assert_eq!(world.row(1), 2);
    }

    #[test]
    fn weight_divides_load_and_ineligible_members_are_never_taken() {
        let heavy = busy(8).with(Column::Weight, 10.0);
        let mut world = World::<LeastLoaded>::of().members([busy(1), heavy, busy(0).ineligible()]);
        assert_eq!(world.row(3), 1);
    }

    #[test]
    fn equal_members_share_evenly() {
        for size in [4_usize, 40] {
            let mut world = World::<LeastLoaded>::of().members((0..size).map(|_| busy(3)));
            let counts = world.counts(8_000);
            let fair = 8_000 / size as u32;
            assert!(counts.iter().all(|&count| count.abs_diff(fair) < fair / 2), "{counts:?}");
        }
    }

    #[test]
    fn of_two_drawn_the_busier_is_never_taken() {
        let mut world = World::<LeastLoaded>::of().members((0..40).map(|_| busy(1)).chain([busy(1_000)]));
        assert_eq!(world.counts(4_000)[40], 0, "it loses against every other");
    }

    #[test]
    fn failing_fast_is_not_fast() {
        let settings = [("metric", Value::Text("latency".into()))];
        let fast_but_failing = busy(0).with(Column::LatencyMs, 1.0).with(Column::ErrorRate, 0.9);
        let slow = busy(0).with(Column::LatencyMs, 100.0).with(Column::ErrorRate, 0.0);
        let mut world =
            World::<LeastLoaded>::configured(&settings).unwrap().members([fast_but_failing, slow, busy(0)]);
        assert_eq!(world.row(1), 1, "not the failing one, and not the one of which nothing is known");
    }

    #[test]
    fn wrong_settings_are_named() {
        let settings =
            [("choices", Value::Integer(1)), ("chioces", Value::Integer(2)), ("metric", Value::Flag(true))];
        let problems = World::<LeastLoaded>::configured(&settings).unwrap_err();
        let paths: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(paths, ["choices", "metric", "chioces"]);
    }
}
