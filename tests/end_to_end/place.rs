//! Placement through the command line and REST: the document's command, constraints, reservations, bulk, preemption.
//!
//! a small federation of the real binary -> commands as people type them -> what is placed where, and what is refused and why
//!
//! Invariant tested: what is said to be placed is there after a kill, and no member holds more than it has.

use pilothouse_tests::{Server, wait_for};
use serde_json::{Value, json};

/// Clusters with 8 cores and 16 GiB each: id, region, zone, certified for GDPR.
const CLUSTERS: [(&str, &str, &str, bool); 4] = [
    ("fra-a", "eu-central-1", "a", true),
    ("fra-b", "eu-central-1", "b", true),
    ("dub-a", "eu-west-1", "a", false),
    ("vir-a", "us-east-1", "a", false),
];

fn federation() -> Server {
    let server = Server::start().unwrap();
    for (id, region, zone, gdpr) in CLUSTERS {
        let endpoint = format!("https://{id}.example");
        let mut arguments = vec!["cluster", "register", &endpoint, "--id", id, "--region", region];
        arguments.extend(["--zone", zone, "--resources", "cpu:8,memory:16384,storage:500,gpu:2"]);
        arguments.extend(["--max-agents", "0", "--accelerator-model", if gdpr { "A100" } else { "T4" }]);
        if gdpr {
            arguments.extend(["--compliance", "gdpr"]);
        }
        server.cli(&arguments).unwrap();
        report(&server, id, json!({ "cpu": 0.1, "latency_ms": if id == "vir-a" { 90 } else { 10 } }));
    }
    server
}

fn report(server: &Server, id: &str, load: Value) {
    server.ok("POST", &format!("/api/v1/clusters/{id}/load"), Some(&load.to_string())).unwrap();
}

/// The answer to `place` as JSON, or what it said on stderr.
fn place(server: &Server, arguments: &[&str]) -> Result<Value, String> {
    let mut all = vec!["--output", "json", "place"];
    all.extend(arguments);
    let answer = server.cli(&all).map_err(|error| error.to_string())?;
    Ok(serde_json::from_str(&answer).unwrap())
}

fn member(answer: &Value) -> &str {
    answer["member"].as_str().unwrap()
}

fn used_cpu(server: &Server, id: &str) -> u64 {
    server.ok("GET", &format!("/api/v1/clusters/{id}"), None).unwrap()["used"]["cpu_millis"].as_u64().unwrap()
}

#[test]
fn the_documents_command_gets_target_score_reasoning_and_alternatives() {
    let server = federation();
    let spec = ["--spec", "cpu:4,memory:8192,storage:100", "--constraints", "max-latency:50,min-health:80"];
    let answer = place(&server, &spec).unwrap();
    assert_ne!(member(&answer), "vir-a", "it answers in 90 ms");
    assert_eq!(answer["targetCluster"], answer["member"]);
    assert!(answer["reasoning"].as_str().unwrap().contains("latency"), "{answer}");
    assert!(answer["score"].as_f64().unwrap() > 0.0);
    assert_eq!(answer["alternatives"].as_array().unwrap().len(), 2, "three of four are near enough");
    for strategy in ["multi-factor", "bin-pack", "spread", "cost-aware", "gpu-packing"] {
        let answer = place(&server, &["--spec", "cpu:1,gpu:0.5", "--strategy", strategy]).unwrap();
        assert_eq!(answer["policy"], strategy);
    }
}

#[test]
fn every_constraint_narrows_and_an_impossible_one_says_what_cut_whom() {
    let server = federation();
    for (constraints, allowed) in [
        ("region:eu-west-1|us-east-1", &["dub-a", "vir-a"] as &[&str]),
        ("deny-region:eu-central-1,max-latency:50", &["dub-a"]),
        ("zone:b", &["fra-b"]),
        ("deny-zone:a", &["fra-b"]),
        ("compliance:gdpr", &["fra-a", "fra-b"]),
        ("gpu-model:T4|H100,min-health:80", &["dub-a", "vir-a"]),
        ("exclude:fra-a|fra-b|dub-a", &["vir-a"]),
    ] {
        let answer = place(&server, &["--constraints", constraints, "--alternatives", "8"]).unwrap();
        let mut got = vec![member(&answer)];
        got.extend(answer["alternatives"].as_array().unwrap().iter().map(member));
        got.sort_unstable();
        assert_eq!(got, allowed, "{constraints}");
    }
    for (arguments, told) in [
        (&["--constraints", "compliance:hipaa"] as &[&str], "compliance cut 4"),
        (&["--constraints", "compliance:hipaa"], "drop a constraint"),
        (&["--spec", "cpu:9"], "ask for less"),
        (&["--spec", ""], "cpu:4,memory:8192,storage:100"),
        (&["--spec", "cpu:9"], "resources cut 4"),
        (&["--spec", "gpu:3"], "resources cut 4"),
        (&["--constraints", "max-latency:5"], "latency cut 4"),
        (&["--constraints", "together:nobody@zone"], "relation cut 4"),
        (&["--constraints", "colour:blue"], "known are max-latency"),
        (&["--spec", "cpu:four"], "not a number"),
        (&["--constraints", "min-health:180"], "above 100"),
        (&["--constraints", "spread:1@zone"], "group"),
        (&["--preempt"], "named workload"),
    ] {
        let refused = place(&server, arguments).unwrap_err();
        assert!(refused.contains(told), "{arguments:?}: {refused}");
    }
}

