//! The lab through the real binary: policies by name and by file, comparisons, the page, and what it refuses.
//!
//! command -> table, JSON, page -> compared with itself and with another number of threads
//!
//! Invariant tested: the same seeds give the same bytes, on however many threads.

use std::path::Path;
use std::process::{Command, Output};

use pilothouse_tests::binary;
use serde_json::Value;

/// Scenarios that end in a second or so.
const SMALL: &str = "name = \"small\"\nmodels = \"Ten nodes fill up.\"\nseeds = 3\n[placement]\nnodes = 10\n";

fn lab(arguments: &[&str]) -> Output {
    let mut command = Command::new(binary().unwrap());
    command.env_remove("PILOTHOUSE_DATA").arg("lab").args(arguments).output().unwrap()
}

#[track_caller]
fn said(arguments: &[&str]) -> String {
    let done = lab(arguments);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

#[track_caller]
fn refused(arguments: &[&str]) -> (i32, String) {
    let done = lab(arguments);
    assert!(!done.status.success() && done.stdout.is_empty(), "{}", String::from_utf8_lossy(&done.stdout));
    (done.status.code().unwrap(), String::from_utf8(done.stderr).unwrap())
}

fn small(folder: &Path) -> String {
    let path = folder.join("small.toml");
    std::fs::write(&path, SMALL).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_comparison_is_the_same_every_time_and_names_the_better_one() {
    let folder = tempfile::tempdir().unwrap();
    let (scenario, page) = (small(folder.path()), folder.path().join("page.html"));
    let page_name = page.to_str().unwrap();
    let with = |more: &[&str]| {
        let asked = ["compare", "gpu-packing", "spread", "--scenario", &scenario, "--html", page_name];
        let json = said(&[&asked as &[&str], &["--output", "json"], more].concat());
        (serde_json::from_str::<Value>(&json).unwrap(), std::fs::read_to_string(&page).unwrap())
    };
    let (json, html) = with(&["--threads", "1"]);
    assert_eq!((&json, &html), (&with(&["--threads", "2"]).0, &with(&[]).1));
    let difference = &json["comparison"]["scenarios"][0]["difference"];
    assert!(difference.is_object(), "{json}");
    for part in ["<svg", "small", "gpu-packing", "Ten nodes fill up.", "pilothouse lab compare"] {
        assert!(html.contains(part), "no {part}");
    }
    for outside in ["http://", "https://", "src=", "@import"] {
        let found = html.matches(outside).filter(|_| !html.contains("http://www.w3.org")).count();
        assert_eq!(found, 0, "{outside}: the page needs nothing from outside");
    }
}

#[test]
fn a_component_from_a_file_competes_with_the_shipped_ones() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = small(folder.path());
    let file = folder.path().join("mine.wasm");
    std::fs::write(&file, pilothouse_policies::find("placement", "bin-pack").unwrap().bytes).unwrap();
    let table = said(&["run", file.to_str().unwrap(), "bin-pack", "--scenario", &scenario, "--seeds", "2"]);
    assert!(table.contains("bin-pack") && table.contains("random"), "{table}");
}

#[test]
fn recordings_that_are_not_there_are_named_with_what_to_do() {
    let list = said(&["scenarios"]);
    assert!(list.contains("openb-default") && list.contains("balancing-even"), "{list}");
    let (code, problem) = refused(&["run", "gpu-packing", "--scenario", "openb-default"]);
    assert!(code == 1 && problem.contains("--data"), "{problem}");
}

#[test]
fn what_makes_no_sense_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let bad = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let unknown = bad("unknown.toml", &SMALL.replace("nodes", "nodez"));
    let none = bad("none.toml", &SMALL.replace("nodes = 10", "nodes = 0"));
    let text = bad("text.wasm", "this is no component");
    for (arguments, code, part) in [
        (vec!["run", "bin-pack", "--scenario", &unknown], 1, "nodez"),
        (vec!["run", "bin-pack", "--scenario", &none], 1, "nodes"),
        (vec!["run", &text], 1, "text.wasm"),
        (vec!["run", "no-such-policy"], 4, "no-such-policy"),
        (vec!["run", "bin-pack", "--scenario", "no-such-scenario"], 4, "no-such-scenario"),
        (vec!["compare", "bin-pack", "least-loaded"], 1, "least-loaded"),
    ] {
        let (got, problem) = refused(&arguments);
        assert!(got == code && problem.contains(part), "{arguments:?}: {got} {problem}");
    }
}
