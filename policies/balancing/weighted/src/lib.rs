//! Sends tasks in proportion to weights, as evenly interleaved as possible.
//!
//! Rule: smooth weighted round-robin (nginx): each turn adds every weight to its member's credit, takes the largest credit and
//! subtracts the sum from it; weights 5, 1, 1 give a a b a c a a. The whole period is worked out once per change of weights or
//! eligibility and indexed by one counter in the host, so all instances walk one schedule. Weights are rounded to a
//! period of at most 4,096 turns. For more than 64 members a low-discrepancy sequence (golden ratio) over cumulated
//! weights takes its place: O(log n) a turn, the share exact in the long run.
#![expect(
    clippy::indexing_slicing,
    reason = "ranks index vectors that were built together; a slip would trap, and the host's fallback would answer"
)]

use pilothouse_sdk::balancing::{Balancing, Request};
use pilothouse_sdk::state::Counter;
use pilothouse_sdk::{About, Choice, Class, Column, Fleet, Refusal, Settings, export_balancing};

/// Up to here the schedule is exact.
const EXACT_MAX: usize = 64;
/// Longest period.
const PERIOD_MAX: u32 = 4_096;
/// 2^64 divided by the golden ratio: multiples of it fill the circle evenly.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The policy.
#[derive(Debug)]
pub struct Weighted {
    position: Counter,
    schedule: Schedule,
}
export_balancing!(Weighted);

#[derive(Debug, Default)]
struct Schedule {
    checked_at: Option<(u64, u64)>,
    class: u32,
    rows: Vec<u32>,
    weights: Vec<f32>,
    turns: Vec<u8>,
    cumulated: Vec<f64>,
}

impl Balancing for Weighted {
    const ABOUT: About = About {
        columns: &[Column::Weight],
        reasons: &["its turn by weight"],
        factors: &["weight"],
        properties: &["proportional"],
        ..About::new("weighted", "1.0.0", "In proportion to weights, smoothly interleaved.")
    };

    fn new(_settings: &mut Settings) -> Self {
        Self { position: Counter::open("position"), schedule: Schedule::default() }
    }

    fn choose(&mut self, fleet: &Fleet, class: &Class, _request: &Request) -> Result<Choice, Refusal> {
        self.schedule.refresh(fleet, class);
        let row = self.schedule.at(self.position.fetch_add(1));
        Ok(Choice { row, score: fleet.f32(Column::Weight, row), reason: 0 })
    }

    fn score(&mut self, fleet: &Fleet, _class: &Class, _request: &Request, row: u32) -> f32 {
        fleet.f32(Column::Weight, row)
    }

    fn factors(&mut self, fleet: &Fleet, _class: &Class, _request: &Request, row: u32) -> Vec<f32> {
        vec![fleet.f32(Column::Weight, row)]
    }
}

impl Schedule {
    fn refresh(&mut self, fleet: &Fleet, class: &Class) {
        let now = (class.version(), fleet.epoch());
        if self.checked_at == Some(now) && self.class == class.id() {
            return;
        }
        self.checked_at = Some(now);
        let weight = |&row: &u32| fleet.f32(Column::Weight, row).max(0.0);
        let same = self.class == class.id()
            && self.rows == class.rows()
            && class.rows().iter().map(weight).eq(self.weights.iter().copied());
        if same {
            return;
        }
        self.class = class.id();
        self.rows = class.rows().to_vec();
        self.weights = self.rows.iter().map(weight).collect();
        if self.rows.len() <= EXACT_MAX {
            self.turns = smooth(&whole(&self.weights));
            self.cumulated.clear();
        } else {
            let mut sum = 0.0;
            self.cumulated = self
                .weights
                .iter()
                .map(|&weight| {
                    sum += f64::from(weight);
                    sum
                })
                .collect();
            self.turns.clear();
        }
    }

    fn at(&self, position: u64) -> u32 {
        let rank = if self.cumulated.is_empty() {
            let turn = position % self.turns.len().max(1) as u64;
            self.turns.get(turn as usize).copied().unwrap_or_default() as usize
        } else {
            let sum = self.cumulated.last().copied().unwrap_or_default();
            let point = pilothouse_sdk::unit(position.wrapping_mul(GOLDEN)) * sum;
            self.cumulated.partition_point(|&upto| upto <= point)
        };
        self.rows.get(rank).or(self.rows.last()).copied().unwrap_or_default()
    }
}