#[test]
fn workloads_that_must_be_apart_are_and_survive_a_kill_with_their_room() {
    let mut server = federation();
    let web = |number: u32| {
        let name = format!("web-{number}");
        let rules = ["--group", "web", "--constraints", "apart:web@region", "--spec", "cpu:2"];
        place(&server, &[&[name.as_str()] as &[&str], &rules].concat())
    };
    let mut regions: Vec<String> =
        (1..=3).map(|number| web(number).unwrap()["region"].as_str().unwrap().to_owned()).collect();
    regions.sort_unstable();
    assert_eq!(regions, ["eu-central-1", "eu-west-1", "us-east-1"]);
    assert!(web(4).unwrap_err().contains("relation cut 4"));
    let before: Vec<u64> = CLUSTERS.iter().map(|(id, ..)| used_cpu(&server, id)).collect();
    server.restart().unwrap();
    let after: Vec<u64> = CLUSTERS.iter().map(|(id, ..)| used_cpu(&server, id)).collect();
    assert_eq!(before, after);
    let refused = place(&server, &["web-4", "--group", "web", "--constraints", "apart:web@region"]);
    assert!(refused.unwrap_err().contains("relation cut"), "groups are known again");
}

#[test]
fn a_reservation_holds_room_until_it_is_confirmed_released_or_over() {
    let server = federation();
    let hold = |ms: &str| place(&server, &["--spec", "cpu:8", "--constraints", "zone:b", "--reserve-ms", ms]);
    let id = |held: &Value| held["reservation"]["id"].as_str().unwrap().to_owned();
    let first = hold("60000").unwrap();
    assert!(hold("60000").unwrap_err().contains("resources cut 1"), "the room is taken");
    server.cli(&["reservation", "release", &id(&first)]).unwrap();
    let second = hold("60000").unwrap();
    let confirmed = server.cli(&["reservation", "confirm", &id(&second), "vm-1"]).unwrap();
    assert!(confirmed.contains("fra-b"), "{confirmed}");
    assert!(server.cli(&["reservation", "confirm", &id(&second), "vm-2"]).is_err(), "only once");
    server.cli(&["unassign", "vm-1"]).unwrap();
    hold("50").unwrap();
    assert!(wait_for(|| (used_cpu(&server, "fra-b") == 0).then_some(())).is_some(), "its time is over");
    let empty = server.cli(&["--output", "json", "reservation", "list"]).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&empty).unwrap()["count"], 0);
}

