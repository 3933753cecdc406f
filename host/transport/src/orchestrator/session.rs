//! One socket, from the first frame to the last: the same for sockets that were accepted and that were dialled.
//!
//! socket -> text -> [`convert`] -> port; port's `next` -> JSON -> socket
//!
//! Invariant: at most one message is in hand per direction. A peer that does not take a frame within [`SEND_TIMEOUT`] is cut off;
//! what waits for it is kept by the port. Every session ends with exactly one `detach`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use pilothouse_core::id::OrchestratorId;
use pilothouse_core::orchestrator::{CloseReason, Complaint, Message};

use super::convert::{self, DecodeError, Received};
use super::port::{AttachError, Federation, Hello, Next, Session};

/// Time in which a peer must take a frame.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// Time in which a peer that gave no id must say its first message.
const FIRST_MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time in which a peer should answer a close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Close codes of RFC 6455, 7.4.1.
mod code {
    pub(super) const NORMAL: u16 = 1_000;
    pub(super) const GOING_AWAY: u16 = 1_001;
    pub(super) const POLICY: u16 = 1_008;
    pub(super) const TOO_LARGE: u16 = 1_009;
    pub(super) const TRY_LATER: u16 = 1_013;
}

/// What a frame is to us.
pub(super) enum Frame {
    /// A message.
    Text(String),
    /// Nothing that the protocol has.
    Binary,
    /// A sign of life.
    Ping,
    /// A sign of life.
    Pong,
    /// The end.
    Close,
}

/// A WebSocket library's message.
pub(super) trait Wire: Send + 'static {
    fn text(text: String) -> Self;
    fn ping() -> Self;
    fn close(code: u16, reason: &str) -> Self;
    fn read(self) -> Frame;
}

/// A WebSocket library's error.
pub(super) trait WireError: std::fmt::Display {
    fn is_too_large(&self) -> bool;
}

/// How a session ended.
struct End {
    code: u16,
    reason: String,
    failed: bool,
}

impl End {
    fn new(code: u16, reason: impl ToString) -> Self {
        Self { code, reason: reason.to_string(), failed: false }
    }

    fn broken(code: u16, reason: impl ToString) -> Self {
        Self { failed: true, ..Self::new(code, reason) }
    }
}

/// Whom a socket belongs to, as far as it is known when it opens.
pub(super) enum Known {
    /// It said so in its request, or we dialled it.
    Hello(Hello),
    /// It will be known by its first message.
    Unknown,
}

/// Serves a socket to its end; gives why, if something broke or it was not attached.
pub(super) async fn run<S, M, E>(socket: S, port: Arc<dyn Federation>, known: Known) -> Result<(), String>
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin + Send,
    M: Wire,
    E: WireError + Send,
{
    let (mut sink, mut stream) = socket.split();
    let introduced = match known {
        Known::Hello(hello) => Ok((hello, None)),
        Known::Unknown => introduce(&mut stream).await,
    };
    let attached = introduced
        .and_then(|(hello, first)| Ok((port.attach(hello).map_err(|error| not_attached(&error))?, first)));
    let (session, first) = match attached {
        Ok(attached) => attached,
        Err(end) => {
            close(&mut sink, &mut stream, &end).await;
            return Err(end.reason);
        }
    };
    // The peer's way of writing payloads, which is then ours.
    let nested = AtomicBool::new(first.as_ref().is_some_and(|first: &Received| first.nested));
    if let Some(first) = first {
        hear(&*port, &session, first).await;
    }
    let end = tokio::select! {
        end = speak(&mut sink, &*port, &session, &nested) => end,
        end = listen(&mut stream, &*port, &session, &nested) => end,
    };
    close(&mut sink, &mut stream, &end).await;
    let failed = end.failed.then_some(end.reason);
    port.detach(&session, failed.clone());
    failed.map_or(Ok(()), Err)
}

fn not_attached(error: &AttachError) -> End {
    let code = match error {
        AttachError::OwnId(_) | AttachError::NotAMember(_) => code::POLICY,
        AttachError::Connected(_) => code::NORMAL,
        AttachError::TooManyPeers(_) => code::TRY_LATER,
        AttachError::Stopping => code::GOING_AWAY,
    };
    End::new(code, error)
}

/// The first message says who the peer is.
async fn introduce<S, M, E>(stream: &mut SplitStream<S>) -> Result<(Hello, Option<Received>), End>
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
    M: Wire,
    E: WireError,
{
    let first = async {
        loop {
            match stream.next().await {
                Some(Ok(frame)) => match frame.read() {
                    Frame::Text(text) => return Some(text),
                    Frame::Ping | Frame::Pong => {}
                    Frame::Binary | Frame::Close => return None,
                },
                Some(Err(_)) | None => return None,
            }
        }
    };
    let text = tokio::time::timeout(FIRST_MESSAGE_TIMEOUT, first).await.ok().flatten();
    let text = text.ok_or_else(|| End::broken(code::POLICY, "say who you are: `?id=` or a first message"))?;
    let first = convert::decode(&text).map_err(|(error, _)| End::broken(code::POLICY, error))?;
    let hello = Hello { peer: first.from.clone(), capabilities: Vec::new(), dialled: false };
    Ok((hello, Some(first)))
}

