//! Peers that are silent, slow, wrong, too many or uninvited, and a server that says goodbye.
//!
//! Invariant tested: whoever misbehaves is told why by code and reason, and others never notice.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use pilothouse_tests::{Server, wait_for};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::stream::MaybeTlsStream;
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket, connect};

use crate::orchestrator::{broadcast, events, peer, wait_for_peer};
use crate::raw;

type Socket = WebSocket<MaybeTlsStream<TcpStream>>;

fn open(server: &Server, query: &str) -> Socket {
    let (mut socket, _) = connect(format!("ws://{}/federation{query}", server.address)).unwrap();
    let MaybeTlsStream::Plain(stream) = socket.get_mut() else { panic!("TLS") };
    // A server that never answers makes the test fail here instead of waiting for ever.
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    socket
}

/// The next message that passes.
#[track_caller]
fn until(socket: &mut Socket, passes: impl Fn(&Value) -> bool) -> Value {
    loop {
        match socket.read().unwrap() {
            Message::Text(text) => {
                let value: Value = serde_json::from_str(&text).unwrap();
                if passes(&value) {
                    return value;
                }
            }
            Message::Close(frame) => panic!("closed: {frame:?}"),
            _ => {}
        }
    }
}

/// Reads to the close; gives the topics of broadcasts before it, its code and its reason.
fn to_the_end(socket: &mut Socket) -> (Vec<String>, u16, String) {
    let mut topics = Vec::new();
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => {
                let value: Value = serde_json::from_str(&text).unwrap();
                topics.extend(value["payload"]["topic"].as_str().map(str::to_owned));
            }
            Ok(Message::Close(Some(frame))) => return (topics, frame.code.into(), frame.reason.to_string()),
            Ok(_) => {}
            Err(error) => panic!("no close frame: {error}; {topics:?}"),
        }
    }
}

fn envelope(kind: &str, payload: &Value) -> String {
    let at = "2026-01-01T00:00:00.000Z";
    json!({ "type": kind, "payload": payload, "from": "guest", "to": "own", "timestamp": at, "correlationId": "c-1" })
        .to_string()
}

fn own(more: &str) -> Server {
    Server::start_with(&format!("[federation]\nid = \"own\"\n{more}\n")).unwrap()
}

#[test]
fn wrong_messages_are_answered_by_code_and_too_many_end_the_connection() {
    let server = own("");
    let mut socket = open(&server, "?id=guest");
    let code = |text: String, socket: &mut Socket| {
        socket.send(Message::text(text)).unwrap();
        let complaint = until(socket, |value| value["payload"]["error"].is_object());
        complaint["payload"]["error"]["code"].as_str().unwrap().to_owned()
    };
    for (text, wanted) in [
        ("no JSON".to_owned(), "malformed"),
        (envelope("delegate", &json!({})), "unknown-type"),
        (envelope("callback", &json!({})), "bad-payload"),
        (envelope("callback", &json!({ "taskId": "t", "status": "progress", "progress": 101 })), "bad-field"),
        (envelope("callback", &json!({ "taskId": "t", "status": "completed" })), "unknown-task"),
        (envelope("heartbeat", &Value::Null).replace("guest", "somebody"), "wrong-sender"),
        (envelope("heartbeat", &Value::Null).replace("own", "another"), "wrong-receiver"),
        ("[".repeat(100_000), "too-deep"),
    ] {
        assert_eq!(code(text, &mut socket), wanted);
    }
    socket.send(Message::text(envelope("heartbeat", &Value::Null))).unwrap();
    for _ in 0..32 {
        socket.send(Message::text("no JSON")).unwrap();
    }
    let (_, code, reason) = to_the_end(&mut socket);
    assert_eq!((code, reason.contains("wrong")), (1_008, true), "{reason}");
    assert_eq!(server.ask("GET", "/healthz", None).unwrap().0, 200);
}

