//! The registry's rules, one line a case.

use std::collections::BTreeSet;

use super::*;
use crate::breaker::OPEN_MS;
use crate::device::Devices;
use crate::eligible::{Classes, Filter, Requirement};
use crate::fleet::column::Column;
use crate::guardrail::{self, Breach};
use crate::id::Label;
use crate::policy::request::Choice;

fn id(text: &str) -> MemberId {
    MemberId::parse(text).unwrap()
}

fn cluster(name: &str, endpoint: &str) -> Registration {
    Registration {
        id: id(name),
        kind: MemberKind::Cluster,
        endpoint: endpoint.to_owned(),
        hostname: String::new(),
        region: Some(Label::parse("us-east-1").unwrap()),
        zone: None,
        cluster: None,
        role: Role::Worker,
        capacity: 2,
        weight: 1.0,
        capabilities: BTreeSet::from([Label::parse("gpu").unwrap()]),
        services: BTreeSet::new(),
        compliance: BTreeSet::new(),
        accelerator_model: None,
        cost_per_hour: f32::NAN,
        carbon_g_per_kwh: f32::NAN,
        resources: Resources::default(),
    }
}

fn node(name: &str, endpoint: &str) -> Registration {
    Registration { kind: MemberKind::Node, ..cluster(name, endpoint) }
}

struct World {
    registry: Registry,
    now: Now,
}

impl World {
    fn with(names: &[&str]) -> Self {
        let mut world =
            Self { registry: Registry::new(Rules::default(), Geography::default()), now: Now(1_000) };
        for name in names {
            world.register(cluster(name, name)).unwrap();
        }
        world
    }

    fn register(&mut self, registration: Registration) -> Result<MemberId, RegisterError> {
        self.registry.register(registration, self.now, WallMs(0)).map(|(id, _)| id)
    }

    fn report(&mut self, name: &str, report: LoadReport) -> Vec<Change> {
        let (_, changes) = self.registry.report(&id(name), &report, self.now, WallMs(0)).unwrap();
        changes.into_iter().map(|change| change.change).collect()
    }

    fn pass_ms(&mut self, ms: u64) -> Vec<Change> {
        self.now = self.now.plus_ms(ms);
        self.registry.tick(self.now).into_iter().map(|change| change.change).collect()
    }

    fn eligible(&mut self) -> Result<Vec<u32>, Vec<(Filter, u32)>> {
        self.registry.publish();
        let fleet = self.registry.published();
        let resolved = Classes::default().resolve(fleet, &Requirement::default());
        resolved.map(|class| class.rows().collect()).map_err(|none| none.cut)
    }

    fn status(&self, name: &str) -> Status {
        self.registry.member(&id(name)).unwrap().status
    }
}

#[test]
fn a_cluster_with_a_known_endpoint_is_that_cluster_and_a_node_is_refused() {
    let mut world = World::with(&[]);
    world.register(cluster("a", "https://A.example/")).unwrap();
    assert_eq!(world.register(cluster("b", "https://a.example")).unwrap(), id("a"));
    world.register(node("n1", "10.0.0.1:1")).unwrap();
    let refused = world.register(node("n2", "10.0.0.1:1")).unwrap_err();
    assert!(matches!(refused, RegisterError::EndpointTaken { owner, .. } if owner == id("n1")));
    assert_eq!(world.registry.members().count(), 2);
}

#[test]
fn bad_numbers_are_refused_with_their_field() {
    let mut world = World::with(&["a"]);
    for (field, report) in [
        ("cpu", LoadReport { cpu: Some(f32::NAN), ..Default::default() }),
        ("memory", LoadReport { memory: Some(1.5), ..Default::default() }),
        ("latency_ms", LoadReport { latency_ms: Some(f32::INFINITY), ..Default::default() }),
    ] {
        let error = world.registry.report(&id("a"), &report, world.now, WallMs(0)).unwrap_err();
        assert!(error.to_string().contains(field), "{error}");
    }
    assert!(world.register(Registration { weight: -1.0, ..cluster("b", "b") }).is_err());
}

#[test]
fn silence_takes_a_member_offline_and_then_away_and_a_report_brings_it_back() {
    let mut world = World::with(&["a", "b"]);
    assert_eq!(world.pass_ms(89_999), []);
    world.report("b", LoadReport::default());
    assert_eq!(world.pass_ms(1), [Change::Status { from: Status::Online, to: Status::Offline }]);
    assert_eq!(world.eligible(), Ok(vec![1]));
    assert_eq!(world.report("a", LoadReport::default()).len(), 2, "online again, and healthy");
    for _ in 0..9 {
        world.pass_ms(60_000);
        world.report("b", LoadReport::default());
    }
    assert_eq!(world.pass_ms(60_000), [Change::Unregistered { why: Removal::Silent }]);
    assert_eq!(world.registry.members().count(), 1);
}

#[test]
fn when_too_many_vanish_at_once_nobody_is_removed() {
    let mut world = World::with(&["a", "b", "c", "d"]);
    assert_eq!(world.pass_ms(700_000)[0], Change::MassLoss { lost: 4, of: 4 });
    assert_eq!(world.registry.members().count(), 4);
    for name in ["a", "b", "c"] {
        world.report(name, LoadReport::default());
    }
    assert!(world.pass_ms(0).contains(&Change::MassLossOver));
    assert_eq!(world.registry.members().count(), 3, "the one that stayed silent is removed");
}

