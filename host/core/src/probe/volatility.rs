//! How long round-trip times hold, learned from watching them.
//!
//! Changes are counted against the time watched (a Poisson rate); older evidence fades as new comes in, so a network
//! that calms down is believed to be calm after a while.

/// Before anything was seen: one change in five minutes.
const PRIOR_MS: f32 = 300_000.0;
/// At this many changes all evidence is halved.
const CHANGES_MAX: f32 = 64.0;

/// A rate of change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Volatility {
    changes: f32,
    watched_ms: f32,
}

impl Default for Volatility {
    fn default() -> Self {
        Self { changes: 1.0, watched_ms: PRIOR_MS }
    }
}

impl Volatility {
    /// Takes two consecutive values of a path: whether they differ, and the time between them.
    pub(super) fn observe(&mut self, changed: bool, held_ms: f32) {
        self.watched_ms += held_ms;
        self.changes += if changed { 1.0 } else { 0.0 };
        if self.changes >= CHANGES_MAX {
            (self.changes, self.watched_ms) = (self.changes / 2.0, self.watched_ms / 2.0);
        }
    }

    /// Probability that a value still holds after `age_ms`.
    pub(super) fn holds(self, age_ms: f32) -> f32 {
        (-self.changes * age_ms / self.watched_ms).exp()
    }
}
