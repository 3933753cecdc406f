//! The port against clients that are slow, many, hostile or not allowed, with a good one beside them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use pilothouse_tests::{Server, binary, wait_for};

const HEALTHY: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(&server.address).unwrap();
    // A server that never closes makes the test fail here instead of waiting for ever.
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// Sends bytes and reads until the server closes; gives what it said.
fn say(server: &Server, bytes: &[u8]) -> String {
    let mut stream = connect(server);
    // The server may close while we still write; what it said counts.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "the server keeps the connection open");
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_client_that_dawdles_is_cut_off_while_others_are_served() {
    let server = Server::start_with("[server]\nheader-timeout-ms = 300\nrequest-timeout-ms = 600\n").unwrap();
    for (what, bytes) in [
        ("half a request line", &b"GET /heal"[..]),
        ("headers without end", b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: "),
        ("nothing at all", b""),
        ("a part of what HTTP/2 says first", b"PRI * HT"),
        (
            "half a body",
            b"POST /api/v1/route HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 100\r\n\r\n{",
        ),
    ] {
        let slow = std::thread::scope(|scope| {
            let slow = scope.spawn(|| say(&server, bytes));
            assert!(say(&server, HEALTHY).starts_with("HTTP/1.1 200"), "beside {what}");
            slow.join().unwrap()
        });
        assert!(!slow.contains(" 200 "), "{what}: {slow}");
        assert_eq!(what == "half a body", slow.starts_with("HTTP/1.1 408"), "{what}: {slow}");
    }
}

#[test]
fn connections_beyond_the_bound_wait_for_a_place() {
    let server = Server::start_with("[server]\nconnections-max = 2\nheader-timeout-ms = 60000\n").unwrap();
    let held: Vec<TcpStream> = (0..2).map(|_| connect(&server)).collect();
    let mut waiting = connect(&server);
    waiting.write_all(HEALTHY).unwrap();
    waiting.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(waiting.read(&mut [0; 16]).is_err(), "there is no place yet");
    drop(held);
    waiting.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut answer = [0; 12];
    waiting.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}

#[test]
fn requests_that_are_too_large_or_no_requests_are_refused() {
    let server = Server::start().unwrap();
    let long =
        |head: &str, length: usize, tail: &str| format!("{head}{}{tail}", "a".repeat(length)).into_bytes();
    let declared = b"POST /api/v1/route HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9999999\r\nconnection: close\r\n\r\n";
    for (what, bytes, status) in [
        (
            "a header of a megabyte",
            long("GET / HTTP/1.1\r\nhost: localhost\r\nx: ", 1 << 20, "\r\n\r\n"),
            "431",
        ),
        ("a body beyond the bound", declared.to_vec(), "413"),
        ("no HTTP", b"\x00\x01\x02\x03 hello\r\n\r\n".to_vec(), "400"),
        (
            "a path that is not there",
            b"GET /nothing HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".to_vec(),
            "404",
        ),
    ] {
        let answer = say(&server, &bytes);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{what}: {answer}");
    }
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff";
    say(&server, preface);
    assert!(say(&server, HEALTHY).starts_with("HTTP/1.1 200"), "it still answers");
}

#[test]
fn with_a_token_every_route_but_health_demands_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "correct-horse-battery").unwrap();
    let server = Server::start_with(&format!("[server]\ntoken-file = \"{}\"\n", file.display())).unwrap();
    let ask = |method: &str, path: &str, token: &str| {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\nconnection: close\r\n"
        );
        let token =
            if token.is_empty() { String::new() } else { format!("authorization: Bearer {token}\r\n") };
        say(&server, format!("{head}{token}\r\n").as_bytes())
    };
    let document = ask("GET", "/openapi.json", "correct-horse-battery");
    let body = document.split_once("\r\n\r\n").unwrap().1;
    let document: serde_json::Value = serde_json::from_str(body).unwrap();
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let (path, method) = (path.replace(['{', '}'], ""), method.to_uppercase());
            let is_open = matches!(path.as_str(), "/healthz" | "/readyz");
            for wrong in ["", "wrong", "correct-horse-batter", "correct-horse-batteryy"] {
                let answer = ask(&method, &path, wrong);
                assert_eq!(
                    answer.starts_with("HTTP/1.1 401"),
                    !is_open,
                    "{method} {path} with `{wrong}`: {answer}"
                );
                asked += 1;
            }
        }
    }
    assert!(asked > 100, "{asked}");
    assert!(
        ask("POST", "/federation.FederationService/ListClusters", "").starts_with("HTTP/1.1 401"),
        "gRPC too"
    );
    assert!(ask("GET", "/api/v1/status", "correct-horse-battery").starts_with("HTTP/1.1 200"));
}

