//! Millions of seeds, or one with its trace.
//!
//! `simulate --profile store --seeds 1000000 --from 0`, `simulate --profile store --seed 123 --trace`, `--bug AckBeforeSync`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool for people")]

use std::process::ExitCode;

use pilothouse_simulation::bug::Bug;
use pilothouse_simulation::many::simulate_many;
use pilothouse_simulation::profile::{Profile, simulate};
use pilothouse_simulation::run::{Counts, Report};

const USAGE: &str =
    "usage: simulate [--profile NAME] [--seeds N] [--from SEED] [--seed SEED] [--trace] [--bug NAME]";

/// What was asked for.
struct Wish {
    profiles: Vec<Profile>,
    seeds: u64,
    from: u64,
    one: Option<u64>,
    trace: bool,
    bug: Option<Bug>,
}

fn read(mut arguments: impl Iterator<Item = String>) -> Option<Wish> {
    let mut wish =
        Wish { profiles: Profile::ALL.to_vec(), seeds: 10_000, from: 0, one: None, trace: false, bug: None };
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next()?.parse().ok();
        match argument.as_str() {
            "--seeds" => wish.seeds = number()?,
            "--from" => wish.from = number()?,
            "--seed" => wish.one = Some(number()?),
            "--trace" => wish.trace = true,
            "--profile" => wish.profiles = vec![Profile::parse(&arguments.next()?)?],
            "--bug" => {
                let bug = Bug::parse(&arguments.next()?)?;
                (wish.bug, wish.profiles) = (Some(bug), vec![bug.profile()]);
            }
            _ => return None,
        }
    }
    Some(wish)
}

fn show(counts: &Counts) {
    counts.iter().for_each(|(what, count)| println!("  {count:>12}  {what}"));
}

/// Says what broke, if anything; answers whether nothing did.
fn judge(profile: Profile, bug: Option<Bug>, report: Option<&Report>) -> bool {
    let Some((report, violation)) = report.and_then(|report| Some((report, report.violation.as_ref()?)))
    else {
        return true;
    };
    println!("seed {} broke {violation}", report.seed);
    let with_bug = bug.map(|bug| format!(" --bug '{bug:?}'")).unwrap_or_default();
    println!("replay: simulate --profile {} --seed {} --trace{with_bug}", profile.name(), report.seed);
    false
}

fn main() -> ExitCode {
    let Some(wish) = read(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let mut all_hold = true;
    for profile in wish.profiles {
        let name = profile.name();
        if let Some(seed) = wish.one {
            let report = simulate(profile, seed, wish.bug, wish.trace);
            report.lines.iter().for_each(|line| println!("{line}"));
            println!("{name} seed {seed}: trace {:016x}, {} events", report.hash, report.events);
            show(&report.counts);
            all_hold &= judge(profile, wish.bug, Some(&report));
            continue;
        }
        let summary = simulate_many(profile, wish.from..wish.from.saturating_add(wish.seeds), wish.bug);
        let (runs, virtual_s) = (summary.runs, summary.virtual_ms / 1_000);
        println!("{name}: {runs} runs, {} events, {virtual_s} virtual s", summary.events);
        show(&summary.counts);
        all_hold &= judge(profile, wish.bug, summary.broken.as_ref());
    }
    if all_hold { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
