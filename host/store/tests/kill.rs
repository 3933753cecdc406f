//! kill -9 at random moments: what was acknowledged is there.
//!
//! this test -> starts itself as a writer -> reads acknowledged numbers -> kills it -> opens the folder -> compares
//!
//! Invariant: the writer prints a number after its answer, so what is printed was acknowledged. Power cuts are not here: they
//! are tested on the simulated disk.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of a test fail by panicking")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use pilothouse_store::{Check, Embedded, Op, Store, Txn};

/// Tells the writer where to write; without it, it is not one.
const DIR: &str = "PILOTHOUSE_STORE_KILL_DIR";
const ROUNDS: u64 = 30;
/// Lines before the kill are drawn from this: from while it is opened to after hundreds of commits.
const LINES_MAX: u64 = 400;
/// Transactions in flight in the writer.
const IN_FLIGHT: u64 = 16;

fn key(number: u64) -> String {
    format!("n/{number:010}")
}

#[test]
fn child_writer() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let store = Embedded::open(Path::new(&dir)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut out = std::io::stdout();
    let mut next = u64::from(store.boot()) * 1_000_000;
    writeln!(out, "\nopen").unwrap();
    loop {
        let pending: Vec<_> = (0..IN_FLIGHT)
            .map(|_| {
                next += 1;
                let ops = vec![
                    Op::Put(key(next), next.to_le_bytes().to_vec()),
                    Op::Put("newest".into(), next.to_le_bytes().to_vec()),
                ];
                (next, store.txn(Txn { checks: vec![Check::Absent(key(next))], ops }))
            })
            .collect();
        for (number, outcome) in pending {
            assert!(runtime.block_on(outcome).unwrap().applied);
            writeln!(out, "ack {number}").unwrap();
        }
    }
}

fn start_writer(dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_writer", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Kills the writer after some lines, and gives every number that it acknowledged before it was dead.
fn kill_after(mut writer: Child, lines: u64) -> Vec<u64> {
    let mut output = BufReader::new(writer.stdout.take().unwrap()).lines();
    let number = |line: &str| line.strip_prefix("ack ").and_then(|number| number.parse().ok());
    let mut acknowledged: Vec<u64> =
        output.by_ref().take(lines as usize).filter_map(|line| number(&line.unwrap())).collect();
    writer.kill().unwrap();
    // What was in the pipe was acknowledged too; a last line without its end was not.
    let mut rest: Vec<String> = output.map_while(Result::ok).collect();
    rest.pop();
    acknowledged.extend(rest.iter().filter_map(|line| number(line)));
    writer.wait().unwrap();
    acknowledged
}

fn check(dir: &Path, acknowledged: &BTreeSet<u64>, round: u64) {
    let store = Embedded::open(dir).unwrap_or_else(|error| panic!("round {round}: failed to open: {error}"));
    let entries = store.range("n/", usize::MAX).unwrap();
    let present: BTreeSet<u64> =
        entries.iter().map(|entry| u64::from_le_bytes(entry.value.as_slice().try_into().unwrap())).collect();
    let lost: Vec<_> = acknowledged.difference(&present).collect();
    assert!(lost.is_empty(), "round {round}: acknowledged and lost: {lost:?}");
    let newest =
        store.get("newest").unwrap().map(|entry| u64::from_le_bytes(entry.value.try_into().unwrap()));
    assert_eq!(newest, present.last().copied(), "round {round}: a transaction is whole and in order");
    assert_eq!(store.revision(), present.len() as u64, "round {round}");
}

#[test]
fn what_was_acknowledged_survives_a_kill_at_any_moment() {
    if std::env::var_os(DIR).is_some() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for round in 0..ROUNDS {
        // Spread over the range, early moments (opening) included.
        let lines = if round % 3 == 0 { round % 5 } else { (round * 7_919) % LINES_MAX };
        acknowledged.extend(kill_after(start_writer(dir.path()), lines));
        check(dir.path(), &acknowledged, round);
    }
    assert!(acknowledged.len() as u64 > ROUNDS, "the writer wrote: {}", acknowledged.len());
}
