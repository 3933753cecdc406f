//! A hybrid logical clock (Kulkarni et al. 2014): close to wall time, and never back.
//!
//! Invariant: every stamp is larger than all stamps given or received before. Remote clocks more than
//! [`AHEAD_MS_MAX`] ahead are refused, so that one wrong clock does not drag all others along.

use std::fmt;

use pilothouse_core::time::WallMs;

/// How far ahead a remote stamp may be, ms.
pub const AHEAD_MS_MAX: u64 = 500;

const COUNTER_BITS: u32 = 16;

/// 48 bits of milliseconds, 16 bits of counter; ordered as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Stamp(pub u64);

impl Stamp {
    /// Its milliseconds.
    #[must_use]
    pub fn wall_ms(self) -> u64 {
        self.0 >> COUNTER_BITS
    }
}

/// A remote clock is too far ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockSkew {
    /// How far, ms.
    pub ahead_ms: u64,
}

impl fmt::Display for ClockSkew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the remote clock is {} ms ahead, at most {AHEAD_MS_MAX} are accepted", self.ahead_ms)
    }
}

impl std::error::Error for ClockSkew {}

/// The clock of one host.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hlc {
    last: Stamp,
}

impl Hlc {
    /// A stamp for a local event.
    pub fn tick(&mut self, wall: WallMs) -> Stamp {
        self.last = Stamp((self.last.0 + 1).max(wall.0 << COUNTER_BITS));
        self.last
    }

    /// A stamp for the receipt of a remote one.
    ///
    /// # Errors
    /// [`ClockSkew`]; the clock is unchanged.
    pub fn receive(&mut self, remote: Stamp, wall: WallMs) -> Result<Stamp, ClockSkew> {
        let ahead_ms = remote.wall_ms().saturating_sub(wall.0);
        if ahead_ms > AHEAD_MS_MAX {
            return Err(ClockSkew { ahead_ms });
        }
        self.last = self.last.max(remote);
        Ok(self.tick(wall))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn stamps_only_grow_whatever_the_clocks_do(steps in prop::collection::vec((0_u64..2_000, prop::option::of(0_u64..3_000)), 1..60)) {
            let mut clock = Hlc::default();
            let mut last = Stamp::default();
            for (wall, remote) in steps {
                let remote = remote.map(|ms| Stamp(ms << COUNTER_BITS | 7));
                let stamp = match remote {
                    None => Some(clock.tick(WallMs(wall))),
                    Some(remote) => clock.receive(remote, WallMs(wall)).ok().inspect(|stamp| assert!(*stamp > remote)),
                };
                if let Some(stamp) = stamp {
                    prop_assert!(stamp > last);
                    last = stamp;
                }
            }
        }
    }

    #[test]
    fn a_clock_too_far_ahead_is_refused() {
        let error = Hlc::default().receive(Stamp(1_501 << COUNTER_BITS), WallMs(1_000)).unwrap_err();
        assert_eq!(error, ClockSkew { ahead_ms: 501 });
    }
}
