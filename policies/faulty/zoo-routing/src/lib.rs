//! Sends everything to the nearest member, and in copies with another mark does one thing wrong. See `README.md`.

use pilothouse_sdk::routing::{Answer, Request, Routing, Target};
use pilothouse_sdk::{About, Class, Column, Fleet, Refusal, Settings, export_routing};

#[path = "../../zoo-balancing/src/mark.rs"]
mod mark;
use mark::fault;

/// The policy.
#[derive(Debug)]
pub struct Zoo {
    fault: &'static str,
}
export_routing!(Zoo);

impl Routing for Zoo {
    const ABOUT: About = About {
        columns: &[Column::RttMs],
        settings_schema: r#"{"type":"object","additionalProperties":false,"x-pilothouse-properties":[                          ]}"#,
        reasons: &["nearest"],
        ..About::new("zoo-routing", "1.0.0", "The nearest, or a fault.")
    };

    fn new(_settings: &mut Settings) -> Self {
        Self { fault: fault() }
    }

    fn route(&mut self, _fleet: &Fleet, class: &Class, _request: &Request) -> Result<Answer, Refusal> {
        let mut rows = class.rows().to_vec();
        let rtt = |row| if class.rtt_ms(row).is_nan() { f32::MAX } else { class.rtt_ms(row) };
        rows.sort_by(|&a, &b| rtt(a).total_cmp(&rtt(b)).then(a.cmp(&b)));
        if self.fault == "farthest" {
            rows.reverse();
        }
        assert!(self.fault != "overflow" || rtt(class.nth(0)).is_finite(), "broken on purpose");
        let weight = u32::from(self.fault != "no-weight");
        let target = |&row: &u32| Target { row, weight };
        let (first, rest) = rows.split_first().ok_or(Refusal::NothingSuits(0))?;
        let targets = match self.fault {
            "many-targets" => rows.iter().map(target).collect(),
            "twice" => vec![target(first), target(first)],
            _ => vec![target(first)],
        };
        let fallbacks =
            if self.fault == "many-targets" { Vec::new() } else { rest.iter().copied().take(3).collect() };
        let reason = if self.fault == "reason" { 9 } else { 0 };
        Ok(Answer { targets, fallbacks, ttl_ms: 1_000, reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::testing::{Member, World, flow, routing_world};

    #[test]
    fn as_built_it_takes_the_nearest() {
        let mut world: World<Zoo> = routing_world(&[])
            .unwrap()
            .member(Member::default().rtt_ms(9.0))
            .member(Member::default().rtt_ms(3.0));
        assert_eq!(world.main_target(flow(1)), 1);
    }
}
