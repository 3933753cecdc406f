//! The next target, after one has failed.
//!
//! charter and outcome -> charter of the next migration, at most [`ALTERNATIVES_MAX`] times
//!
//! Invariant: the next charter follows from what is durable, name and all, so a host that crashed in between
//! derives the same one and begins it once. Only failures of the target or of the way to it are worth another
//! target; the source is untouched then.

use super::{Failure, Outcome};
use crate::charter::{ALTERNATIVES_MAX, Charter};
use crate::owner::Owner;
use crate::step::Step;

impl Failure {
    /// Whether another target may do better.
    #[must_use]
    pub const fn is_of_target(&self) -> bool {
        match self {
            Self::DigestDiffers => true,
            Self::TimedOut(step) | Self::Refused { step, .. } => matches!(
                step,
                Step::Reserve | Step::PreCopy | Step::LastDelta | Step::StartStandby | Step::Verify
            ),
            Self::Cancelled
            | Self::Invalid(_)
            | Self::SourceUnreachable
            | Self::NotConverging { .. }
            | Self::DowntimeExceeded
            | Self::DeadlineExceeded
            | Self::OwnerChanged
            | Self::Interrupted => false,
        }
    }
}

impl Charter {
    /// The same wish with the next target, to be begun after a migration that ended so; `owner` is the record
    /// afterwards. `None` = the workload stays where it is.
    #[must_use]
    pub fn successor(&self, outcome: &Outcome, owner: &Owner) -> Option<Self> {
        let Outcome::RolledBack { failure, .. } = outcome else { return None };
        let tried = self.migration.candidate();
        let worth_it =
            failure.is_of_target() && owner.member == self.source && tried < ALTERNATIVES_MAX as u64;
        let (target, alternatives) = self.alternatives.split_first().filter(|_| worth_it)?;
        Some(Self {
            migration: self.migration.next_candidate(),
            target: target.clone(),
            alternatives: alternatives.to_vec(),
            epoch: owner.epoch,
            ..self.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{charter, member};
    use crate::id::MigrationId;
    use crate::order::Refusal;

    fn rolled_back(failure: Failure) -> Outcome {
        Outcome::RolledBack { failure, source_resumed: true, target_cleaned: true }
    }

    fn owner(name: &str, epoch: u64) -> Owner {
        Owner { member: member(name), epoch, by: None }
    }

    #[test]
    fn c10_at_most_three_targets_are_tried_each_under_the_epoch_in_force() {
        let mut charter = charter();
        charter.alternatives = ["c", "d", "e"].map(member).to_vec();
        let failed = rolled_back(Failure::TimedOut(Step::Reserve));
        let second = charter.successor(&failed, &owner("a", 1)).unwrap();
        assert_eq!((second.migration, second.target.as_str(), second.epoch), (MigrationId(5), "c", 1));
        let third = second.successor(&failed, &owner("a", 2)).unwrap();
        assert_eq!((third.migration, third.target.as_str(), third.epoch), (MigrationId(6), "d", 2));
        assert_eq!(third.successor(&failed, &owner("a", 2)), None);
        assert_eq!(crate::fixture::charter().successor(&failed, &owner("a", 1)), None);
    }

    #[test]
    fn another_target_is_tried_only_if_the_first_is_to_blame_and_the_source_still_owns() {
        let mut charter = charter();
        charter.alternatives = vec![member("c")];
        let refused = |step| Failure::Refused { step, refusal: Refusal::NoRoom };
        for (outcome, owner, tried) in [
            (rolled_back(refused(Step::Reserve)), owner("a", 1), true),
            (rolled_back(refused(Step::Freeze)), owner("a", 2), false),
            (rolled_back(Failure::DigestDiffers), owner("a", 2), true),
            (rolled_back(Failure::DigestDiffers), owner("x", 2), false),
            (rolled_back(Failure::TimedOut(Step::Verify)), owner("a", 2), true),
            (rolled_back(Failure::Cancelled), owner("a", 1), false),
            (rolled_back(Failure::Interrupted), owner("a", 2), false),
            (Outcome::Moved { downtime_ms: None, source_cleaned: true }, owner("b", 2), false),
            (Outcome::Superseded, owner("a", 3), false),
        ] {
            assert_eq!(charter.successor(&outcome, &owner).is_some(), tried, "{outcome:?}");
        }
    }
}
