//! One path: what was seen last, what is usual, how much it trembles.
//!
//! What to expect is the last value while it is fresh, and moves to the usual one as it ages: on measured wide-area
//! paths fresh last values beat smoothed ones by far, and old last values mislead. Trembling counts for a tenth at
//! most: enough to prefer the calmer of near equals, too little to hide a better path.

use super::Volatility;
use crate::time::Now;

/// The lowest value is that of the last 60 to 120 s.
const LOWEST_WINDOW_MS: u64 = 60_000;
/// Gain of the usual value's mean (of logarithms) and of the jitter's.
const USUAL_GAIN: f32 = 0.25;
const JITTER_GAIN: f32 = 0.125;
/// Gain of the loss: some twenty tries are recent.
const LOSS_GAIN: f32 = 0.05;
/// Share of a value that its jitter may add.
const JITTER_SHARE_MAX: f32 = 0.1;
/// A relative difference above this, and 1 ms, is a change of the path and no noise.
const CHANGE_MIN: f32 = 0.1;
/// Nothing is nearer, ms; keeps logarithms finite.
const RTT_MIN_MS: f32 = 0.01;

/// What is known of a path.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Path {
    /// When it was last probed or used.
    pub tried_at: Now,
    /// When it was last measured.
    pub seen_at: Now,
    /// The last round-trip time, ms; NaN if it never answered.
    pub last_ms: f32,
    /// Mean difference between consecutive round-trip times, ms.
    pub jitter_ms: f32,
    /// Probes and requests so far.
    pub tries: u32,
    /// Share of recent tries without an answer, 0..1.
    pub loss: f32,
    usual_ln: f32,
    lowest_from: Now,
    lowest_ms: f32,
    lowest_before_ms: f32,
}

impl Path {
    pub(super) fn unanswered(now: Now) -> Self {
        Self {
            tried_at: now,
            seen_at: now,
            last_ms: f32::NAN,
            jitter_ms: 0.0,
            tries: 0,
            loss: 0.0,
            usual_ln: f32::NAN,
            lowest_from: now,
            lowest_ms: f32::INFINITY,
            lowest_before_ms: f32::INFINITY,
        }
    }

    pub(super) fn seen(rtt_ms: f32, now: Now) -> Self {
        let mut path = Self::unanswered(now);
        path.observe(rtt_ms, now);
        path
    }

    /// Takes a value; says whether the path changed since the one before and how long ago that was, ms.
    pub(super) fn observe(&mut self, rtt_ms: f32, now: Now) -> Option<(bool, f32)> {
        let rtt_ms = rtt_ms.max(RTT_MIN_MS);
        self.count(0.0);
        self.take_lowest(rtt_ms, now);
        let (before_ms, before_at) = (self.last_ms, self.seen_at);
        (self.last_ms, self.seen_at, self.tried_at) = (rtt_ms, now, now);
        if before_ms.is_nan() {
            self.usual_ln = rtt_ms.ln();
            return None;
        }
        let difference_ms = (rtt_ms - before_ms).abs();
        self.jitter_ms += JITTER_GAIN * (difference_ms - self.jitter_ms);
        self.usual_ln += USUAL_GAIN * (rtt_ms.ln() - self.usual_ln);
        let changed = difference_ms > (CHANGE_MIN * before_ms).max(1.0);
        Some((changed, milliseconds(now.since_ms(before_at))))
    }

    /// Notes that a probe brought nothing back.
    pub(super) fn miss(&mut self, now: Now) {
        self.count(1.0);
        self.tried_at = now;
    }

    /// The mean of all tries at first, of the recent ones later.
    fn count(&mut self, lost: f32) {
        self.tries = self.tries.saturating_add(1);
        #[expect(clippy::cast_precision_loss, reason = "above a few tens the gain is fixed")]
        let gain = (1.0 / self.tries as f32).max(LOSS_GAIN);
        self.loss += gain * (lost - self.loss);
    }

    fn take_lowest(&mut self, rtt_ms: f32, now: Now) {
        let elapsed_ms = now.since_ms(self.lowest_from);
        if elapsed_ms >= LOWEST_WINDOW_MS {
            let recent = elapsed_ms < 2 * LOWEST_WINDOW_MS;
            self.lowest_before_ms = if recent { self.lowest_ms } else { f32::INFINITY };
            (self.lowest_from, self.lowest_ms) = (now, f32::INFINITY);
        }
        self.lowest_ms = self.lowest_ms.min(rtt_ms);
    }

    /// The lowest recent value, ms: the path without its queues. Infinite if it never answered.
    #[must_use]
    pub fn lowest_ms(&self) -> f32 {
        self.lowest_ms.min(self.lowest_before_ms)
    }

    /// Probability that the last value still holds.
    pub(super) fn trust(&self, volatility: Volatility, now: Now) -> f32 {
        if self.last_ms.is_nan() { 0.0 } else { volatility.holds(milliseconds(now.since_ms(self.seen_at))) }
    }

    /// The round-trip time to expect, ms; NaN if it never answered.
    pub(super) fn expected_ms(&self, volatility: Volatility, now: Now) -> f32 {
        let trust = self.trust(volatility, now);
        let middle_ms = (trust * self.last_ms.ln() + (1.0 - trust) * self.usual_ln).exp();
        middle_ms + (2.0 * self.jitter_ms).min(JITTER_SHARE_MAX * middle_ms)
    }
}

fn milliseconds(duration_ms: u64) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "ages need few digits")]
    let milliseconds = duration_ms as f32;
    milliseconds
}
