//! Components in a real OCI registry: pushed, pulled, tampered with, and registries that are no good.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use pilothouse_tests::Server;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::workshop::{Workshop, has};

const PROGRAM: &str = "docker-registry";

/// A registry server with its data.
struct RegistryServer {
    child: Child,
    data: TempDir,
    address: String,
}

impl RegistryServer {
    /// `None` = the program is not there.
    fn start() -> Option<Self> {
        if !has(PROGRAM) {
            return None;
        }
        let data = TempDir::new().unwrap();
        let config = data.path().join("config.yml");
        let root = data.path().join("data");
        let text = format!(
            "version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:0\n",
            root.display()
        );
        std::fs::write(&config, text).unwrap();
        let mut child = Command::new(PROGRAM)
            .arg("serve")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = log.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, rest) = line.split_once("listening on ")?;
            Some(rest.split('"').next()?.to_owned())
        });
        // Whoever writes to a pipe that nobody reads waits at last.
        std::thread::spawn(move || log.for_each(drop));
        Some(Self { child, data, address: address.expect("the registry listens") })
    }

    fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    /// The file of a blob on the registry's disk.
    fn blob(&self, digest: &str) -> PathBuf {
        let hex = digest.trim_start_matches("sha256:");
        self.data.path().join(format!("data/docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]))
    }
}

impl Drop for RegistryServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn told(workshop: &Workshop, arguments: &[&str]) -> Value {
    serde_json::from_str(&workshop.ok(&[&["--output", "json"], arguments].concat())).unwrap()
}

fn bytes(path: impl AsRef<Path>) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[test]
fn published_by_one_pulled_by_another_and_active_on_a_server() {
    let Some(registry) = RegistryServer::start() else { return };
    let (author, operator) = (Workshop::new(), Workshop::new());
    author.key("ci");
    author.component("mine.wasm", "1.2.0");
    let repository = registry.name("team/mine");
    let pushed = told(&author, &["policy", "publish", "mine.wasm", &repository, "--key", "ci.key"]);
    assert_eq!(pushed["reference"], json!(format!("{repository}:1.2.0")));
    let pinned = pushed["pinned"].as_str().unwrap();
    let again = told(&author, &["policy", "push", "mine.wasm", &format!("{repository}:latest")]);
    assert_eq!(again["digest"], pushed["digest"], "the same component and signature are the same artifact");

    std::fs::copy(author.path("ci.pub"), operator.path("ci.pub")).unwrap();
    let by_tag = ["policy", "pull", &format!("{repository}:1.2.0"), "--out", "got.wasm", "--keys", "ci.pub"];
    assert_eq!(told(&operator, &by_tag)["pinned"], json!(pinned), "a pull by tag tells the digest");
    for (got, made) in [("got.wasm", "mine.wasm"), ("got.wasm.sig", "mine.wasm.sig")] {
        assert_eq!(bytes(operator.path(got)), bytes(author.path(made)));
    }
    let by_digest = operator.ok(&["policy", "pull", pinned]);
    assert!(by_digest.contains("mine.wasm") && by_digest.contains("not checked"), "{by_digest}");

    let manifest: Value =
        serde_json::from_slice(&bytes(registry.blob(pushed["digest"].as_str().unwrap()))).unwrap();
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 1, "what the ecosystem's clients expect");
    assert_eq!(manifest["annotations"]["org.opencontainers.image.version"], "1.2.0");
    assert_eq!(manifest["annotations"]["dev.pilothouse.policy.family"], "balancing");

    let server = Server::start_with("[policies.trust.slots]\n\"balancing/*\" = [\"ci\"]\n").unwrap();
    let url = format!("http://{}", server.address);
    operator.ok(&["--server", &url, "keys", "add", "ci", "ci.pub"]);
    let activate =
        ["--server", &url, "policy", "activate", "balancing/default", &format!("oci://{repository}:1.2.0")];
    let done = operator.ok(&activate);
    assert!(done.contains("weighted 1.2.0"), "{done}");
    let slot = server.ok("GET", "/api/v1/slots/balancing/default", None).unwrap();
    assert_eq!(slot["active"]["origin"], json!(format!("oci://{pinned}")), "the digest is recorded");
}

#[test]
fn offline_the_cache_answers_by_digest_and_says_what_it_has_not() {
    let Some(registry) = RegistryServer::start() else { return };
    let workshop = Workshop::new();
    workshop.key("ci");
    workshop.signed("mine.wasm", "1.2.0", "ci");
    let tag = registry.name("mine:1");
    let pinned =
        told(&workshop, &["policy", "push", "mine.wasm", &tag])["pinned"].as_str().unwrap().to_owned();
    workshop.refused(&["policy", "pull", &pinned, "--offline"], &["not in the cache", "without --offline"]);
    workshop.ok(&["policy", "pull", &tag, "--out", "got.wasm"]);
    workshop.refused(&["policy", "pull", &tag, "--offline"], &["a tag may mean something else"]);
    let address = registry.address.clone();
    drop(registry);
    workshop.ok(&["policy", "pull", &pinned, "--offline", "--out", "kept.wasm"]);
    assert_eq!(bytes(workshop.path("kept.wasm")), bytes(workshop.path("mine.wasm")));
    workshop.ok(&["policy", "verify", "kept.wasm", "--keys", "ci.pub"]);
    workshop.refused(&["policy", "pull", &tag], &["cannot get the manifest", &address]);
    workshop.refused(&["policy", "push", "mine.wasm", &tag], &["cannot look for a layer", &address]);
    // A file of the cache that was changed is not used.
    for entry in std::fs::read_dir(workshop.path("cache/pilothouse/registry")).unwrap().flatten() {
        std::fs::write(entry.path(), "changed").unwrap();
    }
    workshop.refused(&["policy", "pull", &pinned, "--offline"], &["not in the cache"]);
}

