//! From ranked rows to an answer: shares as weights, the runners-up as fallbacks, a lifetime by volatility.
//!
//! Invariant: an answer has 1 to 16 targets and at most 8 fallbacks, no row twice, and no weights that are all 0.

use std::collections::BTreeMap;

use super::{Answer, Target};
use crate::{Class, Column, Fleet, Settings, mix};

const TARGETS_MAX: usize = 16;
const FALLBACKS_MAX: usize = 8;
/// Weight of a share of 1.
const WEIGHT_WHOLE: f64 = 10_000.0;
/// Sources whose volatility is remembered; what an instance holds of classes.
const SOURCES_MAX: usize = 64;
/// At a mean change by `1 / VOLATILITY_GAIN` between two updates an answer lives half as long.
const VOLATILITY_GAIN: f32 = 20.0;

/// A row and what is minimised; infinite if unknown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// What is minimised.
    pub cost: f32,
    /// The row.
    pub row: u32,
}

/// The eligible rows, cheapest first, unknown (NaN) last, ties by the seed.
#[must_use]
pub fn ranked(class: &Class, seed: u64, cost: impl Fn(u32) -> f32) -> Vec<Ranked> {
    let known = |cost: f32| if cost.is_nan() { f32::INFINITY } else { cost };
    let mut rows: Vec<Ranked> =
        class.rows().iter().map(|&row| Ranked { cost: known(cost(row)), row }).collect();
    let tie = |row: u32| mix(seed ^ u64::from(row));
    rows.sort_unstable_by(|a, b| a.cost.total_cmp(&b.cost).then_with(|| tie(a.row).cmp(&tie(b.row))));
    rows
}

/// Time until a request to the row succeeds, ms: `rtt / (1 - error rate)`, as failures are tried again. NaN without a
/// round-trip time. Needs [`Column::ErrorRate`] and [`Column::RttMs`]. The member's own response time is left
/// out: round trips that are measured on requests contain it.
#[must_use]
pub fn expected_ms(fleet: &Fleet, class: &Class, row: u32) -> f32 {
    let errors = fleet.f32(Column::ErrorRate, row);
    let errors = if errors.is_nan() { 0.0 } else { errors.clamp(0.0, 0.99) };
    class.rtt_ms(row) / (1.0 - errors)
}

/// Shares for the rows whose cost differs from the chosen one's by at most `spread` of it, in proportion to their
/// [`Column::Weight`]. Rows of unknown cost join each other only.
#[must_use]
pub fn near(fleet: &Fleet, order: &[Ranked], chosen: Ranked, spread: f32) -> Vec<(u32, f32)> {
    let equal = |cost: f32| cost == chosen.cost || (cost - chosen.cost).abs() <= spread * chosen.cost.abs();
    let others = order.iter().filter(|other| other.row != chosen.row && equal(other.cost));
    let rows = std::iter::once(&chosen).chain(others).take(TARGETS_MAX);
    rows.map(|ranked| (ranked.row, fleet.f32(Column::Weight, ranked.row))).collect()
}

/// An answer of shares (in any unit), the largest first; the best of the others become fallbacks. Shares too small to
/// count are left out, unless all are.
#[must_use]
pub fn answer(shares: &[(u32, f32)], order: &[Ranked], reason: u32, ttl_ms: u32) -> Answer {
    // In f64, because a sum of shares that are very large would be infinite.
    let positive = |share: f32| if share > 0.0 && share.is_finite() { f64::from(share) } else { 0.0 };
    let sum: f64 = shares.iter().map(|&(_, share)| positive(share)).sum();
    let weight =
        |share: f32| if sum > 0.0 { (positive(share) / sum * WEIGHT_WHOLE).round() as u32 } else { 1 };
    let mut targets: Vec<Target> =
        shares.iter().map(|&(row, share)| Target { row, weight: weight(share) }).collect();
    targets.retain(|target| target.weight > 0);
    targets.sort_by_key(|target| std::cmp::Reverse(target.weight));
    targets.truncate(TARGETS_MAX);
    let unused = |row: u32| targets.iter().all(|target| target.row != row);
    let fallbacks =
        order.iter().map(|ranked| ranked.row).filter(|&row| unused(row)).take(FALLBACKS_MAX).collect();
    Answer { targets, fallbacks, ttl_ms, reason }
}

/// How long answers live: `longest / (1 + 20 x mean relative change of the best cost between updates)`.
///
/// What it has seen of a source is a cache of the instance; losing it makes one answer live longer.
#[derive(Debug)]
pub struct Lifetime {
    longest_ms: u32,
    sources: BTreeMap<u32, Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    version: u64,
    cost: f32,
    change: f32,
}

impl Lifetime {
    /// Reads `ttl-ms`, the longest lifetime; 10 s unless set.
    pub fn of(settings: &mut Settings) -> Self {
        Self { longest_ms: settings.integer("ttl-ms", 10_000, 100..=3_600_000), sources: BTreeMap::new() }
    }

    /// The lifetime of an answer whose best cost is `cost`.
    pub fn ms(&mut self, class: &Class, cost: f32) -> u32 {
        while self.sources.len() >= SOURCES_MAX && !self.sources.contains_key(&class.id()) {
            self.sources.pop_first();
        }
        let seen = self.sources.entry(class.id()).or_default();
        if seen.version != class.version() {
            if seen.cost > 0.0 && cost > 0.0 && seen.cost.is_finite() && cost.is_finite() {
                seen.change += ((cost / seen.cost).ln().abs() - seen.change) / 4.0;
            }
            (seen.version, seen.cost) = (class.version(), cost);
        }
        (self.longest_ms as f32 / (1.0 + VOLATILITY_GAIN * seen.change)) as u32
    }
}
