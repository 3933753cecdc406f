//! The conformance kit on real components: the default ones pass, faulty ones fail under the name of their fault, old ones run on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking, and figures are printed"
)]

mod command;
mod defaults;
mod document;
mod faulty;
mod frozen;

use std::sync::Mutex;

use pilothouse_conformance::{Mode, Options, Report};
use pilothouse_engine::{Cache, Compiler, Runtime};

fn runtime() -> Runtime {
    Runtime::start(Compiler::here(), Cache::none()).unwrap()
}

fn quick() -> Options {
    Options { mode: Mode::Quick, seed: 1, only: Vec::new() }
}

fn conform(runtime: &Runtime, name: &str, bytes: &[u8]) -> Report {
    pilothouse_node::conform::conform(runtime, name, bytes, &quick()).unwrap()
}

/// Ids of what failed.
fn failed(report: &Report) -> Vec<&'static str> {
    report.failures().map(|(check, _)| check.id).collect()
}

/// Runs `check` over all items, on two threads, and collects what it complains of.
fn each<T: Sync>(items: &[T], check: impl Fn(&T) -> Option<String> + Sync) -> Vec<String> {
    let complaints = Mutex::new(Vec::new());
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    complaints.lock().unwrap().extend(check(item));
                }
            });
        }
    });
    complaints.into_inner().unwrap()
}
