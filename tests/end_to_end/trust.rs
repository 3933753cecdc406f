//! Keys and signatures: made by the command line, believed by a server for some slots, revoked, never downgraded.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use pilothouse_policies::find;
use pilothouse_tests::{Server, wait_for};
use serde_json::{Value, json};

use crate::workshop::{Workshop, has};

const SLOT: &str = "balancing/default";

fn slot(server: &Server) -> Value {
    server.ok("GET", "/api/v1/slots/balancing/default", None).unwrap()
}

fn active(server: &Server) -> String {
    let slot = slot(server);
    format!("{} {}", slot["active"]["policy"].as_str().unwrap(), slot["active"]["version"].as_str().unwrap())
}

/// Details of the events of a type.
fn events(server: &Server, kind: &str) -> Vec<Value> {
    let all = server.ok("GET", "/api/v1/events?format=json&since=0", None).unwrap();
    let events = all["events"].as_array().unwrap().iter().filter(|event| event["type"] == kind);
    events.map(|event| json!({ "subject": event["subject"], "detail": event["detail"] })).collect()
}

fn add_key(server: &Server, workshop: &Workshop, name: &str) -> Value {
    let public = std::fs::read_to_string(workshop.path(&format!("{name}.pub"))).unwrap();
    let body = json!({ "name": name, "public_key": public, "by": "ann" });
    server.ok("POST", "/api/v1/keys", Some(&body.to_string())).unwrap()
}

/// The command line of an author against a server.
fn at(server: &Server) -> String {
    format!("http://{}", server.address)
}

#[test]
fn a_secret_key_is_for_its_owner_alone_and_never_overwritten() {
    let workshop = Workshop::new();
    workshop.key("ci");
    let mode = |name: &str| std::fs::metadata(workshop.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("ci.key"), mode("ci.pub")), (0o600, 0o644));
    let before = std::fs::read(workshop.path("ci.key")).unwrap();
    workshop.refused(&["policy", "keygen", "--out", "ci"], &["ci.pub exists"]);
    std::fs::remove_file(workshop.path("ci.pub")).unwrap();
    workshop.refused(&["policy", "keygen", "--out", "ci"], &["ci.key exists", "not overwritten"]);
    assert_eq!(std::fs::read(workshop.path("ci.key")).unwrap(), before);
    symlink(workshop.path("victim"), workshop.path("link.key")).unwrap();
    workshop.refused(&["policy", "keygen", "--out", "link"], &["link.key exists"]);
    assert!(!workshop.path("victim").exists());

    workshop.component("mine.wasm", "1.2.0");
    let sign = ["policy", "sign", "mine.wasm", "--key", "ci.key"];
    for mode in [0o640, 0o604, 0o620] {
        std::fs::set_permissions(workshop.path("ci.key"), Permissions::from_mode(mode)).unwrap();
        workshop.refused(&sign, &["others may read", "chmod 600 ci.key"]);
    }
    std::fs::write(workshop.path("not.key"), "nothing").unwrap();
    std::fs::set_permissions(workshop.path("not.key"), Permissions::from_mode(0o600)).unwrap();
    workshop.refused(&["policy", "sign", "mine.wasm", "--key", "not.key"], &["not.key is not a secret key"]);
    assert!(!workshop.path("mine.wasm.sig").exists());
}

