//! Places workloads by latency, cost, capacity, health and priority, weighed against each other.
//!
//! Rule: every factor is 0..1 over the eligible members of this decision: latency `rtt_min / rtt`, cost `price_min / price`, capacity the mean free
//! share of what the workload takes (of agents if nothing is known) after it is placed, health as reported, priority over the
//! largest. Score is 100 times their weighted mean; what is unknown counts half. Members within `band` points of the best
//! share the work by the seed, so that schedulers side by side do not all pick the same one.

use pilothouse_sdk::placement::{Placement, Request};
use pilothouse_sdk::scan::{NO, keep, lanes, mask, most};
use pilothouse_sdk::{
    About, Block, Candidate, Choice, Class, Column, Fleet, LANES, Refusal, Rng, Settings, export_placement,
};

const UNKNOWN: f32 = 0.5;

/// The policy.
#[derive(Debug)]
pub struct MultiFactor {
    weights: [f32; 5],
    band: f32,
    /// By row, of the last decision.
    scores: Vec<f32>,
}
export_placement!(MultiFactor);

/// The best values among the eligible, against which the others are measured.
#[derive(Debug, Clone, Copy)]
struct Best {
    rtt_ms: f32,
    cost: f32,
    priority: f32,
}

const FACTORS: [&str; 5] = ["latency", "cost", "capacity", "health", "priority"];

impl Placement for MultiFactor {
    const ABOUT: About = About {
        columns: &[
            Column::CostPerHour,
            Column::HealthScore,
            Column::Active,
            Column::Capacity,
            Column::Priority,
            Column::CpuMillisFree,
            Column::CpuMillisTotal,
            Column::MemoryMibFree,
            Column::MemoryMibTotal,
            Column::StorageMibFree,
            Column::StorageMibTotal,
            Column::RttMs,
        ],
        settings_schema: r#"{"type":"object","additionalProperties":false,"properties":{
"weights":{"type":"object","additionalProperties":false,"description":"How much each factor counts.","properties":{
"latency":{"type":"number","minimum":0,"maximum":100,"default":1},
"cost":{"type":"number","minimum":0,"maximum":100,"default":1},
"capacity":{"type":"number","minimum":0,"maximum":100,"default":1},
"health":{"type":"number","minimum":0,"maximum":100,"default":1},
"priority":{"type":"number","minimum":0,"maximum":100,"default":0.5}}},
"band":{"type":"number","minimum":0,"maximum":100,"default":0,"description":"Members this close to the best score share the work."}}}"#,
        reasons: &["best weighted score"],
        factors: &FACTORS,
        ..About::new("multi-factor", "1.0.0", "Latency, cost, capacity, health and priority, weighed.")
    };

    fn new(settings: &mut Settings) -> Self {
        let mut weight =
            |name: &str, default| settings.number(&format!("weights.{name}"), default, 0.0..=100.0) as f32;
        let weights = [
            weight("latency", 1.0),
            weight("cost", 1.0),
            weight("capacity", 1.0),
            weight("health", 1.0),
            weight("priority", 0.5),
        ];
        if weights.iter().sum::<f32>() <= 0.0 {
            settings.problem("weights", "at least one weight must be above 0");
        }
        Self { weights, band: settings.number("band", 0.0, 0.0..=100.0) as f32, scores: Vec::new() }
    }

    fn place(&mut self, fleet: &Fleet, class: &Class, request: &Request) -> Result<Choice, Refusal> {
        self.score_all(fleet, class, request, Best::of(fleet, class));
        let (blocks, _) = self.scores.as_chunks::<LANES>();
        let tops: Vec<f32> = blocks.iter().map(most).collect();
        let top = tops.iter().fold(NO, |top, &value| if value > top { value } else { top });
        let least = top - self.band;
        // Few blocks reach the best score, so few are looked at row by row.
        let near = || (0_u32..).zip(blocks).zip(&tops).filter(|&(_, &top)| top >= least);
        let within =
            |scores: &[f32; LANES]| scores.iter().map(|&score| u32::from(score >= least)).sum::<u32>();
        let close: u32 = near().map(|((_, scores), _)| within(scores)).sum();
        let drawn = Rng::new(request.seed).below(close) as usize;
        let rows = near().flat_map(|((index, scores), _)| {
            (index * LANES as u32..).zip(scores).filter(|&(_, &score)| score >= least)
        });
        let place = rows.into_iter().nth(drawn);
        let (row, score) = place.map_or((class.nth(0), top), |(row, &score)| (row, score));
        Ok(Choice { row, score, reason: 0 })
    }

    /// One pass over all rows instead of one per row.
    fn rank(
        &mut self,
        fleet: &Fleet,
        class: &Class,
        request: &Request,
        limit: u32,
    ) -> Result<Vec<Candidate>, Refusal> {
        let chosen = self.place(fleet, class, request)?;
        let best = Best::of(fleet, class);
        let score = |row: u32| self.scores.get(row as usize).copied().unwrap_or(NO);
        let mut rest: Vec<u32> = class.rows().iter().copied().filter(|&row| row != chosen.row).collect();
        rest.sort_unstable_by(|&a, &b| score(b).total_cmp(&score(a)).then(a.cmp(&b)));
        rest.truncate(limit.saturating_sub(1) as usize);
        let candidate = |row| Candidate {
            row,
            score: score(row),
            reason: 0,
            factors: factors(fleet, class, request, best, row).to_vec(),
        };
        Ok(std::iter::once(chosen.row).chain(rest).map(candidate).collect())
    }
}

