//! The words of a connection: what happens to it, what it commands, how it is.
//!
//! Invariant: names are the document's. The machine that uses them is [`super::Connection`].

use super::message::{Heartbeat, Message};
use crate::time::Now;

/// What an operator says of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Silence after which a peer is degraded, ms; after twice as long it is disconnected.
    pub heartbeat_timeout_ms: u64,
    /// Most messages that wait.
    pub queue_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        // The document's defaults.
        Self { heartbeat_timeout_ms: 60_000, queue_max: 1_000 }
    }
}

/// The document's names for how a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionStatus {
    /// On its way.
    Connecting,
    /// Open; nothing was said yet.
    Connected,
    /// Messages flow.
    Active,
    /// Open, and quiet for a heartbeat time-out.
    Idle,
    /// No sign of life for a heartbeat time-out, or the peer says that it is not well.
    Degraded,
    /// Closed.
    Disconnected,
    /// It broke.
    Error,
}

impl ConnectionStatus {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Connecting,
        Self::Connected,
        Self::Active,
        Self::Idle,
        Self::Degraded,
        Self::Disconnected,
        Self::Error,
    ];

    /// Its name in the document.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Active => "active",
            Self::Idle => "idle",
            Self::Degraded => "degraded",
            Self::Disconnected => "disconnected",
            Self::Error => "error",
        }
    }
}

/// What happens to a connection.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A socket to the peer is open.
    Opened,
    /// The socket is closed, or could not be opened.
    Closed {
        /// Whether something broke.
        failed: bool,
        /// Randomness of the pause before the next try.
        seed: u64,
    },
    /// The peer said something that is right.
    Received,
    /// The peer gave a sign of life; nothing but that for a pong.
    Alive(Option<Heartbeat>),
    /// The peer said something that is wrong.
    Malformed,
    /// Somebody wants this sent.
    Send {
        /// What.
        message: Message,
        /// From then on it is worth nothing; if it still waits, it is dropped.
        until: Option<Now>,
    },
    /// The socket can take another message.
    Writable,
    /// Flush and close, for good.
    Stop,
    /// Time went by.
    Tick,
}

/// What goes out.
#[derive(Debug, Clone, PartialEq)]
pub enum Outgoing {
    /// A message that waited.
    Message(Message),
    /// A sign of life.
    Heartbeat,
    /// How we find the connection, and what we offer.
    Status,
}

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Too much waits.
    #[error("the message queue is full ({0} messages)")]
    QueueFull(usize),
    /// The connection is being closed for good.
    #[error("the connection is being closed")]
    Closing,
}

/// Why the host closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// Everything was sent and nobody wants it any more.
    #[error("graceful disconnect")]
    Graceful,
    /// The peer gave no sign of life.
    #[error("no heartbeat for too long")]
    Silent,
    /// The peer does not read what it is sent.
    #[error("the peer reads too slowly: the message queue is full")]
    SlowReader,
    /// The peer keeps sending what cannot be read.
    #[error("too many messages in a row were wrong")]
    Malformed,
}

/// What the shell does.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Open a socket.
    Dial,
    /// There may be something to send: say `Writable` when the socket is.
    Wake,
    /// Send this.
    Transmit(Outgoing),
    /// Tell the giver that its message was not taken.
    Refuse(SendError),
    /// Close the socket and say `Closed`.
    Close(CloseReason),
    /// The peer became degraded.
    Degraded,
    /// The peer is no longer degraded.
    Recovered,
}

/// How a connection is, for people and peers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Health {
    /// In the document's words.
    pub status: ConnectionStatus,
    /// How long it is open, ms; 0 = it is not.
    pub uptime_ms: u64,
    /// Messages sent since the host knows the peer.
    pub sent: u64,
    /// Messages received.
    pub received: u64,
    /// Wrong messages and broken sockets.
    pub errors: u64,
    /// The last sign of life.
    pub last_heartbeat: Option<Now>,
    /// Messages that wait.
    pub queued: usize,
}
