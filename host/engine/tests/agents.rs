//! Agents through the real engine: the example agent, and guests by hand that break in the middle of a message.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking"
)]

use std::path::Path;
use std::sync::{Arc, LazyLock};

use pilothouse_engine::agent::{Context, HandleError, Handled, Instance, StartError};
use pilothouse_engine::{AgentBudget, Cache, Compiler, LoadedAgent, Runtime};
use proptest::prelude::*;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Runtime::start(Compiler::here(), Cache::none()).unwrap());
static COUNTER: LazyLock<LoadedAgent> = LazyLock::new(|| load(pilothouse_policies::AGENTS[0].bytes));

fn load(bytes: &[u8]) -> LoadedAgent {
    // A wide deadline: these tests are about what a guest does, on a machine that may be busy.
    let budget = AgentBudget { fuel: 50_000_000, deadline_ms: 20_000, ..AgentBudget::default() };
    RUNTIME.load_agent(bytes, budget).unwrap()
}

fn ask(instance: &mut Instance, message: &str, seed: u64) -> Result<Handled, HandleError> {
    instance.handle(message.as_bytes(), Context { seed, now_ms: 1 })
}

fn say(instance: &mut Instance, message: &str) -> String {
    String::from_utf8(ask(instance, message, 7).unwrap().body).unwrap()
}

#[test]
fn a_state_goes_from_one_instance_to_the_next() {
    let counter = &*COUNTER;
    assert_eq!(
        (counter.description.name.as_str(), pilothouse_policies::AGENTS[0].name),
        ("counter", "counter")
    );
    let mut first = counter.start("", None).unwrap();
    assert_eq!(say(&mut first, "add 5"), "5");
    let filled = ask(&mut first, "fill 65536", 0).unwrap();
    let state = filled.state.unwrap();
    assert_eq!(state.len(), 65_544);
    assert_eq!(ask(&mut first, "get", 0).unwrap().state, None, "a question is not saved");
    let mut second = counter.start("", Some(&state)).unwrap();
    assert_eq!(say(&mut second, "add 1"), "6");
    assert_eq!(say(&mut first, "get"), "5", "they share nothing");
}

#[test]
fn a_refusal_keeps_the_instance_and_names_what_would_be_right() {
    let mut counter = COUNTER.start("", None).unwrap();
    say(&mut counter, "add 5");
    let Err(HandleError::Refused(reason)) = ask(&mut counter, "multiply", 0) else { panic!("not refused") };
    assert!(reason.contains("use `add N`"), "{reason}");
    assert_eq!(say(&mut counter, "get"), "5");
}

