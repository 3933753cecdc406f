//! A load through the running server in accelerated time: it scales as the lab said it would.
//!
//! The load is made from a seed, or the recording in the folder that `PILOTHOUSE_DATA` names. Figures: `host/docs/scaling.md`.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use pilothouse_core::policy::state::SlotState;
use pilothouse_core::policy::{Decision, Policy};
use pilothouse_engine::{Budget, Cache, Compiler, Pool, PoolConfig, Runtime};
use pilothouse_lab::scaling::{HostedPolicy, Kind, Report, Run, Setup, Trace, simulate, synthetic};
use pilothouse_tests::{Server, wait_for};

use crate::rehearsal::Rehearsal;

const HOUR_S: usize = 3_600;
/// A period of 15 s is an eighth of a second then: long enough for a busy machine to keep up.
const FACTOR: u32 = 120;
/// Hours of the recording.
const RECORDED_HOURS: usize = 4;

/// What the lab says of a policy.
fn foretold(policy: &str, trace: &Trace, setup: &Setup) -> Run {
    let runtime = Runtime::start(Compiler::here(), Cache::none()).unwrap();
    let loaded = Arc::new(runtime.load(pilothouse_policies::find("scaling", policy).unwrap().bytes).unwrap());
    let budget = Budget { deadline_ms: 10_000, ..Budget::of(loaded.family()) };
    let config = PoolConfig { seats: 1, budget, state: Arc::new(SlotState::default()), seed: 1 };
    let pool = Pool::new(loaded, "", config).unwrap();
    let Decision::Scaling(port) = pool.decision() else { panic!("{policy} does not scale") };
    simulate(trace, setup, &mut HostedPolicy::new(port))
}

fn recorded(data: &Path) -> Trace {
    let file = data.join("load/twitter-2021-08-requests-per-second.txt.gz");
    let done = Command::new("gzip").arg("-dc").arg(&file).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let mut trace = Trace::from_counts(&String::from_utf8(done.stdout).unwrap()).unwrap();
    trace.per_second.truncate(RECORDED_HOURS * HOUR_S);
    trace
}

/// Mean difference of the sizes, as a share of the mean size.
fn apart(ours: &Run, theirs: &Run) -> f64 {
    assert_eq!(ours.ticks.len(), theirs.ticks.len());
    let pairs = ours.ticks.iter().zip(&theirs.ticks);
    let apart: f64 = pairs.map(|(ours, theirs)| f64::from(ours.replicas.abs_diff(theirs.replicas))).sum();
    apart / theirs.ticks.iter().map(|tick| f64::from(tick.replicas)).sum::<f64>()
}

#[test]
fn a_group_scales_in_the_running_server_as_in_the_lab() {
    let setup = Setup::default();
    let (what, trace) = match std::env::var_os("PILOTHOUSE_DATA") {
        Some(data) => ("the recording", recorded(Path::new(&data))),
        None => ("a made-up load", synthetic(Kind::Surges, HOUR_S, 600.0, 7)),
    };
    let lab = foretold("hybrid", &trace, &setup);
    let mut rehearsal = Rehearsal::start("hybrid", FACTOR, setup);
    let run = simulate(&trace, &setup, &mut rehearsal);
    let (ours, theirs) = (Report::of(&run, &trace, &setup), Report::of(&lab, &trace, &setup));
    let apart = apart(&run, &lab);
    println!(
        "{what}: {} decisions, {} beats missed, sizes {:.2} % apart\nserver {ours:?}\nlab    {theirs:?}",
        run.ticks.len(),
        rehearsal.beats_missed(),
        100.0 * apart
    );
    assert!(apart <= 0.05, "{apart}");
    assert!((ours.cost / theirs.cost - 1.0).abs() <= 0.03, "{ours:?} {theirs:?}");
    assert!((ours.violations - theirs.violations).abs() <= 0.002, "{ours:?} {theirs:?}");
}

#[test]
fn in_a_rehearsal_members_age_fast_and_the_server_keeps_itself_alive() {
    let server = Server::start_with("[server]\ntime-factor = 600\n").unwrap();
    server.ok("POST", "/api/v1/clusters", Some(r#"{"id": "c-1", "endpoint": "10.0.0.1:1"}"#)).unwrap();
    let status = |path: &str| server.ok("GET", path, None).unwrap()["status"].clone();
    // A minute and a half of silence, more than the patience of this test in the world's time.
    wait_for(|| (status("/api/v1/clusters/c-1") == "offline").then_some(())).expect("it never reported");
    assert_ne!(status("/api/v1/nodes/node-1"), "offline");
}
