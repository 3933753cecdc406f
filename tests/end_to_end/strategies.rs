//! Every documented strategy by every way: command line, REST and gRPC.
//!
//! strategy x way -> a decision by the slot of that name, counted by the server itself
//!
//! Invariant tested: no strategy is out of reach of any way, and what answers is the policy that was named, not a fallback.

use pilothouse_core::policy::Family;
use pilothouse_proto::federation as federation_wire;
use pilothouse_proto::pilothouse as wire;
use pilothouse_tests::wait_for;
use serde_json::json;

use crate::control::Federation;

/// Strategies as the documents name them.
const DOCUMENTED: &[(Family, &[&str])] = &[
    (
        Family::Balancing,
        &[
            "round-robin",
            "least-loaded",
            "least-agents",
            "random",
            "weighted",
            "session-affinity",
            "capability-match",
            "regional",
            // Ours.
            "adaptive",
        ],
    ),
    (Family::Placement, &["multi-factor", "bin-pack", "spread", "cost-aware", "gpu-packing"]),
    (Family::Routing, &["latency", "cost", "load-balanced", "geo-proximity", "hybrid"]),
    (Family::Scaling, &["queue-depth", "predictive", "hybrid"]),
];

/// How many answers the strategy's active policy has given.
fn answers(to: &Federation, family: Family, strategy: &str) -> u64 {
    let path = format!("/api/v1/slots/{}/{strategy}", family.name());
    to.server.ok("GET", &path, None).unwrap()["answers"]["active"].as_u64().unwrap()
}

/// Asks for a decision by a strategy; fails if there is none.
type Way = fn(&Federation, Family, &str);

const WAYS: &[(&str, Way)] = &[("command line", by_command_line), ("REST", by_rest), ("gRPC", by_grpc)];

fn by_command_line(to: &Federation, family: Family, strategy: &str) {
    match family {
        Family::Balancing => drop(to.cli(&["route", "--strategy", strategy, "--region", "eu"])),
        Family::Placement => drop(to.cli(&["place", "--strategy", strategy, "--spec", "cpu:1,gpu:0.5"])),
        Family::Routing => drop(to.cli(&["flow", "--strategy", strategy, "--from", "eu"])),
        Family::Scaling => {
            let set = ["scale", "group", "set", "by-cli", "--strategy", strategy, "--period-ms", "100"];
            to.cli(&[&set as &[&str], &["--min", "5"]].concat());
            let busy = ["--queue-depth", "500", "--arrivals-per-s", "100", "--completions-per-s", "10"];
            let sample = ["scale", "group", "sample", "by-cli", "--utilisation", "1", "--service-ms", "100"];
            grown(|| {
                to.cli(&[&sample as &[&str], &busy].concat());
                to.cli(&["scale", "group", "get", "by-cli"])["replicas"].as_u64()
            });
            to.cli(&["scale", "group", "remove", "by-cli"]);
        }
    }
}

fn by_rest(to: &Federation, family: Family, strategy: &str) {
    let requirement = json!({ "preferred_region": "eu" });
    let body = json!({ "strategy": strategy, "requirement": requirement });
    match family {
        Family::Balancing => drop(to.post("/api/v1/route", &body)),
        Family::Placement => drop(to.post("/api/v1/place", &body)),
        Family::Routing => drop(to.post("/api/v1/flows", &body)),
        Family::Scaling => {
            to.post("/api/v1/groups", &json!({ "name": "by-rest", "strategy": strategy, "period_ms": 100 }));
            let busy = json!({ "queue_depth": 500, "arrivals_per_s": 100, "completions_per_s": 10,
                "utilisation": 1, "service_ms": 100 });
            grown(|| {
                to.post("/api/v1/groups/by-rest/samples", &busy);
                to.server.ok("GET", "/api/v1/groups/by-rest", None).unwrap()["replicas"].as_u64()
            });
            to.server.ok("DELETE", "/api/v1/groups/by-rest", None).unwrap();
        }
    }
}

fn by_grpc(to: &Federation, family: Family, strategy: &str) {
    let strategy = strategy.to_owned();
    let requirement = wire::Requirement { preferred_region: "eu".to_owned(), ..Default::default() };
    match family {
        Family::Balancing => {
            let task = federation_wire::RouteTaskRequest { strategy, ..Default::default() };
            drop(to.grpc(to.federation().route_task(task)).unwrap());
        }
        Family::Placement => {
            let terms = wire::Terms { requirement: Some(requirement), ..Default::default() };
            let place = wire::PlaceRequest { terms: Some(terms), strategy, ..Default::default() };
            drop(to.grpc(to.control().place(place)).unwrap());
        }
        Family::Routing => {
            let flow =
                wire::RouteFlowRequest { requirement: Some(requirement), strategy, ..Default::default() };
            drop(to.grpc(to.control().route_flow(flow)).unwrap());
        }
        Family::Scaling => {
            let name = "by-grpc".to_owned();
            let put = wire::PutGroupRequest {
                name: name.clone(),
                strategy: strategy.clone(),
                period_ms: Some(100),
                ..Default::default()
            };
            assert_eq!(to.grpc(to.control().put_group(put)).unwrap().strategy, strategy);
            let busy = wire::SampleGroupRequest {
                name: name.clone(),
                queue_depth: Some(500.0),
                arrivals_per_s: Some(100.0),
                completions_per_s: Some(10.0),
                utilisation: Some(1.0),
                service_ms: Some(100.0),
                ready_replicas: None,
            };
            let group = wire::GroupRequest { name };
            grown(|| {
                to.grpc(to.control().sample_group(busy.clone())).unwrap();
                Some(to.grpc(to.control().get_group(group.clone())).unwrap().replicas.into())
            });
            to.grpc(to.control().remove_group(group)).unwrap();
        }
    }
}

/// Samples a busy group until it has more than its 5 replicas.
fn grown(mut replicas: impl FnMut() -> Option<u64>) {
    assert!(wait_for(|| replicas().filter(|count| *count > 5)).is_some(), "a busy group grows");
}

#[test]
fn every_documented_strategy_decides_by_every_way() {
    let federation = Federation::start("");
    for (family, strategies) in DOCUMENTED {
        for strategy in *strategies {
            for (name, way) in WAYS {
                let before = answers(&federation, *family, strategy);
                way(&federation, *family, strategy);
                let after = answers(&federation, *family, strategy);
                assert!(after > before, "{}/{strategy} by {name} answered nothing", family.name());
            }
        }
    }
    let documented: usize = DOCUMENTED.iter().map(|(_, strategies)| strategies.len()).sum();
    assert_eq!(documented, pilothouse_policies::ALL.len(), "every shipped policy is a documented strategy");
}