#[test]
fn what_was_tampered_with_in_the_registry_is_refused() {
    let Some(registry) = RegistryServer::start() else { return };
    let (author, victim) = (Workshop::new(), Workshop::new());
    author.key("ci");
    author.key("mallory");
    let (component, signature) = author.signed("mine.wasm", "1.2.0", "ci");
    std::fs::copy(author.path("ci.pub"), victim.path("ci.pub")).unwrap();
    let tag = registry.name("mine:1");
    let pushed = told(&author, &["policy", "push", "mine.wasm", &tag]);
    let pinned = pushed["pinned"].as_str().unwrap();
    let pull = |reference: &str, wanted: &[&str]| {
        victim.refused(&["policy", "pull", reference, "--out", "got.wasm", "--keys", "ci.pub"], wanted);
        assert!(!victim.path("got.wasm").exists(), "nothing is written");
    };

    let blob = registry.blob(&pilothouse_engine::digest(&component).to_string());
    let mut changed = component.clone();
    *changed.last_mut().unwrap() ^= 1;
    std::fs::write(&blob, &changed).unwrap();
    pull(&tag, &["the digest", "do not use it"]);
    std::fs::write(&blob, [&component[..], b"more"].concat()).unwrap();
    pull(&tag, &["cannot get the component"]);
    std::fs::write(&blob, &component[..100]).unwrap();
    pull(&tag, &["do not use it"]);
    std::fs::write(&blob, &component).unwrap();

    // The registry itself can put another manifest under a tag: there the signature counts.
    let manifest = registry.blob(pushed["digest"].as_str().unwrap());
    let good = String::from_utf8(bytes(&manifest)).unwrap();
    assert!(good.contains("1.2.0"));
    std::fs::write(&manifest, good.replace("weighted.wasm", "wEighted.wasm")).unwrap();
    pull(pinned, &["not sha256:"]);
    std::fs::write(&manifest, &good).unwrap();
    let push = |workshop: &Workshop, signature: Option<&str>| {
        let file = workshop.path("mine.wasm.sig");
        match signature {
            Some(text) => std::fs::write(file, text).unwrap(),
            None => std::fs::remove_file(file).unwrap(),
        }
        workshop.run(&["policy", "push", "mine.wasm", &tag])
    };
    push(&author, Some("nonsense")).unwrap_err();
    push(&author, None).unwrap();
    pull(&tag, &["not signed", "nothing was written"]);
    author.ok(&["policy", "sign", "mine.wasm", "--key", "mallory.key"]);
    author.ok(&["policy", "push", "mine.wasm", &tag]);
    pull(&tag, &["the keys that count are"]);
    let forged = signature.replacen("\"fuel\":2000000", "\"fuel\":2000001", 1);
    assert_ne!(forged, signature);
    push(&author, Some(&forged)).unwrap();
    pull(&tag, &["does not fit the component"]);
    push(&author, Some(&signature)).unwrap();
    victim.ok(&["policy", "pull", &tag, "--out", "got.wasm", "--keys", "ci.pub"]);
}

#[test]
fn pushes_at_the_same_time_leave_one_whole_artifact() {
    let Some(registry) = RegistryServer::start() else { return };
    let workshops: Vec<Workshop> = (0..3).map(|_| Workshop::new()).collect();
    let tag = registry.name("mine:1");
    let pushed: Vec<String> = std::thread::scope(|scope| {
        let running: Vec<_> = workshops
            .iter()
            .zip(["1.2.0", "1.3.0", "1.2.0"])
            .map(|(workshop, version)| {
                workshop.component("mine.wasm", version);
                scope.spawn(|| {
                    told(workshop, &["policy", "push", "mine.wasm", &tag])["pinned"]
                        .as_str()
                        .unwrap()
                        .to_owned()
                })
            })
            .collect();
        running.into_iter().map(|running| running.join().unwrap()).collect()
    });
    assert_eq!(pushed[0], pushed[2]);
    let got = told(&workshops[0], &["policy", "pull", &tag, "--out", "got.wasm"]);
    assert!(pushed.contains(&got["pinned"].as_str().unwrap().to_owned()), "{got}");
    for pinned in &pushed {
        workshops[1].ok(&["policy", "pull", pinned, "--out", "got.wasm"]);
    }
}

