//! How far members are, measured by a running server, and regions in numbers.

use std::net::TcpListener;

use pilothouse_tests::{Server, wait_for};
use serde_json::{Value, json};

/// Answers nothing, but connections stand.
fn member_that_listens() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

/// An address at which nobody listens.
fn closed_address() -> String {
    member_that_listens().1
}

fn register(server: &Server, id: &str, endpoint: &str, region: &str) {
    let body = json!({ "id": id, "endpoint": endpoint, "region": region, "max_agents": 10 });
    server.ok("POST", "/api/v1/clusters", Some(&body.to_string())).unwrap();
}

/// The list of measured ways to one member.
fn ways(server: &Server, target: &str) -> Vec<Value> {
    let list = server.ok("GET", &format!("/api/v1/rtt?target={target}"), None).unwrap();
    list["round_trips"].as_array().unwrap().clone()
}

/// The round-trip time to a member that a decision sees.
fn decided_ms(server: &Server, source: &str, target: &str) -> Option<f64> {
    let body = json!({ "strategy": "latency", "requirement": { "preferred_region": source } }).to_string();
    let flow = server.ok("POST", "/api/v1/flows", Some(&body)).unwrap();
    let all =
        [&flow["targets"], &flow["fallbacks"]].into_iter().flat_map(|list| list.as_array().unwrap().clone());
    all.into_iter().find(|found| found["member"] == target).and_then(|found| found["rtt_ms"].as_f64())
}

const PROBING: &str =
    "[server]\nregion = \"here\"\n[routing]\nprobe-period-ms = 20\nmeasured-for-ms = 600000\n";

#[test]
fn members_are_probed_at_the_endpoints_they_registered() {
    let server = Server::start_with(PROBING).unwrap();
    let (_listener, address) = member_that_listens();
    register(&server, "near", &address, "there");
    register(&server, "dead", &closed_address(), "there");
    register(&server, "no-port", "c1.example", "there");
    let probed = wait_for(|| ways(&server, "near").into_iter().find(|way| way["probes"].as_u64() > Some(2)));
    let probed = probed.unwrap();
    assert_eq!(
        (&probed["source"], &probed["region"], &probed["fresh"]),
        (&json!("here"), &json!("there"), &json!(true))
    );
    assert!(probed["last_ms"].as_f64().unwrap() < 1_000.0 && probed["loss"] == 0.0, "{probed}");
    for lost in ["dead", "no-port"] {
        let way = wait_for(|| ways(&server, lost).into_iter().find(|way| way["probes"].as_u64() > Some(0)))
            .unwrap();
        assert_eq!(
            (&way["last_ms"], &way["loss"], &way["fresh"]),
            (&Value::Null, &json!(1.0), &json!(false)),
            "{way}"
        );
    }
    assert!(wait_for(|| decided_ms(&server, "here", "near")).unwrap() < 1_000.0, "decisions see it");
    assert!(ways(&server, "node-1").is_empty(), "the host does not probe itself");
    server.ok("DELETE", "/api/v1/clusters/near", None).unwrap();
    assert!(wait_for(|| ways(&server, "near").is_empty().then_some(())).is_some(), "who left is forgotten");
}

#[test]
fn a_member_that_connects_but_is_not_well_is_a_lost_probe() {
    let config = format!("{PROBING}probe-path = \"/healthz\"\nprobe-timeout-ms = 200\n");
    let server = Server::start_with(&config).unwrap();
    let (_listener, silent) = member_that_listens();
    register(&server, "silent", &silent, "there");
    let other = Server::start().unwrap();
    register(&server, "well", &format!("http://{}", other.address), "there");
    let lost = wait_for(|| ways(&server, "silent").into_iter().find(|way| way["probes"].as_u64() > Some(1)));
    assert_eq!(lost.unwrap()["loss"], 1.0);
    assert!(wait_for(|| ways(&server, "well").into_iter().find(|way| way["fresh"] == true)).is_some());
}

