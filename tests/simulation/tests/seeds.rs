//! A bounded number of seeds of every profile, the same seed twice, and every known bug.
//!
//! `SIMULATION_SEEDS` changes the number of seeds; `cargo run -p pilothouse-simulation --example simulate` runs millions.
#![allow(
    clippy::print_stdout,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, and the figures are what the tests are for"
)]

use pilothouse_simulation::bug::Bug;
use pilothouse_simulation::many::simulate_many;
use pilothouse_simulation::profile::{Profile, simulate};

/// Seeds within which every bug must be found.
const BUG_SEEDS: u64 = 2_000;

/// Seeds that found a mistake of the product, beyond those that every run tries.
const REGRESSIONS: [(Profile, u64); 2] = [
    // A commit was carried out although its reservation had been refused.
    (Profile::Failover, 29_818),
    // A member restarted while its driver resumed a copy, which then stayed frozen.
    (Profile::Migration, 10_341),
];

/// Together 25,000: a minute or two on two cores.
fn seeds(profile: Profile) -> u64 {
    let asked_for = std::env::var("SIMULATION_SEEDS").ok().and_then(|text| text.parse().ok());
    asked_for.unwrap_or(match profile {
        Profile::Store => 4_000,
        Profile::Placement | Profile::Failover => 8_000,
        Profile::Migration => 5_000,
    })
}

fn holds(profile: Profile) {
    let summary = simulate_many(profile, 0..seeds(profile), None);
    let name = profile.name();
    println!(
        "{name}: {} runs, {} events, {} virtual s",
        summary.runs,
        summary.events,
        summary.virtual_ms / 1_000
    );
    summary.counts.iter().for_each(|(what, count)| println!("  {what}: {count}"));
    if let Some(broken) = summary.broken {
        let violation = broken.violation.unwrap();
        panic!(
            "seed {}: {violation}\nreplay: cargo run -p pilothouse-simulation --example simulate -- --profile {name} \
             --seed {} --trace",
            broken.seed, broken.seed
        );
    }
    for expected in profile.expected() {
        assert!(summary.counts.contains_key(expected), "{name}: `{expected}` never happened");
    }
}

#[test]
fn what_the_store_acknowledged_survives() {
    holds(Profile::Store);
}

#[test]
fn a_fleet_is_never_oversubscribed_and_forgets_nothing() {
    holds(Profile::Placement);
}

#[test]
fn workloads_of_dead_members_run_elsewhere_and_never_twice() {
    holds(Profile::Failover);
}

#[test]
fn a_workload_that_moves_is_never_lost_nor_twice_nor_forgetful() {
    holds(Profile::Migration);
}

#[test]
fn mistakes_that_were_found_do_not_come_back() {
    for (profile, seed) in REGRESSIONS {
        let violation = simulate(profile, seed, None, false).violation;
        assert!(violation.is_none(), "{} seed {seed}: {violation:?}", profile.name());
    }
}

#[test]
fn the_same_seed_has_the_same_trace() {
    for profile in Profile::ALL {
        for seed in 0..50 {
            let [first, second] = [(); 2].map(|()| simulate(*profile, seed, None, true));
            let other = first.lines.iter().zip(&second.lines).find(|(first, second)| first != second);
            assert_eq!(other, None, "{} seed {seed}", profile.name());
            assert_eq!(first.hash, second.hash, "{} seed {seed}", profile.name());
        }
        let hashes = [1, 2].map(|seed| simulate(*profile, seed, None, false).hash);
        assert_ne!(hashes[0], hashes[1], "seeds matter");
    }
}

#[test]
fn every_known_bug_is_found() {
    println!("| bug | profile | seeds | found by |\n|---|---|---|---|");
    for bug in Bug::ALL {
        let summary = simulate_many(bug.profile(), 0..BUG_SEEDS, Some(*bug));
        let Some(broken) = summary.broken else { panic!("{bug:?} was not found in {BUG_SEEDS} seeds") };
        let violation = broken.violation.unwrap();
        println!("| {bug:?} | {} | {} | {} |", bug.profile().name(), broken.seed + 1, violation.invariant);
    }
}
