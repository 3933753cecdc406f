//! Policies exchanged on live traffic: by API, by command line, by dropping a file; and policies that are no good.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use pilothouse_policies::{FAULTY, find};
use pilothouse_tests::{Server, is_soak, wait_for};
use serde_json::{Value, json};

fn with_clusters() -> Server {
    let server = Server::start().unwrap();
    for index in 0..8 {
        let body = json!({ "id": format!("c{index}"), "endpoint": format!("https://c{index}.example"), "max_agents": 0 });
        server.ok("POST", "/api/v1/clusters", Some(&body.to_string())).unwrap();
    }
    server
}

fn active(server: &Server) -> String {
    let slot = server.ok("GET", "/api/v1/slots/balancing/default", None).unwrap();
    slot["active"]["policy"].as_str().unwrap().to_owned()
}

/// Stops the load when the work ends, by a panic too.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Routes from two threads while `work` runs; gives how many were asked and how many failed.
fn under_load(server: &Server, work: impl FnOnce()) -> (u64, u64) {
    let (stop, asked, failed) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    asked.fetch_add(1, Ordering::Relaxed);
                    if server.ok("POST", "/api/v1/route", Some("{}")).is_err() {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let _stop = StopAtEnd(&stop);
        work();
    });
    (asked.into_inner(), failed.into_inner())
}

#[test]
fn swapping_by_api_command_line_and_file_under_load_loses_no_request() {
    let server = with_clusters();
    let swaps = if is_soak() { 1_000 } else { 100 };
    let (asked, failed) = under_load(&server, || {
        for swap in 0..swaps {
            let strategy = ["round_robin", "least_loaded", "random", "weighted"][swap % 4];
            server.ok("POST", &format!("/api/cluster/balance?strategy={strategy}"), None).unwrap();
        }
        server.cli(&["policy", "activate", "balancing/default", "regional"]).unwrap();
        let dropped = find("balancing", "capability-match").unwrap().bytes;
        std::fs::write(server.policy_dir().join("mine.wasm"), dropped).unwrap();
        wait_for(|| (active(&server) == "capability-match").then_some(())).expect("the file became active");
    });
    println!("{swaps} swaps, {asked} requests, {failed} failed");
    assert!(asked > 100 && failed == 0, "{asked} asked, {failed} failed");
    assert_eq!(server.ok("GET", "/api/v1/slots/balancing/default", None).unwrap()["generation"], swaps + 2);
}