#[test]
fn what_clients_measure_counts_and_nonsense_is_refused() {
    let config = "[[rtt]]\nfrom = \"us\"\nto = \"eu\"\nms = 90.0\n";
    let server = Server::start_with(config).unwrap();
    register(&server, "c-eu", "10.0.0.1:1", "eu");
    register(&server, "c-eu2", "10.0.0.2:1", "eu");
    assert_eq!(decided_ms(&server, "us", "c-eu"), Some(90.0), "configured");
    for body in [
        json!({ "source": "us", "target": "c-eu", "rtt_ms": -1.0 }),
        json!({ "source": "us", "target": "c-eu", "rtt_ms": 1e9 }),
        json!({ "source": "u s", "target": "c-eu", "rtt_ms": 1.0 }),
        json!({ "source": "us", "target": "c-eu", "rtt": 1.0 }),
    ] {
        assert_eq!(server.ask("POST", "/api/v1/rtt", Some(&body.to_string())).unwrap().0, 400, "{body}");
    }
    let nobody = json!({ "source": "us", "target": "nobody", "rtt_ms": 1.0 }).to_string();
    assert_eq!(server.ask("POST", "/api/v1/rtt", Some(&nobody)).unwrap().0, 404);
    let half = json!({ "member": "c-eu", "success": true, "rtt_ms": 1.0 }).to_string();
    assert_eq!(server.ask("POST", "/api/v1/outcomes", Some(&half)).unwrap().0, 400);
    for (path, body) in [
        ("/api/v1/rtt", json!({ "source": "us", "target": "c-eu", "rtt_ms": 40.0 })),
        ("/api/v1/outcomes", json!({ "member": "c-eu", "success": true, "source": "us", "rtt_ms": 40.0 })),
        ("/api/v1/clusters/c-eu/load", json!({ "cpu": 0.5, "latency_ms": 40.0, "latency_source": "us" })),
    ] {
        server.ok("POST", path, Some(&body.to_string())).unwrap();
    }
    assert_eq!(ways(&server, "c-eu")[0]["probes"], 3);
    let seen = |target| wait_for(|| decided_ms(&server, "us", target).filter(|rtt_ms| *rtt_ms != 90.0));
    assert_eq!(
        (seen("c-eu"), seen("c-eu2")),
        (Some(40.0), Some(40.0)),
        "the other one is where the first is"
    );
    let lags = server.ok("GET", "/api/v1/lag-matrix", None).unwrap();
    let lag = lags["lags"].as_array().unwrap().iter().find(|lag| lag["to"] == "us");
    assert!(lag.is_none(), "nobody is in us: {lags}");
    let rows = server.cli(&["rtt", "list", "--from", "us"]).unwrap();
    assert!(rows.contains("c-eu") && rows.contains("40"), "{rows}");
    server.cli(&["rtt", "sample", "us", "c-eu"]).unwrap();
    assert!(ways(&server, "c-eu")[0]["loss"].as_f64() > Some(0.0));
}

#[test]
fn a_stale_measurement_gives_way_to_the_configured_time() {
    let config = "[routing]\nmeasured-for-ms = 1\n[[rtt]]\nfrom = \"us\"\nto = \"eu\"\nms = 90.0\n";
    let server = Server::start_with(config).unwrap();
    register(&server, "c-eu", "10.0.0.1:1", "eu");
    server.cli(&["rtt", "sample", "us", "c-eu", "40"]).unwrap();
    let stale = wait_for(|| ways(&server, "c-eu").into_iter().find(|way| way["fresh"] == false)).unwrap();
    assert_eq!(stale["last_ms"], 40.0, "it is still told");
    assert_eq!(decided_ms(&server, "us", "c-eu"), Some(90.0));
}

#[test]
fn regions_are_the_sums_of_their_members() {
    let config =
        "[regions.mars]\nlatitude = 0.0\nlongitude = 0.0\n[[rtt]]\nfrom = \"eu\"\nto = \"us\"\nms = 90.0\n";
    let server = Server::start_with(config).unwrap();
    for (id, region, accelerator_millis) in [("a", "eu", 2_000), ("b", "eu", 4_000), ("c", "us", 0)] {
        let resources =
            json!({ "cpu_millis": 8_000, "memory_mib": 1_024, "accelerator_millis": accelerator_millis });
        let body = json!({ "id": id, "endpoint": format!("10.0.0.1:{accelerator_millis}"), "region": region,
            "max_agents": 10, "resources": resources, "cost_per_hour": 2.0 });
        server.ok("POST", "/api/v1/clusters", Some(&body.to_string())).unwrap();
    }
    let load = json!({ "cpu": 0.5, "active_agents": 4 }).to_string();
    server.ok("POST", "/api/v1/clusters/a/load", Some(&load)).unwrap();
    server.ok("POST", "/api/v1/clusters/b/load", Some(&load)).unwrap();
    server.ok("POST", "/api/v1/clusters/b/drain", None).unwrap();
    let eu = server.ok("GET", "/api/v1/regions/eu", None).unwrap();
    for (path, wanted) in [
        ("/members", json!(2)),
        ("/healthy", json!(2)),
        ("/health_score", json!(100.0)),
        ("/agents/active", json!(8)),
        ("/agents/available", json!(6)),
        ("/capacity/total_cpu", json!(16.0)),
        ("/capacity/free_cpu", json!(8.0)),
        ("/capacity/total_accelerators", json!(6.0)),
        ("/capacity/largest_free/accelerators", json!(2.0)),
        ("/load/cpu", json!(0.5)),
        ("/cost_per_hour", json!(2.0)),
        ("/lags/1/known", json!("configured")),
        ("/lags/1/rtt_ms", json!(90.0)),
    ] {
        assert_eq!(eu.pointer(path), Some(&wanted), "{path} in {eu}");
    }
    let list = server.ok("GET", "/api/v1/regions", None).unwrap();
    assert_eq!(
        (&list["count"], &list["regions"][1]["id"]),
        (&json!(3), &json!("mars")),
        "configured, without members"
    );
    assert_eq!(server.ask("GET", "/api/v1/regions/venus", None).unwrap().0, 404);
    for (arguments, wanted) in [
        (&["region", "list"] as &[&str], "mars"),
        (&["region", "status"], "QUEUE"),
        (&["region", "status", "eu"], "capacity.total_cpu"),
        (&["region", "status", "--region", "eu", "--verbose"], "to us: 90 ms, configured"),
        (&["region", "capacity"], "LARGEST"),
        (&["region", "capacity", "--region", "eu"], "capacity.free_cpu"),
        (&["region", "lag"], "90*"),
        (&["--output", "json", "region", "lag"], "\"known\""),
    ] {
        let said = server.cli(arguments).unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
        assert!(said.contains(wanted), "{arguments:?} said {said}");
    }
}
