//! The only place of the server that reads clocks.
//!
//! Monotonic time starts at one second, so that 0 can mean "never" everywhere else.

use std::time::{Instant, SystemTime};

use pilothouse_core::time::{Now, WallMs};

/// Monotonic time at the start of a run, ms.
const START_MS: u64 = 1_000;

/// Reads the time.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        Self { started: instant() }
    }

    /// Monotonic time.
    #[must_use]
    pub fn now(&self) -> Now {
        Now(START_MS + u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX - START_MS))
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

fn instant() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "this is the server's clock")]
    Instant::now()
}
