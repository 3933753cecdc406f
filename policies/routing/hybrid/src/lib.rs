//! Routes each flow by latency, price, load and losses at once.
//!
//! Rule: minimise `a x rtt / goal + b x price / mean price + c x u^2 / (1 - u) + d x error rate` with the weights a to d of the
//! settings; u is the utilisation. All terms are without dimension, and the third is convex, so a flow spills to the next
//! member before the first is full: the flow (`flow-share` of a mean capacity) is poured in sixteen parts, each to the member
//! where it costs least by then. The goal is the flow's, else `latency-goal-ms`. Traffic class 0 doubles a and halves b, class
//! 7 the reverse. An unknown distance or price counts as twice the worst that is known, an unknown error rate as none. For the
//! sake of load at most `shift` of a flow moves in 10 s, and utilisation is smoothed over 30 s, so that sources side by
//! side do not chase the same empty member; when the other terms of a member change by a tenth, the flow follows at once.

use pilothouse_sdk::routing::{Answer, Gradual, Lifetime, Load, Ranked, Request, Routing, answer, ranked};
use pilothouse_sdk::{About, Class, Column, Fleet, Refusal, Settings, export_routing};

mod pour;
mod smooth;
mod terms;

use pour::{Vessel, poured};
use smooth::Smoothed;
use terms::{Terms, Weights, crowding};

/// Members that a flow is poured over.
const POURED_MAX: usize = 32;

/// The policy.
#[derive(Debug)]
pub struct Hybrid {
    gradual: Gradual,
    lifetime: Lifetime,
    weights: Weights,
    goal_ms: f32,
    flow_share: f32,
    utilisation: Smoothed,
}
export_routing!(Hybrid);

