//! Places workloads by latency, cost, capacity, health and priority, weighed against each other.
//!
//! Rule: every factor is 0..1 over the eligible members of this decision: latency `rtt_min / rtt`, cost `price_min / price`, capacity the mean free
//! share of what the workload takes (of agents if nothing is known) after it is placed, health as reported, priority over the
//! largest. Score is 100 times their weighted mean; what is unknown counts half. Members within `band` points of the best
//! share the work by the seed, so that schedulers side by side do not all pick the same one.

use pilothouse_sdk::placement::{Placement, Request};
use pilothouse_sdk::{About, Choice, Class, Column, Fleet, Refusal, Rng, Settings, export_placement};

const UNKNOWN: f32 = 0.5;

/// The policy.
#[derive(Debug)]
pub struct MultiFactor {
    weights: [f32; 5],
    band: f32,
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
        let best = Best::of(fleet, class);
        let mut scores = std::mem::take(&mut self.scores);
        scores.clear();
        scores.extend(class.rows().iter().map(|&row| self.total(&factors(fleet, class, request, best, row))));
        let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let within = |score: f32| score >= top - self.band;
        let close = scores.iter().filter(|&&score| within(score)).count() as u32;
        let drawn = Rng::new(request.seed).below(close) as usize;
        let place = (0_u32..).zip(&scores).filter(|&(_, &score)| within(score)).nth(drawn);
        let (rank, score) = place.map_or((0, top), |(rank, &score)| (rank, score));
        self.scores = scores;
        Ok(Choice { row: class.nth(rank), score, reason: 0 })
    }

    fn score(&mut self, fleet: &Fleet, class: &Class, request: &Request, row: u32) -> f32 {
        self.total(&factors(fleet, class, request, Best::of(fleet, class), row))
    }

    fn factors(&mut self, fleet: &Fleet, class: &Class, request: &Request, row: u32) -> Vec<f32> {
        factors(fleet, class, request, Best::of(fleet, class), row).to_vec()
    }

    /// One pass for the best values instead of one per row.
    fn rank(
        &mut self,
        fleet: &Fleet,
        class: &Class,
        request: &Request,
        limit: u32,
    ) -> Result<Vec<pilothouse_sdk::Candidate>, Refusal> {
        let chosen = self.place(fleet, class, request)?;
        let best = Best::of(fleet, class);
        let mut rest: Vec<(f32, u32)> = class
            .rows()
            .iter()
            .filter(|&&row| row != chosen.row)
            .map(|&row| (self.total(&factors(fleet, class, request, best, row)), row))
            .collect();
        rest.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        rest.truncate(limit.saturating_sub(1) as usize);
        let first = (chosen.score, chosen.row);
        let candidate = |(score, row): (f32, u32)| pilothouse_sdk::Candidate {
            row,
            score,
            reason: 0,
            factors: factors(fleet, class, request, best, row).to_vec(),
        };
        Ok(std::iter::once(first).chain(rest).map(candidate).collect())
    }
}

impl MultiFactor {
    fn total(&self, factors: &[f32; 5]) -> f32 {
        let (mut sum, mut weights) = (0.0, 0.0);
        for (factor, weight) in factors.iter().zip(&self.weights) {
            sum += factor * weight;
            weights += weight;
        }
        100.0 * sum / weights
    }
}

impl Best {
    fn of(fleet: &Fleet, class: &Class) -> Self {
        let mut best = Self { rtt_ms: f32::INFINITY, cost: f32::INFINITY, priority: 0.0 };
        for &row in class.rows() {
            best.rtt_ms = best.rtt_ms.min(class.rtt_ms(row));
            best.cost = best.cost.min(fleet.f32(Column::CostPerHour, row));
            best.priority = best.priority.max(fleet.u32(Column::Priority, row) as f32);
        }
        best
    }
}

/// Each 0..1, in the order of [`FACTORS`].
fn factors(fleet: &Fleet, class: &Class, request: &Request, best: Best, row: u32) -> [f32; 5] {
    let ratio = |least: f32, value: f32| {
        if value.is_nan() {
            UNKNOWN
        } else if value <= 0.0 {
            1.0
        } else {
            (least / value).clamp(0.0, 1.0)
        }
    };
    let priority =
        if best.priority > 0.0 { fleet.u32(Column::Priority, row) as f32 / best.priority } else { UNKNOWN };
    let health = fleet.f32(Column::HealthScore, row);
    [
        ratio(best.rtt_ms, class.rtt_ms(row)),
        ratio(best.cost, fleet.f32(Column::CostPerHour, row)),
        free_share(fleet, request, row),
        if health.is_nan() { UNKNOWN } else { health.clamp(0.0, 1.0) },
        priority,
    ]
}

/// Mean share that is free after the workload is placed, over the resources whose total is known.
fn free_share(fleet: &Fleet, request: &Request, row: u32) -> f32 {
    let needs = &request.needs;
    let (mut sum, mut known) = (0.0, 0.0);
    for (free, total, need) in [
        (Column::CpuMillisFree, Column::CpuMillisTotal, needs.cpu_millis),
        (Column::MemoryMibFree, Column::MemoryMibTotal, needs.memory_mib),
        (Column::StorageMibFree, Column::StorageMibTotal, needs.storage_mib),
    ] {
        let total = fleet.u32(total, row);
        if total > 0 {
            sum += fleet.u32(free, row).saturating_sub(need) as f32 / total as f32;
            known += 1.0;
        }
    }
    let capacity = fleet.u32(Column::Capacity, row);
    if capacity > 0 {
        let taken = fleet.u32(Column::Active, row).saturating_add(fleet.in_flight(row)).saturating_add(1);
        sum += capacity.saturating_sub(taken) as f32 / capacity as f32;
        known += 1.0;
    }
    if known > 0.0 { sum / known } else { UNKNOWN }
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
