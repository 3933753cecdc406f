//! The ownership record of a workload: the only authority over it.
//!
//! Invariant: a record changes by one compare-and-swap on its epoch, and the epoch grows by one with it. A
//! change that was asked for twice is recognised by who wrote it ([`Owner::by`]), so retrying is safe. Leases
//! are elsewhere; they only hint.

use pilothouse_core::id::MemberId;

use crate::id::MigrationId;

/// Who owns a workload.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// Where it lives.
    pub member: MemberId,
    /// Grows with every change; never starts again, not even if the workload is deleted and made anew.
    pub epoch: u64,
    /// The migration that wrote this record; `None` = a placement.
    pub by: Option<MigrationId>,
}

/// A wish to change the owner.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Swap {
    /// The epoch that must be in force.
    pub expected_epoch: u64,
    /// The record afterwards.
    pub new: Owner,
}

/// How a change ended. That the store did not answer is no answer: the outcome is then unknown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SwapAnswer {
    /// The new record is durable.
    Applied,
    /// Another record is in force, or none.
    Found(Option<Owner>),
}

impl Swap {
    /// What the record becomes, or the record that stands against it: the rule a store applies in one
    /// transaction.
    ///
    /// # Errors
    /// The record in force, if its epoch is not the expected one.
    pub fn apply(&self, current: Option<&Owner>) -> Result<Owner, Option<Owner>> {
        match current {
            Some(owner) if owner.epoch == self.expected_epoch => Ok(self.new.clone()),
            other => Err(other.cloned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c16_of_two_changes_from_the_same_epoch_one_is_refused_and_sees_the_other() {
        let owner = |member, epoch, by| Owner { member: MemberId::parse(member).unwrap(), epoch, by };
        let start = owner("a", 1, None);
        let to = |member, by| Swap { expected_epoch: 1, new: owner(member, 2, Some(MigrationId(by))) };
        let moved = to("b", 7).apply(Some(&start)).unwrap();
        assert_eq!(to("b", 8).apply(Some(&moved)), Err(Some(moved.clone())));
        assert_eq!(to("b", 7).apply(Some(&moved)), Err(Some(moved)), "a retry sees its own record");
        assert_eq!(to("b", 7).apply(None), Err(None));
    }
}