impl Routing for Hybrid {
    const ABOUT: About = About {
        columns: &[
            Column::CostPerHour,
            Column::ErrorRate,
            Column::Active,
            Column::Capacity,
            Column::Cpu,
            Column::Weight,
            Column::RttMs,
        ],
        settings_schema: r#"{"type":"object","additionalProperties":false,"properties":{
"weights":{"type":"object","additionalProperties":false,"description":"How much each term counts.","properties":{
"latency":{"type":"number","minimum":0,"maximum":100,"default":1},
"cost":{"type":"number","minimum":0,"maximum":100,"default":0.3},
"load":{"type":"number","minimum":0,"maximum":100,"default":0.2},
"loss":{"type":"number","minimum":0,"maximum":100,"default":10}}},
"latency-goal-ms":{"type":"number","minimum":1,"maximum":60000,"default":150,"description":"Goal of flows that bring none, ms."},
"flow-share":{"type":"number","minimum":0.001,"maximum":1,"default":0.1,"description":"Size of a flow as a share of a mean capacity."},
"shift":{"type":"number","minimum":0.001,"maximum":1,"default":0.1,"description":"Share of a flow that load may move in 10 s."},
"ttl-ms":{"type":"integer","minimum":100,"maximum":3600000,"default":10000,"description":"Longest lifetime of an answer, ms."}}}"#,
        reasons: &["least weighted sum", "split among the best", "round-trip times unknown"],
        ..About::new(
            "hybrid",
            "1.0.0",
            "Latency, price, load and losses, weighed; spills before members are full.",
        )
    };

    fn new(settings: &mut Settings) -> Self {
        Self {
            gradual: Gradual::of(settings),
            lifetime: Lifetime::of(settings),
            weights: Weights::of(settings),
            goal_ms: settings.number("latency-goal-ms", 150.0, 1.0..=60_000.0) as f32,
            flow_share: settings.number("flow-share", 0.1, 0.001..=1.0) as f32,
            utilisation: Smoothed::default(),
        }
    }

    fn route(&mut self, fleet: &Fleet, class: &Class, request: &Request) -> Result<Answer, Refusal> {
        let load = |row: u32| Load::of(fleet, row);
        self.utilisation.observe(request.now_ms, fleet.rows(), |row| load(row).utilisation());
        let goal_ms = if request.latency_goal_ms > 0.0 { request.latency_goal_ms } else { self.goal_ms };
        let weights = self.weights.for_traffic(request.traffic_class);
        let terms = Terms::new(fleet, class, weights, goal_ms);
        let crowd = |row: u32| weights.load * crowding(self.utilisation.of(row));
        let order = ranked(class, request.seed, |row| terms.fixed(fleet, class, row) + crowd(row));
        let vessel = |&Ranked { cost, row }: &Ranked| Vessel {
            row,
            fixed: cost - crowd(row),
            utilisation: self.utilisation.of(row),
            size: load(row).size,
        };
        let vessels = order.iter().take(POURED_MAX).map(vessel).collect();
        let shares = self.gradual.moved(request, poured(vessels, self.flow_share, weights.load));
        let best = order.first().ok_or(Refusal::NothingSuits(2))?;
        let answer = answer(&shares, &order, 0, self.lifetime.ms(class, best.cost));
        let unknown = class.rtt_ms(best.row).is_nan();
        let reason = if unknown { 2 } else { u32::from(answer.targets.len() > 1) };
        Ok(Answer { reason, ..answer })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::Value;
    use pilothouse_sdk::testing::{Member, World, flow, routing_world};

    fn member(rtt_ms: f32) -> Member {
        let known = Member::default().with(Column::Weight, 1.0);
        known.with(Column::Capacity, 100.0).with(Column::CostPerHour, 1.0).rtt_ms(rtt_ms)
    }

    fn world(members: impl IntoIterator<Item = Member>) -> World<Hybrid> {
        routing_world(&[]).unwrap().members(members)
    }

    #[test]
    fn each_term_decides_when_the_others_are_equal() {
        for (name, worse) in [
            ("latency", member(60.0)),
            ("price", member(20.0).with(Column::CostPerHour, 2.0)),
            ("load", member(20.0).with(Column::Active, 80.0)),
            ("load by CPU", member(20.0).with(Column::Cpu, 0.8)),
            ("loss", member(20.0).with(Column::ErrorRate, 0.05)),
        ] {
            assert_eq!(world([worse.clone(), member(20.0), worse]).main_target(flow(1)), 1, "{name}");
        }
    }

    #[test]
    fn unknown_values_never_win_and_never_trap() {
        let nan = f64::NAN;
        for (name, members, expected) in [
            ("distance", vec![member(f32::NAN), member(300.0)], 1),
            ("price", vec![member(20.0).with(Column::CostPerHour, nan), member(20.0)], 1),
            ("everything", vec![Member::default()], 0),
        ] {
            assert_eq!(world(members).main_target(flow(1)), expected, "{name}");
        }
    }

    #[test]
    fn urgent_flows_buy_latency_and_scavengers_save() {
        let dear_and_near = || member(20.0).with(Column::CostPerHour, 2.0);
        for (traffic_class, expected) in [(0, 0), (7, 1), (200, 1)] {
            let mut world = world([dear_and_near(), member(80.0)]);
            let request = Request { traffic_class, ..flow(1) };
            assert_eq!(world.main_target(request), expected, "traffic class {traffic_class}");
        }
    }

    #[test]
    fn a_flow_spills_before_the_nearest_is_full() {
        let share = |active: f64| {
            let near = member(20.0).with(Column::Active, active);
            let targets = world([near, member(60.0)]).targets(flow(1));
            targets.iter().find(|(row, _)| *row == 0).map_or(0, |&(_, weight)| weight / 100)
        };
        let shares: Vec<u32> = [0.0, 30.0, 63.0, 90.0].map(share).to_vec();
        assert!(shares[0] == 100 && shares[1] == 100 && shares[3] == 0, "{shares:?}");
        assert!((10..95).contains(&shares[2]), "split where both cost the same: {shares:?}");
    }

    #[test]
    fn the_load_term_is_convex() {
        let slopes: Vec<f32> = (0..150_i16)
            .map(|percent| f32::from(percent) / 100.0)
            .map(|utilisation| crowding(utilisation + 0.01) - crowding(utilisation))
            .collect();
        assert!(slopes.windows(2).all(|pair| pair[1] >= pair[0] * 0.999), "{slopes:?}");
    }

    #[test]
    fn weights_that_are_all_zero_are_refused() {
        let zero = ["latency", "cost", "load", "loss"].map(|name| format!("weights.{name}"));
        let zero: Vec<(&str, Value)> = zero.iter().map(|name| (name.as_str(), Value::Integer(0))).collect();
        assert_eq!(routing_world::<Hybrid>(&zero).unwrap_err()[0].path, "weights");
    }
}
