//! Sends tasks to members drawn at random, in proportion to their weights.
//!
//! Rule: uniform over the eligible members by multiply-shift (Lemire 2019); if their weights differ, by Vose's alias
//! method (1991): O(1) a draw, the table rebuilt when weights or eligibility change and not before.
#![expect(
    clippy::indexing_slicing,
    reason = "ranks index vectors that were built together; a slip would trap, and the host's fallback would answer"
)]

use pilothouse_sdk::balancing::{Balancing, Request};
use pilothouse_sdk::{About, Choice, Class, Column, Fleet, Refusal, Rng, Settings, export_balancing};

/// The policy.
#[derive(Debug)]
pub struct Random {
    weighted: bool,
    table: Table,
}
export_balancing!(Random);

/// An alias table and what it was built for.
#[derive(Debug, Default)]
struct Table {
    built_for: Option<(u32, u64)>,
    weights: Vec<f32>,
    keep: Vec<f32>,
    alias: Vec<u32>,
    uniform: bool,
    checked_at: Option<(u64, u64)>,
}

impl Balancing for Random {
    const ABOUT: About = About {
        columns: &[Column::Weight],
        settings_schema: r#"{"type":"object","additionalProperties":false,"properties":{
"weighted":{"type":"boolean","default":true,"description":"Draw in proportion to weights."}}}"#,
        reasons: &["drawn at random"],
        properties: &["proportional"],
        ..About::new("random", "1.0.0", "A random member, in proportion to weights.")
    };

    fn new(settings: &mut Settings) -> Self {
        Self { weighted: settings.flag("weighted", true), table: Table::default() }
    }

    fn choose(&mut self, fleet: &Fleet, class: &Class, request: &Request) -> Result<Choice, Refusal> {
        let mut rng = Rng::new(request.seed);
        let drawn = rng.below(class.count());
        if !self.weighted {
            return Ok(Choice { row: class.nth(drawn), score: 0.0, reason: 0 });
        }
        self.table.refresh(fleet, class);
        let rank = self.table.draw(drawn, rng.unit() as f32);
        Ok(Choice { row: class.nth(rank), score: 0.0, reason: 0 })
    }
}

impl Table {
    /// Rebuilds the table if the eligible rows or their weights are not those it was built for.
    fn refresh(&mut self, fleet: &Fleet, class: &Class) {
        let now = (class.version(), fleet.epoch());
        if self.checked_at == Some(now) {
            return;
        }
        self.checked_at = Some(now);
        let built_for = Some((class.id(), class.version()));
        let weight = |&row: &u32| fleet.f32(Column::Weight, row).max(0.0);
        let same =
            self.built_for == built_for && class.rows().iter().map(weight).eq(self.weights.iter().copied());
        if same {
            return;
        }
        self.built_for = built_for;
        self.weights = class.rows().iter().map(weight).collect();
        self.build();
    }

    /// Vose's method: every column holds its own rank up to `keep`, and its alias above.
    fn build(&mut self) {
        let count = self.weights.len();
        let sum: f64 = self.weights.iter().map(|&weight| f64::from(weight)).sum();
        let first = self.weights.first().copied().unwrap_or_default();
        self.uniform = sum <= 0.0 || self.weights.iter().all(|&weight| weight == first);
        if self.uniform {
            return;
        }
        let mut share: Vec<f64> =
            self.weights.iter().map(|&weight| f64::from(weight) * count as f64 / sum).collect();
        self.keep = vec![1.0; count];
        self.alias = (0..count as u32).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..count).partition(|&rank| share[rank] < 1.0);
        while let (Some(poor), Some(&rich)) = (small.pop(), large.last()) {
            self.keep[poor] = share[poor] as f32;
            self.alias[poor] = rich as u32;
            share[rich] -= 1.0 - share[poor];
            if share[rich] < 1.0 {
                large.pop();
                small.push(rich);
            }
        }
    }

    fn draw(&self, rank: u32, chance: f32) -> u32 {
        if self.uniform {
            return rank;
        }
        let keep = self.keep.get(rank as usize).copied().unwrap_or(1.0);
        if chance < keep { rank } else { self.alias.get(rank as usize).copied().unwrap_or(rank) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::testing::{Member, World};

    fn weighing(weight: f64) -> Member {
        Member::default().with(Column::Weight, weight)
    }

    #[test]
    fn draws_follow_the_weights() {
        for weights in [vec![1.0; 7], vec![1.0, 2.0, 5.0], vec![0.0, 1.0, 100.0], vec![1e-6, 1.0]] {
            let sum: f64 = weights.iter().sum();
            let mut world = World::<Random>::of().members(weights.iter().map(|&weight| weighing(weight)));
            for (count, weight) in world.counts(20_000).into_iter().zip(&weights) {
                let expected = 20_000.0 * weight / sum;
                assert!(
                    (f64::from(count) - expected).abs() <= 5.0 * expected.sqrt() + 1.0,
                    "{weights:?}: {count}"
                );
            }
        }
    }

    #[test]
    fn the_same_seed_draws_the_same_member() {
        let mut world = World::<Random>::of().members((0..9).map(|_| weighing(1.0)));
        assert_eq!(world.row(42), world.row(42));
    }

    #[test]
    fn new_weights_and_lost_members_take_effect_at_once() {
        let mut world = World::<Random>::of().members([weighing(1.0), weighing(1.0), weighing(3.0)]);
        world.row(1);
        world.update(|members| members[2] = weighing(0.0));
        assert_eq!(world.counts(2_000)[2], 0);
        world.update(|members| members[0] = weighing(1.0).ineligible());
        assert_eq!(world.counts(2_000), [0, 2_000, 0]);
    }
}
