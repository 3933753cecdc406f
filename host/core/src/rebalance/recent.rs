//! What was moved lately: the budget of a window, and the cooldown of each workload.
//!
//! Invariant: at most [`RECENT_MAX`] moves are remembered; at the bound there is no budget until old ones are forgotten.
//! A move counts from its start, whether it succeeds or not.

use std::collections::BTreeMap;

use super::Rules;
use crate::id::AgentName;
use crate::time::Now;

/// Most moves remembered: a million workloads at one per cent in each of ten windows.
pub const RECENT_MAX: usize = 100_000;

/// Moves that still count.
#[derive(Debug, Clone, Default)]
pub struct Recent {
    pub(super) started: BTreeMap<AgentName, Now>,
}

impl Recent {
    /// Notes the start of a move and forgets what no longer counts.
    pub fn note(&mut self, rules: &Rules, workload: &AgentName, now: Now) {
        let counts_ms = rules.cooldown_ms.max(rules.window_ms);
        self.started.retain(|_, started| now.since_ms(*started) < counts_ms);
        if self.started.len() < RECENT_MAX {
            self.started.insert(workload.clone(), now);
        }
    }

    /// Whether a workload moved too recently.
    #[must_use]
    pub fn cools_down(&self, rules: &Rules, workload: &AgentName, now: Now) -> bool {
        self.started.get(workload).is_some_and(|started| now.since_ms(*started) < rules.cooldown_ms)
    }

    /// How many of `workloads` may still start to move now.
    #[must_use]
    pub fn budget(&self, rules: &Rules, workloads: usize, now: Now) -> usize {
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of at most a million workloads"
        )]
        let allowed = ((workloads as f64 * rules.moved_share_max) as usize).max(1);
        let in_window = |started: &&Now| now.since_ms(**started) < rules.window_ms;
        let moved = self.started.values().filter(in_window).count();
        allowed.saturating_sub(moved).min(RECENT_MAX.saturating_sub(self.started.len()))
    }
}
