//! How long a pause would be, and whether to freeze, to copy once more, or to give up.
//!
//! pause = last delta / bandwidth + 1.5 round trips + start (Clark et al., "Live migration of virtual
//! machines", NSDI 2005)
//!
//! Invariant: the forecast of a plan and the running migration decide by the same rule, one with assumed
//! rates, one with measured ones.

use crate::charter::{Charter, Link};

/// The pause if the source were frozen now, µs; without bandwidth it is endless, unless nothing has to pass.
#[must_use]
pub fn pause_us(last_delta_bytes: u64, link: Link, start_us: u64) -> u64 {
    let round_trips_us = link.rtt_us.saturating_add(link.rtt_us / 2);
    transfer_us(last_delta_bytes, link).saturating_add(round_trips_us).saturating_add(start_us)
}

/// How long bytes take, µs, rounded up.
pub(super) fn transfer_us(bytes: u64, link: Link) -> u64 {
    if bytes == 0 {
        return 0;
    }
    let bandwidth = u128::from(link.bandwidth_bytes_per_s);
    let exact = (u128::from(bytes) * 1_000_000).checked_add(bandwidth.saturating_sub(1));
    let micros = exact.and_then(|scaled| scaled.checked_div(bandwidth));
    micros.and_then(|micros| u64::try_from(micros).ok()).unwrap_or(u64::MAX)
}

/// What one round of copying showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Round {
    /// Its number, from 1.
    pub(crate) number: u32,
    /// Bytes that were missing on the target before it.
    pub(crate) dirty_before_bytes: u64,
    /// Bytes that are missing after it.
    pub(crate) dirty_bytes: u64,
    /// The way, as measured.
    pub(crate) link: Link,
}

/// What follows a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The pause fits.
    Freeze,
    /// The delta still shrinks.
    CopyAgain,
    /// The pause would be too long, and more rounds do not help.
    GiveUp,
}

impl Round {
    /// The pause after this round, µs.
    pub(crate) fn pause_us(&self, charter: &Charter) -> u64 {
        pause_us(self.dirty_bytes, self.link, charter.start_us)
    }

    /// The first round sends everything, so only later ones can be compared with the one before.
    pub(crate) fn next(&self, charter: &Charter) -> Next {
        let patience = &charter.patience;
        if self.pause_us(charter) <= charter.options.max_downtime_ms.saturating_mul(1_000) {
            return Next::Freeze;
        }
        let kept_percent = u128::from(100u64.saturating_sub(patience.gain_min_percent));
        let shrinks =
            u128::from(self.dirty_bytes) * 100 <= u128::from(self.dirty_before_bytes) * kept_percent;
        let may_help = self.number <= 1 || shrinks;
        if may_help && self.number < patience.rounds_max { Next::CopyAgain } else { Next::GiveUp }
    }
}
