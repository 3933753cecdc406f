//! Sends each agent to the member with the smallest share of its capacity in use.
//!
//! Rule: smallest `(active + in flight + 1) / capacity`, over all eligible members up to 64, over two random ones beyond.
//! Members without a limit compare by their weight instead. Work in flight counts, so a thousand starts at once spread.
//! Ties are broken by the seed.

use pilothouse_sdk::balancing::{Balancing, Request};
use pilothouse_sdk::{About, Choice, Class, Column, Fleet, Refusal, Rng, Settings, export_balancing};

/// Up to here all members are looked at.
const SCAN_MAX: u32 = 64;

/// Capacity that stands for "unlimited", per unit of weight.
const UNLIMITED: f32 = 1_000.0;

/// The policy.
#[derive(Debug)]
pub struct LeastAgents;
export_balancing!(LeastAgents);

impl Balancing for LeastAgents {
    const ABOUT: About = About {
        columns: &[Column::Active, Column::Capacity, Column::Weight],
        reasons: &["smallest share of its capacity in use"],
        factors: &["share of capacity in use"],
        properties: &["prefers-less-loaded"],
        ..About::new("least-agents", "1.0.0", "Fewest agents for its capacity.")
    };

    fn new(_settings: &mut Settings) -> Self {
        Self
    }

    fn choose(&mut self, fleet: &Fleet, class: &Class, request: &Request) -> Result<Choice, Refusal> {
        let mut rng = Rng::new(request.seed);
        let count = class.count();
        let mut best = Choice { row: class.nth(0), score: f32::NEG_INFINITY, reason: 0 };
        let mut look = |row: u32, in_flight: u32| {
            let score = -share(fleet, row, in_flight);
            if score > best.score {
                (best.row, best.score) = (row, score);
            }
        };
        if count <= SCAN_MAX {
            let start = rng.below(count);
            let rows: Vec<u32> = (0..count).map(|place| class.nth(start + place)).collect();
            for (&row, in_flight) in rows.iter().zip(fleet.in_flight_many(&rows)) {
                look(row, in_flight);
            }
        } else {
            let (first, second) = rng.two_below(count);
            let (a, b) = (class.nth(first), class.nth(second));
            let (in_flight_a, in_flight_b) = fleet.in_flight_pair(a, b);
            look(a, in_flight_a);
            look(b, in_flight_b);
        }
        Ok(best)
    }

    fn score(&mut self, fleet: &Fleet, _class: &Class, _request: &Request, row: u32) -> f32 {
        -share(fleet, row, fleet.in_flight(row))
    }

    fn factors(&mut self, fleet: &Fleet, _class: &Class, _request: &Request, row: u32) -> Vec<f32> {
        vec![share(fleet, row, fleet.in_flight(row))]
    }
}

#[inline]
fn share(fleet: &Fleet, row: u32, in_flight: u32) -> f32 {
    let work = fleet.u32(Column::Active, row).saturating_add(in_flight).saturating_add(1) as f32;
    let capacity = match fleet.u32(Column::Capacity, row) {
        0 => UNLIMITED * fleet.f32(Column::Weight, row).max(f32::MIN_POSITIVE),
        capacity => capacity as f32,
    };
    work / capacity
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::testing::{Member, World};

    fn member(active: u32, capacity: u32) -> Member {
        let counts = Member::default().with(Column::Active, f64::from(active));
        counts.with(Column::Capacity, f64::from(capacity)).with(Column::Weight, 1.0)
    }

    #[test]
    fn the_share_counts_not_the_number() {
        let mut world = World::<LeastAgents>::of().members([member(3, 10), member(5, 100), member(2, 4)]);
        assert_eq!(world.row(1), 1);
    }

    #[test]
    fn starts_in_flight_spread_over_empty_members() {
        let mut world = World::<LeastAgents>::of().members((0..4).map(|_| member(0, 250)));
        let mut sent = [0_u32; 4];
        for seed in 0..1_000 {
            let row = world.row(seed) as usize;
            sent[row] += 1;
            world.update(|members| members[row] = member(0, 250).in_flight(sent[row]));
        }
        assert_eq!(sent, [250; 4]);
    }

    #[test]
    fn ties_are_even() {
        let mut world = World::<LeastAgents>::of().members((0..5).map(|_| member(1, 10)));
        let counts = world.counts(5_000);
        assert!(counts.iter().all(|&count| count.abs_diff(1_000) < 200), "{counts:?}");
    }
}
