//! The command line against a running server, and without one.

use std::process::Command;

use pilothouse_tests::{Server, binary};

fn run(arguments: &[&str]) -> (i32, String, String) {
    let done = Command::new(binary().unwrap()).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (done.status.code().unwrap(), text(done.stdout), text(done.stderr))
}

#[test]
fn without_a_server_the_next_step_is_named() {
    let (code, _, stderr) = run(&["--server", "http://127.0.0.1:1", "status"]);
    assert_eq!(code, 3, "{stderr}");
    assert!(stderr.contains("pilothouse serve"), "{stderr}");
}

#[test]
fn the_default_configuration_checks_and_a_typo_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.toml");
    let path = file.to_str().unwrap();
    let (code, default, _) = run(&["config", "default"]);
    assert_eq!(code, 0);
    std::fs::write(&file, &default).unwrap();
    assert_eq!(run(&["config", "check", path]).0, 0);
    std::fs::write(&file, default.replace("node-id", "nodeid")).unwrap();
    let (code, _, stderr) = run(&["config", "check", path]);
    assert!(code == 1 && stderr.contains("nodeid"), "{stderr}");
    assert_eq!(run(&["config", "schema"]).0, 0);
}

#[test]
fn listening_beyond_loopback_without_a_token_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    let (code, _, stderr) = run(&["serve", "--listen", "0.0.0.0:0", "--data-dir", data]);
    assert!(code == 1 && stderr.contains("token"), "{stderr}");
}

#[test]
fn a_tour_of_the_commands() {
    let server = Server::start().unwrap();
    for (arguments, wanted) in [
        (
            &["cluster", "register", "https://c1.example", "--id", "c1", "--region", "us-east1"] as &[&str],
            "registered c1",
        ),
        (
            &["cluster", "register", "https://c2.example", "--id", "c2", "--region", "europe-west4"],
            "registered c2",
        ),
        (&["cluster", "list"], "europe-west4"),
        (&["cluster", "get", "c1"], "us-east1"),
        (&["route", "--strategy", "regional", "--region", "us-east1", "--alternatives", "2"], "c1"),
        (&["route", "--session", "s-1", "--strategy", "session-affinity"], "session"),
        (&["place", "--spec", "cpu:0.5"], "multi-factor"),
        (&["node", "register", "node-9", "10.0.0.9:8151", "--service", "database"], "registered node-9"),
        (&["node", "get", "node-9"], "10.0.0.9:8151"),
        (&["node", "unregister", "node-9"], "unregistered node-9"),
        (&["node", "list"], "node-1"),
        (&["assign", "codex"], "codex runs on node-1"),
        (&["assignments"], "codex"),
        (&["unassign", "codex"], "unassigned"),
        (&["node", "drain", "node-1"], "no new work"),
        (&["node", "undrain", "node-1"], "work again"),
        (&["policy", "list"], "session-affinity"),
        (&["policy", "inspect", "weighted"], "pilothouse:host"),
        (
            &["policy", "activate", "balancing/default", "least-loaded", "--settings", "{\"choices\":3}"],
            "is active",
        ),
        (&["policy", "activate", "balancing/default", "round-robin"], "served by"),
        (&["policy", "rollback", "balancing/default"], "least-loaded is active"),
        (&["policy", "history", "balancing/default"], "rolled-back"),
        (&["slot", "list"], "placement/default"),
        (&["slot", "get", "balancing/default"], "least-loaded"),
        (&["events", "--no-follow"], "member.registered"),
        (&["status"], "fleet_epoch"),
        (&["--output", "json", "cluster", "list"], "\"clusters\""),
        (&["bench", "--requests", "200"], "per_second"),
        (&["cluster", "unregister", "c2"], "unregistered c2"),
        (&["completions", "bash"], "pilothouse"),
    ] {
        let said = server.cli(arguments).unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
        assert!(said.contains(wanted), "{arguments:?} said {said}");
    }
    let unknown = server.cli(&["cluster", "get", "nobody"]).unwrap_err().to_string();
    assert!(unknown.contains("nobody"), "{unknown}");
}

#[test]
fn a_file_is_inspected_without_a_server() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mine.wasm");
    let path = file.to_str().unwrap();
    let bytes = pilothouse_policies::find("balancing", "weighted").unwrap().bytes;
    std::fs::write(&file, bytes).unwrap();
    let (code, stdout, stderr) = run(&["policy", "inspect", path]);
    assert!(code == 0, "{stderr}");
    for wanted in ["weighted", "balancing", "pilothouse:host/lifecycle@0.1.0", "limits.fuel", "sha256:"] {
        assert!(stdout.contains(wanted), "{wanted} is missing in {stdout}");
    }
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let (code, _, stderr) = run(&["policy", "inspect", path]);
    assert!(code == 1 && stderr.contains("truncated"), "{stderr}");
    assert_eq!(run(&["policy", "inspect", "./missing.wasm"]).0, 1);
}
