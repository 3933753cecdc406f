//! Asks suspects for a sign of life where they say that they answer.
//!
//! member, number -> connection to its endpoint, one request -> anything that comes back is life
//!
//! Invariant: at most [`PROBES_MAX`] are under way, each at most [`TIMEOUT`]; further ones are dropped, which can only make a
//! death more likely of a fleet that is silent as a whole, and then the brake is on. Whatever comes back counts, an end of
//! the connection too: that somebody reads and closes is what a dead process cannot do. Who is not asked over TLS answers
//! a plain request with an alert, so certificates do not matter here.

use std::sync::Arc;
use std::time::Duration;

use pilothouse_core::id::MemberId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Failovers;
use crate::clock::Clock;
use crate::tasks::Stop;

/// Most probes under way, and as many that wait.
pub(super) const PROBES_MAX: usize = 256;
/// Longest probe.
const TIMEOUT: Duration = Duration::from_secs(1);

/// One question to a suspect.
#[derive(Debug)]
pub(crate) struct Question {
    pub(super) member: MemberId,
    pub(super) endpoint: String,
    pub(super) probe: u64,
}

/// Sends probes until it is stopped.
pub(crate) async fn run(
    failovers: Arc<Failovers>,
    clock: Clock,
    mut questions: mpsc::Receiver<Question>,
    mut stop: Stop,
) {
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.wait() => return,
            question = questions.recv(), if under_way.len() < PROBES_MAX => match question {
                None => return,
                Some(Question { member, endpoint, probe }) => {
                    under_way.spawn(async move { is_alive(&endpoint).await.then_some((member, probe)) });
                }
            },
            Some(answer) = under_way.join_next() => {
                if let Ok(Some((member, probe))) = answer {
                    failovers.watch().answered(member, probe, clock.now());
                }
            }
        }
    }
}

async fn is_alive(endpoint: &str) -> bool {
    let Some((host, port)) = address(endpoint) else { return false };
    tokio::time::timeout(TIMEOUT, ask(host, port)).await.is_ok_and(|answer| answer.is_ok())
}

async fn ask(host: &str, port: u16) -> std::io::Result<()> {
    let mut stream = TcpStream::connect((host, port)).await?;
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.read(&mut [0]).await.map(drop)
}

/// Host and port of `http://host:port/path`, `https://host` or `host:port`.
fn address(endpoint: &str) -> Option<(&str, u16)> {
    let (scheme, rest) = endpoint.split_once("://").unwrap_or(("http", endpoint));
    let authority = rest.split(['/', '?', '#']).next()?;
    let default = if scheme == "https" || scheme == "wss" { 443 } else { 80 };
    if let Some(bracketed) = authority.strip_prefix('[') {
        let (host, port) = bracketed.split_once(']')?;
        return Some((host, port.strip_prefix(':').map_or(Some(default), |port| port.parse().ok())?));
    }
    match authority.rsplit_once(':') {
        None if authority.is_empty() => None,
        None => Some((authority, default)),
        Some((host, port)) => Some((host, port.parse().ok()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_understood_as_people_write_them() {
        for (endpoint, expected) in [
            ("https://c1.example", Some(("c1.example", 443))),
            ("http://c1.example:8151/api", Some(("c1.example", 8151))),
            ("10.0.0.2:8151", Some(("10.0.0.2", 8151))),
            ("c1.example", Some(("c1.example", 80))),
            ("http://[::1]:7", Some(("::1", 7))),
            ("https://[::1]", Some(("::1", 443))),
            ("c1.example:port", None),
            ("http://[::1", None),
            ("", None),
        ] {
            assert_eq!(address(endpoint), expected, "{endpoint}");
        }
    }

    #[tokio::test]
    async fn who_accepts_and_closes_is_alive_and_who_is_not_there_is_not() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (alive, _) = tokio::join!(is_alive(&endpoint), async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let read = stream.read(&mut [0; 256]).await.unwrap();
            assert_ne!(read, 0, "a probe asks");
        });
        assert!(alive);
        drop(listener);
        assert!(!is_alive(&endpoint).await);
        assert!(!is_alive("nonsense:nonsense").await);
    }
}
