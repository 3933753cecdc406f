//! Every example of the documented cluster API, and what it leaves open.

use pilothouse_tests::Server;
use serde_json::{Value, json};

/// Field by field: every field of `shape` is there with a value of the same type.
#[track_caller]
fn check_shape(answer: &Value, shape: &Value, path: &str) {
    match (answer, shape) {
        (Value::Object(answer), Value::Object(shape)) => {
            for (name, expected) in shape {
                let found =
                    answer.get(name).unwrap_or_else(|| panic!("{path}.{name} is missing in {answer:?}"));
                check_shape(found, expected, &format!("{path}.{name}"));
            }
        }
        (Value::Array(answer), Value::Array(shape)) => {
            for (found, expected) in answer.iter().zip(shape.iter().cycle()) {
                check_shape(found, expected, path);
            }
        }
        (Value::Number(_), Value::Number(_))
        | (Value::String(_), Value::String(_))
        | (Value::Bool(_), Value::Bool(_)) => {}
        (answer, shape) => panic!("{path} is {answer}, documented as {shape}"),
    }
}

fn node_shape() -> Value {
    json!({
        "id": "node-1", "hostname": "server1", "address": "10.0.0.1:8151", "role": "leader", "status": "online",
        "healthy": true, "active_agents": 5, "max_agents": 10, "capacity": 0.5, "load": 45.3, "cpu_usage": 42.5,
        "memory_usage": 65.2, "uptime": "2h15m30s", "last_seen": "2026-02-10T08:18:55Z"
    })
}

const NODE_2: &str = r#"{
    "id": "node-2",
    "hostname": "server2",
    "ip_address": "10.0.0.2",
    "port": 8151,
    "max_agents": 20,
    "services": ["wrapper", "database"]
  }"#;

fn with_node_2() -> Server {
    let server = Server::start().unwrap();
    server.ok("POST", "/api/cluster/nodes", Some(NODE_2)).unwrap();
    server
}

#[test]
fn registering_listing_and_looking_up_nodes() {
    let server = Server::start().unwrap();
    let registered = server.ok("POST", "/api/cluster/nodes", Some(NODE_2)).unwrap();
    check_shape(&registered, &json!({ "success": true, "node": node_shape() }), "register");
    let listed = server.ok("GET", "/api/cluster/nodes", None).unwrap();
    check_shape(&listed, &json!({ "nodes": [node_shape()], "count": 1 }), "list");
    assert_eq!(listed["count"], 2);
    let one = server.ok("GET", "/api/cluster/nodes/node-2", None).unwrap();
    check_shape(&one, &node_shape(), "one");
    assert_eq!(
        (&one["address"], &one["max_agents"], &one["role"]),
        (&json!("10.0.0.2:8151"), &json!(20), &json!("worker"))
    );
}

#[test]
fn a_heartbeat_updates_the_node() {
    let server = with_node_2();
    let beat = r#"{"cpu_usage": 45.3, "memory_usage": 62.1, "disk_usage": 55.0, "load_average": 2.5}"#;
    assert_eq!(
        server.ok("POST", "/api/cluster/nodes/node-2", Some(beat)).unwrap(),
        json!({ "success": true })
    );
    let node = server.ok("GET", "/api/cluster/nodes/node-2", None).unwrap();
    assert_eq!((&node["cpu_usage"], &node["memory_usage"]), (&json!(45.3), &json!(62.1)));
}

#[test]
fn a_node_can_leave() {
    let server = with_node_2();
    assert_eq!(server.ok("DELETE", "/api/cluster/nodes/node-2", None).unwrap(), json!({ "success": true }));
    let (status, answer) = server.ask("GET", "/api/cluster/nodes/node-2", None).unwrap();
    assert_eq!((status, &answer["success"]), (404, &json!(false)));
}

#[test]
fn assignments_are_made_listed_looked_up_and_taken_back() {
    let server = with_node_2();
    let body = r#"{"agent_name": "codex", "services": ["database"]}"#;
    let made = server.ok("POST", "/api/cluster/assignments", Some(body)).unwrap();
    assert_eq!(made["assignment"]["node_id"], "node-2");
    let shape = json!({ "agent_name": "codex", "node_id": "node-1", "assigned_at": "2026-02-10T08:00:00Z", "status": "running" });
    let listed = server.ok("GET", "/api/cluster/assignments", None).unwrap();
    check_shape(&listed, &json!({ "assignments": [shape], "count": 1 }), "assignments");
    check_shape(&server.ok("GET", "/api/cluster/assignments/codex", None).unwrap(), &shape, "assignment");
    server.ok("DELETE", "/api/cluster/assignments/codex", None).unwrap();
    assert_eq!(server.ask("GET", "/api/cluster/assignments/codex", None).unwrap().0, 404);
}

