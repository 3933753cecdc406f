//! What is refused before it serves, and with which words.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking"
)]

mod support;

use pilothouse_engine::{Cache, Compiler, PoolError, Runtime};
use support::{Guest, HONEST, pool, runtime};

#[track_caller]
fn check_refused(runtime: &Runtime, what: &str, bytes: &[u8], wanted: &str) {
    let error = runtime.load(bytes).expect_err(wanted).to_string();
    assert!(error.contains(wanted), "{what}: `{error}` does not say `{wanted}`");
}

/// A component around one core module.
fn around(module: &str) -> Vec<u8> {
    wat::parse_str(format!("(component (core module {module}))")).unwrap()
}

fn nested(depth: usize) -> String {
    format!("(func {}{})", "(block ".repeat(depth), ")".repeat(depth))
}

#[test]
fn the_honest_guest_is_accepted() {
    let loaded = runtime().load(&HONEST.build()).unwrap();
    assert_eq!((loaded.description.name.as_str(), loaded.description.version.as_str()), ("by-hand", "1.0.0"));
}

#[test]
fn shapes_that_make_compiling_slow_are_refused_before_it() {
    let runtime = runtime();
    for (module, wanted) in [
        (nested(5_000), "nesting of blocks is 101, at most 100"),
        (format!("(func (local {}))", "i64 ".repeat(1_001)), "locals of a function"),
        (format!("(func {})", "nop ".repeat(140_000)), "function body (bytes)"),
        ("(func)".repeat(20_001), "number of functions is 20001"),
        (
            format!("(func (param i32) (br_table {} (local.get 0)))", "0 ".repeat(5_000)),
            "targets of a branch table",
        ),
        (format!("(memory 1) {}", "(data \"\")".repeat(10_001)), "data segments"),
        (format!("(@custom \"x\" \"{}\")", "a".repeat(300_000)), "custom sections"),
    ] {
        check_refused(&runtime, wanted, &around(&module), wanted);
    }
    let many = |inner: &str, count| wat::parse_str(format!("(component {})", inner.repeat(count))).unwrap();
    check_refused(&runtime, "modules", &many("(core module)", 9), "core modules is 9");
    check_refused(&runtime, "components", &many("(component)", 5), "nested components is 5");
}

#[test]
fn proposals_that_the_host_does_not_allow_are_refused() {
    let runtime = runtime();
    for module in [
        "(memory i64 1)",
        "(memory 1 1 shared)",
        "(tag)",
        "(type (struct))",
        "(func $f (return_call $f))",
        "(func (param v128) (result v128) (i8x16.relaxed_swizzle (local.get 0) (local.get 0)))",
    ] {
        check_refused(&runtime, module, &around(module), "malformed");
    }
}

#[test]
fn imports_and_exports_of_another_kind_or_version_are_refused_by_name() {
    let runtime = runtime();
    let component = |text: &str| wat::parse_str(format!("(component {text})")).unwrap();
    for (text, wanted) in [
        (r#"(import "wasi:cli/environment@0.2.0" (instance))"#, "imports `wasi:cli/environment@0.2.0`"),
        (
            r#"(import "pilothouse:host/fleet@0.9.0" (instance))"#,
            "built for pilothouse:host/fleet@0.9.0; this host has version 0.1",
        ),
        (r#"(import "pilothouse:host/types@1.0.0" (instance))"#, "or use a host that has 1.0.0"),
        (r#"(import "pilothouse:host/secrets@0.1.0" (instance))"#, "imports `pilothouse:host/secrets@0.1.0`"),
        ("", "exports no policy interface that this host knows (nothing)"),
        (
            r#"(instance $i) (export "pilothouse:balancing/balancing@0.2.0" (instance $i))"#,
            "built for pilothouse:balancing/balancing@0.2.0; this host has version 0.1 of that interface: rebuild",
        ),
        (
            r#"(instance $i) (export "pilothouse:balancing/balancing@0.1.0" (instance $i))"#,
            "does not fit the policy contract",
        ),
    ] {
        check_refused(&runtime, text, &component(text), wanted);
    }
}

#[test]
fn every_truncation_and_every_flipped_byte_is_refused_or_accepted_but_never_a_panic() {
    let runtime = runtime();
    let good = HONEST.build();
    for length in (0..good.len()).step_by(97) {
        assert!(runtime.load(&good[..length]).is_err(), "cut at {length}");
    }
    for at in (0..good.len()).step_by(211) {
        let mut bytes = good.clone();
        bytes[at] ^= 0xff;
        let _ = runtime.load(&bytes);
    }
}

#[test]
fn a_guest_that_misbehaves_when_asked_who_it_is_is_refused() {
    let runtime = runtime();
    for (guest, wanted) in [
        (Guest { describe: "(loop (br 0)) (unreachable)", ..HONEST }, "fuel"),
        (Guest { more: "(func $s (loop (br 0))) (start $s)", ..HONEST }, "fuel"),
        (Guest { describe: "unreachable", ..HONEST }, "trap"),
        (Guest { describe: "(i32.const -8)", ..HONEST }, "asking for it failed"),
        (Guest { name: "Not A Name", ..HONEST }, "Not A Name"),
        (Guest { column: "astrology", ..HONEST }, "wants the column `astrology`; this host has cpu"),
    ] {
        check_refused(&runtime, wanted, &guest.build(), wanted);
    }
}

#[test]
fn a_guest_that_breaks_while_it_is_configured_does_not_become_a_pool() {
    let runtime = runtime();
    for (configure, wanted) in [
        ("unreachable", "trap"),
        ("(loop (br 0)) (unreachable)", "fuel"),
        ("(i32.const 0x7fffffff)", "contract"),
    ] {
        let bytes = Guest { configure, ..HONEST }.build();
        let Err(PoolError::Fault(fault)) = pool(&runtime, &bytes) else { panic!("{configure} was accepted") };
        assert_eq!(fault.kind.name(), wanted, "{configure}: {fault}");
    }
}

#[test]
fn compiled_code_that_somebody_changed_is_not_run_but_compiled_again() {
    let dir = tempfile::tempdir().unwrap();
    let start = || Runtime::start(Compiler::here(), Cache::open(dir.path()).unwrap()).unwrap();
    let bytes = HONEST.build();
    assert!(!start().load(&bytes).unwrap().from_cache);
    assert!(start().load(&bytes).unwrap().from_cache, "the second start finds it");
    let entries = std::fs::read_dir(dir.path()).unwrap().flatten().map(|entry| entry.path());
    let entry = entries.into_iter().find(|path| path.extension().is_some_and(|end| end == "code")).unwrap();
    let code = std::fs::read(&entry).unwrap();
    let flip = |at: usize| {
        let mut code = code.clone();
        code[at] ^= 1;
        code
    };
    for (what, changed) in [
        ("its tag", flip(0)),
        ("its code", flip(code.len() - 1)),
        ("cut off", code[..code.len() / 2].to_vec()),
        ("empty", Vec::new()),
    ] {
        std::fs::write(&entry, changed).unwrap();
        let loaded = start().load(&bytes).unwrap();
        assert!(!loaded.from_cache, "{what}");
    }
}
