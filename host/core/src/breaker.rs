//! Circuit breaker of one member: stops sending work to a member whose work keeps failing.
//!
//! closed --[`FAILURES_TO_OPEN`] failures in a row--> open --[`OPEN_MS`] +- 20 %--> half-open (bounded trials)
//! --all trials succeed--> closed | --one fails--> open
//!
//! Invariant: while half-open at most [`TRIALS`] pieces of work are let through per opening. Time and jitter come in as arguments.

use crate::fleet::facts::mix;
use crate::time::Now;

/// Failures in a row that open the circuit (documented default).
pub const FAILURES_TO_OPEN: u32 = 5;
/// How long it stays open, ms (documented default), before jitter of +- 20 %.
pub const OPEN_MS: u64 = 30_000;
/// Pieces of work let through while half-open.
pub const TRIALS: u32 = 3;

/// State of a circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breaker {
    /// Work flows; failures in a row are counted.
    Closed {
        /// Failures since the last success.
        failures: u32,
    },
    /// No work until the time.
    Open {
        /// When trials start.
        until: Now,
    },
    /// A few trials.
    HalfOpen {
        /// Trials that succeeded.
        successes: u32,
        /// If no trial reported by then, new trials are let through: lost outcomes must not lock a member out.
        until: Now,
    },
}

impl Default for Breaker {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

/// What a breaker is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Work succeeded.
    Success,
    /// Work failed.
    Failure,
    /// Time passed.
    Tick,
}

impl Breaker {
    /// The next state. `seed` jitters the open time.
    #[must_use]
    pub fn step(self, input: Input, now: Now, seed: u64) -> Self {
        let open = Self::Open { until: now.plus_ms(jittered(seed)) };
        match (self, input) {
            (Self::Closed { .. }, Input::Success) => Self::Closed { failures: 0 },
            (Self::Closed { failures }, Input::Failure) if failures + 1 >= FAILURES_TO_OPEN => open,
            (Self::Closed { failures }, Input::Failure) => Self::Closed { failures: failures + 1 },
            (Self::Open { until }, Input::Tick) if until <= now => {
                Self::HalfOpen { successes: 0, until: now.plus_ms(OPEN_MS) }
            }
            (Self::HalfOpen { successes, .. }, Input::Success) if successes + 1 >= TRIALS => Self::default(),
            (Self::HalfOpen { successes, until }, Input::Success) => {
                Self::HalfOpen { successes: successes + 1, until }
            }
            (Self::HalfOpen { .. }, Input::Failure) => open,
            (Self::HalfOpen { until, .. }, Input::Tick) if until <= now => {
                Self::HalfOpen { successes: 0, until: now.plus_ms(OPEN_MS) }
            }
            // Outcomes of work sent before the circuit opened arrive late; they say nothing new.
            (state, _late) => state,
        }
    }

    /// The gate that decisions pass: `None` = open to all, `Some(n)` = at most `n` trials.
    #[must_use]
    pub fn gate(self) -> Option<u32> {
        match self {
            Self::Closed { .. } => None,
            Self::Open { .. } => Some(0),
            Self::HalfOpen { .. } => Some(TRIALS),
        }
    }

    /// The name of the state.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed { .. } => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen { .. } => "half-open",
        }
    }
}

fn jittered(seed: u64) -> u64 {
    // Uniform in 80 % ..= 120 %.
    OPEN_MS * 8 / 10 + mix(seed) % (OPEN_MS * 4 / 10 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks a text of events: `s` success, `f` failure, `t` tick now, `T` tick after the open time.
    fn walk(events: &str) -> Breaker {
        let mut now = Now(1);
        events.chars().fold(Breaker::default(), |state, event| {
            let input = match event {
                's' => Input::Success,
                'f' => Input::Failure,
                't' => Input::Tick,
                _ => {
                    now = now.plus_ms(OPEN_MS * 2);
                    Input::Tick
                }
            };
            state.step(input, now, 7)
        })
    }

    #[test]
    fn five_failures_in_a_row_open_and_three_trials_close() {
        for (events, name) in [
            ("ffff", "closed"),
            ("fffff", "open"),
            ("ffffsf", "closed"),
            ("ffffft", "open"),
            ("fffffT", "half-open"),
            ("fffffTss", "half-open"),
            ("fffffTsss", "closed"),
            ("fffffTsf", "open"),
            ("fffffs", "open"),
        ] {
            assert_eq!(walk(events).name(), name, "{events}");
        }
    }

    #[test]
    fn in_every_sequence_work_flows_only_after_fewer_failures_or_a_passed_trial() {
        let alphabet = ['s', 'f', 't', 'T'];
        for length in 0..=8_u32 {
            for code in 0..4_u32.pow(length) {
                let events: String =
                    (0..length).map(|place| alphabet[(code / 4_u32.pow(place) % 4) as usize]).collect();
                let failures_at_end =
                    events.chars().rev().filter(|c| !"tT".contains(*c)).take_while(|&c| c == 'f').count();
                if failures_at_end >= FAILURES_TO_OPEN as usize && !events.ends_with('T') {
                    assert_ne!(walk(&events).gate(), None, "{events}");
                }
            }
        }
    }

    #[test]
    fn the_open_time_is_jittered_by_at_most_a_fifth() {
        for seed in 0..1_000 {
            assert!((OPEN_MS * 8 / 10..=OPEN_MS * 12 / 10).contains(&jittered(seed)));
        }
    }
}
