//! Places each workload on the member with the most free CPU that has room for it.

use pilothouse_sdk::placement::{Placement, Request};
use pilothouse_sdk::{About, Choice, Class, Column, Fleet, Refusal, Settings, export_placement};

const NO_ROOM: u32 = 1;

/// The policy.
#[derive(Debug)]
pub struct MostFree;
export_placement!(MostFree);

/// How good a member is, higher is better; `None` if the workload does not fit.
fn score(fleet: &Fleet, request: &Request, row: u32) -> Option<f32> {
    let needs = &request.needs;
    let fits = |total, free, wanted| fleet.u32(total, row) == 0 || fleet.u32(free, row) >= wanted;
    let has_room = fits(Column::CpuMillisTotal, Column::CpuMillisFree, needs.cpu_millis)
        && fits(Column::MemoryMibTotal, Column::MemoryMibFree, needs.memory_mib);
    has_room.then(|| fleet.u32(Column::CpuMillisFree, row) as f32)
}

impl Placement for MostFree {
    const ABOUT: About = About {
        columns: &[
            Column::CpuMillisFree,
            Column::CpuMillisTotal,
            Column::MemoryMibFree,
            Column::MemoryMibTotal,
        ],
        reasons: &["most free CPU", "nobody has room"],
        ..About::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), "The member with the most free CPU.")
    };

    fn new(_settings: &mut Settings) -> Self {
        Self
    }

    fn place(&mut self, fleet: &Fleet, class: &Class, request: &Request) -> Result<Choice, Refusal> {
        let scored = class.rows().iter().filter_map(|&row| Some((score(fleet, request, row)?, row)));
        let best = scored.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        best.map(|(score, row)| Choice { row, score, reason: 0 }).ok_or(Refusal::NothingSuits(NO_ROOM))
    }

    fn score(&mut self, fleet: &Fleet, _class: &Class, request: &Request, row: u32) -> f32 {
        score(fleet, request, row).unwrap_or(f32::NEG_INFINITY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::placement::Resources;
    use pilothouse_sdk::testing::{Member, World, placing};

    const NEEDS: Resources =
        Resources { cpu_millis: 2_000, memory_mib: 1_024, storage_mib: 0, accelerator_millis: 0 };

    fn member(cpu_millis: f64) -> Member {
        Member::default().with(Column::CpuMillisTotal, 8_000.0).with(Column::CpuMillisFree, cpu_millis)
    }

    #[test]
    fn the_most_free_member_takes_the_workload() {
        let mut world: World<MostFree> = placing(&[]).unwrap().members([member(3_000.0), member(5_000.0)]);
        assert_eq!(world.rank_placement(NEEDS, 1, 1).unwrap()[0].row, 1);
    }

    #[test]
    fn without_room_nothing_suits() {
        let mut world: World<MostFree> = placing(&[]).unwrap().members([member(1_000.0)]);
        assert!(matches!(world.rank_placement(NEEDS, 1, 1), Err(Refusal::NothingSuits(NO_ROOM))));
    }
}
