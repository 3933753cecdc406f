//! What a guest can do in a decision, and what the host makes of it. Every fault is typed, and the next call is served.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking"
)]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use pilothouse_core::eligible::{Classes, EligibleClass, Requirement};
use pilothouse_core::fleet::Fleet;
use pilothouse_core::fleet::geography::Geography;
use pilothouse_core::id::MemberId;
use pilothouse_core::member::{MemberKind, Registration, Resources, Role};
use pilothouse_core::policy::fault::PolicyError;
use pilothouse_core::policy::request::{BalancingRequest, Choice};
use pilothouse_core::policy::{Decision, Policy as _};
use pilothouse_core::registry::{Registry, Rules};
use pilothouse_core::time::{Now, WallMs};
use pilothouse_engine::Pool;
use support::{Guest, HONEST, pool, runtime};

const IMPORTS: &str = r#"
  (import "pilothouse:host/log@0.1.0" "write" (func $write (param i32 i32 i32)))
  (import "pilothouse:host/fleet@0.1.0" "in-flight" (func $in_flight (param i32) (result i32)))
  (import "pilothouse:host/fleet@0.1.0" "find-symbol" (func $find (param i32 i32 i32)))
  (import "pilothouse:host/state@0.1.0" "[static]counter.open" (func $open (param i32 i32 i32)))"#;

fn world() -> (Fleet, Arc<EligibleClass>) {
    let mut registry = Registry::new(Rules::default(), Geography::default());
    let registration = Registration {
        id: MemberId::parse("m-0").unwrap(),
        kind: MemberKind::Cluster,
        endpoint: "m-0:1".to_owned(),
        hostname: String::new(),
        region: None,
        zone: None,
        cluster: None,
        role: Role::Worker,
        capacity: 10,
        weight: 1.0,
        capabilities: BTreeSet::new(),
        services: BTreeSet::new(),
        compliance: BTreeSet::new(),
        accelerator_model: None,
        cost_per_hour: 1.0,
        carbon_g_per_kwh: f32::NAN,
        resources: Resources::default(),
    };
    registry.register(registration, Now(1), WallMs(0)).unwrap();
    let fleet = registry.publish().unwrap();
    let class = Classes::default().resolve(&fleet, &Requirement::default()).unwrap();
    (fleet, class)
}

fn choose(pool: &Pool) -> Result<Choice, PolicyError> {
    let (fleet, class) = world();
    let Decision::Balancing(port) = pool.decision() else { panic!("not balancing") };
    port.choose(&fleet, &class, &BalancingRequest { seed: 1, now_ms: 1, session: None })
}

/// Stores a word of the result at 256 and leaves its address.
macro_rules! result {
    ($($offset:literal = $value:literal),*) => {
        concat!($("(i32.store (i32.const ", $offset, ") (i32.const ", $value, "))"),*, "(i32.const 256)")
    };
}

const SPIN: &str = "(loop (br 0)) (unreachable)";
/// Empty lists ask for nothing, so that it comes as far as a decision.
const SPIN_IF_ASKED: &str = "(if (local.get $size) (then (loop (br 0)))) (i32.const 4096)";
const OUTSIDE_IF_ASKED: &str = "(select (i32.const 0x7ffffff0) (i32.const 4096) (local.get $size))";
/// Pushes a megabyte of frames.
const RECURSE: &str = "(call $deep (i32.const 0))";
const DEEP: &str = "(func $deep (param i32) (result i32) (i32.add (i32.const 1) (call $deep (local.get 0))))";
const GROW: &str = "(loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)";
const LOG_FOR_EVER: &str =
    "(loop (call $write (i32.const 0) (i32.const 16) (i32.const 4)) (br 0)) (unreachable)";
const LOOK_FOR_EVER: &str = "(loop (drop (call $in_flight (i32.const 0))) (br 0)) (unreachable)";
const HANDLES_FOR_EVER: &str =
    "(loop (call $open (i32.const 16) (i32.const 7) (i32.const 512)) (br 0)) (unreachable)";
const PASS_TWO_MEGABYTES: &str = "(drop (memory.grow (i32.const 40)))
    (call $find (i32.const 0) (i32.const 0x200000) (i32.const 512)) (i32.const 256)";

