//! Known bugs that tests switch on, to see that their checks have power.
//!
//! Invariant: in a product build [`Seeded`] has no size and no bug is ever on. There is no other switch of
//! behaviour for tests.

/// One bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(not(feature = "seeded-bugs"), allow(unreachable_pub, reason = "simulators name them"))]
pub enum Bug {
    /// A rollback resumes the source without ending its epoch in the store first.
    NoFencing,
    /// Members obey orders of older epochs and attempts.
    NoEpochCheck,
    /// Effects do not wait for their journal entry.
    JournalAfterEffect,
    /// Giving a reservation back does not look whether it is still held.
    DoubleRelease,
    /// An owner change that timed out is taken as refused.
    CommitGuessed,
    /// Recovery resumes the source whatever the owner record says.
    ResumeAfterCommit,
    /// A standby serves as soon as it is up.
    StandbyServesEarly,
    /// A forced migration does not wait for the end of the source's lease.
    NoLeaseWait,
    /// A member does not stop when its lease ends.
    NoSelfFencing,
    /// The digests of source and target are not compared.
    NoDigestCheck,
    /// A source that is told to freeze goes on serving.
    NoFreeze,
}

/// The bug that is on, if any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Seeded(#[cfg(any(test, feature = "seeded-bugs"))] pub(crate) Option<Bug>);

impl Seeded {
    /// Whether this bug is on.
    #[cfg(any(test, feature = "seeded-bugs"))]
    pub(crate) fn has(self, bug: Bug) -> bool {
        self.0 == Some(bug)
    }

    /// Never, in the product.
    #[cfg(not(any(test, feature = "seeded-bugs")))]
    #[allow(clippy::unused_self, reason = "same signature as the one of simulators")]
    pub(crate) const fn has(self, _bug: Bug) -> bool {
        false
    }
}