#[test]
fn references_that_are_none_are_refused_before_anybody_is_asked() {
    let workshop = Workshop::new();
    workshop.component("mine.wasm", "1.2.0");
    for reference in ["", "mine", "http://localhost:1/a:1", "localhost:1/A:1", "localhost:1/a@sha256:12"] {
        workshop.refused(&["policy", "pull", reference], &["REGISTRY/NAME:TAG"]);
    }
    workshop.refused(&["policy", "push", "mine.wasm", "localhost:1/a"], &["name a tag"]);
    workshop.refused(&["policy", "pull", "localhost:1/a"], &["name a tag or a digest"]);
    workshop.refused(&["policy", "pull", "localhost:1/a:1"], &["localhost:1", "does not answer"]);
}

/// Serves one answer to every connection, by the request in lower case, then closes it.
fn hostile(answer: impl Fn(&mut TcpStream, &str) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { break };
            let mut request = [0; 4_096];
            let read = stream.read(&mut request).unwrap_or_default();
            let head = String::from_utf8_lossy(&request[..read]).to_ascii_lowercase();
            answer(&mut stream, &head);
        }
    });
    address
}

fn respond(stream: &mut TcpStream, head: &str, body: &[u8]) {
    let _ = write!(stream, "HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(body);
}

#[test]
fn registries_that_stall_flood_or_lead_astray_are_left() {
    let workshop = Workshop::new();
    let pull = |address: &str, wanted: &[&str]| {
        let reference = format!("{address}/a:1");
        workshop.refused(&["policy", "pull", &reference, "--timeout-ms", "1500"], wanted);
    };
    pull(&hostile(|stream, _| drop(stream.read(&mut [0; 16]))), &["cannot get the manifest", "timeout"]);
    let flood = |stream: &mut TcpStream, _: &str| {
        let _ = write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        while stream.write_all(&[b' '; 65_536]).is_ok() {}
    };
    pull(&hostile(flood), &["sends more than 65536 bytes"]);
    let layer = pilothouse_engine::digest(b"x").to_string();
    let manifest = |size: u64| {
        let layer = json!({ "mediaType": "application/wasm", "digest": layer, "size": size });
        json!({ "layers": [layer] }).to_string().into_bytes()
    };
    let (small, huge) = (manifest(1), manifest(1 << 40));
    pull(&hostile(move |stream, _| respond(stream, "200 OK", &huge)), &["at most 33554432 are taken"]);
    let bomb = move |stream: &mut TcpStream, line: &str| match line.contains("/manifests/") {
        true => respond(stream, "200 OK", &small),
        false => flood(stream, line),
    };
    pull(&hostile(bomb), &["sends more than 1 bytes"]);
    let around = |stream: &mut TcpStream, _: &str| respond(stream, "302 Found\r\nLocation: /again", b"");
    pull(&hostile(around), &["redirects"]);
    let page = |stream: &mut TcpStream, _: &str| respond(stream, "200 OK", b"<html>welcome</html>");
    pull(&hostile(page), &["not a manifest"]);
    let broken = |stream: &mut TcpStream, _: &str| {
        respond(stream, "500 Oh", b"{\"errors\":[{\"message\":\"a\\u001bb\"}]}")
    };
    pull(&hostile(broken), &["answered 500", r"a\u{1b}b"]);
    let demand = "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"";
    pull(&hostile(move |stream, _| respond(stream, demand, b"")), &["--username and --password"]);

    workshop.component("mine.wasm", "1.2.0");
    let elsewhere = |stream: &mut TcpStream, line: &str| match line.starts_with("post") {
        true => respond(stream, "202 Accepted\r\nLocation: http://127.0.0.2:1/upload", b""),
        false => respond(stream, "404 Not Found", b""),
    };
    let reference = format!("{}/a:1", hostile(elsewhere));
    workshop.refused(&["policy", "push", "mine.wasm", &reference], &["another host"]);
}

#[test]
fn a_token_is_got_with_the_password_and_shown_instead_of_it() {
    // ann:secret
    const OWN: &str = "authorization: basic yw5uonnly3jlda==";
    let token = |stream: &mut TcpStream, head: &str| {
        let host = head.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
        match (head.starts_with("get /token?service=r&scope=pull "), head.contains(OWN)) {
            (true, true) => respond(stream, "200 OK", br#"{"token": "t-1"}"#),
            (false, false) if head.contains("authorization: bearer t-1") => {
                respond(stream, "404 Not Found", br#"{"errors": [{"message": "manifest unknown"}]}"#);
            }
            (false, false) => {
                let realm = format!("Bearer realm=\"http://{host}/token\",service=\"r\",scope=\"pull\"");
                respond(stream, &format!("401 Unauthorized\r\nWWW-Authenticate: {realm}"), b"");
            }
            _ => respond(stream, "400 Bad Request", b""),
        }
    };
    let reference = format!("{}/a:1", hostile(token));
    let ask = ["policy", "pull", &reference, "--username", "ann", "--password", "secret"];
    Workshop::new().refused(&ask, &["answered 404", "manifest unknown"]);
    Workshop::new().refused(&ask[..5], &["--username and --password"]);
}
