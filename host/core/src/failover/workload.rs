//! What has to move, where it may go, and why it may not.
//!
//! Invariant: a failover narrows a workload's requirement and never widens it.

use std::sync::Arc;

use crate::eligible::{Filter, NoneEligible, Requirement};
use crate::id::{AgentName, Label, MemberId};
use crate::member::{Member, Resources};
use crate::placement::Terms;
use crate::room::{Lack, Room};

use super::{Lost, Origin, Rules};

/// What there is to start a workload from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateCopy {
    /// It has no state.
    Stateless,
    /// A copy elsewhere.
    Copied {
        /// How much older than the death it is, ms.
        age_ms: u64,
        /// How old it may be, ms: the loss that was declared acceptable.
        age_max_ms: u64,
    },
    /// It has state, and the only copy died.
    Missing,
}

/// A workload as its owner record has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// Which.
    pub name: AgentName,
    /// Who owns it.
    pub owner: MemberId,
    /// Its ownership epoch.
    pub epoch: u64,
    /// What it asks of its place. Of the members of a group, the first of each starts before the second of any.
    pub terms: Arc<Terms>,
    /// What to start it from.
    pub state: StateCopy,
}

impl Workload {
    /// What it takes.
    pub(super) fn needs(&self) -> Resources {
        self.terms.requirement.needs
    }
}

/// A member that may take workloads over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survivor {
    /// Who.
    pub member: MemberId,
    /// Where.
    pub region: Option<Label>,
    /// What it can take.
    pub room: Room,
}

impl Survivor {
    /// A member, less the headroom.
    #[must_use]
    pub fn of(member: &Member, rules: &Rules) -> Self {
        Self {
            member: member.id().clone(),
            region: member.registration.region.clone(),
            room: Room::of(member, rules.headroom_share),
        }
    }
}

/// Why a workload is not running elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Reason {
    /// No survivor has room.
    #[error("no survivor has room for it")]
    NoCapacity,
    /// The room left is what survivors keep free.
    #[error("it would fit only into the headroom of survivors")]
    Headroom,
    /// No survivor is where it may go (region, zone, certificates).
    #[error("no survivor is where it may run")]
    Sovereignty,
    /// No survivor meets another constraint.
    #[error("no survivor passes the filter {0:?}")]
    NoneEligible(Filter),
    /// Its state died with the member.
    #[error("there is no copy of its state")]
    NoState,
    /// The copy of its state is too old.
    #[error("the copy of its state is {age_ms} ms old, {age_max_ms} ms are acceptable")]
    StaleState {
        /// How old, ms.
        age_ms: u64,
        /// How old it may be, ms.
        age_max_ms: u64,
    },
    /// The placement slot gave no usable advice.
    #[error("the placement slot gave no usable advice")]
    NoAdvice,
    /// Target after target failed.
    #[error("{0} targets failed")]
    TargetsFailed(u32),
    /// Somebody else took it over.
    #[error("somebody else took it over, epoch {0}")]
    Elsewhere(u64),
    /// Its owner came back in time.
    #[error("its owner returned")]
    Returned,
    /// An operator stopped the failover.
    #[error("the failover was stopped")]
    Cancelled,
    /// It is beyond the bound of one failover.
    #[error("it is beyond the bound of one failover")]
    TooMany,
}

impl Reason {
    /// Whether the workload is in good hands all the same.
    #[must_use]
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Elsewhere(_) | Self::Returned)
    }

    /// From the filter that cut off the last members.
    pub(super) fn of_none(none: &NoneEligible) -> Self {
        match none.cut.last().map(|(filter, _)| *filter) {
            None | Some(Filter::Capacity | Filter::Resources) => Self::NoCapacity,
            Some(Filter::Region | Filter::Zone | Filter::Compliance) => Self::Sovereignty,
            Some(filter) => Self::NoneEligible(filter),
        }
    }

    /// How near a member with this reason came to taking the workload.
    pub(super) fn nearness(self) -> u8 {
        match self {
            Self::Headroom => 3,
            Self::NoCapacity => 2,
            Self::TargetsFailed(_) => 1,
            _ => 0,
        }
    }

    pub(super) fn of_lack(lack: Lack) -> Self {
        match lack {
            Lack::Capacity => Self::NoCapacity,
            Lack::Headroom => Self::Headroom,
        }
    }
}

impl StateCopy {
    /// # Errors
    /// Why nothing can be started from it.
    pub(super) fn usable(self) -> Result<(), Reason> {
        match self {
            Self::Missing => Err(Reason::NoState),
            Self::Copied { age_ms, age_max_ms } if age_ms > age_max_ms => {
                Err(Reason::StaleState { age_ms, age_max_ms })
            }
            Self::Stateless | Self::Copied { .. } => Ok(()),
        }
    }
}

/// The requirement with the failover's constraints added.
///
/// # Errors
/// [`Reason::Sovereignty`] if no region is left.
pub(super) fn narrowed(
    requirement: &Requirement,
    origin: &Origin,
    lost: &Lost,
) -> Result<Requirement, Reason> {
    let mut narrowed = requirement.clone();
    narrowed.excluded.extend(lost.members.iter().cloned());
    narrowed.denied_regions.extend(lost.regions.iter().cloned());
    if let Origin::Operator { to_regions, .. } = origin
        && !to_regions.is_empty()
    {
        narrowed.allowed_regions = match requirement.allowed_regions.is_empty() {
            true => to_regions.clone(),
            false => requirement.allowed_regions.intersection(to_regions).cloned().collect(),
        };
        // An empty set would mean "any".
        if narrowed.allowed_regions.is_empty() {
            return Err(Reason::Sovereignty);
        }
    }
    Ok(narrowed)
}

/// Whether a region is one where the workload may run.
pub(super) fn admits(requirement: &Requirement, region: Option<&Label>) -> bool {
    let allowed = requirement.allowed_regions.is_empty()
        || region.is_some_and(|region| requirement.allowed_regions.contains(region));
    allowed && region.is_none_or(|region| !requirement.denied_regions.contains(region))
}
