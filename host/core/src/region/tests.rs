//! Sums of small regions.

use super::*;
use crate::id::MemberId;
use crate::member::{LoadReport, Registration};

fn member(id: &str, kind: MemberKind, cluster: Option<&str>) -> Member {
    let id_of = |text: &str| MemberId::parse(text).unwrap();
    Member {
        standing: Default::default(),
        registration: Registration {
            id: id_of(id),
            kind,
            endpoint: id.to_owned(),
            hostname: String::new(),
            region: None,
            zone: None,
            cluster: cluster.map(id_of),
            role: Role::Worker,
            capacity: 10,
            weight: 1.0,
            capabilities: Default::default(),
            services: Default::default(),
            compliance: Default::default(),
            accelerator_model: None,
            cost_per_hour: f32::NAN,
            carbon_g_per_kwh: f32::NAN,
            resources: Resources { cpu_millis: u32::MAX, accelerator_millis: 4_000, ..Resources::default() },
        },
        row: 0,
        status: Status::Online,
        draining: false,
        health: Health::Healthy,
        role: Role::Worker,
        load: LoadReport::default(),
        assigned: 4,
        used: Resources { accelerator_millis: 1_500, ..Resources::default() },
        granted: Default::default(),
        reported_at: None,
        registered_at: Default::default(),
        last_seen: Default::default(),
    }
}

#[test]
fn a_region_is_the_sum_of_its_members_and_of_nothing_twice() {
    let cluster = member("c", MemberKind::Cluster, None);
    let mut loaded = member("d", MemberKind::Cluster, None);
    loaded.load = LoadReport { cpu: Some(0.5), queue_depth: Some(7), ..LoadReport::default() };
    loaded.registration.cost_per_hour = 2.0;
    loaded.used = Resources::default();
    let node = member("n", MemberKind::Node, Some("c"));
    let sums = RegionSums::of([&cluster, &loaded, &node]);
    assert_eq!((sums.members, sums.clusters, sums.online), (3, 2, 3));
    assert_eq!((sums.active, sums.agents_max, sums.agents_free), (8, 20, 12), "the node's are its cluster's");
    let accelerators =
        [sums.total, sums.used, sums.free, sums.largest_free].map(|amounts| amounts.accelerator_millis);
    assert_eq!(accelerators, [8_000, 1_500, 6_500, 4_000]);
    assert_eq!(sums.total.cpu_millis, 2 * u64::from(u32::MAX), "no overflow");
    assert_eq!(
        (sums.cpu.value(), sums.cost_per_hour.value(), sums.carbon_g_per_kwh.value()),
        (Some(0.5), Some(2.0), None)
    );
    assert_eq!((sums.queue_depth, sums.health_percent()), (7, Some(100.0)));
}

#[test]
fn members_that_take_no_work_have_nothing_free() {
    let change = |change: fn(&mut Member)| {
        let mut changed = member("c", MemberKind::Cluster, None);
        change(&mut changed);
        RegionSums::of([&changed])
    };
    for (name, sums, health) in [
        ("draining", change(|member| member.draining = true), 100.0),
        ("offline", change(|member| member.status = Status::Offline), 0.0),
        ("unhealthy", change(|member| member.health = Health::Unhealthy), 0.0),
        ("standby", change(|member| member.role = Role::Standby), 100.0),
    ] {
        assert_eq!((sums.free, sums.agents_free), (Amounts::default(), 0), "{name}");
        assert_eq!((sums.total.accelerator_millis, sums.health_percent()), (4_000, Some(health)), "{name}");
    }
    assert_eq!(RegionSums::default().health_percent(), None);
}
