//! A world that needs no file: round-trip times that hold for a while, change with routes, tremble and spike.
//!
//! Each path takes a new route at random times (on the average every `hold_slices`), which multiplies its base time by a
//! factor of a long-tailed distribution; a little noise comes on top. The shape (values hold for a minute or so, the
//! logarithm of changes is wide) is that of measured wide-area paths; the figures are ours.

use pilothouse_core::fleet::facts::mix;
use pilothouse_core::fleet::geography::Coordinates;
use serde::Deserialize;

use super::Tensor;
use crate::unit;
use crate::world::SITES;

/// How a world drifts.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Drift {
    /// Slices made.
    pub slices: usize,
    /// Time from one slice to the next, ms.
    pub slice_ms: u64,
    /// Mean time for which a route holds, slices.
    pub hold_slices: f64,
    /// Standard deviation of the logarithm of a route's factor.
    pub spread: f64,
    /// Share of noise, 0..1.
    pub noise: f64,
}

impl Default for Drift {
    fn default() -> Self {
        Self { slices: 240, slice_ms: 15_000, hold_slices: 8.0, spread: 0.8, noise: 0.03 }
    }
}

impl Drift {
    /// Clients and clusters around the sites of [`SITES`], `per_site` nodes at each.
    #[must_use]
    pub fn of_sites(&self, per_site: usize, seed: u64) -> Tensor {
        let place = |node: usize| SITES.get(node % SITES.len()).map(|site| site.place).unwrap_or_default();
        let base_ms = |source: usize, target: usize| {
            let at = |(latitude, longitude)| Coordinates { latitude, longitude };
            at(place(source)).distance_km(at(place(target))) / 100.0 + 5.0
        };
        self.over(SITES.len() * per_site, base_ms, seed)
    }

    /// A world over base times, ms, by (source, target).
    #[must_use]
    pub fn over(&self, nodes: usize, base_ms: impl Fn(usize, usize) -> f64, seed: u64) -> Tensor {
        Tensor::of(nodes, self.slices, self.slice_ms, |slice, source, target| {
            if source == target {
                return f32::NAN;
            }
            let path = mix(seed ^ mix((source as u64) << 32 | target as u64));
            let route = self.route_at(path, slice);
            let noise = 1.0 + self.noise * (2.0 * unit(mix(path ^ mix(slice as u64))) - 1.0);
            let factor = (self.spread * normal(mix(path ^ mix(!route)))).exp().max(0.5);
            #[expect(clippy::cast_possible_truncation, reason = "milliseconds fit")]
            let rtt_ms = (base_ms(source, target) * factor * noise) as f32;
            rtt_ms
        })
    }

    /// The number of the route in use: the slice in which it began. A route begins in a slice with a fixed chance.
    fn route_at(&self, path: u64, slice: usize) -> u64 {
        let begins = |slice: &usize| unit(mix(path.wrapping_add(*slice as u64))) < 1.0 / self.hold_slices;
        (1..=slice).rev().find(begins).unwrap_or_default() as u64
    }
}

/// Normally distributed with mean 0 and deviation 1 (Box and Muller 1958).
fn normal(bits: u64) -> f64 {
    let radius = (-2.0 * (1.0 - unit(bits)).ln()).sqrt();
    radius * (std::f64::consts::TAU * unit(mix(bits))).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_world_follows_its_seed_and_its_times_hold() {
        let drift = Drift { slices: 200, ..Drift::default() };
        let (one, again, other) = (drift.of_sites(1, 1), drift.of_sites(1, 1), drift.of_sites(1, 2));
        let times = |tensor: &Tensor| (0..200).map(|slice| tensor.rtt_ms(slice, 0, 5)).collect::<Vec<_>>();
        assert_eq!(times(&one), times(&again));
        assert_ne!(times(&one), times(&other));
        let changes = times(&one).windows(2).filter(|pair| (pair[1] / pair[0]).ln().abs() > 0.1).count();
        assert!((10..40).contains(&changes), "every eighth slice or so: {changes}");
        assert!(times(&one).iter().all(|rtt_ms| rtt_ms.is_finite() && *rtt_ms > 0.0));
    }
}
