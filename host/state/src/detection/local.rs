//! Our own health: whoever stood still itself must not accuse others (Lifeguard's local health).
//!
//! Invariant: time in which we did not run is taken out of all silences, and for a while afterwards all time-outs are
//! stretched, at most [`STRETCH_MAX`] times.

use pilothouse_core::time::Now;

use super::Rules;

/// Longest stretch.
const STRETCH_MAX: u64 = 8;
/// Time without a stall after which the stretch falls by one, ms.
const CALM_MS: u64 = 1_000;

/// How punctual we are.
#[derive(Debug, Clone, Default)]
pub(super) struct LocalHealth {
    last: Option<Now>,
    stalled_ms: u64,
    stalls: u64,
    calm_since: Now,
}

impl LocalHealth {
    /// Notes that we run; answers with the steady time, in which we never stood still.
    pub(super) fn steady(&mut self, rules: &Rules, now: Now) -> Now {
        let last = self.last.unwrap_or(now);
        let now = now.max(last);
        let gap_ms = now.since_ms(last);
        if gap_ms > rules.lag_max_ms {
            self.stalled_ms = self.stalled_ms.saturating_add(gap_ms.saturating_sub(rules.tick_ms));
            self.stalls = (self.stalls + 1).min(STRETCH_MAX - 1);
            self.calm_since = now;
        } else if now.since_ms(self.calm_since) >= CALM_MS {
            self.stalls = self.stalls.saturating_sub(1);
            self.calm_since = now;
        }
        self.last = Some(now);
        Now(now.0.saturating_sub(self.stalled_ms))
    }

    /// By what all time-outs are multiplied, 1 when all is well.
    pub(super) fn stretch(&self) -> u64 {
        1 + self.stalls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stalls_are_taken_out_of_time_and_stretch_it_for_a_while() {
        let rules = Rules::default();
        let mut local = LocalHealth::default();
        let mut now = 1_000;
        for (name, gap_ms, steady, stretch) in [
            ("start", 0, 1_000, 1),
            ("on time", 20, 1_020, 1),
            ("a stall of five seconds", 5_000, 1_040, 2),
            ("on time again", 20, 1_060, 2),
            ("another stall", 101, 1_080, 3),
        ] {
            now += gap_ms;
            assert_eq!((local.steady(&rules, Now(now)), local.stretch()), (Now(steady), stretch), "{name}");
        }
        assert_eq!(local.steady(&rules, Now(0)), Now(1_080), "a clock that jumps back");
        for _ in 0..120 {
            now += 20;
            local.steady(&rules, Now(now));
        }
        assert_eq!(local.stretch(), 1, "forgiven after calm");
        for _ in 0..100 {
            now += 500;
            local.steady(&rules, Now(now));
        }
        assert_eq!(local.stretch(), STRETCH_MAX);
    }
}