/// Weights as whole numbers with the same proportions and a sum of at most [`PERIOD_MAX`]; a positive weight stays positive.
fn whole(weights: &[f32]) -> Vec<u32> {
    let smallest = weights.iter().copied().filter(|&weight| weight > 0.0).fold(f32::INFINITY, f32::min);
    if smallest == f32::INFINITY {
        return vec![1; weights.len()];
    }
    let sum: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
    // The least factor that makes all of them whole, if there is one within the period; else the period is used up.
    let exact = (1..=64).map(|factor| f64::from(factor) / f64::from(smallest)).find(|&factor| {
        let fits = sum * factor <= f64::from(PERIOD_MAX);
        fits && weights.iter().all(|&weight| {
            (f64::from(weight) * factor).fract().min(1.0 - (f64::from(weight) * factor).fract()) < 1e-4
        })
    });
    let room = f64::from(PERIOD_MAX) - weights.len() as f64;
    let factor = exact.unwrap_or(room / sum);
    weights
        .iter()
        .map(|&weight| if weight > 0.0 { (f64::from(weight) * factor).round().max(1.0) as u32 } else { 0 })
        .collect()
}

/// One period of nginx's smooth weighted round-robin, as ranks.
fn smooth(weights: &[u32]) -> Vec<u8> {
    let sum: i64 = weights.iter().map(|&weight| i64::from(weight)).sum();
    let mut credit = vec![0_i64; weights.len()];
    (0..sum)
        .map(|_| {
            let mut best = 0;
            for (rank, &weight) in weights.iter().enumerate() {
                credit[rank] += i64::from(weight);
                if credit[rank] > credit[best] {
                    best = rank;
                }
            }
            credit[best] -= sum;
            best as u8
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::testing::{Member, World};

    fn world(weights: &[f64]) -> World<Weighted> {
        World::of().members(weights.iter().map(|&weight| Member::default().with(Column::Weight, weight)))
    }

    #[test]
    fn five_one_one_is_interleaved() {
        let mut world = world(&[5.0, 1.0, 1.0]);
        let rows: Vec<u32> = (0..7).map(|seed| world.row(seed)).collect();
        assert_eq!(rows, [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn a_period_is_exact_and_weight_zero_is_never_taken() {
        assert_eq!(world(&[3.0, 0.0, 1.0]).counts(400), [300, 0, 100]);
        assert_eq!(world(&[0.5, 0.25, 0.25]).counts(400), [200, 100, 100]);
    }

    #[test]
    fn huge_ratios_keep_the_small_one_alive() {
        let counts = world(&[1e6, 1.0]).counts(u64::from(PERIOD_MAX) * 2);
        assert!((1..=4).contains(&counts[1]), "{counts:?}");
    }

    #[test]
    fn in_every_prefix_nobody_is_a_turn_ahead_and_nobody_far_behind() {
        for weights in [vec![5, 1, 1], vec![4, 3, 2, 1], vec![7, 7, 1], vec![1; 9], vec![20, 9, 9, 3, 1]] {
            let sum: u32 = weights.iter().sum();
            let mut taken = vec![0.0_f64; weights.len()];
            for (turn, rank) in smooth(&weights).into_iter().enumerate() {
                taken[rank as usize] += 1.0;
                for (&weight, &taken) in weights.iter().zip(&taken) {
                    let ahead = taken - (turn + 1) as f64 * f64::from(weight) / f64::from(sum);
                    assert!(ahead < 1.0 && ahead > -1.5, "{weights:?} at turn {turn}: {ahead}");
                }
            }
        }
    }

    #[test]
    fn large_fleets_follow_the_weights_too() {
        let weights: Vec<f64> = (0..200).map(|rank| f64::from(rank % 4)).collect();
        let counts = world(&weights).counts(30_000);
        for (count, weight) in counts.into_iter().zip(weights) {
            assert!((f64::from(count) - 100.0 * weight).abs() <= 4.0, "{count} for {weight}");
        }
    }
}
