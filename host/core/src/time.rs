//! Time as data: the shell reads clocks, everything else is told.
//!
//! Durations and ages use [`Now`], the receiver's monotonic clock; [`WallMs`] is for people and never decides.

/// Milliseconds on the host's monotonic clock. Starts at an arbitrary positive value per run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Now(pub u64);

impl Now {
    /// Milliseconds since `earlier`; 0 if that lies in the future.
    #[must_use]
    pub fn since_ms(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This time plus a duration.
    #[must_use]
    pub fn plus_ms(self, duration_ms: u64) -> Self {
        Self(self.0.saturating_add(duration_ms))
    }
}

/// Milliseconds since the Unix epoch, for people and files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct WallMs(pub u64);
