//! Spreads work evenly: over members, zones and regions, so that the loss of one takes little with it.
//!
//! Rule: score is 100 times the weighted mean of three free shares, the highest wins, ties by the seed. The member's is one
//! less its mean used share after the workload is placed (CPU, memory, storage, accelerators, agents, where the total is
//! known); the zone's and the region's are one less its work per member, relative to the busiest eligible zone or region.
//! The members' part is `LeastAllocated` of the Kubernetes scheduler, the others are its soft topology spread, with all
//! work counted instead of one workload's copies.

use pilothouse_sdk::placement::{Placement, Request};
use pilothouse_sdk::room::{ROOM_COLUMNS, Room};
use pilothouse_sdk::scan::{self, NO, Scores};
use pilothouse_sdk::{
    About, Block, Candidate, Choice, Class, Column, Fleet, Refusal, Settings, export_placement,
};

const NO_ROOM: u32 = 1;

const COLUMNS: [Column; 12] = {
    let [a, b, c, d, e, f, g, h, i, j] = ROOM_COLUMNS;
    [a, b, c, d, e, f, g, h, i, j, Column::Zone, Column::Region]
};

/// The policy.
#[derive(Debug)]
pub struct Spread {
    zones: Domains,
    regions: Domains,
    member_weight: f32,
}
export_placement!(Spread);

impl Placement for Spread {
    const ABOUT: About = About {
        columns: &COLUMNS,
        settings_schema: r#"{"type":"object","additionalProperties":false,"properties":{
"weights":{"type":"object","additionalProperties":false,"description":"How much each level counts.","properties":{
"member":{"type":"number","minimum":0.01,"maximum":100,"default":1},
"zone":{"type":"number","minimum":0,"maximum":100,"default":1},
"region":{"type":"number","minimum":0,"maximum":100,"default":1}}}}}"#,
        reasons: &["emptiest by member, zone and region", "nobody has room"],
        factors: &["member", "zone", "region"],
        properties: &["prefers-emptier"],
        ..About::new("spread", "1.0.0", "Even use of members, zones and regions.")
    };

    fn new(settings: &mut Settings) -> Self {
        Self {
            zones: Domains::new(Column::Zone, settings.number("weights.zone", 1.0, 0.0..=100.0) as f32),
            regions: Domains::new(Column::Region, settings.number("weights.region", 1.0, 0.0..=100.0) as f32),
            member_weight: settings.number("weights.member", 1.0, 0.01..=100.0) as f32,
        }
    }

    fn place(&mut self, fleet: &Fleet, class: &Class, request: &Request) -> Result<Choice, Refusal> {
        self.count(fleet, class);
        scan::choose(fleet, class, request.seed, NO_ROOM, |block, _| self.scores(block, request))
    }

    fn rank(
        &mut self,
        fleet: &Fleet,
        class: &Class,
        request: &Request,
        limit: u32,
    ) -> Result<Vec<Candidate>, Refusal> {
        self.count(fleet, class);
        let score = |block: Block<'_>, _| self.scores(block, request);
        let factors = |row: u32| {
            let idle = |domains: &Domains| domains.idle(fleet.u32(domains.column, row));
            let (index, lane) = (row as usize / pilothouse_sdk::LANES, row as usize % pilothouse_sdk::LANES);
            let block = fleet.blocks().nth(index);
            let used =
                block.and_then(|block| Room::after(block, &request.needs).mean_used.get(lane).copied());
            vec![1.0 - used.unwrap_or(1.0), idle(&self.zones), idle(&self.regions)]
        };
        scan::rank(fleet, class, request.seed, limit, NO_ROOM, score, factors)
    }
}

impl Spread {
    fn count(&mut self, fleet: &Fleet, class: &Class) {
        self.zones.count(fleet, class);
        self.regions.count(fleet, class);
    }

    fn scores(&self, block: Block<'_>, request: &Request) -> Scores {
        let Room { mean_used, most_used } = Room::after(block, &request.needs);
        let places = block.u32(Column::Zone).iter().zip(block.u32(Column::Region));
        let scale = 100.0 / (self.member_weight + self.zones.weight + self.regions.weight);
        let mut scores = [NO; pilothouse_sdk::LANES];
        for (((score, used), most), (&zone, &region)) in
            scores.iter_mut().zip(mean_used).zip(most_used).zip(places)
        {
            if most <= 1.0 {
                let member = self.member_weight * (1.0 - used);
                let around = self.zones.weight * self.zones.idle(zone)
                    + self.regions.weight * self.regions.idle(region);
                *score = scale * (member + around);
            }
        }
        scores
    }
}