#[test]
fn a_page_whose_name_was_made_to_point_here_gets_nothing() {
    let server = Server::start().unwrap();
    let ask = |host: &str, agent: &str| {
        let head = "GET /api/v1/status HTTP/1.1\r\nconnection: close\r\n";
        say(&server, format!("{head}host: {host}\r\nuser-agent: {agent}\r\n\r\n").as_bytes())
    };
    for (host, agent, status) in [
        ("evil.example", "Mozilla/5.0", "403"),
        ("localhost:8151", "Mozilla/5.0", "200"),
        ("127.0.0.1:8151", "Mozilla/5.0", "200"),
        ("leader:8151", "curl/8.0", "200"),
    ] {
        let answer = ask(host, agent);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{agent} at {host}: {answer}");
    }
}

#[test]
fn with_tls_only_tls_is_served_and_the_name_is_checked() {
    let dir = tempfile::tempdir().unwrap();
    let certificate =
        rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(path("cert.pem"), certificate.cert.pem()).unwrap();
    std::fs::write(path("key.pem"), certificate.signing_key.serialize_pem()).unwrap();
    let config =
        format!("[server.tls]\ncert-file = \"{}\"\nkey-file = \"{}\"\n", path("cert.pem"), path("key.pem"));
    let server = Server::start_with(&config).unwrap();
    let status = |host: &str, ca: &[&str]| {
        let port = server.address.rsplit_once(':').unwrap().1;
        let url = format!("https://{host}:{port}");
        let mut command = Command::new(binary().unwrap());
        let done = command.args(["--server", &url]).args(ca).arg("status").output().unwrap();
        (done.status.code().unwrap(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    let ca = path("cert.pem");
    assert_eq!(status("127.0.0.1", &["--ca-file", &ca]).0, 0);
    assert_eq!(status("localhost", &["--ca-file", &ca]).0, 0);
    assert_eq!(status("127.0.0.2", &["--ca-file", &ca]).0, 3, "another name than the certificate's");
    let (code, stderr) = status("127.0.0.1", &[]);
    assert!(code == 3 && stderr.to_lowercase().contains("cert"), "not a public certificate: {stderr}");
    assert!(!say(&server, HEALTHY).contains("200"), "plain HTTP is not served");
    assert_eq!(status("127.0.0.1", &["--ca-file", &ca]).0, 0, "and did no harm");
}

#[test]
fn a_certificate_that_cannot_be_used_stops_the_start_and_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let [one, other] =
        [(); 2].map(|()| rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap());
    std::fs::write(path("cert.pem"), one.cert.pem()).unwrap();
    std::fs::write(path("key.pem"), one.signing_key.serialize_pem()).unwrap();
    std::fs::write(path("other.pem"), other.signing_key.serialize_pem()).unwrap();
    std::fs::write(path("text.pem"), "hello").unwrap();
    for (cert, key, wanted) in [
        ("missing.pem", "key.pem", "missing.pem"),
        ("text.pem", "key.pem", "text.pem"),
        ("cert.pem", "text.pem", "text.pem"),
        ("cert.pem", "other.pem", "do not go together"),
    ] {
        let config = format!("[server.tls]\ncert-file = \"{}\"\nkey-file = \"{}\"\n", path(cert), path(key));
        let error = Server::start_with(&config).expect_err(wanted).to_string();
        assert!(error.contains(wanted), "{cert}, {key}: {error}");
    }
}

#[test]
fn a_stop_lets_the_request_in_flight_finish() {
    let server = Server::start().unwrap();
    let mut stream = connect(&server);
    let head =
        b"POST /api/v1/clusters HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nexpect: 100-continue\r\n\
        content-length: 42\r\n\r\n";
    stream.write_all(head).unwrap();
    // It says so when it waits for the body: from here on the request is in flight.
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(br#"{"id": "c-1", "#).unwrap();
    server.terminate();
    wait_for(|| TcpStream::connect(&server.address).is_err().then_some(())).expect("it accepts no more");
    stream.write_all(br#""endpoint": "10.0.0.1:1111"}"#).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
