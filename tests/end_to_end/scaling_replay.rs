//! A load through the running server in accelerated time: it scales as the lab said it would.
//!
//! The load is made from a seed, or the recording in the folder that `PILOTHOUSE_DATA` names. Figures: `host/docs/scaling.md`.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use pilothouse_core::policy::request::{ScalingRequest, ScalingTarget};
use pilothouse_core::policy::state::SlotState;
use pilothouse_core::policy::{Decision, Policy};
use pilothouse_engine::{Budget, Cache, Compiler, Pool, PoolConfig, Runtime};
use pilothouse_lab::scaling::{HostedPolicy, Kind, Report, Run, Setup, Strategy, Trace, simulate, synthetic};
use pilothouse_tests::{Server, wait_for};

use crate::rehearsal::Rehearsal;

const HOUR_S: usize = 3_600;
/// A period of 15 s is an eighth of a second then: long enough for a busy machine to keep up.
const FACTOR: u32 = 120;
/// Sizes and cost differ by this share at most. They are not equal: a sample's time is when it arrived at the server, some
/// tens of ms of the world off the beat, and a forecast weighs samples by their times; a machine so busy that it misses one
/// beat in ten shifts a few sizes by one period.
const APART_MAX: f64 = 0.05;
/// Shares of late work differ by this at most: the work of one period in the surges of an hour is a few times as much.
const VIOLATIONS_APART_MAX: f64 = 0.005;
/// Hours of the recording.
const RECORDED_HOURS: usize = 4;

/// A policy whose newest sample is so old when it is asked, ms. In the lab samples are of this very moment.
struct Aged<'a>(HostedPolicy<'a>, u64);

impl Strategy for Aged<'_> {
    fn decide(&mut self, request: &ScalingRequest) -> Option<ScalingTarget> {
        self.0.decide(&ScalingRequest { now_ms: request.now_ms + self.1, ..request.clone() })
    }
}

/// What the lab says of a policy.
fn foretold(policy: &str, age_ms: u64, trace: &Trace, setup: &Setup) -> Run {
    let runtime = Runtime::start(Compiler::here(), Cache::none()).unwrap();
    let loaded = Arc::new(runtime.load(pilothouse_policies::find("scaling", policy).unwrap().bytes).unwrap());
    let budget = Budget { deadline_ms: 10_000, ..Budget::of(loaded.family()) };
    let config = PoolConfig { seats: 1, budget, state: Arc::new(SlotState::default()), seed: 1 };
    let pool = Pool::new(loaded, "", config).unwrap();
    let Decision::Scaling(port) = pool.decision() else { panic!("{policy} does not scale") };
    simulate(trace, setup, &mut Aged(HostedPolicy::new(port), age_ms))
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
        None => ("a made-up load", synthetic(Kind::Surges, HOUR_S, 600.0, 4)),
    };
    let lab = foretold("hybrid", 0, &trace, &setup);
    let aged = foretold("hybrid", u64::from(setup.period_s) * 500, &trace, &setup);
    let mut rehearsal = Rehearsal::start("hybrid", FACTOR, setup);
    let run = simulate(&trace, &setup, &mut rehearsal);
    let (ours, theirs) = (Report::of(&run, &trace, &setup), Report::of(&lab, &trace, &setup));
    let (apart, aged_apart) = (apart(&run, &lab), apart(&run, &aged));
    println!(
        "{what}: {} decisions, {} beats missed, sizes {:.2} % apart; {:.2} % if samples are as old in the lab\n\
         server {ours:?}\nlab    {theirs:?}",
        run.ticks.len(),
        rehearsal.beats_missed(),
        100.0 * apart,
        100.0 * aged_apart,
    );
    assert!(apart <= APART_MAX, "{apart}");
    assert!((ours.cost / theirs.cost - 1.0).abs() <= APART_MAX, "{ours:?} {theirs:?}");
    let violations_apart = (ours.violations - theirs.violations).abs();
    assert!(violations_apart <= VIOLATIONS_APART_MAX, "{ours:?} {theirs:?}");
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
