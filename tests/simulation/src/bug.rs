//! Known bugs that can be switched on, to see that the checks have power.
//!
//! Invariant: no bug is in the product. They are mistakes of a shell around the machines, of a disk, of a configuration, or
//! (for migration) of the saga under its own feature. Each is found, or a test fails.

#[cfg(feature = "seeded-bugs")]
use pilothouse_migration::seeded::Bug as Inside;

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
    /// Placement counts what a stale decision says, without a check on the state in force.
    CommitUnchecked,
    /// A reservation is held, but its room is not counted.
    ReservationUncounted,
    /// Giving a reservation back gives its room back twice.
    ReleasedTwice,
    /// Nobody ends reservations whose time is over.
    ReservationsNeverEnd,
    /// A reservation is confirmed after its time.
    LateConfirmation,
    /// A placement is acknowledged before its record is durable.
    AckBeforeDurable,
    /// What is assigned to a member that comes back is not counted.
    BooksForgotten,
    /// After a restart, the epochs of workloads that were unassigned are forgotten.
    EpochsBeginAnew,
    /// A change of owner keeps the epoch.
    EpochKept,
    /// Effects are accepted without a look at their epoch.
    OldEpochAccepted,
    /// Members are declared dead however many vanish at once.
    BrakeOff,
    /// The commands of a failover do not wait for its journal.
    JournalAfterEffect,
    /// A copy that must not run is dropped although its successor does not run yet.
    FencedIsDropped,
    /// Copies that run elsewhere are never stopped.
    OldCopiesStay,
    /// Effects of a migration do not wait for their journal entry.
    EffectBeforeJournal,
    /// Recovery overlooks the newest entry of a journal.
    PartialRecovery,
    /// A member that restarts has forgotten its guards.
    GuardForgotten,
    /// The store changes an owner whatever the epoch in force.
    SwapUnchecked,
    /// A lease counts from the answer, not from the question.
    LeaseFromAnswer,
    /// A forced migration goes on granting leases to its source.
    SourceKeepsLease,
    /// A standby's digest is the one that was sent, not the one of its state.
    DigestRepeated,
    /// A frozen copy goes on taking writes.
    WritesWhileFrozen,
    /// One inside of the saga or the member.
    #[cfg(feature = "seeded-bugs")]
    Inside(pilothouse_migration::seeded::Bug),
}

impl Bug {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::AckBeforeSync,
        Self::WriteAcrossBarrier,
        Self::ChecksDropped,
        Self::WallClockDecides,
        Self::CommitUnchecked,
        Self::ReservationUncounted,
        Self::ReleasedTwice,
        Self::ReservationsNeverEnd,
        Self::LateConfirmation,
        Self::AckBeforeDurable,
        Self::BooksForgotten,
        Self::EpochsBeginAnew,
        Self::EpochKept,
        Self::OldEpochAccepted,
        Self::BrakeOff,
        Self::JournalAfterEffect,
        Self::FencedIsDropped,
        Self::OldCopiesStay,
        Self::EffectBeforeJournal,
        Self::PartialRecovery,
        Self::GuardForgotten,
        Self::SwapUnchecked,
        Self::LeaseFromAnswer,
        Self::SourceKeepsLease,
        Self::DigestRepeated,
        Self::WritesWhileFrozen,
        #[cfg(feature = "seeded-bugs")]
        Self::Inside(Inside::NoFencing),
        #[cfg(feature = "seeded-bugs")]
        Self::Inside(Inside::NoEpochCheck),
        #[cfg(feature = "seeded-bugs")]
        Self::Inside(Inside::JournalAfterEffect),
        #[cfg(feature = "seeded-bugs")]
        Self::Inside(Inside::DoubleRelease),
        #[cfg(feature = "seeded-bugs")]
        Self::Inside(Inside::CommitGuessed),
        #[cfg(feature = "seeded-bugs")]
        Self::Inside(Inside::ResumeAfterCommit),
        #[cfg(feature = "seeded-bugs")]
        Self::Inside(Inside::StandbyServesEarly),
        #[cfg(feature = "seeded-bugs")]
        Self::Inside(Inside::NoLeaseWait),
        #[cfg(feature = "seeded-bugs")]
        Self::Inside(Inside::NoSelfFencing),
        #[cfg(feature = "seeded-bugs")]
        Self::Inside(Inside::NoDigestCheck),
        #[cfg(feature = "seeded-bugs")]
        Self::Inside(Inside::NoFreeze),
    ];

    /// The bug inside of the saga or the member, if it is one.
    #[cfg(feature = "seeded-bugs")]
    #[must_use]
    pub fn in_saga(self) -> Option<Inside> {
        match self {
            Self::Inside(bug) => Some(bug),
            _ => None,
        }
    }

    /// Where it can be found.
    #[must_use]
    pub fn profile(self) -> Profile {
        match self {
            Self::AckBeforeSync | Self::WriteAcrossBarrier | Self::ChecksDropped | Self::WallClockDecides => {
                Profile::Store
            }
            Self::CommitUnchecked
            | Self::ReservationUncounted
            | Self::ReleasedTwice
            | Self::ReservationsNeverEnd
            | Self::LateConfirmation
            | Self::AckBeforeDurable
            | Self::BooksForgotten
            | Self::EpochsBeginAnew
            | Self::EpochKept => Profile::Placement,
            Self::OldEpochAccepted
            | Self::BrakeOff
            | Self::JournalAfterEffect
            | Self::FencedIsDropped
            | Self::OldCopiesStay => Profile::Failover,
            _ => Profile::Migration,
        }
    }

    /// Reads its name, as `Debug` writes it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|bug| format!("{bug:?}") == text)
    }
}
