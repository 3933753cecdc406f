//! Names of a migration and of its attempts.
//!
//! Invariant: within one migration, attempts only grow, over retries and over crashes of the host, so that a
//! member can refuse whatever is older than what it has seen.

use std::fmt;

/// How far apart the shell's numbers are: those between name the attempts with other targets.
pub const CANDIDATES: u64 = 4;

/// Identifies one migration. The shell gives multiples of [`CANDIDATES`] that grow over all boots of all
/// hosts, for example from the boot's number and a counter; members refuse orders of older ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MigrationId(pub u64);

impl fmt::Display for MigrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m-{:x}", self.0)
    }
}

impl MigrationId {
    /// How many other targets were tried before.
    pub(crate) const fn candidate(self) -> u64 {
        self.0 % CANDIDATES
    }

    /// The name of the migration to the next target.
    pub(crate) const fn next_candidate(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Reads what `Display` wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.strip_prefix("m-")?;
        let plain = hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        if plain { u64::from_str_radix(hex, 16).ok().map(Self) } else { None }
    }
}

/// One attempt at a step. A restarted host begins with a new journal entry, so its attempts are newer than
/// all before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Attempt {
    /// Sequence of the journal entry that allowed it.
    pub entry: u32,
    /// Counts what was asked under that entry.
    pub number: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migration_ids_round_trip_and_nothing_else_is_one() {
        for id in [0, 1, 0xfeed, u64::MAX] {
            assert_eq!(MigrationId::parse(&MigrationId(id).to_string()), Some(MigrationId(id)));
        }
        for bad in ["", "m-", "m-+1", "1", "m-xyz", "m-11112222333344445"] {
            assert_eq!(MigrationId::parse(bad), None, "{bad}");
        }
    }
}
