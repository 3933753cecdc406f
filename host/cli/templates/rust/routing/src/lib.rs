//! Routes each flow to the member with the shortest round trip; the next ones are its fallbacks.

use pilothouse_sdk::routing::{Answer, Request, Routing, Target};
use pilothouse_sdk::{About, Class, Column, Fleet, Refusal, Settings, export_routing};

/// Most fallbacks that an answer may have.
const FALLBACKS: usize = 8;
/// How long an answer may be reused, ms.
const TTL_MS: u32 = 5_000;

/// The policy.
#[derive(Debug)]
pub struct Nearest;
export_routing!(Nearest);

impl Routing for Nearest {
    const ABOUT: About = About {
        columns: &[Column::RttMs],
        reasons: &["shortest round trip", "nobody is eligible"],
        ..About::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), "The nearest member.")
    };

    fn new(_settings: &mut Settings) -> Self {
        Self
    }

    fn route(&mut self, _fleet: &Fleet, class: &Class, _request: &Request) -> Result<Answer, Refusal> {
        // Unknown round trips (NaN) come last.
        let mut rows = class.rows().to_vec();
        rows.sort_by(|&a, &b| class.rtt_ms(a).total_cmp(&class.rtt_ms(b)).then(a.cmp(&b)));
        let (&first, others) = rows.split_first().ok_or(Refusal::NothingSuits(1))?;
        Ok(Answer {
            targets: vec![Target { row: first, weight: 1 }],
            fallbacks: others.iter().copied().take(FALLBACKS).collect(),
            ttl_ms: TTL_MS,
            reason: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::testing::{Member, World, flow, routing_world};

    fn member(rtt_ms: f32) -> Member {
        Member::default().rtt_ms(rtt_ms)
    }

    #[test]
    fn the_nearest_member_serves_and_the_others_wait() {
        let mut world: World<Nearest> =
            routing_world(&[]).unwrap().members([member(80.0), member(f32::NAN), member(20.0)]);
        let answer = world.route(flow(1)).unwrap();
        let rows: Vec<u32> = answer.targets.iter().map(|target| target.row).collect();
        assert_eq!((rows, answer.fallbacks), (vec![2], vec![0, 1]));
    }
}
