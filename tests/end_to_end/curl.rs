//! The examples of the cluster API's document, line by line through curl and a shell, as somebody would paste them.

use std::process::Command;

use pilothouse_tests::Server;
use serde_json::Value;

/// As written, but for the host's name; and a piece that the answer must have.
const LINES: &[(&str, &str)] = &[
    (
        r#"curl -X POST http://leader-ip:8151/api/cluster/nodes \
  -H "Content-Type: application/json" \
  -d '{
    "id": "node-2",
    "hostname": "server2",
    "ip_address": "10.0.0.2",
    "port": 8151,
    "max_agents": 20,
    "services": ["wrapper", "database"]
  }'"#,
        "/success=true",
    ),
    (
        r#"curl -X POST http://leader-ip:8151/api/cluster/nodes \
  -H "Content-Type: application/json" \
  -d '{
    "id": "node-3",
    "hostname": "server3",
    "ip_address": "10.0.0.3",
    "port": 8151,
    "max_agents": 15,
    "services": ["wrapper"]
  }'"#,
        "/node/id=\"node-3\"",
    ),
    (
        r#"curl -X POST http://leader:8151/api/cluster/nodes/node-2 \
  -H "Content-Type: application/json" \
  -d "$(cat <<EOF
{
  "cpu_usage": $(echo 45.3),
  "memory_usage": $(echo 62.1),
  "disk_usage": $(df -P / | awk 'NR==2 {print $5}' | sed 's/%//'),
  "load_average": $(echo 2.5)
}
EOF
)""#,
        "/success=true",
    ),
    ("curl http://leader:8151/api/cluster/nodes", "/count=3"),
    ("curl http://leader:8151/api/cluster/nodes/node-2", "/cpu_usage=45.3"),
    ("curl http://leader:8151/api/cluster/stats", "/registry/total_nodes=3"),
    ("curl http://leader:8151/api/cluster/assignments", "/count=0"),
    ("curl http://leader:8151/api/cluster/leader", "/leader/id=\"node-1\""),
    ("curl -X POST http://leader:8151/api/cluster/balance?strategy=round_robin", "/strategy=\"round_robin\""),
    (
        "curl -X POST http://leader:8151/api/cluster/balance?strategy=least_loaded",
        "/strategy=\"least_loaded\"",
    ),
    ("curl -X POST http://leader:8151/api/cluster/balance?strategy=weighted", "/success=true"),
];

#[test]
fn every_documented_line_runs_as_written() {
    if Command::new("curl").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "curl is missing; `make deps` installs it");
        println!("SKIPPED: curl is missing; `make deps` installs it");
        return;
    }
    let server = Server::start().unwrap();
    for (line, wanted) in LINES {
        let line = ["leader-ip:8151", "leader:8151"]
            .iter()
            .fold((*line).to_owned(), |line, name| line.replace(name, &server.address));
        let done = Command::new("bash").args(["-c", &line]).output().unwrap();
        let text = String::from_utf8(done.stdout).unwrap();
        let answer: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{line}: {error}: {text}"));
        let (path, value) = wanted.split_once('=').unwrap();
        let value: Value = serde_json::from_str(value).unwrap();
        assert_eq!(answer.pointer(path), Some(&value), "{line}: {answer}");
    }
}
