//! Known bugs that can be switched on, to see that the checks have power.
//!
//! Invariant: no bug is in the product. They are mistakes of a shell around the machines, of a disk, of a configuration, or
//! (for migration) of the saga under its own feature. Each is found, or a test fails.

use crate::profile::Profile;

/// One bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    /// The disk says that it has synced and has not: writes are acknowledged before they are durable.
    AckBeforeSync,
    /// The newest write is left out of a sync: the order of writes is not what the store relies on.
    WriteAcrossBarrier,
    /// Transactions are applied whatever their conditions say.
    ChecksDropped,
    /// Leases end by a clock that jumps.
    WallClockDecides,
}

impl Bug {
    /// All of them.
    pub const ALL: &[Self] =
        &[Self::AckBeforeSync, Self::WriteAcrossBarrier, Self::ChecksDropped, Self::WallClockDecides];

    /// Where it can be found.
    #[must_use]
    pub fn profile(self) -> Profile {
        match self {
            Self::AckBeforeSync | Self::WriteAcrossBarrier | Self::ChecksDropped | Self::WallClockDecides => {
                Profile::Store
            }
        }
    }

    /// Reads its name, as `Debug` writes it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|bug| format!("{bug:?}") == text)
    }
}
