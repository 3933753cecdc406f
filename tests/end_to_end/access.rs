//! Who may ask: tokens on every route and every RPC, names against pages that were made to point here.

use pilothouse_proto::federation::federation_service_client::FederationServiceClient;
use pilothouse_tests::Server;
use tempfile::TempDir;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};

use crate::raw::say;

const TOKEN: &str = "correct-horse-battery";
const WRONG: [&str; 4] = ["", "wrong", "correct-horse-batter", "correct-horse-batteryy"];

/// A server with the token, and the folder that has its file.
fn guarded() -> (Server, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, TOKEN).unwrap();
    (Server::start_with(&format!("[server]\ntoken-file = \"{}\"\n", file.display())).unwrap(), dir)
}

fn ask(server: &Server, method: &str, path: &str, headers: &str) -> String {
    let head = format!("{method} {path} HTTP/1.1\r\ncontent-length: 0\r\nconnection: close\r\n{headers}\r\n");
    say(server, head.as_bytes())
}

fn with_token(token: &str) -> String {
    let host = "host: localhost\r\n";
    if token.is_empty() { host.to_owned() } else { format!("{host}authorization: Bearer {token}\r\n") }
}

#[test]
fn with_a_token_every_route_but_health_demands_it() {
    let (server, _dir) = guarded();
    let document = ask(&server, "GET", "/openapi.json", &with_token(TOKEN));
    let body = document.split_once("\r\n\r\n").unwrap().1;
    let document: serde_json::Value = serde_json::from_str(body).unwrap();
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let (path, method) = (path.replace(['{', '}'], ""), method.to_uppercase());
            // The list, for the stream has no end.
            let path = if path == "/api/v1/events" { format!("{path}?format=json") } else { path };
            let is_open = matches!(path.as_str(), "/healthz" | "/readyz");
            for (token, refused) in WRONG.map(|wrong| (wrong, !is_open)).into_iter().chain([(TOKEN, false)]) {
                let answer = ask(&server, &method, &path, &with_token(token));
                assert!(answer.starts_with("HTTP/1.1 "), "{method} {path} with `{token}`: {answer}");
                assert_eq!(
                    answer.starts_with("HTTP/1.1 401"),
                    refused,
                    "{method} {path} with `{token}`: {answer}"
                );
                asked += 1;
            }
        }
    }
    assert!(asked > 150, "{asked}");
    assert!(ask(&server, "GET", "/api/v1/status", &with_token(TOKEN)).starts_with("HTTP/1.1 200"));
}

fn code<T>(answer: Result<Response<T>, Status>) -> Code {
    answer.map_or_else(|status| status.code(), |_| Code::Ok)
}

/// Calls every RPC with a token; names and what came of it.
async fn call_all(channel: Channel, token: &'static str) -> Vec<(&'static str, Code)> {
    let carry = move |mut request: Request<()>| {
        if !token.is_empty() {
            let value = AsciiMetadataValue::try_from(format!("Bearer {token}")).unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        Ok(request)
    };
    let mut client = FederationServiceClient::with_interceptor(channel, carry);
    vec![
        ("HealthCheck", code(client.health_check(Request::new(Default::default())).await)),
        ("RegisterCluster", code(client.register_cluster(Request::new(Default::default())).await)),
        ("UnregisterCluster", code(client.unregister_cluster(Request::new(Default::default())).await)),
        ("GetCapacity", code(client.get_capacity(Request::new(Default::default())).await)),
        ("ReportLoad", code(client.report_load(Request::new(Default::default())).await)),
        ("MigrateAgent", code(client.migrate_agent(Request::new(Default::default())).await)),
        ("StreamEvents", code(client.stream_events(tokio_stream::empty()).await)),
        ("ListClusters", code(client.list_clusters(Request::new(Default::default())).await)),
        ("RouteTask", code(client.route_task(Request::new(Default::default())).await)),
    ]
}

#[tokio::test]
async fn with_a_token_every_rpc_demands_it() {
    let (server, _dir) = guarded();
    let channel =
        Channel::from_shared(format!("http://{}", server.address)).unwrap().connect().await.unwrap();
    for wrong in WRONG {
        for (name, code) in call_all(channel.clone(), wrong).await {
            assert_eq!(code, Code::Unauthenticated, "{name} with `{wrong}`");
        }
    }
    let called = call_all(channel, TOKEN).await;
    for (name, code) in &called {
        assert_ne!(*code, Code::Unauthenticated, "{name}");
    }
    assert_eq!(called.iter().find(|(name, _)| *name == "ListClusters"), Some(&("ListClusters", Code::Ok)));
    let contract = include_str!("../../proto/federation/federation.proto");
    let rpcs = contract.lines().filter_map(|line| line.trim().strip_prefix("rpc ")?.split('(').next());
    let mut rpcs: Vec<&str> = rpcs.map(str::trim).collect();
    let mut names: Vec<&str> = called.into_iter().map(|(name, _)| name).collect();
    rpcs.sort_unstable();
    names.sort_unstable();
    assert_eq!(rpcs, names, "every RPC is called above");
}

#[test]
fn a_page_whose_name_was_made_to_point_here_gets_nothing() {
    let server = Server::start_with("[server]\nallowed-hosts = [\"leader\"]\n").unwrap();
    let foreign = "server.allowed-hosts";
    for (host, agent, status, said) in [
        ("evil.example", "Mozilla/5.0", "421", foreign),
        ("evil.example", "curl/8.0", "421", foreign),
        ("evil.example:8151", "", "421", foreign),
        ("leader.evil.example", "", "421", foreign),
        ("", "", "421", foreign),
        ("localhost:8151", "Mozilla/5.0", "200", ""),
        ("127.0.0.1:8151", "Mozilla/5.0", "200", ""),
        ("[::1]:8151", "", "200", ""),
        ("leader:8151", "curl/8.0", "200", ""),
    ] {
        let headers = format!("host: {host}\r\nuser-agent: {agent}\r\n");
        for path in ["/api/v1/status", "/healthz", "/openapi.json"] {
            let answer = ask(&server, "GET", path, &headers);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{agent} at {host}: {answer}");
            assert!(answer.contains(said), "{answer}");
        }
    }
    let (guarded, _dir) = guarded();
    let headers = with_token(TOKEN).replace("localhost", "evil.example");
    assert!(
        ask(&guarded, "GET", "/api/v1/status", &headers).starts_with("HTTP/1.1 200"),
        "pages have no token"
    );
}

#[tokio::test]
async fn grpc_is_answered_by_names_of_loopback_only() {
    let server = Server::start().unwrap();
    let port = server.address.rsplit_once(':').unwrap().1;
    for (name, wanted) in [
        (server.address.clone(), Code::Ok),
        (format!("localhost:{port}"), Code::Ok),
        (format!("evil.example:{port}"), Code::PermissionDenied),
    ] {
        let endpoint = Channel::from_shared(format!("http://{}", server.address)).unwrap();
        let endpoint = endpoint.origin(format!("http://{name}").parse().unwrap());
        let mut client = FederationServiceClient::new(endpoint.connect().await.unwrap());
        let answer = client.list_clusters(Request::new(Default::default())).await;
        let text = answer.as_ref().map_or_else(|status| status.message().to_owned(), |_| String::new());
        assert_eq!(code(answer), wanted, "{name}: {text}");
        assert!(wanted == Code::Ok || text.contains("server.allowed-hosts"), "{text}");
    }
}