async fn speak<S, M, E>(
    sink: &mut SplitSink<S, M>,
    port: &dyn Federation,
    session: &Session,
    nested: &AtomicBool,
) -> End
where
    S: Sink<M, Error = E> + Unpin,
    M: Wire,
    E: WireError,
{
    loop {
        let letter = match port.next(session) {
            Next::Send(letter) => letter,
            Next::Wait => {
                session.wake.notified().await;
                continue;
            }
            Next::Close(reason) => return told(reason),
            Next::Replaced => return End::new(code::NORMAL, "another connection took this one's place"),
        };
        let is_heartbeat = matches!(letter.message, Message::Heartbeat(_));
        let text = M::text(convert::encode(&letter, nested.load(Ordering::Relaxed)));
        let sending = async {
            sink.send(text).await?;
            // A peer that knows no heartbeats still answers a ping.
            if is_heartbeat { sink.send(M::ping()).await } else { Ok(()) }
        };
        match tokio::time::timeout(SEND_TIMEOUT, sending).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return End::broken(code::GOING_AWAY, error),
            Err(_) => return End::broken(code::POLICY, "the peer reads too slowly"),
        }
    }
}

fn told(reason: CloseReason) -> End {
    match reason {
        CloseReason::Graceful => End::new(code::NORMAL, reason),
        CloseReason::Silent => End::broken(code::GOING_AWAY, reason),
        CloseReason::SlowReader | CloseReason::Malformed => End::broken(code::POLICY, reason),
    }
}

async fn listen<S, M, E>(
    stream: &mut SplitStream<S>,
    port: &dyn Federation,
    session: &Session,
    nested: &AtomicBool,
) -> End
where
    S: Stream<Item = Result<M, E>> + Unpin,
    M: Wire,
    E: WireError,
{
    loop {
        let frame = match stream.next().await {
            None => return End::broken(code::GOING_AWAY, "the connection ended without a close"),
            Some(Err(error)) if error.is_too_large() => {
                return End::broken(code::TOO_LARGE, DecodeError::TooLarge(convert::MESSAGE_BYTES_MAX + 1));
            }
            Some(Err(error)) => return End::broken(code::GOING_AWAY, error),
            Some(Ok(frame)) => frame.read(),
        };
        match frame {
            Frame::Text(text) => match convert::decode(&text) {
                Ok(received) => {
                    nested.store(received.nested, Ordering::Relaxed);
                    hear(port, session, received).await;
                }
                Err((error, about)) => port.malformed(session, error.complaint(about)),
            },
            Frame::Binary => {
                let error = DecodeError::Envelope("a binary frame; messages are text".to_owned());
                port.malformed(session, error.complaint(None));
            }
            Frame::Ping | Frame::Pong => port.alive(session, None),
            Frame::Close => return End::new(code::NORMAL, "the peer closed the connection"),
        }
    }
}

/// Hands a message on if its envelope fits the connection.
async fn hear(port: &dyn Federation, session: &Session, received: Received) {
    let Received { message, from, to, .. } = received;
    let own = port.own_id();
    if let Some(complaint) = misaddressed(&message, &from, &to, &own, &session.peer) {
        return port.malformed(session, complaint);
    }
    match message {
        Message::Heartbeat(heartbeat) => port.alive(session, Some(heartbeat)),
        message => port.receive(session, message).await,
    }
}

/// Messages are from the peer and for us; the document's own handler signs its answers with the receiver's id.
fn misaddressed(
    message: &Message,
    from: &OrchestratorId,
    to: &str,
    own: &OrchestratorId,
    peer: &OrchestratorId,
) -> Option<Complaint> {
    let (code, detail) = if from != peer && from != own {
        ("wrong-sender", format!("`from` is `{from}`, but this connection is that of `{peer}`"))
    } else if to != own.as_str() && !matches!(message, Message::Broadcast(_)) {
        ("wrong-receiver", format!("`to` is not `{own}`; messages are not relayed"))
    } else {
        return None;
    };
    Some(Complaint { code: code.to_owned(), detail, about: None })
}

/// Says why, and gives the peer a moment to say goodbye.
async fn close<S, M, E>(sink: &mut SplitSink<S, M>, stream: &mut SplitStream<S>, end: &End)
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
    M: Wire,
    E: WireError,
{
    // A close frame has room for 123 bytes of reason.
    let reason: String = end.reason.chars().filter(char::is_ascii).take(123).collect();
    let goodbye = async {
        // After a peer's own close this one is refused; reading to the end sends the answer to it.
        let _ = sink.send(M::close(end.code, &reason)).await;
        while let Some(Ok(_)) = stream.next().await {}
    };
    // A peer that is gone does not answer; nothing is lost.
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, goodbye).await;
}
