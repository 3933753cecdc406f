//! Words for whom the host trusts: keys, what is said of them, and what a component stands on.
//!
//! Invariant: a key is known by its id, which comes from the key itself; its name is what operators call it. How
//! signatures are made and checked is not known here.

use std::fmt;

use crate::id::KeyName;
use crate::slot::SlotId;

/// What a public key calls itself: eight bytes, written as sixteen hex digits as `minisign` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub u64);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", self.0)
    }
}

/// What a component stands on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Standing {
    /// It ships with the host.
    Builtin,
    /// Nobody signed it.
    #[default]
    Unsigned,
    /// Keys in force signed it.
    Signed(Vec<KeyName>),
    /// Only keys signed it that are revoked by now.
    Revoked(Vec<KeyName>),
}

/// Something about trust that is worth an entry for those who audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A key came into the set.
    KeyAdded {
        /// Its name.
        name: KeyName,
        /// Its id.
        id: KeyId,
        /// Who added it.
        by: String,
    },
    /// A key is trusted no more.
    KeyRevoked {
        /// Its name.
        name: KeyName,
        /// Its id.
        id: KeyId,
        /// Who revoked it.
        by: String,
        /// Why, in the words of whoever did.
        reason: String,
    },
    /// What serves in a slot stands on revoked keys only; it serves on.
    StillServing {
        /// Where.
        slot: SlotId,
        /// What, as `NAME VERSION`.
        policy: String,
        /// The keys.
        keys: Vec<KeyName>,
    },
    /// Somebody activated an older version on purpose.
    Downgraded {
        /// Where.
        slot: SlotId,
        /// Name of the policy.
        policy: String,
        /// The newest version that was active there.
        from: String,
        /// The version now.
        to: String,
        /// Who.
        by: String,
    },
}
