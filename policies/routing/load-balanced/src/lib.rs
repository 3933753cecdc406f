//! Spreads each flow so that the fullest member stays as empty as it can, among the members that are near enough.
//!
//! Rule: near enough is a `rtt / (1 - error rate)` within the flow's latency goal, else within `rtt-factor` times the best or
//! `rtt-slack-ms` above it; where these would be fuller than `spill-from` together, the next nearest help. The flow is poured
//! like water: every member is filled up to one level of utilisation, the lowest that holds `flow-share` of all their
//! capacity on top of what they run (water-filling minimises the largest utilisation). Shares move by at most `shift` in
//! 10 s, so that sources which see the same empty member do not all jump on it; a member that is gone loses its share at
//! once. The shares of a flow are a cache of the instance: losing them costs one undamped answer. Unknown
//! distances join only each other.

use pilothouse_sdk::routing::{
    Answer, Gradual, Lifetime, Load, Part, Ranked, Request, Routing, answer, expected_ms, ranked,
};
use pilothouse_sdk::{About, Class, Column, Fleet, Refusal, Settings, export_routing};

/// Members that a flow is poured over; what an answer can name.
const SHARES_MAX: usize = 16;

/// The policy.
#[derive(Debug)]
pub struct LoadBalanced {
    lifetime: Lifetime,
    rtt_factor: f32,
    rtt_slack_ms: f32,
    flow_share: f32,
    spill_from: f32,
    gradual: Gradual,
}
export_routing!(LoadBalanced);

impl Routing for LoadBalanced {
    const ABOUT: About = About {
        columns: &[
            Column::Active,
            Column::Capacity,
            Column::Cpu,
            Column::Weight,
            Column::ErrorRate,
            Column::RttMs,
        ],
        settings_schema: r#"{"type":"object","additionalProperties":false,"properties":{
"rtt-factor":{"type":"number","minimum":1,"maximum":100,"default":2,"description":"Near enough: within this many times the best round-trip time."},
"rtt-slack-ms":{"type":"number","minimum":0,"maximum":10000,"default":25,"description":"Near enough as well: within this of the best, ms."},
"flow-share":{"type":"number","minimum":0.001,"maximum":1,"default":0.1,"description":"Size of a flow as a share of all capacity that is near enough."},
"spill-from":{"type":"number","minimum":0.1,"maximum":1,"default":0.8,"description":"Utilisation of all that are near enough from which the next nearest helps."},
"shift":{"type":"number","minimum":0.001,"maximum":1,"default":0.1,"description":"Share of a flow that may move in 10 s."},
"ttl-ms":{"type":"integer","minimum":100,"maximum":3600000,"default":10000,"description":"Longest lifetime of an answer, ms."}}}"#,
        reasons: &[
            "evenly full within the bound",
            "misses the latency goal",
            "round-trip times unknown",
            "near members are full: spills",
        ],
        ..About::new("load-balanced", "1.0.0", "Water-filling over the members that are near enough.")
    };

    fn new(settings: &mut Settings) -> Self {
        Self {
            lifetime: Lifetime::of(settings),
            rtt_factor: settings.number("rtt-factor", 2.0, 1.0..=100.0) as f32,
            rtt_slack_ms: settings.number("rtt-slack-ms", 25.0, 0.0..=10_000.0) as f32,
            flow_share: settings.number("flow-share", 0.1, 0.001..=1.0) as f32,
            spill_from: settings.number("spill-from", 0.8, 0.1..=1.0) as f32,
            gradual: Gradual::of(settings),
        }
    }

    fn route(&mut self, fleet: &Fleet, class: &Class, request: &Request) -> Result<Answer, Refusal> {
        let order = ranked(class, request.seed, |row| expected_ms(fleet, class, row));
        let best_ms = order.first().map_or(f32::INFINITY, |ranked| ranked.cost);
        let goal_ms = request.latency_goal_ms;
        let (bound_ms, reason) = if best_ms.is_infinite() {
            (best_ms, 2)
        } else if best_ms <= goal_ms {
            (goal_ms, 0)
        } else {
            let bound_ms = (best_ms * self.rtt_factor).max(best_ms + self.rtt_slack_ms);
            (bound_ms, u32::from(goal_ms > 0.0))
        };
        let within = order.partition_point(|ranked| ranked.cost <= bound_ms);
        let taken = self.with_room(fleet, &order, within);
        let reason = if taken > within { 3 } else { reason };
        let wanted = poured(fleet, order.iter().take(taken), self.flow_share);
        let shares = self.gradual.moved(request, wanted);
        Ok(answer(&shares, &order, reason, self.lifetime.ms(class, best_ms)))
    }
}

