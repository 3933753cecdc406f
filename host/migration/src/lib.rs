//! Ownership of workloads and the rule that moves it.
//!
//! Commit point first: the only authority over a workload is its record `(member, epoch)`, changed by one compare-and-swap.
//! Moving state, journaling and rolling back are not here yet.

use pilothouse_core::assignment::Assignment;
use pilothouse_core::id::MemberId;
use pilothouse_core::time::WallMs;

/// Somebody else changed the owner first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the owner changed: expected epoch {expected}, found {found}")]
pub struct Fenced {
    /// The epoch that the caller knew.
    pub expected: u64,
    /// The epoch in force.
    pub found: u64,
}

/// The record after a transfer, if the caller knew the owner in force.
///
/// # Errors
/// [`Fenced`] if the epoch is not the one in force.
pub fn transfer(
    current: &Assignment,
    expected: u64,
    to: MemberId,
    now: WallMs,
) -> Result<Assignment, Fenced> {
    if current.epoch != expected {
        return Err(Fenced { expected, found: current.epoch });
    }
    Ok(Assignment { member: to, epoch: current.epoch + 1, assigned_at: now, ..current.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_core::id::AgentName;

    #[test]
    fn of_two_transfers_from_the_same_epoch_one_is_fenced() {
        let id = |text| MemberId::parse(text).unwrap();
        let agent = AgentName::parse("x").unwrap();
        let start = Assignment {
            agent,
            member: id("a"),
            epoch: 1,
            assigned_at: WallMs(0),
            terms: Default::default(),
            devices: Default::default(),
        };
        let moved = transfer(&start, 1, id("b"), WallMs(1)).unwrap();
        assert_eq!((moved.member.as_str(), moved.epoch), ("b", 2));
        assert_eq!(transfer(&moved, 1, id("c"), WallMs(2)), Err(Fenced { expected: 1, found: 2 }));
    }
}