/// Work per member of every zone or every region.
#[derive(Debug)]
struct Domains {
    column: Column,
    weight: f32,
    /// Work and members, by symbol.
    counts: Vec<(f32, f32)>,
    /// Share that is idle against the busiest, by symbol.
    idle: Vec<f32>,
    seen: Option<(u64, u32, u64)>,
}

impl Domains {
    fn new(column: Column, weight: f32) -> Self {
        Self { column, weight, counts: Vec::new(), idle: Vec::new(), seen: None }
    }

    /// Counts the eligible members and their work, unless nothing changed since the last time.
    fn count(&mut self, fleet: &Fleet, class: &Class) {
        let seen = Some((fleet.epoch(), class.id(), class.version()));
        if self.seen == seen {
            return;
        }
        self.seen = seen;
        self.counts.clear();
        for &row in class.rows() {
            let symbol = fleet.u32(self.column, row) as usize;
            if self.counts.len() <= symbol {
                self.counts.resize(symbol + 1, (0.0, 0.0));
            }
            if let Some((work, members)) = self.counts.get_mut(symbol) {
                *work += fleet.u32(Column::Active, row) as f32;
                *members += 1.0;
            }
        }
        let per_member = |&(work, members): &(f32, f32)| if members > 0.0 { work / members } else { 0.0 };
        let busiest = self.counts.iter().map(per_member).fold(f32::MIN_POSITIVE, f32::max);
        self.idle.clear();
        self.idle.extend(self.counts.iter().map(|count| 1.0 - per_member(count) / busiest));
    }

    #[inline]
    fn idle(&self, symbol: u32) -> f32 {
        self.idle.get(symbol as usize).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::Value;
    use pilothouse_sdk::placement::Resources;
    use pilothouse_sdk::testing::{Member, World, placing};

    const NEEDS: Resources =
        Resources { cpu_millis: 1_000, memory_mib: 0, storage_mib: 0, accelerator_millis: 0 };

    fn member(zone: u32, region: u32, active: u32) -> Member {
        let free = 100_000.0 - 1_000.0 * f64::from(active);
        Member::default()
            .with(Column::Zone, zone.into())
            .with(Column::Region, region.into())
            .with(Column::Active, active.into())
            .with(Column::CpuMillisTotal, 100_000.0)
            .with(Column::CpuMillisFree, free)
    }

    fn first(settings: &[(&str, Value)], members: impl IntoIterator<Item = Member>) -> Option<u32> {
        let mut world: World<Spread> = placing(settings).unwrap().members(members);
        world.rank_placement(NEEDS, 1, 1).ok().map(|ranked| ranked[0].row)
    }

    #[test]
    fn the_emptier_side_takes_the_work() {
        for (name, members, row) in [
            ("member", vec![member(1, 1, 9), member(1, 1, 2)], Some(1)),
            ("zone", vec![member(1, 1, 4), member(1, 1, 9), member(2, 1, 5)], Some(2)),
            ("region", vec![member(1, 1, 4), member(2, 1, 9), member(3, 2, 5)], Some(2)),
            ("full", vec![member(1, 1, 100)], None),
            ("full is out", vec![member(1, 1, 100), member(2, 2, 99)], Some(1)),
        ] {
            assert_eq!(first(&[], members), row, "{name}");
        }
        let alone = [("weights.zone", Value::Integer(0)), ("weights.region", Value::Integer(0))];
        assert_eq!(first(&alone, [member(1, 1, 4), member(1, 1, 9), member(2, 1, 5)]), Some(0));
    }

    #[test]
    fn zones_of_unequal_size_end_with_equal_work_per_member() {
        let mut world: World<Spread> =
            placing(&[]).unwrap().members([1, 1, 1, 2, 2, 3].map(|zone| member(zone, 1, 0)));
        let mut active = [0_u32; 6];
        for seed in 0..120 {
            let row = world.rank_placement(NEEDS, seed, 1).unwrap()[0].row as usize;
            active[row] += 1;
            let zone = [1, 1, 1, 2, 2, 3][row];
            world.update(|members| members[row] = member(zone, 1, active[row]));
        }
        assert!(active.iter().all(|&work| work.abs_diff(20) <= 1), "{active:?}");
    }

    #[test]
    fn alternatives_show_their_parts() {
        let mut world: World<Spread> =
            placing(&[]).unwrap().members([member(1, 1, 9), member(1, 1, 19), member(2, 2, 28)]);
        let ranked = world.rank_placement(NEEDS, 1, 3).unwrap();
        assert_eq!(ranked.len(), 3);
        assert!((ranked[0].factors[0] - 0.9).abs() < 1e-6 && (ranked[0].factors[1] - 0.5).abs() < 1e-6);
    }
}
