//! Which of several times a member has, as cases.

use super::*;
use crate::breaker::Breaker;
use crate::fleet::builder::FleetBuilder;
use crate::fleet::facts::identity;
use crate::fleet::geography::Coordinates;
use crate::id::MemberId;
use crate::member::{Member, MemberKind, Registration, Role};

fn label(text: &str) -> Label {
    Label::parse(text).unwrap()
}

fn member(row: u32, id: &str, region: &str, zone: &str) -> Member {
    let registration = Registration {
        id: MemberId::parse(id).unwrap(),
        kind: MemberKind::Cluster,
        endpoint: id.to_owned(),
        hostname: String::new(),
        region: Some(label(region)),
        zone: Some(label(zone)),
        cluster: None,
        role: Role::Worker,
        capacity: 10,
        weight: 1.0,
        capabilities: Default::default(),
        services: Default::default(),
        compliance: Default::default(),
        accelerator_model: None,
        cost_per_hour: f32::NAN,
        carbon_g_per_kwh: f32::NAN,
        resources: Default::default(),
    };
    Member {
        standing: Default::default(),
        registration,
        row,
        status: Default::default(),
        draining: false,
        health: Default::default(),
        role: Role::Worker,
        load: Default::default(),
        assigned: 0,
        used: Default::default(),
        granted: Default::default(),
        reported_at: None,
        registered_at: Default::default(),
        last_seen: Default::default(),
    }
}

/// Rows 0..4: `a` and `b` in `east` (zones `x`, `y`), `c` in `west`, `d` in `south`. East to west is configured, the places
/// of east and south are known.
fn builder() -> FleetBuilder {
    let mut geography = Geography::default();
    geography.measured_rtt_ms.insert((label("east"), label("west")), 60.0);
    geography.places.insert(label("east"), Coordinates { latitude: 0.0, longitude: 0.0 });
    geography.places.insert(label("south"), Coordinates { latitude: -9.0, longitude: 0.0 });
    let mut builder = FleetBuilder::new(geography);
    for (row, id, region, zone) in
        [(0, "a", "east", "x"), (1, "b", "east", "y"), (2, "c", "west", "x"), (3, "d", "south", "x")]
    {
        let member = member(row, id, region, zone);
        builder.intern(&member.registration).unwrap();
        builder.put(&member, Breaker::default(), true);
    }
    builder
}

fn path(source: &str, row: u32, id: &str, region: &str, rtt_ms: f32) -> MeasuredPath {
    MeasuredPath { source: label(source), row, identity: identity(id), region: Some(label(region)), rtt_ms }
}

#[test]
fn measured_values_win_over_configured_ones_and_those_over_estimates() {
    for (name, paths, source, expected) in [
        ("nothing measured", vec![], "east", [0.5, 1.5, 60.0, 15.0]),
        ("a member", vec![path("east", 2, "c", "west", 70.0)], "east", [0.5, 1.5, 70.0, 15.0]),
        ("the same zone", vec![path("east", 0, "a", "east", 4.0)], "east", [4.0, 4.0, 60.0, 15.0]),
        ("from elsewhere", vec![path("north", 2, "c", "west", 70.0)], "east", [0.5, 1.5, 60.0, 15.0]),
        ("back along the way", vec![path("south", 0, "a", "east", 20.0)], "east", [0.5, 1.5, 60.0, 20.0]),
        (
            "of who was in the row before",
            vec![path("east", 3, "z", "far", 9.0)],
            "east",
            [0.5, 1.5, 60.0, 15.0],
        ),
        (
            "siblings have the median of their region",
            vec![path("west", 0, "a", "east", 80.0), path("west", 9, "e", "east", 40.0)],
            "west",
            [80.0, 80.0, 0.5, f32::NAN],
        ),
    ] {
        let mut builder = builder();
        builder.measure(Measured::new(paths, &Measured::default()));
        let fleet = builder.publish().unwrap();
        let times = fleet.round_trips(&label(source), Some(&label("x")));
        let same =
            times.iter().zip(expected).all(|(time, wanted)| (time - wanted).abs() < 0.1 || wanted.is_nan());
        assert!(times.len() == 4 && same, "{name}: {times:?}");
    }
}

#[test]
fn noise_changes_nothing_and_a_change_makes_an_epoch() {
    let mut builder = builder();
    let epoch = builder.publish().unwrap().epoch;
    let mut before = Measured::default();
    for (rtt_ms, published) in [(50.0, true), (50.5, false), (50.1, false), (52.0, true), (52.9, false)] {
        let measured = Measured::new(vec![path("east", 2, "c", "west", rtt_ms)], &before);
        assert_eq!(measured != before, published, "{rtt_ms}");
        before = measured;
    }
    builder.measure(before);
    assert_eq!(builder.publish().unwrap().epoch, epoch + 1, "without any change of a member");
    assert!(builder.publish().is_none());
}

#[test]
fn between_regions_it_is_told_how_a_time_is_known() {
    let mut builder = builder();
    builder.measure(Measured::new(vec![path("east", 3, "d", "south", 33.0)], &Measured::default()));
    let fleet = builder.publish().unwrap();
    for (from, to, wanted) in [
        ("south", "east", (33.0, RttOrigin::Measured)),
        ("west", "east", (60.0, RttOrigin::Configured)),
        ("east", "east", (1.5, RttOrigin::Estimated)),
    ] {
        assert_eq!(fleet.region_rtt_ms(&label(from), &label(to)), wanted, "{from} to {to}");
    }
    let unknown = fleet.region_rtt_ms(&label("west"), &label("mars"));
    assert!(unknown.0.is_nan() && unknown.1 == RttOrigin::Unknown);
}
