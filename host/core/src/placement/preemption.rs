//! Which work yields to more important work.
//!
//! member + its residents + what is needed -> [`victims`] -> [`Cost`], by which places are compared
//!
//! As in the Kubernetes scheduler: remove everything less important, then let back, most important first, whatever still
//! fits; places are compared lexicographically. Invariant: nothing of equal or higher priority yields, and no victim could be
//! left out. A commitment checks again ([`super::commit::preempt`]).

use std::cmp::Reverse;

use crate::assignment::Assignment;
use crate::device::DEVICES_MILLIS_MAX;
use crate::id::AgentName;
use crate::member::{Member, Resources};
use crate::time::WallMs;

/// What a set of victims costs; the smallest is best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost {
    /// The most important victim.
    highest_priority: i32,
    /// Sum of priorities.
    priorities: i64,
    /// How many.
    count: usize,
    /// Start of the one that ran shortest: work that just began has least to lose.
    youngest_start: Reverse<WallMs>,
}

/// The fewest, least important residents without which `needs` fits; `None` if it does not fit even without all of them.
#[must_use]
pub fn victims<'a>(
    member: &Member,
    needs: Resources,
    priority: i32,
    residents: impl Iterator<Item = &'a Assignment>,
) -> Option<Vec<&'a Assignment>> {
    let mut lesser: Vec<&Assignment> =
        residents.filter(|resident| resident.terms.priority < priority).collect();
    // Who may come back first: the most important, then who has run longest, then by name.
    lesser.sort_by_key(|resident| {
        (Reverse(resident.terms.priority), resident.assigned_at, resident.agent.clone())
    });
    let mut gone = vec![true; lesser.len()];
    if !fits(member, needs, &lesser, &gone) {
        return None;
    }
    for index in 0..lesser.len() {
        set(&mut gone, index, false);
        if !fits(member, needs, &lesser, &gone) {
            set(&mut gone, index, true);
        }
    }
    Some(lesser.into_iter().zip(gone).filter_map(|(resident, gone)| gone.then_some(resident)).collect())
}

/// Whether a policy's victims are enough, all of them less important, and none of them too many.
#[must_use]
pub fn suffices<'a>(
    member: &Member,
    needs: Resources,
    priority: i32,
    residents: impl Iterator<Item = &'a Assignment>,
    named: &[AgentName],
) -> bool {
    let chosen: Vec<&Assignment> = residents.filter(|resident| named.contains(&resident.agent)).collect();
    let all = vec![true; chosen.len()];
    let spare = |index: usize| {
        let mut without = all.clone();
        set(&mut without, index, false);
        fits(member, needs, &chosen, &without)
    };
    chosen.len() == named.len()
        && chosen.iter().all(|resident| resident.terms.priority < priority)
        && fits(member, needs, &chosen, &all)
        && !(0..chosen.len()).any(spare)
}

/// What it costs to evict these.
#[must_use]
pub fn cost(victims: &[&Assignment]) -> Cost {
    let priorities = || victims.iter().map(|victim| victim.terms.priority);
    Cost {
        highest_priority: priorities().max().unwrap_or(i32::MIN),
        priorities: priorities().map(i64::from).sum(),
        count: victims.len(),
        youngest_start: Reverse(victims.iter().map(|victim| victim.assigned_at).max().unwrap_or_default()),
    }
}

fn set(flags: &mut [bool], index: usize, to: bool) {
    if let Some(flag) = flags.get_mut(index) {
        *flag = to;
    }
}

