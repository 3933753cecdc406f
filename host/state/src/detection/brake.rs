//! The brake: when too many vanish at once, the likelier reason is us, our network or our store.
//!
//! Invariant: on when more than a share (and at least a few) are missing, off when no more than half of that share is:
//! the gap keeps it from flapping. Who is declared dead under it is decided by the machine.

use std::collections::BTreeSet;

use pilothouse_core::id::Label;

use super::{Command, Rules};

/// What a brake is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// All members.
    Fleet,
    /// The members of a region.
    Region(Label),
}

/// Why a brake was lifted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lifted {
    /// Enough members are heard again.
    Returned,
    /// Observers in other places find the region dead, too.
    Observers,
    /// An operator confirmed that the missing are gone.
    Confirmed {
        /// Who.
        by: String,
    },
}

/// Members of a scope, counted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    /// That are missing, or died within the window.
    pub(super) lost: usize,
    /// That could be missing: without those dead for long.
    pub(super) of: usize,
    /// That are dead, or would be without a brake.
    pub(super) gone: usize,
    /// All.
    pub(super) all: usize,
}

/// Brakes that are on.
#[derive(Debug, Clone, Default)]
pub(super) struct Brakes {
    on: BTreeSet<Scope>,
}

impl Brakes {
    pub(super) fn is_on(&self, scope: &Scope) -> bool {
        self.on.contains(scope)
    }

    pub(super) fn any(&self) -> bool {
        !self.on.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.on.iter()
    }

    /// Sets one brake by the tally of its scope; `why` it would be lifted.
    pub(super) fn judge(
        &mut self,
        rules: &Rules,
        scope: Scope,
        tally: Tally,
        why: Lifted,
    ) -> Option<Command> {
        let share = match scope {
            Scope::Fleet => rules.fleet_share,
            Scope::Region(_) => rules.region_share,
        };
        #[allow(clippy::cast_precision_loss, reason = "at most 65,536 members")]
        let (lost, allowed) = (tally.lost as f64, share * tally.of as f64);
        let few = tally.lost < rules.lost_min;
        if !few && lost > allowed {
            let command = Command::BrakeOn { scope: scope.clone(), lost: tally.lost, of: tally.of };
            return self.on.insert(scope).then_some(command);
        }
        let over = few || lost * 2.0 <= allowed;
        (over && self.on.remove(&scope)).then_some(Command::BrakeOff { scope, why })
    }

    /// Forgets brakes of scopes that are no more.
    pub(super) fn retain(&mut self, exists: impl Fn(&Scope) -> bool) -> Vec<Scope> {
        self.on.extract_if(.., |scope| !exists(scope)).collect()
    }
}