#[test]
fn health_follows_the_thresholds_and_the_members_own_opinion() {
    let mut world = World::with(&["a"]);
    let cpu = |cpu| LoadReport { cpu: Some(cpu), ..Default::default() };
    for (report, health) in [
        (cpu(0.5), Health::Healthy),
        (cpu(0.81), Health::Degraded),
        (cpu(0.96), Health::Unhealthy),
        (cpu(0.1), Health::Healthy),
        (LoadReport { health: Some(Health::Unhealthy), ..Default::default() }, Health::Unhealthy),
    ] {
        world.report("a", report);
        assert_eq!(world.registry.member(&id("a")).unwrap().health, health, "{report:?}");
    }
    assert_eq!(world.eligible(), Err(vec![(Filter::Availability, 1)]));
}

#[test]
fn draining_survives_reports_and_takes_no_work() {
    let mut world = World::with(&["a"]);
    world.registry.set_draining(&id("a"), true).unwrap();
    world.report("a", LoadReport::default());
    assert_eq!((world.status("a"), world.eligible().is_err()), (Status::Draining, true));
    world.registry.set_draining(&id("a"), false).unwrap();
    assert_eq!((world.status("a"), world.eligible()), (Status::Online, Ok(vec![0])));
}

#[test]
fn there_is_one_leader() {
    let mut world = World::with(&["a", "b"]);
    world.registry.promote(&id("a")).unwrap();
    world.registry.promote(&id("b")).unwrap();
    let roles: Vec<Role> = world.registry.members().map(|member| member.role).collect();
    assert_eq!(roles, [Role::Worker, Role::Leader]);
}

#[test]
fn five_failures_close_the_gate_and_half_open_lets_three_through() {
    let mut world = World::with(&["a", "b"]);
    for _ in 0..5 {
        world.registry.outcome(&id("a"), false, world.now).unwrap();
    }
    assert_eq!(world.eligible(), Ok(vec![1]));
    world.pass_ms(OPEN_MS * 2);
    assert_eq!(world.eligible(), Ok(vec![0, 1]));
    let fleet = world.registry.published();
    let class = Classes::default().resolve(fleet, &Requirement::default()).unwrap();
    let pass = || guardrail::check(fleet, &class, Choice { row: 0, score: 0.0, reason: 0 }).map(drop);
    assert_eq!([pass(), pass(), pass()], [Ok(()), Ok(()), Ok(())]);
    assert_eq!(pass(), Err(Breach::GateClosed { row: 0 }));
}

#[test]
fn work_in_flight_counts_against_capacity_until_a_report_contains_it() {
    let mut world = World::with(&["a"]);
    world.registry.publish();
    let fleet = world.registry.published().clone();
    let class = Classes::default().resolve(&fleet, &Requirement::default()).unwrap();
    let check = || guardrail::check(&fleet, &class, Choice { row: 0, score: 0.0, reason: 0 }).map(drop);
    fleet.live.start(0);
    assert_eq!(check(), Ok(()));
    fleet.live.start(0);
    assert_eq!(check(), Err(Breach::Full { row: 0 }));
    world.report("a", LoadReport { active: Some(1), ..Default::default() });
    assert_eq!(check(), Ok(()));
}

#[test]
fn a_freed_row_is_used_again_only_after_a_snapshot_showed_it_empty() {
    let mut world = World::with(&["a", "b"]);
    world.registry.unregister(&id("a")).unwrap();
    world.register(cluster("c", "c")).unwrap();
    assert_eq!(world.registry.member(&id("c")).unwrap().row, 2);
    world.registry.publish();
    world.register(cluster("d", "d")).unwrap();
    assert_eq!(world.registry.member(&id("d")).unwrap().row, 0);
}

#[test]
fn a_restored_member_keeps_its_row_and_has_a_full_time_out() {
    let mut world = World::with(&["a", "b", "c"]);
    world.registry.unregister(&id("a")).unwrap();
    let kept: Vec<Member> = world.registry.members().cloned().collect();
    let mut again = World::with(&[]);
    again.registry.restore(kept, again.now).unwrap();
    assert_eq!((again.status("b"), again.eligible()), (Status::Unknown, Ok(vec![1, 2])));
    assert_eq!(again.pass_ms(89_999), []);
    again.register(cluster("d", "d")).unwrap();
    assert_eq!(again.registry.member(&id("d")).unwrap().row, 0);
}

#[test]
fn devices_come_from_the_report_less_what_was_placed_since_else_from_the_total() {
    let mut world = World::with(&[]);
    let resources = Resources { accelerator_millis: 2_000, ..Resources::default() };
    world.register(Registration { resources, ..cluster("a", "a") }).unwrap();
    let free = |world: &mut World| {
        world.registry.publish();
        let (block, lane) = world.registry.published().block(0).unwrap();
        Devices::from_words(block.bits(Column::AcceleratorDevices, lane))
    };
    let eligible = |world: &World, accelerator_millis| {
        let needs = Resources { accelerator_millis, ..Resources::default() };
        let requirement = Requirement { needs, ..Requirement::default() };
        Classes::default().resolve(world.registry.published(), &requirement).is_ok()
    };
    assert_eq!(free(&mut world), Devices::new([1_000, 1_000]), "nothing reported");
    let devices = Some(Devices::new([600, 500]));
    world.report("a", LoadReport { devices, ..LoadReport::default() });
    assert_eq!(free(&mut world), Devices::new([600, 500]));
    let fit = [500, 600, 601, 1_000].map(|needs| eligible(&world, needs));
    assert_eq!(fit, [true, true, false, false], "shares on different devices are not one device");
    let half = Resources { accelerator_millis: 500, ..Resources::default() };
    let claim = |needs, devices| Claim { needs, devices: Devices::new(devices) };
    let more = Resources { accelerator_millis: 900, ..half };
    world.registry.count_assigned(&id("a"), true, claim(half, [500, 0]));
    world.registry.count_assigned(&id("a"), true, claim(more, [0, 900]));
    assert_eq!(free(&mut world), Devices::new([600, 0]), "the books leave 600");
}
