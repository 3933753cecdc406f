//! Routes each flow to the cheapest member that is near enough.
//!
//! Rule: the lowest price among the members whose `rtt / (1 - error rate)` meets the latency goal (the flow's, else
//! `latency-goal-ms`); if none does, the fastest. A member that the flow does not use yet must meet nine tenths of the goal
//! where another one meets the goal, so that a member at its edge does not make the flow go back and forth. Members of the
//! same price (within `hysteresis`) share by weight. Unknown prices come last, unknown distances meet no goal.

use pilothouse_sdk::routing::{
    Answer, Lifetime, Ranked, Request, Routing, Steady, answer, expected_ms, near, ranked,
};
use pilothouse_sdk::{About, Class, Column, Fleet, Refusal, Settings, export_routing};

/// Share of the goal that a member must meet to be taken anew.
const ENTRY: f32 = 0.9;

/// The policy.
#[derive(Debug)]
pub struct Cost {
    steady: Steady,
    lifetime: Lifetime,
    goal_ms: f32,
}
export_routing!(Cost);

impl Routing for Cost {
    const ABOUT: About = About {
        columns: &[
            Column::CostPerHour,
            Column::Weight,
            Column::HealthScore,
            Column::ErrorRate,
            Column::RttMs,
        ],
        settings_schema: r#"{"type":"object","additionalProperties":false,"properties":{
"latency-goal-ms":{"type":"number","minimum":1,"maximum":60000,"default":150,"description":"Goal of flows that bring none, ms."},
"hysteresis":{"type":"number","minimum":0,"maximum":1,"default":0.1,"description":"Share by which another target must be better."},
"ttl-ms":{"type":"integer","minimum":100,"maximum":3600000,"default":10000,"description":"Longest lifetime of an answer, ms."}}}"#,
        reasons: &["cheapest within the goal", "none meets the goal: fastest", "round-trip times unknown"],
        properties: &["prefers-cheaper"],
        ..About::new("cost", "1.0.0", "The cheapest member within the latency goal, else the fastest.")
    };

    fn new(settings: &mut Settings) -> Self {
        Self {
            steady: Steady::of(settings, 0.0),
            lifetime: Lifetime::of(settings),
            goal_ms: settings.number("latency-goal-ms", 150.0, 1.0..=60_000.0) as f32,
        }
    }

    fn route(&mut self, fleet: &Fleet, class: &Class, request: &Request) -> Result<Answer, Refusal> {
        let goal_ms = if request.latency_goal_ms > 0.0 { request.latency_goal_ms } else { self.goal_ms };
        let fastest = ranked(class, request.seed, |row| expected_ms(fleet, class, row));
        let best_ms = fastest.first().map_or(f32::INFINITY, |ranked| ranked.cost);
        let current = self.steady.current(class, request);
        let suits = |ranked: &Ranked| {
            let anew = current != Some(ranked.row) && best_ms <= ENTRY * goal_ms;
            ranked.cost <= if anew { ENTRY * goal_ms } else { goal_ms }
        };
        let mut cheapest: Vec<Ranked> = fastest.iter().filter(|ranked| suits(ranked)).copied().collect();
        let (order, reason) = if cheapest.is_empty() {
            (&fastest, if best_ms.is_finite() { 1 } else { 2 })
        } else {
            for ranked in &mut cheapest {
                let price = fleet.f32(Column::CostPerHour, ranked.row);
                ranked.cost = if price.is_nan() { f32::INFINITY } else { price };
            }
            // Stable: the faster one leads among equal prices.
            cheapest.sort_by(|a, b| a.cost.total_cmp(&b.cost));
            (&cheapest, 0)
        };
        let chosen = self.steady.choose(fleet, class, request, order, f32::INFINITY);
        let chosen = chosen.ok_or(Refusal::NothingSuits(2))?;
        let shares = near(fleet, order, chosen, 0.0);
        Ok(answer(&shares, &fastest, reason, self.lifetime.ms(class, best_ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::testing::{Member, World, flow, routing_world};

    fn member(price: f64, rtt_ms: f32) -> Member {
        let known = Member::default().with(Column::Weight, 1.0).with(Column::HealthScore, 1.0);
        known.with(Column::CostPerHour, price).rtt_ms(rtt_ms)
    }

    fn world(members: impl IntoIterator<Item = Member>) -> World<Cost> {
        routing_world(&[]).unwrap().members(members)
    }

    fn goal(latency_goal_ms: f32) -> Request {
        Request { latency_goal_ms, ..flow(1) }
    }

    #[test]
    fn the_cheapest_within_the_goal_else_the_fastest() {
        let members = [member(3.0, 10.0), member(2.0, 50.0), member(1.0, 200.0)];
        for (name, goal_ms, expected) in
            [("goal of the settings", 0.0, 1), ("tight", 20.0, 0), ("loose", 500.0, 2), ("unmet", 5.0, 0)]
        {
            assert_eq!(world(members.clone()).main_target(goal(goal_ms)), expected, "{name}");
        }
    }

    #[test]
    fn unknown_prices_and_distances_never_win() {
        let nan = f64::NAN;
        for (name, members, expected) in [
            ("price", vec![member(nan, 10.0), member(5.0, 90.0)], 1),
            ("distance", vec![member(1.0, f32::NAN), member(5.0, 90.0)], 1),
            ("everything", vec![member(nan, f32::NAN)], 0),
        ] {
            assert_eq!(world(members).main_target(flow(1)), expected, "{name}");
        }
    }

    #[test]
    fn a_member_at_the_edge_of_the_goal_does_not_make_the_flow_swing() {
        let mut world = world([member(1.0, 98.0), member(2.0, 40.0)]);
        let mut seen = Vec::new();
        for edge_ms in [85.0, 98.0, 102.0, 98.0, 102.0, 95.0, 85.0] {
            world.update(|members| members[0] = member(1.0, edge_ms));
            seen.push(world.main_target(goal(100.0)));
        }
        assert_eq!(seen, [0, 0, 1, 1, 1, 1, 0]);
    }
}
