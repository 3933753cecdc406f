//! Takes the cheapest member that still has headroom; carbon can weigh in.
//!
//! Rule: a member scores `100 * (price_min / price + w * carbon_min / carbon) / (1 + w)` over the eligible members, `w` being
//! `carbon-weight`; what is unknown counts 0 and so never beats what is known. Members on which less than `headroom` of a
//! resource that the workload takes would stay free score 100 less: they serve only when nobody has headroom. Ties go by
//! the seed.

use pilothouse_sdk::placement::{Placement, Request};
use pilothouse_sdk::room::{ROOM_COLUMNS, Room};
use pilothouse_sdk::scan::{self, NO, Scores};
use pilothouse_sdk::{
    About, Block, Candidate, Choice, Class, Column, Fleet, Refusal, Settings, export_placement,
};

const NO_ROOM: u32 = 1;

const COLUMNS: [Column; 12] = {
    let [a, b, c, d, e, f, g, h, i, j] = ROOM_COLUMNS;
    [a, b, c, d, e, f, g, h, i, j, Column::CostPerHour, Column::CarbonGPerKwh]
};

/// The policy.
#[derive(Debug)]
pub struct CostAware {
    headroom: f32,
    carbon_weight: f32,
}
export_placement!(CostAware);

/// The smallest values among the eligible, against which the others are measured.
#[derive(Debug, Clone, Copy)]
struct Least {
    price: f32,
    carbon: f32,
}

impl Placement for CostAware {
    const ABOUT: About = About {
        columns: &COLUMNS,
        settings_schema: r#"{"type":"object","additionalProperties":false,"properties":{
"headroom":{"type":"number","minimum":0,"maximum":0.9,"default":0.1,"description":"Share of each taken resource that should stay free."},
"carbon-weight":{"type":"number","minimum":0,"maximum":100,"default":0,"description":"How much carbon counts against price, which counts 1."}}}"#,
        reasons: &["cheapest with headroom", "nobody has room"],
        factors: &["price", "carbon"],
        properties: &["prefers-cheaper"],
        ..About::new("cost-aware", "1.0.0", "The cheapest member with headroom; carbon can weigh in.")
    };

    fn new(settings: &mut Settings) -> Self {
        Self {
            headroom: settings.number("headroom", 0.1, 0.0..=0.9) as f32,
            carbon_weight: settings.number("carbon-weight", 0.0, 0.0..=100.0) as f32,
        }
    }

    fn place(&mut self, fleet: &Fleet, class: &Class, request: &Request) -> Result<Choice, Refusal> {
        let least = Least::of(fleet, class);
        scan::choose(fleet, class, request.seed, NO_ROOM, |block, _| self.scores(block, request, least))
    }

    fn rank(
        &mut self,
        fleet: &Fleet,
        class: &Class,
        request: &Request,
        limit: u32,
    ) -> Result<Vec<Candidate>, Refusal> {
        let least = Least::of(fleet, class);
        let score = |block: Block<'_>, _| self.scores(block, request, least);
        let factors = |row| {
            let carbon = ratio(least.carbon, fleet.f32(Column::CarbonGPerKwh, row));
            vec![ratio(least.price, fleet.f32(Column::CostPerHour, row)), carbon]
        };
        scan::rank(fleet, class, request.seed, limit, NO_ROOM, score, factors)
    }
}

impl CostAware {
    fn scores(&self, block: Block<'_>, request: &Request, least: Least) -> Scores {
        let mut scores = Room::after(block, &request.needs).most_used;
        let money = block.f32(Column::CostPerHour).iter().zip(block.f32(Column::CarbonGPerKwh));
        let scale = 100.0 / (1.0 + self.carbon_weight);
        for (score, (&price, &carbon)) in scores.iter_mut().zip(money) {
            let worth = ratio(least.price, price) + self.carbon_weight * ratio(least.carbon, carbon);
            let tight = if *score > 1.0 - self.headroom { 100.0 } else { 0.0 };
            *score = if *score <= 1.0 { scale * worth - tight } else { NO };
        }
        scores
    }
}

impl Least {
    fn of(fleet: &Fleet, class: &Class) -> Self {
        let mut least = [f32::INFINITY; 2];
        for (block, &eligible) in fleet.blocks().zip(class.words()) {
            for (least, column) in least.iter_mut().zip([Column::CostPerHour, Column::CarbonGPerKwh]) {
                let values = block.f32(column);
                let known = scan::lanes(eligible).filter_map(|lane| values.get(lane));
                *least = known.fold(*least, |least, &value| if value < least { value } else { least });
            }
        }
        let [price, carbon] = least;
        Self { price, carbon }
    }
}

/// 1 for the least, less for more, 0 for unknown.
#[inline]
fn ratio(least: f32, value: f32) -> f32 {
    let ratio = if value > 0.0 { least / value } else { 1.0 };
    if value.is_nan() { 0.0 } else { ratio.clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::Value;
    use pilothouse_sdk::placement::Resources;
    use pilothouse_sdk::testing::{Member, World, placing};

    const NEEDS: Resources =
        Resources { cpu_millis: 1_000, memory_mib: 0, storage_mib: 0, accelerator_millis: 0 };

    fn member(price: f64, carbon: f64, cpu_millis_free: f64) -> Member {
        Member::default()
            .with(Column::CostPerHour, price)
            .with(Column::CarbonGPerKwh, carbon)
            .with(Column::CpuMillisTotal, 10_000.0)
            .with(Column::CpuMillisFree, cpu_millis_free)
    }

    fn order(settings: &[(&str, Value)], members: impl IntoIterator<Item = Member>) -> Vec<u32> {
        let mut world: World<CostAware> = placing(settings).unwrap().members(members);
        let ranked = world.rank_placement(NEEDS, 1, 64);
        ranked.map_or_else(|_| Vec::new(), |ranked| ranked.iter().map(|candidate| candidate.row).collect())
    }

    #[test]
    fn cheapest_with_headroom_first_then_without_never_without_room() {
        let unknown = Member::default();
        for (name, members, rows) in [
            (
                "price",
                vec![member(2.0, 1.0, 9e3), member(1.0, 9.0, 9e3), member(3.0, 1.0, 9e3)],
                vec![1, 0, 2],
            ),
            ("headroom", vec![member(1.0, 1.0, 1_500.0), member(3.0, 1.0, 9e3)], vec![1, 0]),
            ("room", vec![member(1.0, 1.0, 500.0), member(3.0, 1.0, 9e3)], vec![1]),
            ("free of charge", vec![member(1.0, 1.0, 9e3), member(0.0, 1.0, 9e3)], vec![1, 0]),
            ("unknown", vec![unknown, member(50.0, 1.0, 9e3)], vec![1, 0]),
            ("nobody", vec![member(1.0, 1.0, 0.0)], vec![]),
        ] {
            assert_eq!(order(&[], members), rows, "{name}");
        }
    }

    #[test]
    fn carbon_weighs_as_much_as_asked() {
        let members = || [member(1.0, 400.0, 9e3), member(1.25, 100.0, 9e3)];
        assert_eq!(order(&[], members()), [0, 1]);
        assert_eq!(order(&[("carbon-weight", Value::Number(1.0))], members()), [1, 0]);
    }
}
