//! The only place of the server that reads clocks.
//!
//! Monotonic time starts at one second, so that 0 can mean "never" everywhere else. In a rehearsal it runs faster than the
//! world's, and so do the loops that look at it: whoever waits for this clock waits for [`Clock::period`].
//!
//! Invariant: only [`Clock::now`] and [`Clock::uptime_ms`] are accelerated. Measurements and wall time are the world's.

use std::time::{Duration, Instant, SystemTime};

use pilothouse_core::time::{Now, WallMs};

/// Monotonic time at the start of a run, ms.
const START_MS: u64 = 1_000;
/// Timers know nothing shorter.
const PERIOD_MIN: Duration = Duration::from_millis(1);

/// Reads the time.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
    factor: u32,
}

impl Clock {
    /// A clock that starts now and runs so many times as fast as the world's; at least once.
    #[must_use]
    pub fn start(factor: u32) -> Self {
        Self { started: instant(), factor: factor.max(1) }
    }

    /// Monotonic time.
    #[must_use]
    pub fn now(&self) -> Now {
        Now(START_MS.saturating_add(self.uptime_ms()))
    }

    /// Time on this clock since the start, ms.
    #[must_use]
    pub fn uptime_ms(&self) -> u64 {
        accelerated_ms(self.started.elapsed(), self.factor)
    }

    /// How long the world waits for a period of this clock.
    #[must_use]
    pub fn period(&self, period_ms: u64) -> Duration {
        (Duration::from_millis(period_ms) / self.factor).max(PERIOD_MIN)
    }

    /// Nanoseconds since the start, for measuring.
    #[must_use]
    pub fn nanos(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Wall time, for people.
    #[must_use]
    pub fn wall(&self) -> WallMs {
        #[expect(clippy::disallowed_methods, reason = "this is the server's clock")]
        let now = SystemTime::now();
        let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        WallMs(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }
}

fn accelerated_ms(elapsed: Duration, factor: u32) -> u64 {
    let ms = elapsed.as_micros().saturating_mul(u128::from(factor)) / 1_000;
    u64::try_from(ms).unwrap_or(u64::MAX)
}

fn instant() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "this is the server's clock")]
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rehearsal_keeps_the_proportion_of_times_and_loops() {
        for (factor, elapsed_us, accelerated, period_ms, waits_us) in [
            (1, 1_500, 1, 250, 250_000),
            (60, 1_500, 90, 15_000, 250_000),
            (600, 1_000_000, 600_000, 15_000, 25_000),
            (600, 0, 0, 100, 1_000),
            (0, 7_000, 7, 7, 7_000),
        ] {
            let clock = Clock::start(factor);
            assert_eq!(clock.period(period_ms), Duration::from_micros(waits_us), "{factor}");
            assert_eq!(accelerated_ms(Duration::from_micros(elapsed_us), clock.factor), accelerated);
        }
        assert_eq!(accelerated_ms(Duration::MAX, u32::MAX), u64::MAX);
    }
}