#[test]
fn a_file_dropped_into_the_folder_becomes_active_and_settings_beside_it_count() {
    let server = with_clusters();
    let folder = server.policy_dir();
    std::fs::write(folder.join("mine.wasm"), find("balancing", "weighted").unwrap().bytes).unwrap();
    wait_for(|| (active(&server) == "weighted").then_some(())).expect("the file became active");
    std::fs::create_dir_all(folder.join("balancing")).unwrap();
    std::fs::write(folder.join("balancing/extra.json"), r#"{"choices": 4}"#).unwrap();
    std::fs::write(folder.join("balancing/extra.wasm"), find("balancing", "least-loaded").unwrap().bytes)
        .unwrap();
    let slot = wait_for(|| {
        let slot = server.ok("GET", "/api/v1/slots/balancing/extra", None).ok()?;
        (slot["active"]["policy"] == "least-loaded").then_some(slot)
    });
    assert_eq!(slot.expect("the slot was made")["active"]["settings"], json!({ "choices": 4 }));
    assert_eq!(active(&server), "weighted", "the other slot is untouched");
}

#[test]
fn what_is_no_policy_is_refused_with_the_reason_and_the_old_one_serves_on() {
    let server = with_clusters();
    let good = find("balancing", "random").unwrap().bytes;
    for (name, bytes, wanted) in [
        ("empty", &b""[..], "empty"),
        ("text", b"hello, I am a policy", "text file"),
        ("core module", b"\0asm\x01\0\0\0", "core module"),
        ("truncated", &good[..good.len() / 2], "truncated"),
        ("huge", &vec![0; (4 << 20) + 1], "at most"),
    ] {
        let (status, answer) = server.upload("?activate=balancing/default", bytes).unwrap();
        assert!(
            status == 422 && answer["detail"].as_str().unwrap().contains(wanted),
            "{name}: {status} {answer}"
        );
    }
    assert_eq!(active(&server), "least-loaded");
    let wrong = server.upload("?activate=placement/default", good).unwrap();
    assert_eq!(wrong.0, 404, "{}", wrong.1);
    let settings = r#"{"policy":"least-loaded","settings":{"choices":99}}"#;
    let (status, answer) =
        server.ask("POST", "/api/v1/slots/balancing/default/activate", Some(settings)).unwrap();
    assert!(status == 422 && answer["detail"].as_str().unwrap().contains("choices"), "{answer}");
}

/// A component that keeps to every bound of the pre-check and still has much to compile: as many functions as fit, each
/// with all the nesting and locals that are allowed.
fn compile_bomb() -> Vec<u8> {
    let nested = "(loop (local.set 0 (i64.add (local.get 1) (local.get 2))) ".repeat(90);
    let function = format!("(func (local {}) {nested}{})", "i64 ".repeat(900), ")".repeat(90));
    let export = r#"(instance $none) (export "pilothouse:balancing/balancing@0.1.0" (instance $none))"#;
    wat::parse_str(format!("(component (core module {}) {export})", function.repeat(3_500))).unwrap()
}

#[test]
fn a_compile_bomb_is_refused_while_requests_are_answered() {
    let server = with_clusters();
    let nesting = format!("(func {}{})", "(block ".repeat(5_000), ")".repeat(5_000));
    let deep = wat::parse_str(format!("(component (core module {nesting}))")).unwrap();
    let (status, answer) = server.upload("", &deep).unwrap();
    assert!(status == 422 && answer["detail"].as_str().unwrap().contains("nesting of blocks"), "{answer}");
    let slowest = |server: &Server| {
        let decisions = server.ok("GET", "/api/v1/decisions?limit=1000", None).unwrap();
        let took =
            decisions["decisions"].as_array().unwrap().iter().map(|one| one["took_us"].as_u64().unwrap());
        let mut took: Vec<u64> = took.collect();
        took.sort_unstable();
        took[took.len() * 99 / 100]
    };
    for _ in 0..2_000 {
        server.ok("POST", "/api/v1/route", Some("{}")).unwrap();
    }
    let before = slowest(&server);
    let (asked, failed) = under_load(&server, || {
        let (status, answer) = server.upload("", &compile_bomb()).unwrap();
        let refused = answer["detail"].as_str().unwrap_or_default();
        assert!(status == 422 && refused.contains("compil"), "{status} {answer}");
        println!("the bomb: {refused}");
    });
    let after = slowest(&server);
    println!(
        "meanwhile {asked} requests, {failed} failed; p99 of a decision {before} us before, {after} us during"
    );
    assert!(asked > 10 && failed == 0, "{asked} asked, {failed} failed");
}

/// Activates the policy that breaks on purpose and routes until it is in quarantine; gives what happened.
#[track_caller]
fn break_down(server: &Server, fault: &str) -> Vec<Value> {
    server.upload("", FAULTY[0].bytes).unwrap();
    let body = json!({ "policy": "late-fault", "settings": { "fault": fault } }).to_string();
    let activated = server.ask("POST", "/api/v1/slots/balancing/default/activate", Some(&body)).unwrap();
    assert_eq!(activated.0, 200, "it passes every check before: {}", activated.1);
    let (asked, failed) = under_load(server, || {
        wait_for(|| (active(server) == "least-loaded").then_some(())).expect("the last good one came back");
    });
    assert!(asked > 10 && failed == 0, "{fault}: {asked} asked, {failed} failed");
    let history = server.ok("GET", "/api/v1/slots/balancing/default/history", None).unwrap();
    history["history"].as_array().unwrap().clone()
}

#[test]
fn whatever_a_policy_does_on_live_traffic_no_request_is_lost_and_history_tells() {
    for (fault, kinds) in [
        ("trap", &["trap"] as &[&str]),
        ("spin", &["fuel", "deadline"]),
        ("recurse", &["trap"]),
        ("allocate", &["memory"]),
        ("ineligible", &["ineligible"]),
        ("not-a-number", &["not-a-number"]),
        ("huge", &["output"]),
    ] {
        let server = with_clusters();
        let history = break_down(&server, fault);
        let happened: Vec<&str> = history.iter().filter_map(|entry| entry["what"].as_str()).collect();
        for wanted in ["activated", "faulted", "quarantined", "restored"] {
            assert!(happened.contains(&wanted), "{fault}: {happened:?}");
        }
        let faulted = history.iter().find(|entry| entry["what"] == "faulted").unwrap();
        let detail = faulted["detail"].as_str().unwrap();
        assert!(kinds.iter().any(|kind| detail.starts_with(kind)), "{fault} is told as {detail}");
        let again = json!({ "policy": "late-fault", "settings": { "fault": fault } }).to_string();
        let (status, answer) =
            server.ask("POST", "/api/v1/slots/balancing/default/activate", Some(&again)).unwrap();
        assert!(status == 422 && answer["detail"].as_str().unwrap().contains("quarantine"), "{answer}");
    }
}

#[test]
fn active_means_that_every_worker_serves_it() {
    let server = with_clusters();
    let body = Some(r#"{"policy":"round-robin"}"#);
    let slot = server.ok("POST", "/api/v1/slots/balancing/default/activate", body).unwrap();
    assert_eq!(slot["serving"]["workers"], slot["serving"]["of"]);
    assert_eq!(
        (&slot["active"]["policy"], &slot["previous"]["policy"]),
        (&json!("round-robin"), &json!("least-loaded"))
    );
    let metrics = server.ask("GET", "/metrics", None).unwrap().1;
    let Value::String(text) = metrics else { panic!("{metrics}") };
    assert!(text.contains("pilothouse_slot_generation{slot=\"balancing/default\"} 1"), "{text}");
}
