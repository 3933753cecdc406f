//! Affinity, anti-affinity and topology spread: where a workload may be, seen from other workloads.
//!
//! relations + [`Census`] + fleet -> [`rows`], which a requirement carries as `within`
//!
//! The meaning is that of the Kubernetes scheduler (inter-pod affinity, topology spread constraints with `DoNotSchedule` for
//! hard ones). Invariant: a member whose zone or region is unknown keeps no rule about zones or regions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::eligible::{Requirement, Rows, could_host};
use crate::fleet::Fleet;
use crate::fleet::column::{BLOCK_ROWS, Column};
use crate::id::{Label, MemberId};

/// How far a rule reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// One member.
    Member,
    /// One zone of one region.
    Zone,
    /// One region.
    Region,
}

/// A rule about the workloads of a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Where a workload of the group is. The first of its own group may be anywhere.
    Together(Label),
    /// Where no workload of the group is.
    Apart(Label),
    /// Where its own group has, with it, at most so many more than in the place that has fewest.
    Spread {
        /// Largest difference, from 1.
        max_skew: u32,
    },
}

/// A rule and how far it reaches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Relation {
    /// What it says.
    pub rule: Rule,
    /// Of what it says it.
    pub scope: Scope,
    /// Rather no place than a breach; a soft one is dropped when it leaves nobody.
    pub hard: bool,
}

/// How many workloads of each group are on each member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    groups: BTreeMap<Label, BTreeMap<MemberId, u32>>,
}

impl Census {
    /// Counts one more, or one fewer.
    pub fn count(&mut self, group: &Label, member: &MemberId, more: bool) {
        let members = self.groups.entry(group.clone()).or_default();
        let count = members.entry(member.clone()).or_default();
        *count = if more { count.saturating_add(1) } else { count.saturating_sub(1) };
        if *count == 0 {
            members.remove(member);
            if members.is_empty() {
                self.groups.remove(group);
            }
        }
    }

    /// Members with workloads of a group.
    #[must_use]
    pub fn of(&self, group: &Label) -> Option<&BTreeMap<MemberId, u32>> {
        self.groups.get(group)
    }
}

/// The rows that all relations allow, whatever else is demanded.
#[must_use]
pub fn rows(
    fleet: &Fleet,
    base: &Requirement,
    own: Option<&Label>,
    relations: &[&Relation],
    census: &Census,
) -> Rows {
    let mut allowed = vec![!0; fleet.blocks.len()];
    for relation in relations {
        let domains = Domains { fleet, scope: relation.scope };
        let permitted: Permit = match &relation.rule {
            Rule::Together(group) => {
                let counts = domains.counts(census, group);
                if counts.is_empty() && own == Some(group) {
                    Permit::Known
                } else {
                    Permit::Only(counts.into_keys().collect())
                }
            }
            Rule::Apart(group) => Permit::Except(domains.counts(census, group).into_keys().collect()),
            Rule::Spread { max_skew } => domains.least(census, own, &could_host(fleet, base), *max_skew),
        };
        for (index, bits) in allowed.iter_mut().enumerate() {
            *bits &= (0..BLOCK_ROWS).fold(0, |passing, lane| {
                let domain = domains.of(index, lane);
                passing | u64::from(domain.is_some_and(|domain| permitted.allows(domain))) << lane
            });
        }
    }
    Arc::from(allowed)
}

/// Which domains a relation permits.
enum Permit {
    Known,
    Only(BTreeSet<u64>),
    Except(BTreeSet<u64>),
}

impl Permit {
    fn allows(&self, domain: u64) -> bool {
        match self {
            Self::Known => true,
            Self::Only(domains) => domains.contains(&domain),
            Self::Except(domains) => !domains.contains(&domain),
        }
    }
}

/// Places of one scope, as numbers.
struct Domains<'a> {
    fleet: &'a Fleet,
    scope: Scope,
}

impl Domains<'_> {
    /// The domain of a row; `None` if there is nobody or it is unknown.
    fn of(&self, index: usize, lane: usize) -> Option<u64> {
        let block = self.fleet.blocks.get(index).filter(|block| block.present >> lane & 1 == 1)?;
        let known = |column| Some(block.u32(column, lane)).filter(|&symbol| symbol != 0).map(u64::from);
        match self.scope {
            Scope::Member => Some((index * BLOCK_ROWS + lane) as u64),
            Scope::Zone => Some(known(Column::Region)? << 32 | known(Column::Zone)?),
            Scope::Region => known(Column::Region),
        }
    }

    /// Workloads of a group by domain; only domains that have any.
    fn counts(&self, census: &Census, group: &Label) -> BTreeMap<u64, u32> {
        let mut counts = BTreeMap::new();
        let Some(members) = census.of(group) else { return counts };
        for (index, block) in self.fleet.blocks.iter().enumerate() {
            for (lane, facts) in block.facts.iter().enumerate() {
                let count = facts.as_ref().and_then(|facts| members.get(&facts.id));
                if let Some((domain, count)) = self.of(index, lane).zip(count) {
                    let sum: &mut u32 = counts.entry(domain).or_default();
                    *sum = sum.saturating_add(*count);
                }
            }
        }
        counts
    }

    /// Domains in which one more keeps within the skew of the domain that has fewest.
    fn least(&self, census: &Census, own: Option<&Label>, hosts: &[u64], max_skew: u32) -> Permit {
        let counts = own.map(|group| self.counts(census, group)).unwrap_or_default();
        let count = |domain: u64| counts.get(&domain).copied().unwrap_or(0);
        let hosting = hosts.iter().enumerate().flat_map(|(index, &bits)| {
            (0..BLOCK_ROWS).filter(move |lane| bits >> lane & 1 == 1).map(move |lane| (index, lane))
        });
        let domains: BTreeSet<u64> = hosting.filter_map(|(index, lane)| self.of(index, lane)).collect();
        let fewest = domains.iter().map(|&domain| count(domain)).min().unwrap_or(0);
        let within = |domain: &u64| count(*domain).saturating_add(1).saturating_sub(fewest) <= max_skew;
        Permit::Only(domains.iter().copied().filter(within).collect())
    }
}
