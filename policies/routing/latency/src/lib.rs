//! Routes each flow to the member that answers it soonest.
//!
//! Rule: the smallest `rtt / (1 - error rate)`; the host's round-trip time contains the path's jitter. A flow keeps its
//! target until another one is better by more than `hysteresis` (10 %) and 5 ms, unless the target became less healthy
//! than that one or misses the flow's latency goal and the other does not. Members within `spread` of the target share
//! the flow by their weights. An answer lives shorter the more the best round-trip time changes.

use pilothouse_sdk::routing::{
    Answer, Lifetime, Request, Routing, Steady, answer, expected_ms, near, ranked,
};
use pilothouse_sdk::{About, Class, Column, Fleet, Refusal, Settings, export_routing};

/// Gains below this are noise of the measurement, ms.
const GAIN_MIN_MS: f32 = 5.0;

/// The policy.
#[derive(Debug)]
pub struct Latency {
    steady: Steady,
    lifetime: Lifetime,
    spread: f32,
}
export_routing!(Latency);

impl Routing for Latency {
    const ABOUT: About = About {
        columns: &[Column::Weight, Column::HealthScore, Column::ErrorRate, Column::RttMs],
        settings_schema: r#"{"type":"object","additionalProperties":false,"properties":{
"hysteresis":{"type":"number","minimum":0,"maximum":1,"default":0.1,"description":"Share by which another target must be better."},
"spread":{"type":"number","minimum":0,"maximum":1,"default":0.02,"description":"Members this close to the target share the flow."},
"ttl-ms":{"type":"integer","minimum":100,"maximum":3600000,"default":10000,"description":"Longest lifetime of an answer, ms."}}}"#,
        reasons: &["soonest answer", "misses the latency goal", "round-trip times unknown"],
        properties: &["prefers-nearer"],
        ..About::new("latency", "1.0.0", "The member that answers soonest, without flapping.")
    };

    fn new(settings: &mut Settings) -> Self {
        Self {
            steady: Steady::of(settings, GAIN_MIN_MS),
            lifetime: Lifetime::of(settings),
            spread: settings.number("spread", 0.02, 0.0..=1.0) as f32,
        }
    }

    fn route(&mut self, fleet: &Fleet, class: &Class, request: &Request) -> Result<Answer, Refusal> {
        let goal_ms = if request.latency_goal_ms > 0.0 { request.latency_goal_ms } else { f32::INFINITY };
        let order = ranked(class, request.seed, |row| expected_ms(fleet, class, row));
        let chosen =
            self.steady.choose(fleet, class, request, &order, goal_ms).ok_or(Refusal::NothingSuits(2))?;
        let limit_ms = if chosen.cost <= goal_ms { goal_ms } else { f32::INFINITY };
        let suitable = order.partition_point(|ranked| ranked.cost <= limit_ms);
        let shares = near(fleet, order.get(..suitable).unwrap_or(&order), chosen, self.spread);
        let reason = match chosen.cost {
            unknown if unknown.is_infinite() => 2,
            cost if cost > goal_ms => 1,
            _ => 0,
        };
        Ok(answer(&shares, &order, reason, self.lifetime.ms(class, chosen.cost)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::testing::{Member, World, flow, routing_world};

    fn member(rtt_ms: f32) -> Member {
        Member::default().with(Column::Weight, 1.0).with(Column::HealthScore, 1.0).rtt_ms(rtt_ms)
    }

    fn world(members: impl IntoIterator<Item = Member>) -> World<Latency> {
        routing_world(&[]).unwrap().members(members)
    }

    #[test]
    fn the_soonest_known_answer_wins() {
        for (name, members, expected) in [
            ("nearest", vec![member(80.0), member(20.0), member(40.0)], 1),
            ("unknown never wins", vec![member(f32::NAN), member(300.0)], 1),
            ("failures cost", vec![member(20.0).with(Column::ErrorRate, 0.9), member(40.0)], 1),
            ("alone and unknown", vec![member(f32::NAN)], 0),
        ] {
            assert_eq!(world(members).main_target(flow(1)), expected, "{name}");
        }
    }

    #[test]
    fn a_flow_moves_only_for_a_clear_gain() {
        for (name, then, health, goal_ms, expected) in [
            ("a gain of 4 ms", 96.0, 1.0, 0.0, 0),
            ("a gain of 9 %", 91.5, 1.0, 0.0, 0),
            ("a gain of 15 %", 85.0, 1.0, 0.0, 1),
            ("small gain, but the old one is degraded", 97.0, 0.5, 0.0, 1),
            ("small gain, but the old one misses the goal", 97.0, 1.0, 98.0, 1),
        ] {
            let mut world = world([member(100.0), member(200.0)]);
            assert_eq!(world.main_target(flow(1)), 0);
            world.update(|members| {
                members[0] = member(100.0).with(Column::HealthScore, health);
                members[1] = member(then);
            });
            let request = Request { latency_goal_ms: goal_ms, ..flow(2) };
            assert_eq!(world.main_target(request), expected, "{name}");
        }
        let mut fast = world([member(2.0), member(200.0)]);
        assert_eq!(fast.main_target(flow(1)), 0);
        fast.update(|members| members[1] = member(0.5));
        assert_eq!(fast.main_target(flow(2)), 0, "three quarters, but less than 5 ms");
    }

    #[test]
    fn near_equals_share_and_the_others_wait() {
        let mut world = world([member(300.0), member(100.0), member(101.0), member(150.0), member(f32::NAN)]);
        let answer = world.route(flow(1)).unwrap();
        let rows: Vec<u32> = answer.targets.iter().map(|target| target.row).collect();
        assert_eq!((rows, answer.fallbacks), (vec![1, 2], vec![3, 0, 4]));
    }

    #[test]
    fn answers_live_shorter_when_times_change_much() {
        let mut world = world([member(100.0)]);
        let calm = world.route(flow(1)).unwrap().ttl_ms;
        world.update(|members| members[0] = member(200.0));
        let restless = world.route(flow(1)).unwrap().ttl_ms;
        assert!(calm == 10_000 && (1_000..5_000).contains(&restless), "{calm} {restless}");
    }
}