#[test]
fn every_way_to_break_a_decision_is_a_typed_fault() {
    let runtime = runtime();
    let calling = |choose| Guest { choose, imports: IMPORTS, ..HONEST };
    for (name, guest, kind) in [
        ("P1 endless loop", calling(SPIN), "fuel"),
        ("P2 trap", calling("unreachable"), "trap"),
        ("P3 endless recursion", Guest { more: DEEP, ..calling(RECURSE) }, "trap"),
        ("P5 memory without end", calling(GROW), "memory"),
        ("endless allocation by realloc", Guest { realloc: SPIN_IF_ASKED, ..HONEST }, "fuel"),
        ("realloc outside of memory", Guest { realloc: OUTSIDE_IF_ASKED, ..HONEST }, "contract"),
        ("log without end", calling(LOG_FOR_EVER), "fuel"),
        ("look-ups without end", calling(LOOK_FOR_EVER), "fuel"),
        ("handles without end", calling(HANDLES_FOR_EVER), "fuel"),
        ("two megabytes into the host", calling(PASS_TWO_MEGABYTES), "output"),
        ("a row that does not exist", calling(result!(256 = 0, 260 = 7)), "ineligible"),
        ("a score that is no number", calling(result!(256 = 0, 260 = 0, 264 = 0x7fc00000)), "not-a-number"),
        ("a result that is neither", calling(result!(256 = 9)), "contract"),
        ("a result outside of memory", calling("(i32.const 0x7ffffff0)"), "contract"),
        ("a result at an odd address", calling("(i32.const 257)"), "contract"),
        ("a refusal that is no case", calling(result!(256 = 1, 260 = 9)), "contract"),
        ("a text outside of memory", calling(result!(256 = 1, 260 = 2, 264 = 0, 268 = 0x7fffffff)), "contract"),
        ("a text that is not UTF-8", calling("(i32.store (i32.const 300) (i32.const 0xffff))
            (i32.store (i32.const 256) (i32.const 1)) (i32.store (i32.const 260) (i32.const 2))
            (i32.store (i32.const 264) (i32.const 300)) (i32.store (i32.const 268) (i32.const 2)) (i32.const 256)"), "contract"),
        ("a text of its own failing", calling(result!(256 = 1, 260 = 2, 264 = 16, 268 = 7)), "failed"),
    ] {
        let pool = pool(&runtime, &guest.build()).unwrap_or_else(|error| panic!("{name}: {error}"));
        for _ in 0..2 {
            match choose(&pool) {
                Err(PolicyError::Fault(fault)) => assert_eq!(fault.kind.name(), kind, "{name}: {fault}"),
                other => panic!("{name}: {other:?}"),
            }
        }
        assert_eq!(pool.usage().instances, 2, "{name}: a fresh one after a fault");
    }
}

#[test]
fn a_fault_in_one_pool_leaves_its_neighbour_alone() {
    let runtime = runtime();
    let honest = pool(&runtime, &HONEST.build()).unwrap();
    let broken = pool(&runtime, &Guest { choose: SPIN, ..HONEST }.build()).unwrap();
    for _ in 0..3 {
        assert!(choose(&broken).is_err());
        assert_eq!(choose(&honest).unwrap().row, 0);
    }
    assert_eq!(honest.usage().instances, 1, "it never had to start again");
}

#[test]
fn a_decision_burns_at_most_its_fuel() {
    let runtime = runtime();
    let pool = pool(&runtime, &Guest { choose: SPIN, ..HONEST }.build()).unwrap();
    let budget = pilothouse_engine::Budget::of(pilothouse_core::policy::Family::Balancing);
    for calls in 1..4 {
        assert!(choose(&pool).is_err());
        assert!(pool.usage().fuel <= calls * budget.fuel, "{} after {calls} calls", pool.usage().fuel);
    }
}

#[test]
fn log_lines_beyond_the_bound_are_dropped_and_counted_and_the_answer_stands() {
    let runtime = runtime();
    let choose_text = "(local $i i32)
        (loop (call $write (i32.const 0) (i32.const 16) (i32.const 4))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if 0 (i32.lt_u (local.get $i) (i32.const 100)))) (i32.const 256)";
    let guest = Guest { choose: choose_text, imports: IMPORTS, ..HONEST };
    let pool = pool(&runtime, &guest.build()).unwrap();
    assert_eq!(choose(&pool).unwrap().row, 0);
    drop(choose(&pool));
    assert_eq!(pool.usage().log_lines_dropped, 2 * (100 - 32));
}
