//! The doors through which the simulator of whole systems switches a known bug on.
//!
//! Invariant: nothing here exists in a product build; without a bug everything is as the product has it.

use pilothouse_core::time::Now;

pub use crate::bug::Bug;
use crate::bug::Seeded;
use crate::charter::Charter;
use crate::member::Guard;
use crate::owner::Owner;
use crate::saga::recover::recover_seeded;
use crate::saga::{Command, Entry, RecoverError, Saga};

/// [`Saga::begin`] with a bug.
#[must_use]
pub fn begin(charter: Charter, now: Now, bug: Option<Bug>) -> (Saga, Vec<Command>) {
    Saga::begin_seeded(charter, now, Seeded(bug))
}

/// [`crate::saga::recover()`] with a bug.
///
/// # Errors
/// As that.
pub fn recover(
    entries: &[Entry],
    owner: Option<&Owner>,
    now: Now,
    bug: Option<Bug>,
) -> Result<(Saga, Vec<Command>), RecoverError> {
    recover_seeded(entries, owner, now, Seeded(bug))
}

/// A member with a bug.
#[must_use]
pub fn guard(guard: Guard, bug: Option<Bug>) -> Guard {
    guard.with_seeded(Seeded(bug))
}
