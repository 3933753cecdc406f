//! Routes each flow to the nearest members.
//!
//! Rule: members of the source's zone, else of its region, else the nearest by round-trip time; where nothing was
//! measured the host estimates it from the distance. Equally near members (round-trip times within `spread`) share the
//! flow by their weights; the next nearest are the fallbacks. A flow leaves its members only for ones that are nearer by
//! more than `hysteresis` and 5 ms. Failures and load do not count: this policy is about places.

use pilothouse_sdk::routing::{Answer, Lifetime, Request, Routing, Steady, answer, near, ranked};
use pilothouse_sdk::{About, Class, Column, Fleet, Refusal, Settings, export_routing};

/// Gains below this are noise of the measurement, ms.
const GAIN_MIN_MS: f32 = 5.0;

/// The policy.
#[derive(Debug)]
pub struct GeoProximity {
    steady: Steady,
    lifetime: Lifetime,
    spread: f32,
}
export_routing!(GeoProximity);

impl Routing for GeoProximity {
    const ABOUT: About = About {
        columns: &[Column::Region, Column::Zone, Column::Weight, Column::HealthScore, Column::RttMs],
        settings_schema: r#"{"type":"object","additionalProperties":false,"properties":{
"hysteresis":{"type":"number","minimum":0,"maximum":1,"default":0.1,"description":"Share by which another target must be nearer."},
"spread":{"type":"number","minimum":0,"maximum":1,"default":0.1,"description":"Members this close to the nearest share the flow."},
"ttl-ms":{"type":"integer","minimum":100,"maximum":3600000,"default":10000,"description":"Longest lifetime of an answer, ms."}}}"#,
        reasons: &["same zone", "same region", "nearest region", "distances unknown"],
        ..About::new("geo-proximity", "1.0.0", "Same zone, same region, nearest by round-trip time.")
    };

    fn new(settings: &mut Settings) -> Self {
        Self {
            steady: Steady::of(settings, GAIN_MIN_MS),
            lifetime: Lifetime::of(settings),
            spread: settings.number("spread", 0.1, 0.0..=1.0) as f32,
        }
    }

    fn route(&mut self, fleet: &Fleet, class: &Class, request: &Request) -> Result<Answer, Refusal> {
        let nearness = |row: u32| nearness(fleet, class, row);
        let nearest = class.rows().iter().map(|&row| nearness(row)).min().unwrap_or(Nearness::Unknown);
        // One level decides; the others only wait as fallbacks, in their order.
        let mut order = ranked(class, request.seed, |row| class.rtt_ms(row));
        order.sort_by_key(|ranked| nearness(ranked.row));
        let mut level = order.clone();
        level.retain(|ranked| nearness(ranked.row) == nearest);
        if nearest < Nearness::Distant {
            level.iter_mut().for_each(|ranked| ranked.cost = 0.0);
        }
        let chosen = self.steady.choose(fleet, class, request, &level, f32::INFINITY);
        let chosen = chosen.ok_or(Refusal::NothingSuits(Nearness::Unknown as u32))?;
        let shares = near(fleet, &level, chosen, self.spread);
        Ok(answer(&shares, &order, nearest as u32, self.lifetime.ms(class, chosen.cost)))
    }
}

/// Levels of nearness, nearest first; also the reason codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Nearness {
    Zone,
    Region,
    Distant,
    Unknown,
}

fn nearness(fleet: &Fleet, class: &Class, row: u32) -> Nearness {
    let same = |mine: u32, column: Column| mine != 0 && fleet.u32(column, row) == mine;
    if same(class.source_region(), Column::Region) {
        if same(class.source_zone(), Column::Zone) { Nearness::Zone } else { Nearness::Region }
    } else if class.rtt_ms(row).is_nan() {
        Nearness::Unknown
    } else {
        Nearness::Distant
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::testing::{Member, World, flow, routing_world};

    fn member(region: u32, zone: u32, rtt_ms: f32) -> Member {
        let known = Member::default().with(Column::Weight, 1.0).with(Column::HealthScore, 1.0);
        known.with(Column::Region, f64::from(region)).with(Column::Zone, f64::from(zone)).rtt_ms(rtt_ms)
    }

    fn world(members: impl IntoIterator<Item = Member>) -> World<GeoProximity> {
        routing_world(&[]).unwrap().source(1, 10).members(members)
    }

    #[test]
    fn zone_before_region_before_distance_before_the_unknown() {
        let all = [
            member(9, 90, f32::NAN),
            member(2, 20, 80.0),
            member(3, 30, 0.1),
            member(1, 11, 1.5),
            member(1, 10, 2.0),
        ];
        for (count, expected, reason) in [(5, 4, 0), (4, 3, 1), (3, 2, 2), (2, 1, 2), (1, 0, 3)] {
            let mut world = world(all[..count].iter().cloned());
            let answer = world.route(flow(1)).unwrap();
            assert_eq!((answer.targets[0].row, answer.reason), (expected, reason), "{count} members");
            assert_eq!(answer.fallbacks.len(), count - 1);
        }
    }

    #[test]
    fn the_members_of_a_zone_share_by_weight() {
        let heavy = member(1, 10, 0.5).with(Column::Weight, 3.0);
        let mut targets = world([member(1, 10, 0.5), heavy, member(2, 20, 0.4)]).targets(flow(1));
        targets.sort_unstable();
        assert_eq!(targets, [(0, 2_500), (1, 7_500)]);
    }

    #[test]
    fn distances_that_wobble_do_not_move_a_flow() {
        let mut world = world([member(2, 20, 50.0), member(3, 30, 70.0)]);
        assert_eq!(world.main_target(flow(1)), 0);
        for (rtt_ms, expected) in [(47.0, 0), (30.0, 1)] {
            world.update(|members| members[1] = member(3, 30, rtt_ms));
            let targets = world.targets(flow(2));
            assert_eq!(targets.first().map(|(row, _)| *row), Some(expected), "{rtt_ms} ms");
        }
    }
}
