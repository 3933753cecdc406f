//! Fills members one after the other, so that others stay empty for large work or can be switched off.
//!
//! Rule: score is 100 times the mean used share of a member after the workload is placed, over the resources whose total
//! is known (CPU, memory, storage, accelerators, agents); the highest that still fits wins, ties by the seed. This is
//! best fit in several dimensions, the `MostAllocated` strategy of the Kubernetes scheduler.

use pilothouse_sdk::placement::{Placement, Request, Resources};
use pilothouse_sdk::room::{ROOM_COLUMNS, Room};
use pilothouse_sdk::scan::{self, NO, Scores};
use pilothouse_sdk::{About, Block, Candidate, Choice, Class, Fleet, Refusal, Settings, export_placement};

const NO_ROOM: u32 = 1;

/// The policy.
#[derive(Debug)]
pub struct BinPack;
export_placement!(BinPack);

impl Placement for BinPack {
    const ABOUT: About = About {
        columns: &ROOM_COLUMNS,
        reasons: &["fullest that has room", "nobody has room"],
        properties: &["prefers-fuller"],
        ..About::new("bin-pack", "1.0.0", "The fullest member that still has room.")
    };

    fn new(_settings: &mut Settings) -> Self {
        Self
    }

    fn place(&mut self, fleet: &Fleet, class: &Class, request: &Request) -> Result<Choice, Refusal> {
        scan::choose(fleet, class, request.seed, NO_ROOM, |block, _| fullness(block, &request.needs))
    }

    fn rank(
        &mut self,
        fleet: &Fleet,
        class: &Class,
        request: &Request,
        limit: u32,
    ) -> Result<Vec<Candidate>, Refusal> {
        let score = |block: Block<'_>, _| fullness(block, &request.needs);
        scan::rank(fleet, class, request.seed, limit, NO_ROOM, score, |_| Vec::new())
    }
}

fn fullness(block: Block<'_>, needs: &Resources) -> Scores {
    let Room { mut mean_used, most_used } = Room::after(block, needs);
    for (used, most) in mean_used.iter_mut().zip(most_used) {
        *used = if most <= 1.0 { 100.0 * *used } else { NO };
    }
    mean_used
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::Column;
    use pilothouse_sdk::testing::{Member, World, placing};

    const NEEDS: Resources =
        Resources { cpu_millis: 2_000, memory_mib: 4_096, storage_mib: 0, accelerator_millis: 0 };

    fn with_free(cpu_millis: f64, memory_mib: f64) -> Member {
        Member::default()
            .with(Column::CpuMillisTotal, 8_000.0)
            .with(Column::CpuMillisFree, cpu_millis)
            .with(Column::MemoryMibTotal, 16_384.0)
            .with(Column::MemoryMibFree, memory_mib)
    }

    fn ranked(members: impl IntoIterator<Item = Member>, seed: u64) -> Vec<u32> {
        let mut world: World<BinPack> = placing(&[]).unwrap().members(members);
        let ranked = world.rank_placement(NEEDS, seed, 64);
        ranked.map_or_else(|_| Vec::new(), |ranked| ranked.iter().map(|candidate| candidate.row).collect())
    }

    #[test]
    fn the_fullest_member_with_room_comes_first() {
        let (empty, half, full) =
            (with_free(8_000.0, 16_384.0), with_free(4_000.0, 8_192.0), with_free(1_000.0, 16_384.0));
        let unknown = Member::default();
        let agents = |active| Member::default().with(Column::Capacity, 10.0).with(Column::Active, active);
        for (name, members, order) in [
            ("fuller first", vec![empty.clone(), half.clone()], vec![1, 0]),
            ("no room is out", vec![empty.clone(), full.clone()], vec![0]),
            ("nothing known is last", vec![unknown, empty.clone()], vec![1, 0]),
            ("agents count", vec![agents(3.0), agents(8.0), agents(10.0)], vec![1, 0]),
            ("ineligible is out", vec![half.ineligible(), empty], vec![1]),
            ("nobody", vec![full], vec![]),
        ] {
            assert_eq!(ranked(members, 1), order, "{name}");
        }
    }

    #[test]
    fn a_member_is_filled_before_the_next_is_begun() {
        let mut world: World<BinPack> = placing(&[]).unwrap().members(vec![with_free(8_000.0, 16_384.0); 70]);
        let mut free = vec![4_u32; 70];
        for step in 0..16 {
            let row = world.rank_placement(NEEDS, step, 1).unwrap()[0].row as usize;
            free[row] -= 1;
            let left = f64::from(free[row]);
            world.update(|members| members[row] = with_free(2_000.0 * left, 4_096.0 * left));
        }
        assert_eq!(free.iter().filter(|&&free| free == 0).count(), 4);
    }

    #[test]
    fn equals_share_by_the_seed() {
        let members = || vec![with_free(8_000.0, 16_384.0); 3];
        let firsts: std::collections::BTreeSet<u32> =
            (0..64).map(|seed| ranked(members(), seed)[0]).collect();
        assert_eq!(firsts.len(), 3);
    }
}
