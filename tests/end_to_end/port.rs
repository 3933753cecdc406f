//! The port against clients that are slow, many or hostile, with a good one beside them; and its end.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use pilothouse_tests::{Server, wait_for};

use crate::raw::{HEALTHY, connect, read_until, say};

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

/// Whether a connection from an address of this machine is served.
fn is_served_from(server: &Server, own: [u8; 4]) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(own)), 0)).unwrap();
        socket.connect(server.address.parse().unwrap()).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    let mut answer = String::new();
    // Who gets no place is cut off, perhaps while it writes.
    let _ = (&stream).write_all(HEALTHY).and_then(|()| (&stream).read_to_string(&mut answer));
    answer.starts_with("HTTP/1.1 200")
}

#[test]
fn one_address_cannot_take_all_places() {
    let server =
        Server::start_with("[server]\nconnections-per-address = 2\nheader-timeout-ms = 60000\n").unwrap();
    let held: Vec<TcpStream> = (0..2).map(|_| connect(&server)).collect();
    assert!(!is_served_from(&server, [127, 0, 0, 1]), "it has both its places");
    assert!(is_served_from(&server, [127, 0, 0, 2]), "another address has its own");
    drop(held);
    wait_for(|| is_served_from(&server, [127, 0, 0, 1]).then_some(())).expect("it has places again");
}

#[test]
fn a_connection_without_requests_is_closed_in_either_protocol() {
    let http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let keep_alive = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    // HTTP/2 ends in two steps, and this client does not answer the first; the second comes after the head's time.
    for (what, header_timeout_ms, bytes, wanted) in [
        ("HTTP/1 after a request", 60_000, &keep_alive[..], "ok\n"),
        ("HTTP/2 without a request", 300, http2, "\0\0\u{8}\u{7}\0\0\0\0\0"),
    ] {
        let config = format!("[server]\nidle-timeout-ms = 300\nheader-timeout-ms = {header_timeout_ms}\n");
        let said = say(&Server::start_with(&config).unwrap(), bytes);
        assert!(said.contains(wanted), "{what}: {said:?}");
    }
}

#[test]
fn a_stream_of_events_is_not_idle() {
    let server = Server::start_with("[server]\nidle-timeout-ms = 200\n").unwrap();
    let mut events = connect(&server);
    events.write_all(b"GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    read_until(&mut events, "text/event-stream");
    for _ in 0..3 {
        let said = say(&server, b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n");
        assert!(said.contains("ok"), "one that came later was idle, and closed: {said}");
    }
    server.ok("POST", "/api/v1/clusters", Some(r#"{"id": "c-1", "endpoint": "10.0.0.1:1"}"#)).unwrap();
    read_until(&mut events, "member.registered");
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
fn a_stop_lets_the_request_in_flight_finish_even_if_it_has_the_last_place() {
    // Were it to wait for a place first, or for the end of its patience, this would take ten minutes.
    let mut server = Server::start_with("[server]\nconnections-max = 1\ndrain-ms = 600000\n").unwrap();
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
    wait_for(|| server.has_ended().then_some(())).expect("with it, all work is done");
}

#[test]
fn a_stop_waits_for_a_request_as_long_as_configured_and_no_longer() {
    let mut server = Server::start_with("[server]\nrequest-timeout-ms = 600000\ndrain-ms = 100\n").unwrap();
    let mut stream = connect(&server);
    let head = b"POST /api/v1/route HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n";
    stream.write_all(head).unwrap();
    read_until(&mut stream, "100 Continue");
    server.terminate();
    wait_for(|| server.has_ended().then_some(())).expect("the body never comes");
}