/// Whether `needs` fits the member without those that are gone; the arithmetic of the snapshot's columns.
fn fits(member: &Member, needs: Resources, residents: &[&Assignment], gone: &[bool]) -> bool {
    let leaving = || residents.iter().zip(gone).filter(|&(_, &gone)| gone).map(|(resident, _)| resident);
    let used = leaving().fold(member.used, |used, resident| used.less(resident.terms.requirement.needs));
    let granted = leaving().fold(member.granted, |granted, resident| granted.less(resident.devices));
    let assigned = member.assigned.saturating_sub(u32::try_from(leaving().count()).unwrap_or(u32::MAX));
    let active = member.load.active.unwrap_or(0).max(assigned);
    let total = member.registration.resources;
    let free = total.less(used);
    let enough = |total: u32, free: u32, need: u32| need == 0 || total == 0 || free >= need;
    (member.capacity() == 0 || active < member.capacity())
        && enough(total.cpu_millis, free.cpu_millis, needs.cpu_millis)
        && enough(total.memory_mib, free.memory_mib, needs.memory_mib)
        && enough(total.storage_mib, free.storage_mib, needs.storage_mib)
        && free.accelerator_millis >= needs.accelerator_millis
        && (needs.accelerator_millis == 0
            || total.accelerator_millis > DEVICES_MILLIS_MAX
            || member.free_devices_with(granted).take(needs.accelerator_millis).is_some())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::eligible::Requirement;
    use crate::placement::Terms;
    use crate::room::tests::node;

    fn cpu(cores: u32) -> Resources {
        Resources { cpu_millis: cores * 1_000, ..Resources::default() }
    }

    /// A member with ten cores on which residents `(cores, priority, started)` live, named `r0`, `r1`, ….
    fn world(residents: &[(u32, i32, u64)]) -> (Member, Vec<Assignment>) {
        let mut member = node("m", "eu", 0, 0, 0);
        member.registration.resources = cpu(10);
        member.used =
            residents.iter().fold(Resources::default(), |used, resident| used.plus(cpu(resident.0)));
        let resident = |(index, &(cores, priority, started)): (usize, &(u32, i32, u64))| {
            let requirement = Requirement { needs: cpu(cores), ..Requirement::default() };
            Assignment {
                agent: AgentName::parse(&format!("r{index}")).unwrap(),
                member: member.id().clone(),
                epoch: 1,
                assigned_at: WallMs(started),
                terms: Arc::new(Terms { requirement, priority, ..Terms::default() }),
                devices: Default::default(),
            }
        };
        let residents = residents.iter().enumerate().map(resident).collect();
        (member, residents)
    }

    fn names(victims: Option<Vec<&Assignment>>) -> Option<Vec<String>> {
        victims.map(|victims| victims.iter().map(|victim| victim.agent.to_string()).collect())
    }

    #[test]
    fn the_least_important_that_are_enough_yield_and_among_equals_the_youngest() {
        for (residents, needs, priority, expected) in [
            (&[(4_u32, 1_i32, 0_u64), (4, 2, 0)][..], 2, 5, Some(vec![])),
            (&[(4, 1, 0), (4, 2, 0)], 6, 5, Some(vec!["r0"])),
            (&[(4, 2, 0), (4, 1, 0)], 6, 5, Some(vec!["r1"])),
            (&[(5, 1, 10), (5, 1, 20)], 5, 5, Some(vec!["r1"])),
            (&[(5, 1, 0), (5, 5, 0)], 5, 5, Some(vec!["r0"])),
            (&[(5, 5, 0), (5, 6, 0)], 5, 5, None),
            (&[(2, 1, 0), (2, 1, 0)], 11, 5, None),
        ] {
            let (member, held) = world(residents);
            let found = names(victims(&member, cpu(needs), priority, held.iter()));
            let expected = expected.map(|names| names.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(found, expected, "{residents:?} for {needs}");
        }
    }

    proptest! {
        #[test]
        fn victims_are_less_important_enough_and_none_is_spare(
            residents in prop::collection::vec((0_u32..4, 0_i32..4, 0_u64..4), 0..6),
            needs in 1_u32..12,
            priority in 0_i32..5,
        ) {
            let (member, held) = world(&residents);
            let taken: u32 = residents.iter().map(|resident| resident.0).sum();
            prop_assume!(taken <= 10);
            let lesser: u32 = residents.iter().filter(|one| one.1 < priority).map(|one| one.0).sum();
            match victims(&member, cpu(needs), priority, held.iter()) {
                None => prop_assert!(10 - taken + lesser < needs),
                Some(found) => {
                    let named: Vec<AgentName> = found.iter().map(|victim| victim.agent.clone()).collect();
                    prop_assert!(suffices(&member, cpu(needs), priority, held.iter(), &named));
                    prop_assert!(cost(&found).count == named.len());
                }
            }
        }
    }
}