#[test]
fn settings_and_states_that_are_no_good_refuse_the_start() {
    let refused = |settings: &str, state: Option<&[u8]>| COUNTER.start(settings, state).unwrap_err();
    let StartError::Settings(problems) = refused(r#"{"fill-bytes-max":-1}"#, None) else { panic!("taken") };
    assert_eq!(problems[0].path, "fill-bytes-max");
    assert!(matches!(refused("", Some(&[1])), StartError::State(_)));
    let mut small = COUNTER.start(r#"{"fill-bytes-max":10}"#, None).unwrap();
    assert!(matches!(ask(&mut small, "fill 11", 0), Err(HandleError::Refused(_))));
}

#[test]
fn a_policy_is_no_agent_and_an_agent_is_no_policy() {
    let policy = pilothouse_policies::ALL[0].bytes;
    let error = RUNTIME.load_agent(policy, AgentBudget::default()).unwrap_err().to_string();
    assert!(error.contains("agents do not get"), "{error}");
    let error = RUNTIME.load(pilothouse_policies::AGENTS[0].bytes).unwrap_err().to_string();
    assert!(error.contains("exports no policy interface"), "{error}");
}

/// Every message counts first and then, unless it begins with `a`, does what a case says. The count is the state.
fn by_hand(after_counting: &str) -> LoadedAgent {
    const AGENT: &str = "pilothouse:agent/agent@0.1.0";
    let text = format!(
        r#"(module
  (import "pilothouse:host/log@0.1.0" "write" (func $write (param i32 i32 i32)))
  (memory (export "memory") 2)
  (global $next (mut i32) (i32.const 4096))
  (data (i32.const 16) "by-hand") (data (i32.const 40) "1.0.0")
  (data (i32.const 64) "\10\00\00\00\07\00\00\00\28\00\00\00\05\00\00\00\10\00\00\00\07\00\00\00\00\00\00\00\00\00\00\00")
  (data (i32.const 300) "\80\00\00\00\04\00\00\00")
  (func (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32)
    (global.set $next (i32.add (global.get $next) (local.get $size)))
    (i32.sub (global.get $next) (local.get $size)))
  (func (export "{AGENT}#describe") (result i32) (i32.const 64))
  (func (export "{AGENT}#configure") (param i32 i32) (result i32) (i32.const 200))
  (func (export "{AGENT}#save") (result i32) (i32.const 300))
  (func (export "{AGENT}#restore") (param $at i32) (param i32) (result i32)
    (i32.store (i32.const 128) (i32.load align=1 (local.get $at))) (i32.const 320))
  (func (export "{AGENT}#handle") (param $at i32) (param i32 i64 i64) (result i32) (local $i i32)
    (i32.store (i32.const 128) (i32.add (i32.load (i32.const 128)) (i32.const 1)))
    (i32.store (i32.const 260) (i32.const 128)) (i32.store (i32.const 264) (i32.const 4))
    (i32.store8 (i32.const 268) (i32.const 1))
    (if (i32.ne (i32.load8_u (local.get $at)) (i32.const 97)) (then {after_counting}))
    (i32.const 256)))"#
    );
    let mut module = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut resolve = wit_parser::Resolve::default();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    resolve.push_dir(wit.join("host")).unwrap();
    let (package, _) = resolve.push_dir(wit.join("agent")).unwrap();
    let world = resolve.select_world(&[package], Some("component")).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    load(&ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap())
}

fn count(instance: &mut Instance) -> (u32, Vec<u8>) {
    let Handled { body, state } = ask(instance, "a", 0).unwrap();
    (u32::from_le_bytes(body.try_into().unwrap()), state.unwrap())
}

#[test]
fn every_way_to_break_is_a_typed_fault_and_the_state_has_no_half_message() {
    for (name, body, kind) in [
        ("trap", "unreachable", "trap"),
        ("endless loop", "(loop (br 0))", "fuel"),
        (
            "memory without end",
            "(loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable",
            "memory",
        ),
        ("log without end", "(loop (call $write (i32.const 1) (i32.const 16) (i32.const 4)) (br 0))", "fuel"),
        (
            "an answer of 3 MiB",
            "(drop (memory.grow (i32.const 60))) (i32.store (i32.const 264) (i32.const 0x300000))",
            "output",
        ),
        (
            "an answer one byte too long",
            "(drop (memory.grow (i32.const 60))) (i32.store (i32.const 264) (i32.const 0x100001))",
            "output",
        ),
        (
            "a state of 5 MiB",
            "(drop (memory.grow (i32.const 100))) (i32.store (i32.const 304) (i32.const 0x500000))",
            "output",
        ),
        ("an answer outside of memory", "(i32.store (i32.const 260) (i32.const 0x7ffffff0))", "contract"),
        ("a result that is neither", "(i32.store (i32.const 256) (i32.const 9))", "contract"),
    ] {
        let agent = by_hand(body);
        let mut instance = agent.start("", None).unwrap();
        count(&mut instance);
        let (_, state) = count(&mut instance);
        match ask(&mut instance, "b", 0) {
            Err(HandleError::Fault(fault)) => assert_eq!(fault.kind.name(), kind, "{name}: {fault}"),
            other => panic!("{name}: {other:?}"),
        }
        let mut next = agent.start("", Some(&state)).unwrap();
        assert_eq!(count(&mut next).0, 3, "{name}: the message that broke does not count");
    }
}

#[test]
fn log_lines_beyond_the_bound_are_dropped_with_a_note_and_the_answer_stands() {
    let agent = by_hand(
        "(loop (call $write (i32.const 2) (i32.const 16) (i32.const 7))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if 0 (i32.lt_u (local.get $i) (i32.const 100))))",
    );
    let mut instance = agent.start("", None).unwrap();
    ask(&mut instance, "b", 0).unwrap();
    let lines = instance.take_lines();
    assert_eq!((lines.len(), lines[0].as_str()), (33, "warn: by-hand"));
    assert_eq!(lines[32], "68 lines more than may be written were dropped");
    assert!(instance.take_lines().is_empty());
}

#[test]
fn a_thousand_agents_answer_from_four_threads() {
    let counter = Arc::new(COUNTER.clone());
    let threads: Vec<_> = (0..4)
        .map(|part: i64| {
            let counter = Arc::clone(&counter);
            std::thread::spawn(move || {
                let mut agents: Vec<_> = (0..250).map(|_| counter.start("", None).unwrap()).collect();
                for round in 1..=3 {
                    for (agent, number) in agents.iter_mut().zip(part * 250..) {
                        assert_eq!(say(agent, &format!("add {number}")), (round * number).to_string());
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_agent_that_is_restarted_anywhere_answers_like_one_that_never_was(
        steps in prop::collection::vec((0_u8..4, any::<i16>(), any::<u64>(), any::<bool>()), 1..20)
    ) {
        let mut steady = COUNTER.start("", None).unwrap();
        let mut restless = COUNTER.start("", None).unwrap();
        let mut state: Option<Vec<u8>> = None;
        for (command, number, seed, restart) in steps {
            let message = match command {
                0 => format!("add {number}"),
                1 => format!("fill {number}"),
                2 => format!("roll {number}"),
                _ => "get".to_owned(),
            };
            if restart {
                restless = COUNTER.start("", state.as_deref()).unwrap();
            }
            let answer = ask(&mut restless, &message, seed);
            prop_assert_eq!(&answer, &ask(&mut steady, &message, seed));
            if let Ok(Handled { state: Some(saved), .. }) = answer {
                state = Some(saved);
            }
        }
    }
}
