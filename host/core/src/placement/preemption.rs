//! Which work yields to more important work.
//!
//! member + its residents + what is needed -> [`victims`] -> [`Cost`], by which places are compared
//!
//! As in the Kubernetes scheduler: remove everything less important, then let back, most important first, whatever still
//! fits; places are compared lexicographically. Invariant: nothing of equal or higher priority yields, and no victim could be
//! left out. A commitment checks again ([`super::commit::preempt`]).

use std::cmp::Reverse;

use crate::assignment::Assignment;
use crate::device::{DEVICES_MILLIS_MAX, Devices};
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
            || Devices::free_of(member.load.devices, free.accelerator_millis)
                .take(needs.accelerator_millis)
                .is_some())
}