#[test]
fn a_message_at_the_bound_is_read_and_one_beyond_ends_the_connection() {
    const MOST: usize = 256 << 10;
    let server = own("");
    let mut socket = open(&server, "?id=guest");
    let heartbeat = envelope("heartbeat", &Value::Null);
    // Space is allowed in JSON, and counts.
    let padded = |length: usize| format!("{heartbeat}{}", " ".repeat(length - heartbeat.len()));
    socket.send(Message::text(padded(MOST))).unwrap();
    let many = envelope("broadcast", &json!({ "topic": "large", "data": "x".repeat(64 << 10) }));
    socket.send(Message::text(many)).unwrap();
    let complaint = until(&mut socket, |value| value["payload"]["error"].is_object());
    assert_eq!(complaint["payload"]["error"]["code"], "bad-field", "{complaint}");
    assert_eq!(peer(&server, "guest").unwrap()["errors"], 1, "the padded one was right");
    // The server may be gone before all of it is written, so it is asked what it made of it.
    let _ = socket.send(Message::text(padded(MOST + 1)));
    let left = wait_for(|| events(&server, "orchestrator.disconnected", "guest").pop()).unwrap();
    assert!(left["why"].as_str().unwrap().contains("at most 262144 are read"), "{left}");
}

#[test]
fn beyond_the_queues_bound_a_broadcast_is_refused_and_nothing_that_waits_is_lost() {
    let server = own("queue-max = 3");
    let mut socket = open(&server, "?id=guest");
    until(&mut socket, |value| value["type"] == "heartbeat");
    socket.close(None).unwrap();
    wait_for_peer(&server, "guest", |peer| peer["status"] == "disconnected");
    for topic in ["a", "b", "c"] {
        assert_eq!(broadcast(&server, topic)["queued"], json!(["guest"]));
    }
    assert_eq!(broadcast(&server, "d")["refused"], json!(["guest"]));
    let mut socket = open(&server, "?id=guest");
    let mut got = Vec::new();
    while got.len() < 3 {
        let value = until(&mut socket, |value| value["type"] == "broadcast");
        got.push(value["payload"]["topic"].as_str().unwrap().to_owned());
    }
    assert_eq!(got, ["a", "b", "c"]);
}

#[test]
fn a_silent_peer_is_degraded_then_disconnected() {
    let server = own("heartbeat-timeout-ms = 300");
    // It reads nothing, so it answers no ping either.
    let _socket = open(&server, "?id=guest");
    wait_for(|| (!events(&server, "orchestrator.degraded", "guest").is_empty()).then_some(())).unwrap();
    let left = wait_for(|| events(&server, "orchestrator.disconnected", "guest").pop()).unwrap();
    assert_eq!(left["why"], "no heartbeat for too long");
    assert_eq!(peer(&server, "guest").unwrap()["status"], "error");
}

#[test]
fn a_server_that_stops_says_what_waits_and_goodbye() {
    let server = own("");
    let mut socket = open(&server, "?id=guest");
    until(&mut socket, |value| value["type"] == "heartbeat");
    let topics: Vec<String> = (0..20).map(|number| format!("last-{number}")).collect();
    for topic in &topics {
        assert_eq!(broadcast(&server, topic)["sent"], json!(["guest"]));
    }
    server.terminate();
    assert_eq!(to_the_end(&mut socket), (topics, 1_000, "graceful disconnect".to_owned()));
}

#[test]
fn a_new_socket_of_a_peer_takes_the_place_of_the_old_and_beyond_the_bound_peers_are_told_to_wait() {
    let server = own("");
    let mut old = open(&server, "?id=guest-0");
    // A socket is open before its peer is known: without this the new one could come first.
    wait_for_peer(&server, "guest-0", |peer| peer["status"] == "connected");
    let mut sockets: Vec<Socket> =
        (0..256).map(|number| open(&server, &format!("?id=guest-{number}"))).collect();
    assert_eq!(to_the_end(&mut old).1, 1_000);
    for number in 1..256 {
        wait_for_peer(&server, &format!("guest-{number}"), |peer| peer["status"] == "connected");
    }
    let mut beyond = open(&server, "?id=one-too-many");
    assert_eq!(to_the_end(&mut beyond).1, 1_013);
    assert_eq!(to_the_end(&mut open(&server, "?id=own")).1, 1_008);
    let mut freed = sockets.pop().unwrap();
    freed.close(None).unwrap();
    wait_for_peer(&server, "guest-255", |peer| peer["status"] == "disconnected");
    until(&mut open(&server, "?id=one-too-many"), |value| value["type"] == "heartbeat");
}

