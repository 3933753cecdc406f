//! What a control plane can be told and asked about round-trip times.
//!
//! Invariant: a sample is about a registered member; the region it comes from may be any, because users are where no
//! member is.

use pilothouse_core::id::{Label, MemberId};
use pilothouse_core::probe::Path;
use pilothouse_core::time::Now;

use super::ServiceError;

/// Longest round-trip time that is believed, ms.
pub const RTT_MS_MAX: f32 = 60_000.0;

/// One try to reach a member, by whoever made it.
#[derive(Debug, Clone, PartialEq)]
pub struct RttSample {
    /// Region it was made from.
    pub source: Label,
    /// Who was to be reached.
    pub target: MemberId,
    /// Time until the answer, ms; `None` = no answer came.
    pub rtt_ms: Option<f32>,
}

impl RttSample {
    /// Checks the time.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] if it cannot be.
    pub fn check(&self) -> Result<(), ServiceError> {
        match self.rtt_ms {
            Some(rtt_ms) if !(0.0..=RTT_MS_MAX).contains(&rtt_ms) => Err(ServiceError::Invalid {
                field: "rtt_ms".to_owned(),
                problem: format!(
                    "{rtt_ms} is out of range; use 0 to {RTT_MS_MAX}, or none if no answer came"
                ),
            }),
            _ => Ok(()),
        }
    }
}

/// Which ways are asked for; what is `None` is any.
#[derive(Debug, Clone, Default)]
pub struct RttFilter {
    /// From this region.
    pub source: Option<Label>,
    /// To this member.
    pub target: Option<MemberId>,
    /// At most so many.
    pub limit: usize,
}

/// What is known of the way from a region to a member.
#[derive(Debug, Clone)]
pub struct RttInfo {
    /// From.
    pub source: Label,
    /// To.
    pub target: MemberId,
    /// Region of the member.
    pub region: Option<Label>,
    /// What was seen.
    pub path: Path,
    /// Time to expect now, ms; NaN if it never answered.
    pub expected_ms: f32,
    /// Whether decisions use it; stale values are not used.
    pub fresh: bool,
    /// The clock that the path's times are on.
    pub now: Now,
}

impl RttInfo {
    /// How old the last measured time is, ms; `None` if the member never answered.
    #[must_use]
    pub fn age_ms(&self) -> Option<u64> {
        (!self.path.last_ms.is_nan()).then(|| self.now.since_ms(self.path.seen_at))
    }
}