#[test]
fn signatures_are_verified_without_a_server() {
    let workshop = Workshop::new();
    workshop.key("ci");
    workshop.key("other");
    let (bytes, signature) = workshop.signed("mine.wasm", "1.2.0", "ci");
    let verify = ["policy", "verify", "mine.wasm", "--keys", "ci.pub"];
    assert!(workshop.ok(&verify).contains("weighted 1.2.0 is signed by `ci`"));
    workshop.refused(&["policy", "verify", "mine.wasm", "--keys", "other.pub"], &["the keys that count are"]);
    workshop.refused(&["policy", "verify", "mine.wasm", "--keys", "ci.key"], &["secret key"]);
    let told = workshop.ok(&["policy", "inspect", "mine.wasm"]);
    assert!(told.contains("signature.manifest.version") && told.contains("policy verify"), "{told}");

    let (_, of_another) = workshop.signed("another.wasm", "1.3.0", "ci");
    let files = [
        ("of another file", bytes.clone(), of_another, "does not fit the component"),
        ("a longer component", [&bytes[..], b"\0"].concat(), signature.clone(), "does not fit the component"),
        (
            "a cut manifest",
            bytes.clone(),
            signature.replacen("\"}", "\"", 1).replacen("16}}", "16", 1),
            "manifest",
        ),
        ("another manifest", bytes.clone(), signature.replacen("1.2.0", "9.2.0", 1), "does not fit"),
        ("oversized", bytes.clone(), signature.clone() + &"x".repeat(9_000), "more than 8192 bytes"),
        ("empty", bytes.clone(), String::new(), "four lines"),
    ];
    for (name, bytes, signature, wanted) in files {
        std::fs::write(workshop.path("mine.wasm"), bytes).unwrap();
        std::fs::write(workshop.path("mine.wasm.sig"), signature).unwrap();
        let said = workshop.run(&verify).expect_err(name);
        assert!(said.contains(wanted), "{name}: {said}");
    }
}

#[test]
fn minisign_reads_what_pilothouse_signed() {
    if !has("minisign") {
        return;
    }
    let workshop = Workshop::new();
    let minisign = |arguments: &[&str]| {
        let done = Command::new("minisign").args(arguments).current_dir(workshop.path("")).output().unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    };
    workshop.key("ours");
    workshop.signed("mine.wasm", "1.2.0", "ours");
    let said = minisign(&["-V", "-m", "mine.wasm", "-x", "mine.wasm.sig", "-p", "ours.pub"]);
    assert!(said.contains("Trusted comment: {\"name\":\"weighted\",\"version\":\"1.2.0\""), "{said}");
}

