//! `/openapi.json` against the server that serves it: every operation is called, every answer fits what is described.

use std::collections::BTreeSet;

use pilothouse_tests::{Server, wait_for};
use serde_json::{Value, json};

/// Words in [`CALLS`] that stand for the id of the first entry of a list: word, path of the list, its field.
const FIRST: &[(&str, &str, &str)] = &[
    ("DECISION", "/api/v1/decisions", "decisions"),
    ("RESERVATION", "/api/v1/reservations", "reservations"),
    ("PLAN", "/api/v1/rebalance", "plans"),
    ("FAILOVER", "/api/v1/failover", "failovers"),
    ("FAULT", "/api/v1/chaos", "faults"),
];

/// Method, path as described, path as asked, body. In this order, because some need what others made.
const CALLS: &[(&str, &str, &str, &str)] = &[
    ("post", "/api/cluster/nodes", "", r#"{"id": "n-2", "ip_address": "10.0.0.2", "port": 1}"#),
    ("get", "/api/cluster/nodes", "", ""),
    ("get", "/api/cluster/nodes/{id}", "/api/cluster/nodes/n-2", ""),
    ("post", "/api/cluster/nodes/{id}", "/api/cluster/nodes/n-2", r#"{"cpu_usage": 40.5}"#),
    ("post", "/api/cluster/nodes/{id}/drain", "/api/cluster/nodes/n-2/drain", ""),
    ("delete", "/api/cluster/nodes/{id}/drain", "/api/cluster/nodes/n-2/drain", ""),
    ("post", "/api/cluster/assignments", "", r#"{"agent_name": "a-1"}"#),
    ("get", "/api/cluster/assignments", "", ""),
    ("get", "/api/cluster/assignments/{agent}", "/api/cluster/assignments/a-1", ""),
    ("delete", "/api/cluster/assignments/{agent}", "/api/cluster/assignments/a-1", ""),
    ("get", "/api/cluster/stats", "", ""),
    ("post", "/api/cluster/leader", "", ""),
    ("get", "/api/cluster/leader", "", ""),
    ("post", "/api/cluster/balance", "/api/cluster/balance?strategy=random", ""),
    ("post", "/api/v1/clusters", "", r#"{"id": "c-1", "endpoint": "10.0.1.1:1", "region": "eu"}"#),
    ("get", "/api/v1/clusters", "", ""),
    ("get", "/api/v1/clusters/{id}", "/api/v1/clusters/c-1", ""),
    ("post", "/api/v1/clusters/{id}/load", "/api/v1/clusters/c-1/load", r#"{"cpu": 0.5}"#),
    ("post", "/api/v1/clusters/{id}/drain", "/api/v1/clusters/c-1/drain", ""),
    ("delete", "/api/v1/clusters/{id}/drain", "/api/v1/clusters/c-1/drain", ""),
    ("get", "/api/v1/nodes", "", ""),
    ("get", "/api/v1/nodes/{id}", "/api/v1/nodes/n-2", ""),
    ("post", "/api/v1/route", "", r#"{"alternatives": 2, "requirement": {"kind": "any"}}"#),
    (
        "post",
        "/api/v1/clusters",
        "",
        r#"{"id": "c-2", "endpoint": "10.0.1.2:1", "resources": {"cpu_millis": 8000}}"#,
    ),
    (
        "post",
        "/api/v1/clusters",
        "",
        r#"{"id": "c-3", "endpoint": "10.0.1.3:1", "resources": {"cpu_millis": 8000}}"#,
    ),
    ("post", "/api/v1/place", "", r#"{"needs": {"cpu_millis": 100}}"#),
    ("post", "/api/v1/place", "", r#"{"needs": {"cpu_millis": 100}, "reserve_ms": 60000}"#),
    ("get", "/api/v1/reservations", "", ""),
    (
        "post",
        "/api/v1/reservations/{id}/confirm",
        "/api/v1/reservations/RESERVATION/confirm",
        r#"{"workload": "r-1"}"#,
    ),
    ("post", "/api/v1/place", "", r#"{"needs": {"cpu_millis": 100}, "reserve_ms": 60000}"#),
    ("delete", "/api/v1/reservations/{id}", "/api/v1/reservations/RESERVATION", ""),
    (
        "post",
        "/api/v1/place/bulk",
        "",
        r#"{"workloads": [{"workload": "w", "count": 6, "strategy": "bin-pack", "needs": {"cpu_millis": 1000}}]}"#,
    ),
    ("post", "/api/v1/rebalance", "", ""),
    ("get", "/api/v1/rebalance", "", ""),
    ("post", "/api/v1/rebalance/{id}/execute", "/api/v1/rebalance/PLAN/execute", ""),
    ("post", "/api/v1/failover/plan", "", r#"{"from_members": ["c-3"]}"#),
    ("post", "/api/v1/failover", "", r#"{"from_members": ["c-3"]}"#),
    ("get", "/api/v1/failover", "", ""),
    ("get", "/api/v1/failover/{id}", "/api/v1/failover/FAILOVER", ""),
    ("post", "/api/v1/failover/{id}/confirm", "/api/v1/failover/FAILOVER/confirm", ""),
    ("delete", "/api/v1/failover/{id}", "/api/v1/failover/FAILOVER", ""),
    ("post", "/api/v1/brakes/lift", "", ""),
    ("post", "/api/v1/opinions", "", r#"{"place": "ap", "region": "eu", "down": false}"#),
    ("get", "/api/v1/failback", "", ""),
    ("post", "/api/v1/failback/{home}", "/api/v1/failback/c-3", ""),
    ("delete", "/api/v1/failback/{home}", "/api/v1/failback/c-3", ""),
    ("post", "/api/v1/chaos", "", r#"{"region": "eu", "latency_ms": 5, "duration_ms": 3600000}"#),
    ("get", "/api/v1/chaos", "", ""),
    ("delete", "/api/v1/chaos/{id}", "/api/v1/chaos/FAULT", ""),
    ("post", "/api/v1/flows", "", r#"{"requirement": {"preferred_region": "eu"}, "traffic_class": 2}"#),
    ("post", "/api/v1/outcomes", "", r#"{"member": "c-1", "success": true}"#),
    ("post", "/api/v1/rtt", "", r#"{"source": "us", "target": "c-1", "rtt_ms": 40.5}"#),
    ("get", "/api/v1/rtt", "/api/v1/rtt?source=us", ""),
    ("get", "/api/v1/regions", "", ""),
    ("get", "/api/v1/regions/{region}", "/api/v1/regions/eu", ""),
    ("get", "/api/v1/lag-matrix", "", ""),
    ("get", "/api/v1/decisions", "/api/v1/decisions?limit=5", ""),
    ("get", "/api/v1/decisions/{id}", "/api/v1/decisions/DECISION", ""),
    ("get", "/api/v1/slots", "", ""),
    ("get", "/api/v1/slots/{family}/{name}", "/api/v1/slots/balancing/default", ""),
    ("get", "/api/v1/slots/{family}/{name}/history", "/api/v1/slots/balancing/default/history", ""),
    (
        "post",
        "/api/v1/slots/{family}/{name}/activate",
        "/api/v1/slots/balancing/default/activate",
        r#"{"policy": "weighted"}"#,
    ),
    ("post", "/api/v1/slots/{family}/{name}/rollback", "/api/v1/slots/balancing/default/rollback", ""),
    (
        "post",
        "/api/v1/keys",
        "",
        r#"{"name": "ci", "public_key": "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"}"#,
    ),
    ("get", "/api/v1/keys", "", ""),
    ("post", "/api/v1/keys/{name}/revoke", "/api/v1/keys/ci/revoke", r#"{"reason": "lost", "by": "ann"}"#),
    ("get", "/api/v1/policies", "", ""),
    ("post", "/api/v1/policies", "", "THE COMPONENT"),
    ("get", "/api/v1/policies/{name}", "/api/v1/policies/random", ""),
    ("get", "/api/v1/policies/{family}/{name}", "/api/v1/policies/scaling/hybrid", ""),
    ("post", "/api/v1/groups", "", r#"{"name": "web", "min_replicas": 2}"#),
    ("get", "/api/v1/groups", "", ""),
    ("get", "/api/v1/groups/{name}", "/api/v1/groups/web", ""),
    ("post", "/api/v1/groups/{name}/samples", "/api/v1/groups/web/samples", r#"{"queue_depth": 70}"#),
    ("post", "/api/v1/groups/{name}/scale", "/api/v1/groups/web/scale", r#"{"by": 3}"#),
    ("delete", "/api/v1/groups/{name}", "/api/v1/groups/web", ""),
    ("get", "/api/v1/orchestrator/peers", "", ""),
    (
        "post",
        "/api/v1/orchestrator/tasks",
        "",
        r#"{"id": "t-1", "description": "Sum it up", "tokens": 10, "context": {"from": "here"}}"#,
    ),
    ("get", "/api/v1/orchestrator/tasks", "", ""),
    ("get", "/api/v1/orchestrator/tasks/{id}", "/api/v1/orchestrator/tasks/t-1?origin=node-1", ""),
    (
        "post",
        "/api/v1/orchestrator/tasks/{id}/progress",
        "/api/v1/orchestrator/tasks/t-1/progress",
        r#"{"status": "completed", "result": {"sum": 3}}"#,
    ),
    ("post", "/api/v1/orchestrator/broadcasts", "", r#"{"topic": "hello", "data": [1], "ttl_ms": 1000}"#),
    ("get", "/api/v1/events", "/api/v1/events?format=json", ""),
    ("get", "/api/v1/status", "", ""),
    ("get", "/healthz", "", ""),
    ("get", "/readyz", "", ""),
    ("get", "/metrics", "", ""),
    ("delete", "/api/cluster/nodes/{id}", "/api/cluster/nodes/n-2", ""),
    ("delete", "/api/v1/nodes/{id}", "/api/v1/nodes/node-1", ""),
    ("delete", "/api/v1/clusters/{id}", "/api/v1/clusters/c-1", ""),
];

/// The schema of an operation's answer, with the document's components beside it so that references resolve.
fn schema(document: &Value, method: &str, path: &str, status: &str) -> Value {
    let content = &document["paths"][path][method]["responses"][status]["content"];
    let kinds = content.as_object().unwrap_or_else(|| panic!("{method} {path} describes no {status}"));
    let json = kinds.iter().find(|(kind, _)| kind.ends_with("json")).or(kinds.iter().next());
    json!({ "allOf": [json.unwrap().1["schema"]], "components": document["components"] })
}

#[track_caller]
fn check(document: &Value, method: &str, path: &str, status: &str, answer: &Value) {
    let validator = jsonschema::validator_for(&schema(document, method, path, status)).unwrap();
    let problems: Vec<String> =
        validator.iter_errors(answer).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(problems.is_empty(), "{method} {path} answered {answer}: {problems:?}");
}

#[test]
fn every_operation_answers_as_described() {
    let config = "[failover]\njitter-ms = 0\n[chaos]\nenabled = true\n";
    let server = Server::start_with(config).unwrap();
    let document = server.ok("GET", "/openapi.json", None).unwrap();
    for (method, path, asked, body) in CALLS {
        let asked = if asked.is_empty() { path } else { asked };
        let asked = FIRST.iter().fold((*asked).to_owned(), |asked, (word, list, field)| {
            if !asked.contains(word) {
                return asked;
            }
            let list = server.ok("GET", list, None).unwrap();
            asked.replace(word, list[field][0]["id"].as_str().unwrap())
        });
        let ask = || match *body {
            "THE COMPONENT" => server.upload("", pilothouse_policies::ALL[0].bytes).unwrap(),
            body => server.ask(&method.to_uppercase(), &asked, Some(body)).unwrap(),
        };
        // What is not there yet comes: a failover takes some turns before it has displaced anything.
        let there = wait_for(|| Some(ask()).filter(|(status, _)| *status != 404));
        let (status, answer) = there.unwrap_or_else(|| panic!("{method} {asked} stays 404"));
        assert_eq!(status, 200, "{method} {asked}: {answer}");
        check(&document, method, path, "200", &answer);
    }
    let described: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(move |method| (method.clone(), path.clone()))
        })
        .collect();
    let called: BTreeSet<(String, String)> =
        CALLS.iter().map(|(method, path, ..)| ((*method).to_owned(), (*path).to_owned())).collect();
    assert_eq!(described, called, "every operation has a call above");
}

#[test]
fn failures_answer_as_described() {
    let server = Server::start().unwrap();
    let document = server.ok("GET", "/openapi.json", None).unwrap();
    for (method, path, asked, body, expected) in [
        ("get", "/api/cluster/nodes/{id}", "/api/cluster/nodes/nobody", "", 404),
        ("post", "/api/cluster/nodes", "/api/cluster/nodes", r#"{"id": "x y"}"#, 400),
        ("get", "/api/v1/clusters/{id}", "/api/v1/clusters/nobody", "", 404),
        ("post", "/api/v1/route", "/api/v1/route", r#"{"strateggy": "x"}"#, 400),
        ("post", "/api/v1/policies", "/api/v1/policies", "not a component", 422),
    ] {
        let (status, answer) = server.ask(&method.to_uppercase(), asked, Some(body)).unwrap();
        assert_eq!(status, expected, "{method} {asked}: {answer}");
        check(&document, method, path, "default", &answer);
    }
}

#[test]
fn operations_have_names_of_their_own() {
    let document = Server::start().unwrap().ok("GET", "/openapi.json", None).unwrap();
    let items = document["paths"].as_object().unwrap().values();
    let names: Vec<&str> = items
        .flat_map(|item| item.as_object().unwrap().values())
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
}
