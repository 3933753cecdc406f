//! When rebalancing is worth a thought: a cause that held for several windows in a row.
//!
//! Invariant: a single odd window triggers nothing. Remembers members that are too full now, no others.

use std::collections::BTreeMap;

use super::{Imbalance, Rules, Snapshot};
use crate::id::MemberId;

/// Why a plan was made.
#[derive(Debug, Clone, PartialEq)]
pub enum Cause {
    /// The fleet has been out of balance.
    Imbalance {
        /// Highest utilisation over the mean.
        ratio: f64,
    },
    /// A member has been too full.
    Full {
        /// Who.
        member: MemberId,
        /// Its utilisation.
        utilisation: f64,
    },
    /// Somebody asked.
    Asked {
        /// Who.
        by: String,
    },
}

/// Counts windows in which a cause held.
#[derive(Debug, Clone, Default)]
pub struct Trigger {
    uneven: u32,
    full: BTreeMap<MemberId, u32>,
}

impl Trigger {
    /// Looks at the fleet at the end of a window. After it answered with a cause it counts anew, so that a plan has as
    /// many windows to show its effect.
    pub fn observe(&mut self, rules: &Rules, snapshot: &Snapshot) -> Option<Cause> {
        let ratio = Imbalance::of(&snapshot.members).ratio();
        self.uneven = if ratio > rules.imbalance_max { self.uneven.saturating_add(1) } else { 0 };
        let full = snapshot.members.iter().filter(|member| member.utilisation() > rules.full_share);
        let counted = full.map(|member| {
            let before = self.full.get(&member.id).copied().unwrap_or(0);
            (member.id.clone(), before.saturating_add(1))
        });
        self.full = counted.collect();
        let fullest = self.full.iter().find(|(_, windows)| **windows >= rules.windows).map(|(id, _)| id);
        let member = fullest.and_then(|id| snapshot.members.iter().find(|member| member.id == *id));
        let cause = match member {
            Some(member) => {
                Some(Cause::Full { member: member.id.clone(), utilisation: member.utilisation() })
            }
            None => (self.uneven >= rules.windows).then_some(Cause::Imbalance { ratio }),
        };
        if cause.is_some() {
            *self = Self::default();
        }
        cause
    }
}
