//! Bytes over a connection, for clients that no library would be.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use pilothouse_tests::Server;

pub(crate) const HEALTHY: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

pub(crate) fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(&server.address).unwrap();
    // A server that never closes makes the test fail here instead of waiting for ever.
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// Sends bytes and reads until the server closes; gives what it said.
pub(crate) fn say(server: &Server, bytes: &[u8]) -> String {
    let mut stream = connect(server);
    // The server may close while we still write; what it said counts.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "the server keeps the connection open");
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Reads until the server has said this.
pub(crate) fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
    let (mut said, mut piece) = (Vec::new(), [0; 1_024]);
    loop {
        let text = String::from_utf8_lossy(&said);
        if text.contains(wanted) {
            return text.into_owned();
        }
        let length = stream.read(&mut piece).unwrap_or_else(|error| panic!("{error} after {text}"));
        assert!(length > 0, "closed after {text}");
        said.extend_from_slice(&piece[..length]);
    }
}
