//! What the registry tells the world: one entry per change, facts as fields.

use crate::id::MemberId;
use crate::member::{Health, MemberKind, Role, Standing, Status};

/// Why a member is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// Somebody asked.
    Requested,
    /// It had not reported for longer than `remove_after_ms`.
    Silent,
}

/// A change of one member, or of the registry as a whole.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A new member.
    Registered {
        /// Its kind.
        kind: MemberKind,
    },
    /// A known member registered again.
    Updated,
    /// It is gone.
    Unregistered {
        /// Why.
        why: Removal,
    },
    /// Presence changed.
    Status {
        /// Before.
        from: Status,
        /// Now.
        to: Status,
    },
    /// The failure detector thinks otherwise of it.
    Standing {
        /// Before.
        from: Standing,
        /// Now.
        to: Standing,
    },
    /// Health changed.
    Health {
        /// Before.
        from: Health,
        /// Now.
        to: Health,
    },
    /// Role changed.
    Role {
        /// Before.
        from: Role,
        /// Now.
        to: Role,
    },
    /// The breaker changed state.
    Breaker {
        /// State before.
        from: &'static str,
        /// State now.
        to: &'static str,
    },
    /// Too many members vanished at once; nobody is removed until they return or an operator removes them.
    MassLoss {
        /// Members that are offline.
        lost: usize,
        /// All members.
        of: usize,
    },
    /// The mass loss is over.
    MassLossOver,
}

/// A change and whom it is about.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberChange {
    /// The member; `None` for the registry as a whole.
    pub member: Option<MemberId>,
    /// What changed.
    pub change: Change,
}