#[test]
fn a_certificate_of_a_peer_is_checked_against_its_own_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    for (cert, key) in [("cert.pem", "key.pem"), ("other.pem", "other-key.pem")] {
        let certificate = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        std::fs::write(path(cert), certificate.cert.pem()).unwrap();
        std::fs::write(path(key), certificate.signing_key.serialize_pem()).unwrap();
    }
    let [cert, key] = ["cert.pem", "key.pem"].map(path);
    let encrypted =
        format!("[server.tls]\ncert-file = {cert:?}\nkey-file = {key:?}\n[federation]\nid = \"far\"\n");
    let encrypted = Server::start_with(&encrypted).unwrap();
    let dialling = |ca_file: &str| {
        let url = format!("wss://{}/federation", encrypted.address);
        own(&format!("peers = [{{ id = \"far\", url = {url:?}{ca_file} }}]"))
    };
    let right = dialling(&format!(", ca-file = {cert:?}"));
    wait_for_peer(&right, "far", |peer| peer["messages_received"].as_u64().unwrap() > 0);
    for ca_file in [String::new(), format!(", ca-file = {:?}", path("other.pem"))] {
        let wrong = dialling(&ca_file);
        let refused = wait_for_peer(&wrong, "far", |peer| peer["errors"].as_u64().unwrap() > 1);
        assert_eq!(refused["messages_received"], 0, "{ca_file}");
    }
}

#[test]
fn a_socket_needs_the_token_and_pages_of_other_sites_get_none() {
    const TOKEN: &str = "correct-horse-battery";
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, TOKEN).unwrap();
    let guarded = format!("[server]\ntoken-file = {:?}\n[federation]\nid = \"guarded\"\n", file.display());
    let guarded = Server::start_with(&guarded).unwrap();
    let upgrade = |server: &Server, more: &str| {
        let head = "GET /federation?id=guest HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
        let bytes = format!("{head}{more}\r\n").into_bytes();
        let mut stream = raw::connect(server);
        stream.write_all(&bytes).unwrap();
        raw::read_until(&mut stream, "\r\n").split(' ').nth(1).unwrap_or_default().to_owned()
    };
    for (more, wanted) in [
        (String::new(), "401"),
        ("authorization: Bearer wrong\r\n".to_owned(), "401"),
        ("sec-websocket-protocol: pilothouse, bearer.wrong\r\n".to_owned(), "401"),
        (format!("authorization: Bearer {TOKEN}\r\n"), "101"),
        (format!("sec-websocket-protocol: pilothouse, bearer.{TOKEN}\r\n"), "101"),
        (format!("authorization: Bearer {TOKEN}\r\norigin: http://evil.example\r\n"), "403"),
    ] {
        assert_eq!(upgrade(&guarded, &more), wanted, "{more}");
    }
    assert_eq!(upgrade(&own(""), "origin: http://evil.example\r\n"), "403");
    let peers = format!(
        "peers = [{{ id = \"guarded\", url = \"ws://{}/federation\", token-file = {:?} }}]",
        guarded.address,
        file.display()
    );
    let dialling = own(&peers);
    wait_for_peer(&dialling, "guarded", |peer| peer["status"] == "active" || peer["status"] == "connected");
    let refused = connect(format!("ws://{}/federation?id=guest", guarded.address)).unwrap_err();
    assert!(matches!(&refused, Error::Http(answer) if answer.status() == 401), "{refused}");
}
