//! What a task gets and when it will be done, from what is known of a member.
//!
//! Invariant: nothing is made up: without a measured or reported duration there is no estimate.

use std::collections::BTreeMap;

use super::delegation::MemberLoad;
use super::ledger::LIVE_MAX;
use crate::id::MemberId;

/// Members whose durations are remembered.
const DURATIONS_MAX: usize = 1_024;
/// Weight of the newest duration in a member's mean.
const NEWEST_SHARE: f64 = 0.3;

/// How long delegated tasks take at each member: an exponentially weighted mean.
#[derive(Debug, Clone, Default)]
pub(super) struct Durations {
    mean_ms: BTreeMap<MemberId, f64>,
}

impl Durations {
    /// A task was completed.
    pub(super) fn learn(&mut self, member: MemberId, took_ms: u64) {
        #[expect(clippy::cast_precision_loss, reason = "a duration of at most a day in ms")]
        let took_ms = took_ms as f64;
        if self.mean_ms.len() >= DURATIONS_MAX && !self.mean_ms.contains_key(&member) {
            self.mean_ms.pop_first();
        }
        let mean = self.mean_ms.entry(member).or_insert(took_ms);
        *mean += NEWEST_SHARE * (took_ms - *mean);
    }

    /// Time until a task is done: how long such work takes there, and what is before it. `None` = nothing is known.
    pub(super) fn estimate_ms(&self, member: &MemberId, load: MemberLoad) -> Option<u64> {
        let seen_ms = self.mean_ms.get(member).copied();
        estimate_ms(seen_ms, load)
    }
}

fn estimate_ms(seen_ms: Option<f64>, load: MemberLoad) -> Option<u64> {
    let service_ms = seen_ms.or_else(|| load.service_ms.filter(|ms| *ms > 0.0).map(f64::from))?;
    let capacity = f64::from(load.capacity);
    let excess = f64::from(load.active) - capacity;
    let before = f64::from(load.waiting) + excess.max(0.0);
    let rounds = if load.capacity == 0 { 1.0 } else { 1.0 + before / capacity };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates; never negative")]
    let ms = (service_ms * rounds) as u64;
    Some(ms)
}

/// Tokens of a task that does not say how many it needs: an equal share for every session that is still free there.
pub(super) fn share(free: u64, load: MemberLoad) -> u64 {
    let sessions = match load.capacity {
        0 => LIVE_MAX as u64,
        capacity => u64::from(capacity.saturating_sub(load.active)) + 1,
    };
    free / sessions
}
