//! Sends each task to the member that is least busy.
//!
//! Up to `SCAN_MAX` members all are looked at, beyond that two random ones: a decision should take constant time.

use pilothouse_sdk::balancing::{Balancing, Request};
use pilothouse_sdk::{About, Choice, Class, Column, Fleet, Refusal, Rng, Settings, export_balancing};

/// Up to here all members are looked at.
const SCAN_MAX: u32 = 64;

/// The policy.
#[derive(Debug)]
pub struct LeastBusy;
export_balancing!(LeastBusy);

/// How busy a member is; lower is better.
fn busy(fleet: &Fleet, row: u32) -> f32 {
    fleet.u32(Column::Active, row) as f32
}

impl Balancing for LeastBusy {
    const ABOUT: About = About {
        columns: &[Column::Active, Column::Weight],
        reasons: &["least busy"],
        ..About::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), "The member that is least busy.")
    };

    fn new(_settings: &mut Settings) -> Self {
        Self
    }

    fn choose(&mut self, fleet: &Fleet, class: &Class, request: &Request) -> Result<Choice, Refusal> {
        let mut rng = Rng::new(request.seed);
        let count = class.count();
        // Starting anywhere breaks ties evenly.
        let start = rng.below(count);
        let looked_at = if count <= SCAN_MAX { count } else { 2 };
        let mut best = Choice { row: class.nth(start), score: f32::NEG_INFINITY, reason: 0 };
        for place in 0..looked_at {
            let place = if count <= SCAN_MAX { start + place } else { rng.below(count) };
            let row = class.nth(place);
            let score = -busy(fleet, row);
            if score > best.score {
                (best.row, best.score) = (row, score);
            }
        }
        Ok(best)
    }

    fn score(&mut self, fleet: &Fleet, _class: &Class, _request: &Request, row: u32) -> f32 {
        -busy(fleet, row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::testing::{Member, World};

    fn member(active: u32, weight: f64) -> Member {
        Member::default().with(Column::Active, f64::from(active)).with(Column::Weight, weight)
    }

    #[test]
    fn the_least_busy_member_takes_the_task() {
        let mut world = World::<LeastBusy>::of().members([member(9, 1.0), member(2, 1.0), member(5, 1.0)]);
        assert_eq!(world.row(1), 1);
    }

    #[test]
    fn equals_share() {
        let mut world = World::<LeastBusy>::of().members((0..4).map(|_| member(1, 1.0)));
        let counts = world.counts(4_000);
        assert!(counts.iter().all(|&count| count.abs_diff(1_000) < 200), "{counts:?}");
    }
}