impl LoadBalanced {
    /// How many of `order` are taken: those within the bound, and the next nearest while these are too full together.
    fn with_room(&self, fleet: &Fleet, order: &[Ranked], within: usize) -> usize {
        let (mut work, mut size) = (0.0, 0.0);
        let full = order.iter().filter(|ranked| ranked.cost.is_finite()).take_while(|ranked| {
            let load = Load::of(fleet, ranked.row);
            work += load.work;
            size += load.size;
            work / size + self.flow_share > self.spill_from
        });
        within.max((full.count() + 1).min(order.partition_point(|ranked| ranked.cost.is_finite())))
    }
}

/// Water-filling over at most 16 rows, the emptiest ones: all of them, also with a share of 0.
fn poured<'a>(fleet: &Fleet, rows: impl Iterator<Item = &'a Ranked>, flow_share: f32) -> Vec<Part> {
    let mut loads: Vec<(u32, Load)> = rows.map(|ranked| (ranked.row, Load::of(fleet, ranked.row))).collect();
    loads.sort_by(|a, b| a.1.utilisation().total_cmp(&b.1.utilisation()));
    loads.truncate(SHARES_MAX);
    let flow = flow_share * loads.iter().map(|(_, load)| load.size).sum::<f32>();
    let (mut work, mut size, mut level) = (flow, 0.0, f32::INFINITY);
    for (_, load) in &loads {
        if load.utilisation() >= level {
            break;
        }
        work += load.work;
        size += load.size;
        level = work / size;
    }
    let share = |load: Load| (level * load.size - load.work).max(0.0) / flow;
    loads.iter().map(|&(row, load)| Part { row, share: share(load), path_cost: 0.0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::testing::{Member, World, flow, routing_world};

    fn member(active: f64, capacity: f64, rtt_ms: f32) -> Member {
        let known = Member::default().with(Column::Weight, 1.0).with(Column::Active, active);
        known.with(Column::Capacity, capacity).rtt_ms(rtt_ms)
    }

    fn world(members: impl IntoIterator<Item = Member>) -> World<LoadBalanced> {
        routing_world(&[]).unwrap().members(members)
    }

    fn shares(world: &mut World<LoadBalanced>, request: Request) -> Vec<(u32, u32)> {
        let mut percent: Vec<(u32, u32)> =
            world.targets(request).iter().map(|&(row, weight)| (row, (weight + 50) / 100)).collect();
        percent.retain(|&(_, percent)| percent > 0);
        percent.sort_unstable();
        percent
    }

    #[test]
    fn water_finds_one_level_within_the_bound() {
        for (name, members, expected) in [
            ("alike", vec![member(0.0, 100.0, 20.0), member(0.0, 100.0, 20.0)], vec![(0, 50), (1, 50)]),
            ("by size", vec![member(0.0, 100.0, 20.0), member(0.0, 300.0, 20.0)], vec![(0, 25), (1, 75)]),
            ("full ones rest", vec![member(90.0, 100.0, 20.0), member(10.0, 100.0, 20.0)], vec![(1, 100)]),
            (
                "up to a level",
                vec![member(20.0, 100.0, 20.0), member(10.0, 100.0, 20.0)],
                vec![(0, 25), (1, 75)],
            ),
            ("too far", vec![member(60.0, 100.0, 20.0), member(0.0, 100.0, 46.0)], vec![(0, 100)]),
            (
                "too far, but the near one is full",
                vec![member(90.0, 100.0, 20.0), member(0.0, 100.0, 46.0)],
                vec![(1, 100)],
            ),
            ("unknown", vec![member(90.0, 100.0, 20.0), member(0.0, 100.0, f32::NAN)], vec![(0, 100)]),
            (
                "all unknown",
                vec![member(0.0, 0.0, f32::NAN), member(0.0, 0.0, f32::NAN)],
                vec![(0, 50), (1, 50)],
            ),
        ] {
            assert_eq!(shares(&mut world(members), flow(1)), expected, "{name}");
        }
    }

    #[test]
    fn the_flows_goal_widens_the_bound() {
        let mut world = world([member(60.0, 100.0, 20.0), member(0.0, 100.0, 90.0)]);
        assert_eq!(shares(&mut world, Request { latency_goal_ms: 100.0, ..flow(1) }), [(1, 100)]);
    }

    #[test]
    fn a_tenth_moves_in_ten_seconds_and_lost_members_leave_at_once() {
        let mut world = world([member(0.0, 100.0, 20.0), member(90.0, 100.0, 20.0)]);
        assert_eq!(shares(&mut world, flow(1)), [(0, 100)]);
        world.update(|members| {
            (members[0], members[1]) = (member(90.0, 100.0, 20.0), member(0.0, 100.0, 20.0))
        });
        let at = |now_ms| Request { now_ms, ..flow(1) };
        assert_eq!(shares(&mut world, at(11_000)), [(0, 90), (1, 10)]);
        assert_eq!(shares(&mut world, at(21_000)), [(0, 81), (1, 19)]);
        world.update(|members| members[0] = member(0.0, 100.0, 20.0).ineligible());
        assert_eq!(shares(&mut world, at(21_001)), [(1, 100)]);
    }
}