#[test]
fn a_file_of_workloads_is_placed_largest_first_and_whole_means_all_or_none() {
    let server = federation();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("workloads.toml");
    let path = file.to_str().unwrap();
    let write = |count: u32| {
        let text = format!(
            "[[workloads]]\nname = \"small\"\nspec = \"cpu:1\"\ncount = {count}\n[[workloads]]\nname = \"big\"\nspec = \"cpu:8\"\n"
        );
        std::fs::write(&file, text).unwrap();
    };
    let bulk = |arguments: &[&str]| place(&server, &[&["--file", path] as &[&str], arguments].concat());
    write(25);
    assert!(bulk(&["--whole"]).unwrap_err().contains("resources cut"), "33 cores are more than 32");
    assert_eq!(CLUSTERS.map(|(id, ..)| used_cpu(&server, id)), [0; 4], "none was kept");
    write(24);
    let all = bulk(&["--whole"]).unwrap();
    assert_eq!((all["placed"].as_u64(), all["refused"].as_u64()), (Some(25), Some(0)), "{all}");
    assert_eq!(CLUSTERS.map(|(id, ..)| used_cpu(&server, id)), [8_000; 4], "every core is used");
    std::fs::write(&file, "[[workloads]]\nname = \"one-more\"\nspec = \"cpu:1\"\n").unwrap();
    let refused = bulk(&[]).unwrap();
    assert!(refused["answers"][0]["problem"].as_str().unwrap().contains("resources cut 4"), "{refused}");
    let many: String =
        (0..1_000).map(|index| format!("[[workloads]]\nspec = \"cpu:0.001,memory:{index}\"\n")).collect();
    std::fs::write(&file, many).unwrap();
    let all = bulk(&[]).unwrap();
    assert_eq!(all["answers"].as_array().unwrap().len(), 1_000, "a long list is one request");
    std::fs::write(&file, "workloads = []\n").unwrap();
    assert!(bulk(&[]).unwrap_err().contains("write for example"), "an empty list is a mistake");
    std::fs::write(&file, "[[workloads]]\nnom = \"x\"\n").unwrap();
    assert!(bulk(&[]).unwrap_err().contains("nom"), "an unknown key is named");
}

#[test]
fn important_work_evicts_the_least_important_that_is_enough_and_never_its_equals() {
    let mut server = federation();
    let on_b = ["--constraints", "zone:b"];
    for (name, cpu, priority) in [("low", "cpu:2", "1"), ("lower", "cpu:4", "0"), ("equal", "cpu:2", "5")] {
        place(&server, &[&[name, "--spec", cpu, "--priority", priority] as &[&str], &on_b].concat()).unwrap();
    }
    let urgent = |cpu: &str, more: &[&str]| {
        place(&server, &[&["urgent", "--spec", cpu, "--priority", "5"] as &[&str], more, &on_b].concat())
    };
    assert!(urgent("cpu:4", &[]).is_err(), "not unless it is asked for");
    assert!(urgent("cpu:7", &["--preempt"]).is_err(), "not even without all lesser ones");
    assert_eq!(used_cpu(&server, "fra-b"), 8_000, "nothing was evicted in vain");
    let answer = urgent("cpu:3", &["--preempt"]).unwrap();
    assert_eq!(answer["evicted"], json!(["lower"]), "{answer}");
    assert!(answer["reasoning"].as_str().unwrap().contains("evicting lower"), "{answer}");
    server.restart().unwrap();
    let left = server.cli(&["assignments"]).unwrap();
    assert!(left.contains("urgent") && left.contains("equal") && !left.contains("lower"), "{left}");
}

#[test]
fn a_rebalancing_plan_is_shown_then_executed_once_and_never_makes_it_worse() {
    let mut server = federation();
    let nothing: Value = json_of(&server, &["rebalance", "suggest"]);
    assert_eq!(nothing["moves"], json!([]), "an empty fleet is even");
    for number in 0..6 {
        let name = format!("w-{number}");
        place(&server, &[&name, "--spec", "cpu:1", "--constraints", "zone:b"]).unwrap();
    }
    let pinned = json_of(&server, &["rebalance", "suggest"]);
    assert_eq!(pinned["moves"], json!([]), "their zone is a hard constraint: {pinned}");
    for number in 0..6 {
        server.cli(&["unassign", &format!("w-{number}")]).unwrap();
    }
    for number in 0..6 {
        let name = format!("w-{number}");
        place(&server, &[&name, "--spec", "cpu:1", "--strategy", "bin-pack"]).unwrap();
    }
    let plan = json_of(&server, &["rebalance", "suggest"]);
    let moves = plan["moves"].as_array().unwrap();
    assert_eq!(moves.len(), 1, "one per cent of six is at least one: {plan}");
    assert!(plan["imbalance_after"].as_f64() < plan["imbalance_before"].as_f64(), "{plan}");
    let id = plan["id"].as_str().unwrap();
    let done = json_of(&server, &["rebalance", "execute", id]);
    assert_eq!(done["moved"], json!([moves[0]["workload"]]), "{done}");
    assert!(server.cli(&["rebalance", "execute", id]).is_err(), "only once");
    let to = moves[0]["to"].as_str().unwrap().to_owned();
    server.restart().unwrap();
    assert_eq!(used_cpu(&server, &to), 1_000, "the move is durable");
}

fn json_of(server: &Server, arguments: &[&str]) -> Value {
    let answer = server.cli(&[&["--output", "json"] as &[&str], arguments].concat()).unwrap();
    serde_json::from_str(&answer).unwrap()
}