impl MultiFactor {
    /// Fills `scores`, one per row; rows that are not eligible get minus infinity.
    fn score_all(&mut self, fleet: &Fleet, class: &Class, request: &Request, best: Best) {
        let sum: f32 = self.weights.iter().sum();
        let weights = self.weights.map(|weight| 100.0 * weight / sum);
        let mut in_flight = InFlight::of(fleet, class);
        self.scores.clear();
        self.scores.resize(fleet.blocks().len() * LANES, NO);
        let (scores, _) = self.scores.as_chunks_mut::<LANES>();
        for (((index, block), &word), scores) in (0..).zip(fleet.blocks()).zip(class.words()).zip(scores) {
            if word == 0 {
                continue;
            }
            let inputs = Inputs::of(&block, class.rtt_ms_of_block(index), in_flight.of_block(word));
            score_block(scores, &inputs, request, best, weights);
            mask(scores, word, NO);
        }
    }
}

/// The columns of 64 rows that scores are made of.
struct Inputs<'a> {
    rtt_ms: &'a [f32; LANES],
    cost: &'a [f32; LANES],
    health: &'a [f32; LANES],
    priority: &'a [u32; LANES],
    free: [&'a [u32; LANES]; 3],
    total: [&'a [u32; LANES]; 3],
    limit: &'a [u32; LANES],
    active: &'a [u32; LANES],
    in_flight: &'a [u32; LANES],
}

impl<'a> Inputs<'a> {
    fn of(block: &Block<'a>, rtt_ms: &'a [f32; LANES], in_flight: &'a [u32; LANES]) -> Self {
        Self {
            rtt_ms,
            cost: block.f32(Column::CostPerHour),
            health: block.f32(Column::HealthScore),
            priority: block.u32(Column::Priority),
            free: RESOURCES.map(|(free, _)| block.u32(free)),
            total: RESOURCES.map(|(_, total)| block.u32(total)),
            limit: block.u32(Column::Capacity),
            active: block.u32(Column::Active),
            in_flight,
        }
    }
}

/// Scores of 64 rows: one loop without branches and without arrays in between, so that it becomes SIMD in registers.
#[expect(clippy::indexing_slicing, reason = "arrays of 64, and lanes below 64")]
fn score_block(
    scores: &mut [f32; LANES],
    inputs: &Inputs<'_>,
    request: &Request,
    best: Best,
    [latency, cost, capacity, health, priority]: [f32; 5],
) {
    let Inputs { free, total, .. } = inputs;
    let [cpu, memory, storage] = needs(request);
    for lane in 0..LANES {
        let mut known = share(free[0][lane], total[0][lane], cpu);
        known.add(share(free[1][lane], total[1][lane], memory));
        known.add(share(free[2][lane], total[2][lane], storage));
        let limit = inputs.limit[lane];
        known.add(share(limit, limit, taken(inputs.active[lane], inputs.in_flight[lane])));
        scores[lane] = latency * ratio(best.rtt_ms, inputs.rtt_ms[lane])
            + cost * ratio(best.cost, inputs.cost[lane])
            + capacity * known.mean()
            + health * healthy(inputs.health[lane])
            + priority * important(inputs.priority[lane], best.priority);
    }
}

/// Work in flight of the eligible rows, asked once and dealt out block by block.
struct InFlight {
    counts: std::vec::IntoIter<u32>,
    lanes: [u32; LANES],
}

impl InFlight {
    fn of(fleet: &Fleet, class: &Class) -> Self {
        // Counts matter only where the number of agents is limited, and asking costs more than looking.
        let limits =
            fleet.blocks().map(|block| block.u32(Column::Capacity).iter().fold(0, |any, limit| any | limit));
        let limited = limits.fold(0, |any, limit| any | limit) > 0;
        let counts = if limited { fleet.in_flight_many(class.rows()) } else { Vec::new() };
        Self { counts: counts.into_iter(), lanes: [0; LANES] }
    }

    fn of_block(&mut self, word: u64) -> &[u32; LANES] {
        if self.counts.len() > 0 {
            self.lanes = [0; LANES];
            for lane in lanes(word) {
                if let (Some(place), Some(count)) = (self.lanes.get_mut(lane), self.counts.next()) {
                    *place = count;
                }
            }
        }
        &self.lanes
    }
}

impl Best {
    fn of(fleet: &Fleet, class: &Class) -> Self {
        let (mut rtt_ms, mut cost) = ([f32::INFINITY; LANES], [f32::INFINITY; LANES]);
        let mut priority = [0.0; LANES];
        for ((index, block), &word) in (0..).zip(fleet.blocks()).zip(class.words()) {
            let eligible = |values: &[f32; LANES]| {
                let mut values = *values;
                mask(&mut values, word, f32::NAN);
                values
            };
            keep(&mut rtt_ms, &eligible(class.rtt_ms_of_block(index)), |value, least| value < least);
            keep(&mut cost, &eligible(block.f32(Column::CostPerHour)), |value, least| value < least);
            let priorities = block.u32(Column::Priority).map(number);
            keep(&mut priority, &eligible(&priorities), |value, largest| value > largest);
        }
        let least = |values: [f32; LANES]| -most(&values.map(|value| -value));
        Self { rtt_ms: least(rtt_ms), cost: least(cost), priority: most(&priority) }
    }
}

/// The factors of one row, each 0..1, in the order of [`FACTORS`].
fn factors(fleet: &Fleet, class: &Class, request: &Request, best: Best, row: u32) -> [f32; 5] {
    let limit = fleet.u32(Column::Capacity, row);
    let mut known = share(limit, limit, taken(fleet.u32(Column::Active, row), fleet.in_flight(row)));
    for ((free, total), need) in RESOURCES.into_iter().zip(needs(request)) {
        known.add(share(fleet.u32(free, row), fleet.u32(total, row), need));
    }
    [
        ratio(best.rtt_ms, class.rtt_ms(row)),
        ratio(best.cost, fleet.f32(Column::CostPerHour, row)),
        known.mean(),
        healthy(fleet.f32(Column::HealthScore, row)),
        important(fleet.u32(Column::Priority, row), best.priority),
    ]
}

/// Columns of what a workload takes: free and total, in the order of [`needs`].
const RESOURCES: [(Column, Column); 3] = [
    (Column::CpuMillisFree, Column::CpuMillisTotal),
    (Column::MemoryMibFree, Column::MemoryMibTotal),
    (Column::StorageMibFree, Column::StorageMibTotal),
];

fn needs(request: &Request) -> [u32; 3] {
    [request.needs.cpu_millis, request.needs.memory_mib, request.needs.storage_mib]
}

/// The least over the value: 1 for the best.
#[inline]
fn ratio(least: f32, value: f32) -> f32 {
    let share = least / value;
    let share = if share < 1.0 { share } else { 1.0 };
    let share = if value > 0.0 { share } else { 1.0 };
    if value.is_nan() { UNKNOWN } else { share }
}

#[inline]
fn healthy(value: f32) -> f32 {
    let bounded = if value < 1.0 { value } else { 1.0 };
    let bounded = if bounded > 0.0 { bounded } else { 0.0 };
    if value.is_nan() { UNKNOWN } else { bounded }
}

#[inline]
fn important(priority: u32, largest: f32) -> f32 {
    if largest > 0.0 { number(priority) / largest } else { UNKNOWN }
}

/// Shares that are left, of the resources whose total is known.
#[derive(Clone, Copy)]
struct Known {
    sum: f32,
    count: f32,
}

impl Known {
    #[inline]
    fn add(&mut self, other: Self) {
        (self.sum, self.count) = (self.sum + other.sum, self.count + other.count);
    }

    #[inline]
    fn mean(self) -> f32 {
        if self.count > 0.0 { self.sum / self.count } else { UNKNOWN }
    }
}

/// Share that is left after `need` is taken; nothing if the total is unknown.
#[inline]
fn share(free: u32, total: u32, need: u32) -> Known {
    let left = if free > need { free.wrapping_sub(need) } else { 0 };
    let share = number(left) / number(total);
    if total > 0 { Known { sum: share, count: 1.0 } } else { Known { sum: 0.0, count: 0.0 } }
}

/// A count as a float. By way of signed numbers, which is one instruction where unsigned ones take eight; two thousand
/// million are as good as infinitely many.
#[inline]
fn number(count: u32) -> f32 {
    count.min(i32::MAX as u32).cast_signed() as f32
}

#[inline]
fn taken(active: u32, in_flight: u32) -> u32 {
    active.saturating_add(in_flight).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::Value;
    use pilothouse_sdk::placement::Resources;
    use pilothouse_sdk::testing::{Member, World, placing};

    const NEEDS: Resources =
        Resources { cpu_millis: 1_000, memory_mib: 0, storage_mib: 0, accelerator_millis: 0 };

    fn plain() -> Member {
        Member::default().with(Column::HealthScore, 1.0).with(Column::CostPerHour, 2.0).rtt_ms(20.0)
    }

    fn world(members: impl IntoIterator<Item = Member>) -> World<MultiFactor> {
        placing(&[]).unwrap().members(members)
    }

    fn best(members: impl IntoIterator<Item = Member>) -> u32 {
        world(members).rank_placement(NEEDS, 1, 1).unwrap()[0].row
    }

    #[test]
    fn each_factor_decides_when_the_others_are_equal() {
        for (name, better) in [
            ("latency", plain().rtt_ms(5.0)),
            ("cost", plain().with(Column::CostPerHour, 1.0)),
            ("capacity", plain().with(Column::CpuMillisTotal, 8_000.0).with(Column::CpuMillisFree, 8_000.0)),
            ("priority", plain().with(Column::Priority, 3.0)),
        ] {
            assert_eq!(best([plain(), better, plain()]), 1, "{name}");
        }
        assert_eq!(best([plain().with(Column::HealthScore, 0.5), plain()]), 1, "health");
    }

    #[test]
    fn alternatives_come_with_their_parts_best_first() {
        let mut world = world([plain(), plain().rtt_ms(5.0), plain().rtt_ms(10.0)]);
        let ranked = world.rank_placement(NEEDS, 1, 3).unwrap();
        assert_eq!(ranked.iter().map(|candidate| candidate.row).collect::<Vec<_>>(), [1, 2, 0]);
        assert_eq!(ranked[1].factors[0], 0.5, "twice the best latency");
        assert!(ranked.windows(2).all(|pair| pair[0].score >= pair[1].score));
    }

    #[test]
    fn unknown_values_neither_win_nor_trap() {
        let unknown = Member::default();
        assert_eq!(best([unknown.clone(), plain()]), 1);
        assert_eq!(best([unknown]), 0);
    }

    #[test]
    fn weights_that_are_all_zero_are_refused() {
        let names = FACTORS.map(|name| format!("weights.{name}"));
        let zero: Vec<(&str, Value)> = names.iter().map(|name| (name.as_str(), Value::Integer(0))).collect();
        assert_eq!(placing::<MultiFactor>(&zero).unwrap_err()[0].path, "weights");
    }
}
