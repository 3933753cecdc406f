//! Volume, in one process: many swaps, many reloads, many members. `make soak` runs the long variants.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking, and figures are printed"
)]

mod fleet;
mod memory;
mod placements;
mod swaps;

use std::collections::BTreeSet;

use pilothouse_core::eligible::Requirement;
use pilothouse_core::id::MemberId;
use pilothouse_core::member::{MemberKind, Registration, Resources, Role};
use pilothouse_core::policy::Family;
use pilothouse_core::slot::SlotId;
use pilothouse_node::control::Control;
use pilothouse_node::{Config, Running};
use pilothouse_transport::service::{Activation, ControlPlane as _, RouteQuery};
use tempfile::TempDir;
use tokio::task::JoinSet;

/// A server with so many clusters of unlimited capacity. The folder lives as long as the test.
async fn server(clusters: u32) -> (Running, TempDir) {
    let dir = TempDir::new().unwrap();
    let mut config = Config::default();
    config.server.listen = ([127, 0, 0, 1], 0).into();
    config.server.data_dir = dir.path().to_owned();
    let running = pilothouse_node::start(&config, None).await.unwrap();
    let mut registering: JoinSet<_> =
        (0..clusters).map(|index| running.control.register(cluster(index))).collect();
    while let Some(done) = registering.join_next().await {
        done.unwrap().unwrap();
    }
    (running, dir)
}

fn cluster_id(index: u32) -> MemberId {
    MemberId::parse(&format!("c-{index}")).unwrap()
}

fn cluster(index: u32) -> Registration {
    Registration {
        id: cluster_id(index),
        kind: MemberKind::Cluster,
        endpoint: format!("https://c-{index}.example"),
        hostname: String::new(),
        region: None,
        zone: None,
        cluster: None,
        role: Role::Worker,
        capacity: 0,
        weight: 1.0,
        capabilities: BTreeSet::new(),
        services: BTreeSet::new(),
        compliance: BTreeSet::new(),
        accelerator_model: None,
        cost_per_hour: 1.0,
        carbon_g_per_kwh: f32::NAN,
        resources: Resources::default(),
    }
}

fn any_cluster() -> RouteQuery {
    let requirement = Requirement { kind: Some(MemberKind::Cluster), ..Requirement::default() };
    RouteQuery { requirement, ..RouteQuery::default() }
}

/// Makes a policy active in `balancing/default`; comes back when every worker serves it.
async fn activate(control: &Control, policy: &str, settings: &str) {
    let slot = SlotId::default_of(Family::Balancing);
    let (policy, settings) = (policy.to_owned(), settings.to_owned());
    let activation = Activation {
        slot,
        policy,
        settings,
        force: false,
        signature: None,
        allow_downgrade: false,
        by: "test".to_owned(),
    };
    control.activate(activation).await.unwrap();
}

/// Memory of this process, KiB; `None` where the system does not tell.
fn memory_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
