//! Loads made from a seed, for where no recording is at hand.

use std::f64::consts::TAU;

use pilothouse_core::fleet::facts::mix;
use serde::Deserialize;

use super::Trace;

/// What a made-up load looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A wave of a day.
    Daily,
    /// Five times as much from the middle on.
    Step,
    /// Now and then, at no particular time, four times as much for ten minutes.
    Spikes,
    /// On every third half hour or so, four times as much for ten minutes: newsletters, timers, matches.
    Surges,
    /// A wave of a day with forty minutes in which nothing was recorded.
    Gap,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Daily, Self::Step, Self::Spikes, Self::Surges, Self::Gap];
}

const HALF_HOUR: usize = 1_800;
const SURGE: usize = 600;

/// Arrivals for some seconds around a mean rate per second, with the noise of independent callers.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a year of seconds fits")]
pub fn synthetic(kind: Kind, seconds: usize, mean_per_s: f64, seed: u64) -> Trace {
    let shape = |second: usize| {
        let wave = 1.0 + 0.5 * (second as f64 / 86_400.0 * TAU).sin();
        let half_hour = second / HALF_HOUR;
        let in_surge = second % HALF_HOUR < SURGE;
        match kind {
            Kind::Daily => wave,
            Kind::Step => {
                if second >= seconds / 2 {
                    2.5
                } else {
                    0.5
                }
            }
            Kind::Spikes => {
                let start =
                    half_hour * HALF_HOUR + (unit(seed, half_hour, 1) * (HALF_HOUR - SURGE) as f64) as usize;
                let hit = unit(seed, half_hour, 2) < 0.1 && (start..start + SURGE).contains(&second);
                if hit { 4.0 } else { 1.0 }
            }
            Kind::Surges => {
                if in_surge && unit(seed, half_hour, 2) < 0.35 {
                    4.0
                } else {
                    1.0
                }
            }
            Kind::Gap => {
                let middle = seconds / 2;
                if (middle..middle + 2_400).contains(&second) { 0.0 } else { wave }
            }
        }
    };
    let per_second = (0..seconds).map(|second| {
        let rate = mean_per_s * shape(second);
        // A Poisson count, near enough: mean and variance are the rate, twelve draws make a bell.
        let bell: f64 = (3..15).map(|draw| unit(seed, second, draw)).sum::<f64>() - 6.0;
        (rate + rate.sqrt() * bell).round().max(0.0)
    });
    Trace { per_second: per_second.collect(), step_at_s: (kind == Kind::Step).then_some(seconds / 2) }
}

/// A number in `0.0 ..< 1.0`.
#[expect(clippy::cast_precision_loss, reason = "53 bits are kept")]
fn unit(seed: u64, index: usize, draw: u64) -> f64 {
    let bits = mix(mix(seed ^ mix(index as u64)).wrapping_add(draw));
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}
