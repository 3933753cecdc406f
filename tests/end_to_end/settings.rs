//! Keys of the configuration that name documented behaviour, and policies by family and name.
//!
//! configuration file -> server of the real binary -> what it does, and what it says of its policies
//!
//! Invariant tested: a key that is accepted has an effect; one that has none is refused with file, key and what to do.

use pilothouse_tests::Server;
use serde_json::{Value, json};

fn group(server: &Server, body: &Value) -> Value {
    server.ok("POST", "/api/v1/groups", Some(&body.to_string())).unwrap()
}

fn cluster(server: &Server, id: &str) {
    let resources = json!({ "cpu_millis": 8_000 });
    let body = json!({ "id": id, "endpoint": format!("https://{id}.example"), "max_agents": 100,
        "resources": resources });
    server.ok("POST", "/api/v1/clusters", Some(&body.to_string())).unwrap();
}

#[test]
fn algorithms_and_the_queue_scalers_keys_are_what_slots_start_with() {
    let server = Server::start_with(
        "[balancing]\nalgorithm = \"random\"\n[placement]\nalgorithm = \"bin-pack\"\n[routing]\n\
         algorithm = \"latency\"\n[scaling]\nminAgents = 2\nmaxAgents = 40\nscaleUpIncrement = 7\n\
         thresholds = { scaleUpQueueDepth = 70.0 }\n",
    )
    .unwrap();
    for (slot, policy) in [
        ("balancing", "random"),
        ("placement", "bin-pack"),
        ("routing", "latency"),
        ("scaling", "queue-depth"),
    ] {
        let slot = server.ok("GET", &format!("/api/v1/slots/{slot}/default"), None).unwrap();
        assert_eq!(slot["active"]["policy"], policy);
    }
    let wanted = json!({ "min-agents": 2, "max-agents": 40, "scale-up-increment": 7,
        "thresholds": { "scale-up-queue-depth": 70.0 } });
    for slot in ["default", "queue-depth"] {
        let slot = server.ok("GET", &format!("/api/v1/slots/scaling/{slot}"), None).unwrap();
        assert_eq!(slot["active"]["settings"], wanted);
        assert!(slot["serving"]["workers"].as_u64() > Some(0), "the policy takes them: {slot}");
    }
    let made = group(&server, &json!({ "name": "web" }));
    assert_eq!((&made["min_replicas"], &made["max_replicas"]), (&json!(2), &json!(40)));
}

#[test]
fn without_multi_cluster_scaling_a_group_has_one_home() {
    for (config, homes) in [("", 3), ("[scaling]\nmultiClusterScaling = false\n", 1)] {
        let server = Server::start_with(config).unwrap();
        ["a", "b", "c"].iter().for_each(|id| cluster(&server, id));
        let made = group(&server, &json!({ "name": "web", "min_replicas": 9 }));
        assert_eq!(made["places"].as_object().unwrap().len(), homes, "{made}");
    }
}

#[test]
fn without_preemption_nobody_is_evicted_and_the_refusal_names_the_key() {
    let server = Server::start_with("[placement]\nenable_preemption = false\n").unwrap();
    cluster(&server, "a");
    server.cli(&["place", "low", "--spec", "cpu:8"]).unwrap();
    let urgent = ["place", "urgent", "--spec", "cpu:8", "--priority", "5", "--preempt"];
    let refused = server.cli(&urgent).unwrap_err().to_string();
    assert!(refused.contains("placement.enable-preemption"), "{refused}");
}

#[test]
fn a_wrong_value_is_refused_at_start_with_file_key_and_what_to_do() {
    for (config, wanted) in [
        ("[placement]\nalgorithm = \"hybrid\"\n", ["placement.algorithm", "multi-factor"]),
        (
            "[scaling]\nalgorithm = \"hybrid\"\nscaleUpIncrement = 5\n",
            ["scaling.scale-up-increment", "leave it out"],
        ),
        ("[routing]\nalgoritm = \"hybrid\"\n", ["algoritm", "expected one of"]),
    ] {
        let said = Server::start_with(config).unwrap_err().to_string();
        for wanted in [&["config.toml"] as &[&str], &wanted].concat() {
            assert!(said.contains(wanted), "{config:?} said {said}");
        }
    }
}

#[test]
fn policies_of_one_name_are_told_apart_by_their_family() {
    let server = Server::start().unwrap();
    let inspect = |policy: &str| {
        let said = server.cli(&["--output", "json", "policy", "inspect", policy])?;
        anyhow::Ok(serde_json::from_str::<Value>(&said)?)
    };
    for family in ["routing", "scaling"] {
        let policy = inspect(&format!("{family}/hybrid")).unwrap();
        assert_eq!((&policy["family"], &policy["name"]), (&json!(family), &json!("hybrid")));
        assert!(policy["settings_schema"]["properties"].is_object(), "{policy}");
    }
    let ambiguous = inspect("hybrid").unwrap_err().to_string();
    assert!(ambiguous.contains("routing/hybrid") && ambiguous.contains("scaling/hybrid"), "{ambiguous}");
    assert_eq!(inspect("predictive").unwrap()["family"], "scaling", "a name of one family is enough");
    assert!(inspect("routing/predictive").unwrap_err().to_string().contains("routing/predictive"));
    assert!(inspect("scaling/nobody").is_err());
}

#[test]
fn every_default_policy_is_listed_with_its_summary_and_the_schema_of_its_settings() {
    let server = Server::start().unwrap();
    let table = server.cli(&["policy", "list"]).unwrap();
    let said = server.cli(&["--output", "json", "policy", "list"]).unwrap();
    let listed: Value = serde_json::from_str(&said).unwrap();
    let inspected = server.cli(&["policy", "inspect", "queue-depth"]).unwrap();
    for wanted in ["MEANING", "thresholds.scale-up-queue-depth", "Deep from here on."] {
        assert!(inspected.contains(wanted), "{inspected}");
    }
    for policy in pilothouse_policies::ALL {
        let all = listed["policies"].as_array().unwrap();
        let found = all.iter().find(|one| one["family"] == policy.family && one["name"] == policy.name);
        let found = found.unwrap_or_else(|| panic!("{}/{} is not listed", policy.family, policy.name));
        let summary = found["summary"].as_str().unwrap();
        assert!(summary.len() > 10 && table.contains(policy.name), "{found}");
        let schema = &found["settings_schema"];
        // One without settings takes none.
        let is_closed = schema["additionalProperties"] == false;
        assert!(schema.is_null() || schema["properties"].is_object() || is_closed, "{found}");
    }
}
