//! The steps of a migration, forward and back.
//!
//! validate -> reserve -> pre-copy -> freeze -> last delta -> standby -> verify -> COMMIT -> activate -> stop
//! source -> release
//!
//! Undo: fence (end the frozen epoch) -> resume source -> abort target. Invariant: nothing before `Commit`
//! binds, nothing after it is undone.

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The host checks health, eligibility, sovereignty and the owner record.
    Validate,
    /// The target holds room.
    Reserve,
    /// The source sends its state while it serves, then what changed meanwhile, in rounds.
    PreCopy,
    /// The source stops serving; its epoch is used up.
    Freeze,
    /// The source sends what changed since the last round.
    LastDelta,
    /// The target starts a copy that does not serve.
    StartStandby,
    /// The target's copy is healthy and its state is the source's.
    Verify,
    /// One compare-and-swap of the owner record.
    Commit,
    /// The outcome of the commit is unknown: the record is read.
    Resolve,
    /// The target serves.
    Activate,
    /// The source's copy ends.
    StopSource,
    /// The source gives its room back.
    Release,
    /// Undo: the source gets a new epoch in the record, which makes a late commit impossible.
    Fence,
    /// Undo: the source serves under the new epoch.
    Resume,
    /// Undo: the target drops what it has and gives its room back.
    Abort,
}

impl Step {
    /// All of them, in order.
    pub const ALL: [Self; 15] = [
        Self::Validate,
        Self::Reserve,
        Self::PreCopy,
        Self::Freeze,
        Self::LastDelta,
        Self::StartStandby,
        Self::Verify,
        Self::Commit,
        Self::Resolve,
        Self::Activate,
        Self::StopSource,
        Self::Release,
        Self::Fence,
        Self::Resume,
        Self::Abort,
    ];

    /// Reads a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.name() == name)
    }

    /// Name in JSON and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Validate => "validate",
            Self::Reserve => "reserve",
            Self::PreCopy => "pre-copy",
            Self::Freeze => "freeze",
            Self::LastDelta => "last-delta",
            Self::StartStandby => "start-standby",
            Self::Verify => "verify",
            Self::Commit => "commit",
            Self::Resolve => "resolve",
            Self::Activate => "activate",
            Self::StopSource => "stop-source",
            Self::Release => "release",
            Self::Fence => "fence",
            Self::Resume => "resume",
            Self::Abort => "abort",
        }
    }

    /// What happens, for people who read a plan.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Validate => "check health, rules and the owner record",
            Self::Reserve => "reserve room on the target",
            Self::PreCopy => "copy the state while the source serves",
            Self::Freeze => "freeze the source",
            Self::LastDelta => "copy what changed last and compare digests",
            Self::StartStandby => "start a standby on the target",
            Self::Verify => "verify the standby",
            Self::Commit => "change the owner by one compare-and-swap",
            Self::Resolve => "read the owner record, because the change was not answered",
            Self::Activate => "activate the target",
            Self::StopSource => "stop the source",
            Self::Release => "release what the source held",
            Self::Fence => "give the source a new epoch",
            Self::Resume => "resume the source",
            Self::Abort => "drop the copy on the target and its reservation",
        }
    }

    /// Whether it is part of a rollback.
    #[must_use]
    pub const fn is_undo(self) -> bool {
        matches!(self, Self::Fence | Self::Resume | Self::Abort)
    }

    /// Whether its effects are covered by the journal entry that opened the switch (freeze, or standby
    /// without a source): one durable write covers the whole pause. Recovery decides by the owner record, so
    /// it needs no finer entries.
    pub(crate) const fn is_in_switch(self) -> bool {
        matches!(
            self,
            Self::Freeze
                | Self::LastDelta
                | Self::StartStandby
                | Self::Verify
                | Self::Commit
                | Self::Resolve
                | Self::Activate
        )
    }
}
