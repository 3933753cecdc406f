//! What agents cost: starting them, a message, save and restore of 64 KiB, and memory of ten thousand.
//!
//! Run: `cargo bench -p pilothouse-engine --bench agents`.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints and may fail")]

use pilothouse_engine::agent::{Context, Handled, Instance};
use pilothouse_engine::{AgentBudget, Cache, Compiler, Runtime};

/// Live at the end.
const AGENTS: usize = 10_000;
/// Messages of one measurement.
const MESSAGES: u32 = 100_000;
/// With the eight bytes of the total, 64 KiB.
const FILL: &str = "fill 65528";

#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

fn say(agent: &mut Instance, message: &str) -> Handled {
    agent.handle(message.as_bytes(), Context { seed: 1, now_ms: 1 }).unwrap()
}

/// Nanoseconds each.
fn each(count: u32, mut once: impl FnMut()) -> u128 {
    let start = now();
    (0..count).for_each(|_| once());
    start.elapsed().as_nanos() / u128::from(count)
}

/// Resident memory and mappings of this process.
fn resident() -> (u64, usize) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    let kib = line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default();
    (kib << 10, std::fs::read_to_string("/proc/self/maps").unwrap_or_default().lines().count())
}

fn main() {
    // Cargo passes `--bench`; a test run of the target does not.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let counter = pilothouse_policies::AGENTS.iter().find(|agent| agent.name == "counter").unwrap();
    let runtime = Runtime::start(Compiler::here(), Cache::none()).unwrap();
    let loaded = runtime.load_agent(counter.bytes, AgentBudget::default()).unwrap();
    let mut agent = loaded.start("", None).unwrap();
    println!("get, nothing saved:         {:>9} ns", each(MESSAGES, || drop(say(&mut agent, "get"))));
    println!("add 1, 8 bytes saved:       {:>9} ns", each(MESSAGES, || drop(say(&mut agent, "add 1"))));
    let state = say(&mut agent, FILL).state.unwrap();
    println!("add 1, 64 KiB saved:        {:>9} ns", each(MESSAGES / 10, || drop(say(&mut agent, "add 1"))));
    let restore = || drop(loaded.start("", Some(&state)).unwrap());
    println!("start and restore 64 KiB:   {:>9} ns", each(1_000, restore));
    let start = || loaded.start("", Some(&state)).unwrap();
    let ((before, maps), began) = (resident(), now());
    let mut agents: Vec<Instance> = (0..1_000).map(|_| start()).collect();
    println!("start 1,000, all kept:      {:>9} us", began.elapsed().as_micros());
    agents.extend((1_000..AGENTS).map(|_| start()));
    agents.iter_mut().for_each(|agent| drop(say(agent, "add 1")));
    let (after, maps_after) = resident();
    let count = AGENTS as u64;
    println!(
        "{AGENTS} live agents of 64 KiB: {} bytes each, {} mappings",
        (after - before) / count,
        maps_after - maps
    );
}
