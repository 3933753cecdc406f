//! Committing workloads to members: what they ask for, what is promised, what must yield.
//!
//! advice -> [`commit`] (the filters again, on the newest state) -> [`ledger::Ledger`] and the registry's books
//!
//! Invariant: a commitment is checked and counted in one step on the state in force, so members are never
//! oversubscribed, whatever policies advise and however many decide at once. Nothing here prefers one member
//! to another, except which work yields ([`preemption`]) when a policy does not say.

pub mod commit;
pub mod ledger;
pub mod preemption;
pub mod relation;
#[cfg(test)]
mod tests;

use crate::eligible::Requirement;
use crate::id::Label;
use relation::Relation;

/// Most relations of one workload.
pub const RELATIONS_MAX: usize = 8;

/// What a workload asks of its place; kept with its assignment, so that it can be placed again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// What it demands of a member, its resources included.
    pub requirement: Requirement,
    /// Higher is more important.
    pub priority: i32,
    /// Workloads that belong together.
    pub group: Option<Label>,
    /// Where it may be, seen from other workloads; soft ones in order of importance.
    pub relations: Vec<Relation>,
}

impl Terms {
    /// The requirement with the rows that its relations leave; only the first `soft` soft relations are kept.
    #[must_use]
    pub fn narrowed(
        &self,
        fleet: &crate::fleet::Fleet,
        census: &relation::Census,
        soft: usize,
    ) -> Requirement {
        let mut left = soft;
        let kept = self.relations.iter().filter(|relation| {
            relation.hard || {
                let keep = left > 0;
                left = left.saturating_sub(1);
                keep
            }
        });
        let kept: Vec<&Relation> = kept.collect();
        let mut requirement = self.requirement.clone();
        if !kept.is_empty() {
            requirement.within =
                Some(relation::rows(fleet, &self.requirement, self.group.as_ref(), &kept, census));
        }
        requirement
    }

    /// How many of its relations are soft.
    #[must_use]
    pub fn soft_relations(&self) -> usize {
        self.relations.iter().filter(|relation| !relation.hard).count()
    }
}