#[test]
fn statistics_have_the_documented_shape() {
    let stats = with_node_2().ok("GET", "/api/cluster/stats", None).unwrap();
    let shape = json!({
        "local_node": "node-1", "is_leader": true, "total_assignments": 8,
        "registry": {
            "total_nodes": 3, "healthy_nodes": 3, "online_nodes": 3, "total_agents": 8, "max_agents": 30,
            "utilization_pct": 26.7, "nodes_by_role": { "leader": 1, "worker": 2 }, "nodes_by_status": { "online": 3 }
        },
        "balancer": { "strategy": "least_loaded", "round_robin_index": 0 }
    });
    check_shape(&stats, &shape, "stats");
    assert_eq!((&stats["is_leader"], &stats["balancer"]["strategy"]), (&json!(true), &json!("least_loaded")));
}

#[test]
fn the_leader_is_known_and_can_be_promoted() {
    let server = with_node_2();
    check_shape(
        &server.ok("GET", "/api/cluster/leader", None).unwrap(),
        &json!({ "leader": node_shape() }),
        "leader",
    );
    let promoted = server.ok("POST", "/api/cluster/leader", None).unwrap();
    assert_eq!(promoted, json!({ "success": true, "is_leader": true }));
}

#[test]
fn every_documented_strategy_can_be_switched_to() {
    let server = with_node_2();
    for strategy in ["round_robin", "least_loaded", "least_agents", "random", "weighted"] {
        let answer = server.ok("POST", &format!("/api/cluster/balance?strategy={strategy}"), None).unwrap();
        assert_eq!(answer, json!({ "success": true, "strategy": strategy }));
        let stats = server.ok("GET", "/api/cluster/stats", None).unwrap();
        assert_eq!(stats["balancer"]["strategy"], strategy);
    }
    let (status, answer) = server.ask("POST", "/api/cluster/balance?strategy=fastest", None).unwrap();
    assert_eq!((status, answer["error"].as_str().unwrap().contains("round_robin")), (400, true), "{answer}");
}

#[test]
fn a_drained_node_gets_no_agent_and_keeps_those_it_has() {
    let server = with_node_2();
    let assign = |agent: &str| {
        let body = json!({ "agent_name": agent, "services": ["database"] }).to_string();
        server.ask("POST", "/api/cluster/assignments", Some(&body)).unwrap()
    };
    assert_eq!(assign("before").0, 200);
    server.ok("POST", "/api/cluster/nodes/node-2/drain", None).unwrap();
    assert_eq!(assign("during").0, 503);
    assert_eq!(server.ok("GET", "/api/cluster/assignments/before", None).unwrap()["node_id"], "node-2");
    server.ok("DELETE", "/api/cluster/nodes/node-2/drain", None).unwrap();
    assert_eq!(assign("after").0, 200);
}

#[test]
fn bad_requests_are_told_what_is_wrong() {
    let server = with_node_2();
    for (method, path, body, status, wanted) in [
        ("POST", "/api/cluster/nodes", r#"{"id":"a b","ip_address":"x"}"#, 400, "member id"),
        ("POST", "/api/cluster/nodes", r#"{"id":"x"}"#, 400, "ip_address"),
        ("POST", "/api/cluster/nodes", r#"{"id":"x","max_agnets":1}"#, 400, "max_agnets"),
        ("POST", "/api/cluster/nodes", "{", 400, "body"),
        ("POST", "/api/cluster/nodes/node-2", r#"{"cpu_usage": 400}"#, 400, "cpu"),
        ("POST", "/api/cluster/nodes/nobody", r#"{"cpu_usage": 4}"#, 404, "nobody"),
        ("POST", "/api/cluster/balance", "", 400, "strategy"),
        ("GET", "/api/nothing", "", 404, "path"),
        ("GET", "/api/v1/slots/nothing/here", "", 400, "slot"),
    ] {
        let (answered, answer) = server.ask(method, path, Some(body)).unwrap();
        assert_eq!(answered, status, "{method} {path}: {answer}");
        assert!(answer.to_string().contains(wanted), "{method} {path}: {answer}");
    }
}