#[test]
fn a_slot_that_lists_keys_accepts_only_what_they_signed() {
    let workshop = Workshop::new();
    ["ci", "other", "stranger"].iter().for_each(|key| workshop.key(key));
    let server = Server::start_with("[policies.trust.slots]\n\"balancing/default\" = [\"ci\"]\n").unwrap();
    let key = add_key(&server, &workshop, "ci");
    assert_eq!(key["added_by"], "api:ann");
    let added = events(&server, "key.added");
    assert_eq!(added, [json!({ "subject": "ci", "detail": { "key": key["id"], "by": "api:ann" } })]);
    let url = at(&server);
    workshop.ok(&["--server", &url, "keys", "add", "other", "other.pub"]);
    workshop.refused(&["--server", &url, "keys", "add", "again", "ci.pub"], &["already, as `ci`"]);
    workshop.refused(&["--server", &url, "keys", "add", "bad", "ci.key"], &["secret key"]);

    let activate = |file: &str| workshop.run(&["--server", &url, "policy", "activate", SLOT, file]);
    workshop.component("mine.wasm", "1.2.0");
    let unsigned = activate("mine.wasm").unwrap_err();
    for wanted in ["not signed", "slot balancing/default", "key `ci`", "policy sign"] {
        assert!(unsigned.contains(wanted), "{unsigned}");
    }
    let (bytes, by_stranger) = workshop.signed("mine.wasm", "1.2.0", "stranger");
    let unknown = activate("mine.wasm").unwrap_err();
    assert!(unknown.contains("does not know") && unknown.contains("keys add"), "{unknown}");
    workshop.signed("mine.wasm", "1.2.0", "other");
    let other = activate("mine.wasm").unwrap_err();
    assert!(other.contains("signed by key `other`") && other.contains("only what key `ci`"), "{other}");
    assert_eq!(active(&server), "least-loaded 1.0.0");
    let refused = events(&server, "slot.refused");
    assert_eq!(refused.len(), 2, "those that reached the slot are in its history: {refused:?}");

    // Elsewhere a known signature is enough, and so is none.
    workshop.ok(&["--server", &url, "policy", "activate", "balancing/extra", "mine.wasm"]);
    workshop.signed("mine.wasm", "1.2.0", "ci");
    let done = activate("mine.wasm").unwrap();
    assert!(done.contains("weighted 1.2.0") && done.contains("served by"), "{done}");
    assert_eq!(slot(&server)["trust"], json!({ "standing": "signed", "keys": ["other", "ci"] }));
    // What ships with the host is trusted with it.
    server.ok("POST", "/api/v1/slots/balancing/default/activate", Some(r#"{"policy": "random"}"#)).unwrap();
    assert_eq!(slot(&server)["trust"]["standing"], "builtin");
    let wrong = json!({ "policy": pilothouse_engine::digest(&bytes).to_string(), "signature": by_stranger });
    let (status, said) =
        server.ask("POST", "/api/v1/slots/balancing/default/activate", Some(&wrong.to_string())).unwrap();
    assert!(status == 422 && said["detail"].as_str().unwrap().contains("does not know"), "{said}");
}

#[test]
fn a_watched_folder_takes_the_signature_beside_the_component() {
    let workshop = Workshop::new();
    workshop.key("ci");
    let server = Server::start_with("[policies.trust]\nrequired = \"signed\"\n").unwrap();
    add_key(&server, &workshop, "ci");
    let (bytes, signature) = workshop.signed("mine.wasm", "1.2.0", "ci");
    let (status, said) = server.upload("", &bytes).unwrap();
    assert!(status == 422 && said["detail"].as_str().unwrap().contains("not signed"), "{said}");
    let builtin = server.upload("", find("balancing", "random").unwrap().bytes).unwrap();
    assert_eq!(builtin.0, 200, "{}", builtin.1);
    std::fs::write(server.policy_dir().join("mine.wasm.sig"), signature.replacen("1.2.0", "1.3.0", 1))
        .unwrap();
    std::fs::write(server.policy_dir().join("mine.wasm"), &bytes).unwrap();
    // A file that is refused leaves no trace but the log; the next one is handled after it.
    std::fs::write(server.policy_dir().join("zzz.wasm"), find("balancing", "random").unwrap().bytes).unwrap();
    wait_for(|| (active(&server) == "random 1.0.0").then_some(())).unwrap();
    std::fs::write(server.policy_dir().join("mine.wasm.sig"), signature).unwrap();
    wait_for(|| (active(&server) == "weighted 1.2.0").then_some(())).expect("the signed file became active");
    assert_eq!(slot(&server)["trust"], json!({ "standing": "signed", "keys": ["ci"] }));
}

#[test]
fn an_older_version_needs_somebody_who_says_so() {
    let workshop = Workshop::new();
    workshop.key("ci");
    let mut server = Server::start().unwrap();
    add_key(&server, &workshop, "ci");
    for (file, version) in [("v2.wasm", "1.2.0"), ("v3.wasm", "1.3.0")] {
        workshop.signed(file, version, "ci");
        workshop.ok(&["--server", &at(&server), "policy", "activate", SLOT, file]);
    }
    // Going back by one is what rollback is for, and no downgrade.
    server.ok("POST", "/api/v1/slots/balancing/default/rollback", None).unwrap();
    assert_eq!(active(&server), "weighted 1.2.0");
    server.ok("POST", "/api/v1/slots/balancing/default/rollback", None).unwrap();
    assert_eq!(active(&server), "weighted 1.3.0");
    server.restart().unwrap();
    let url = at(&server);
    let older = ["--server", &url, "policy", "activate", SLOT, "v2.wasm"];
    workshop.refused(&older, &["1.2.0 is older than 1.3.0", "slot balancing/default", "--allow-downgrade"]);
    // Not by its digest either, nor after another policy.
    let digest = pilothouse_engine::digest(&std::fs::read(workshop.path("v2.wasm")).unwrap()).to_string();
    server.ok("POST", "/api/v1/slots/balancing/default/activate", Some(r#"{"policy": "random"}"#)).unwrap();
    workshop.refused(&["--server", &url, "policy", "activate", SLOT, &digest], &["older than 1.3.0"]);
    workshop.ok(&["--server", &url, "policy", "activate", SLOT, "v2.wasm", "--allow-downgrade"]);
    assert_eq!(active(&server), "weighted 1.2.0");
    let told = events(&server, "slot.downgraded");
    let detail = json!({ "policy": "weighted", "from": "1.3.0", "to": "1.2.0", "by": "api" });
    assert_eq!(told, [json!({ "subject": SLOT, "detail": detail })]);
    assert_eq!(slot(&server)["trust"]["keys"], json!(["ci"]), "signatures survive a restart");
}

#[test]
fn after_a_revocation_nothing_new_comes_in_and_what_serves_is_reported() {
    let workshop = Workshop::new();
    workshop.key("ci");
    let mut server = Server::start().unwrap();
    let key = add_key(&server, &workshop, "ci");
    for (file, version) in [("v2.wasm", "1.2.0"), ("v3.wasm", "1.3.0")] {
        workshop.signed(file, version, "ci");
        workshop.ok(&["--server", &at(&server), "policy", "activate", SLOT, file]);
    }
    let url = at(&server);
    let said = workshop.ok(&["--server", &url, "keys", "revoke", "ci", "--reason", "laptop lost"]);
    assert!(said.contains("trusted no more"), "{said}");
    let detail = json!({ "key": key["id"], "by": "api:ann", "why": "laptop lost" });
    assert_eq!(events(&server, "key.revoked"), [json!({ "subject": "ci", "detail": detail })]);
    let serving = json!({ "policy": "weighted 1.3.0", "keys": ["ci"] });
    assert_eq!(events(&server, "slot.key-revoked"), [json!({ "subject": SLOT, "detail": serving })]);
    let check = |server: &Server| {
        let url = at(server);
        assert_eq!(active(server), "weighted 1.3.0", "it serves on");
        server.ok("POST", "/api/v1/route", Some(r#"{"requirement": {"kind": "any"}}"#)).unwrap();
        assert_eq!(slot(server)["trust"], json!({ "standing": "key revoked", "keys": ["ci"] }));
        for list in [["policy", "list"], ["slot", "list"]] {
            let shown = workshop.ok(&["--server", &url, list[0], list[1]]);
            assert!(shown.contains("key revoked"), "{shown}");
        }
        let keys = workshop.ok(&["--server", &url, "keys", "list"]);
        assert!(keys.contains("laptop lost") && keys.contains("api:ann"), "{keys}");
        workshop.refused(&["--server", &url, "policy", "rollback", SLOT], &["no earlier revision"]);
        workshop.signed("v4.wasm", "1.4.0", "ci");
        let new = ["--server", &url, "policy", "activate", "balancing/other", "v4.wasm"];
        workshop.refused(&new, &["key `ci`", "revoked", "another key"]);
        let digest = pilothouse_engine::digest(&std::fs::read(workshop.path("v2.wasm")).unwrap()).to_string();
        let known = ["--server", &url, "policy", "activate", "balancing/other", &digest];
        workshop.refused(&known, &["key `ci`", "revoked", "balancing/other"]);
        workshop
            .refused(&["--server", &url, "keys", "add", "new", "ci.pub"], &["was revoked", "make a new key"]);
    };
    check(&server);
    server.restart().unwrap();
    check(&server);
    workshop.refused(&["--server", &at(&server), "keys", "revoke", "ci"], &["revoked before"]);
    // Replaced, it is no way back: there is one to what came after it only.
    let activate = |policy: &str| {
        let body = json!({ "policy": policy }).to_string();
        server.ok("POST", "/api/v1/slots/balancing/default/activate", Some(&body)).unwrap()
    };
    activate("random");
    workshop.refused(&["--server", &at(&server), "policy", "rollback", SLOT], &["no earlier revision"]);
    activate("round-robin");
    server.ok("POST", "/api/v1/slots/balancing/default/rollback", None).unwrap();
    assert_eq!(active(&server), "random 1.0.0");
    // The list of a server is a set of keys for `verify`, with its revocations.
    let listed = workshop.ok(&["--server", &at(&server), "--output", "json", "keys", "list"]);
    std::fs::write(workshop.path("keys.json"), listed).unwrap();
    workshop.refused(&["policy", "verify", "v3.wasm", "--keys", "keys.json"], &["key `ci`", "revoked"]);
}
