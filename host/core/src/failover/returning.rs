//! What becomes of the copies that a returned member still holds.
//!
//! Invariant: a copy is given up only when the owner record names somebody else *and* the workload runs there. What was
//! not placed elsewhere is never deleted, and what nobody knows is never deleted without a person.

use crate::id::MemberId;

/// A copy at a member that came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldCopy {
    /// Who holds it.
    pub member: MemberId,
    /// The epoch under which it ran there.
    pub epoch: u64,
}

/// The owner record, and whether the owner runs the workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Who.
    pub member: MemberId,
    /// The epoch in force.
    pub epoch: u64,
    /// Whether it reported that the workload runs under this epoch.
    pub runs: bool,
}

/// What to do with a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the one: it goes on.
    Live,
    /// It must not run (again), but its state stays: the new owner does not run yet, or nobody knows the workload.
    Fenced,
    /// It runs elsewhere: stop it and give its room back.
    Superseded,
}

/// Judges one copy.
#[must_use]
pub fn verdict(copy: &HeldCopy, owner: Option<&Owner>) -> Verdict {
    match owner {
        Some(owner) if owner.member == copy.member && owner.epoch == copy.epoch => Verdict::Live,
        Some(owner) if owner.epoch > copy.epoch && owner.runs => Verdict::Superseded,
        _ => Verdict::Fenced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c20_a_copy_is_given_up_only_for_one_that_runs() {
        let id = |text| MemberId::parse(text).unwrap();
        let copy = HeldCopy { member: id("a"), epoch: 3 };
        let owner = |member, epoch, runs| Some(Owner { member: id(member), epoch, runs });
        for (name, owner, expected) in [
            ("still its owner", owner("a", 3, false), Verdict::Live),
            ("it runs elsewhere", owner("b", 4, true), Verdict::Superseded),
            ("it is to run elsewhere", owner("b", 4, false), Verdict::Fenced),
            ("given back under a later epoch", owner("a", 5, false), Verdict::Fenced),
            ("a record older than the copy", owner("b", 2, true), Verdict::Fenced),
            ("nobody knows it", None, Verdict::Fenced),
        ] {
            assert_eq!(verdict(&copy, owner.as_ref()), expected, "{name}");
        }
    }
}
