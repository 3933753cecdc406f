//! Forecasts: the formula, the bound, steps, changes and risks.
//!
//! Invariant: a case names the numbers that go in and those that come out; nothing here runs a migration.

use pilothouse_core::id::Label;
use proptest::prelude::*;

use super::*;
use crate::fixture::charter;

const MIB: u64 = 1 << 20;

fn facts(state_bytes: u64, dirty_bytes_per_s: u64) -> Facts<'static> {
    Facts {
        state_bytes: Some(state_bytes),
        dirty_bytes_per_s: Some(dirty_bytes_per_s),
        source_reachable: true,
        source_region: None,
        target_region: None,
    }
}

/// 100 MiB/s, 1 ms round trip, 20 ms start, 50 ms allowed.
fn ordinary() -> Charter {
    let mut charter = charter();
    charter.link = Link { bandwidth_bytes_per_s: 100 * MIB, rtt_us: 1_000 };
    charter.start_us = 20_000;
    charter.options.max_downtime_ms = 50;
    charter
}

#[test]
fn the_pause_is_last_delta_over_bandwidth_plus_one_and_a_half_round_trips_plus_start() {
    let link = |bandwidth_bytes_per_s, rtt_us| Link { bandwidth_bytes_per_s, rtt_us };
    for (bytes, way, start_us, pause) in [
        (0, link(0, 0), 0, 0),
        (0, link(0, 200), 5, 305),
        (1_000_000, link(1_000_000, 200), 5, 1_000_305),
        (1, link(3, 0), 0, 333_334),
        (1, link(0, 0), 0, u64::MAX),
        (u64::MAX, link(1, 1), 1, u64::MAX),
        (u64::MAX, link(u64::MAX, 0), 0, 1_000_000),
    ] {
        assert_eq!(pause_us(bytes, way, start_us), pause, "{bytes} over {way:?}");
    }
}

#[test]
fn a_slowly_changing_state_is_copied_until_its_pause_fits() {
    let plan = forecast(&ordinary(), &facts(1_000 * MIB, 10 * MIB));
    // 10 s for everything, 1 s for the 100 MiB that changed, 0.1 s for the next 10, then 1 MiB is left: 10
    // ms.
    assert_eq!(plan.downtime_us, 10_000 + 1_500 + 20_000);
    assert_eq!(plan.transfer_bytes, 1_111 * MIB);
    assert_eq!(plan.risks, []);
    assert!(plan.duration_us > 11_100_000 + plan.downtime_us);
}

#[test]
fn risks_say_what_stands_against_a_migration() {
    let eu = Label::parse("eu").unwrap();
    let us = Label::parse("us").unwrap();
    let names = |charter: &Charter, facts: &Facts<'_>| -> Vec<String> {
        let risks = forecast(charter, facts).risks;
        risks.iter().map(|risk| format!("{risk:?}").split([' ', '{']).next().unwrap().to_owned()).collect()
    };
    let forced = |mut charter: Charter| {
        charter.options.mode = Mode::Forced;
        charter
    };
    let stateless = |mut charter: Charter| {
        charter.options.preserve_state = false;
        charter
    };
    let cut = |mut charter: Charter| {
        charter.link.bandwidth_bytes_per_s = 0;
        charter
    };
    let still = facts(MIB, 0);
    for (charter, facts, expected) in [
        (ordinary(), still, vec![]),
        (ordinary(), facts(1_000 * MIB, 200 * MIB), vec!["PauseTooLong", "DirtyFasterThanLink"]),
        (forced(ordinary()), still, vec!["BoundIgnored"]),
        (stateless(ordinary()), facts(1_000 * MIB, 200 * MIB), vec!["StateDropped"]),
        (cut(ordinary()), still, vec!["NoBandwidth"]),
        (
            forced(ordinary()),
            Facts { source_reachable: false, ..still },
            vec!["SourceUnreachable", "PauseTooLong", "BoundIgnored"],
        ),
        (
            ordinary(),
            Facts { state_bytes: None, dirty_bytes_per_s: None, ..still },
            vec!["SizeUnknown", "RateUnknown"],
        ),
        (
            ordinary(),
            Facts { source_region: Some(&eu), target_region: Some(&us), ..still },
            vec!["LeavesRegion"],
        ),
    ] {
        assert_eq!(names(&charter, &facts), expected);
    }
}

#[test]
fn a_move_within_a_region_changes_a_route_and_two_disks() {
    let charter = ordinary();
    let plan = forecast(&charter, &facts(MIB, 0));
    assert_eq!(
        plan.network,
        [NetworkChange::Route { from: charter.source.clone(), to: charter.target.clone() }]
    );
    let write = StorageChange::Write { on: charter.target, bytes: MIB };
    assert_eq!(plan.storage, [write, StorageChange::Erase { on: charter.source }]);
}

proptest! {
    #[test]
    fn a_forecast_ends_for_any_numbers_and_its_pause_fits_unless_a_risk_says_so(
        state_bytes: u64, dirty_bytes_per_s: u64, bandwidth_bytes_per_s: u64, rtt_us: u64, rounds_max: u32,
    ) {
        let mut charter = ordinary();
        charter.link = Link { bandwidth_bytes_per_s, rtt_us };
        charter.patience.rounds_max = rounds_max;
        let plan = forecast(&charter, &facts(state_bytes, dirty_bytes_per_s));
        let too_long = plan.risks.iter().any(|risk| matches!(risk, Risk::PauseTooLong { .. }));
        prop_assert_eq!(too_long, plan.downtime_us > 50_000);
    }
}
