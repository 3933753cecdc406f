//! `GET /federation`: a peer opens a WebSocket.
//!
//! Invariant: the guard has seen the request first (token, origin); sockets at once and the size of messages are bounded. After the
//! upgrade the connection no longer counts as one of the port's, therefore it has a place of its own.

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use pilothouse_core::id::{Label, OrchestratorId};
use serde::Deserialize;
use tokio_tungstenite::tungstenite;

use super::convert::MESSAGE_BYTES_MAX;
use super::port::Hello;
use super::session::{self, Frame, Known, Wire, WireError};
use crate::rest::Plane;
use crate::rest::error::Problem;

/// Where peers dial.
pub(crate) const PATH: &str = "/federation";
/// The protocol that is selected; what a token is wrapped in never is.
pub(crate) const PROTOCOL: &str = "pilothouse";
/// What a token is wrapped in by clients that cannot send headers.
pub(crate) const TOKEN_PROTOCOL: &str = "bearer.";
/// Most bytes that wait in a socket's own buffer: a message and its frames.
const WRITE_BUFFER_BYTES: usize = 4 * MESSAGE_BYTES_MAX;
/// Most capabilities that a request names.
const CAPABILITIES_MAX: usize = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Introduction {
    /// The peer's id; without it its first message says who it is.
    id: Option<String>,
    /// What it can do, separated by commas.
    capabilities: Option<String>,
}

/// Opens a session.
pub(crate) async fn open(
    State(plane): State<Plane>,
    Query(introduction): Query<Introduction>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let known = match known(&introduction) {
        Ok(known) => known,
        Err(detail) => return Problem::new(StatusCode::BAD_REQUEST, &detail).into_response(),
    };
    let port = plane.federation();
    let Some(place) = port.place() else {
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many peers are connected").into_response();
    };
    upgrade
        .protocols([PROTOCOL])
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
        .max_write_buffer_size(WRITE_BUFFER_BYTES)
        .on_upgrade(async move |socket: WebSocket| {
            if let Err(reason) = session::run(socket, port, known).await {
                tracing::debug!(reason, "a peer's connection ended");
            }
            drop(place);
        })
}

fn known(introduction: &Introduction) -> Result<Known, String> {
    let Some(id) = &introduction.id else { return Ok(Known::Unknown) };
    let texts =
        introduction.capabilities.as_deref().unwrap_or_default().split(',').filter(|text| !text.is_empty());
    let capabilities: Result<Vec<Label>, _> = texts.take(CAPABILITIES_MAX).map(Label::parse).collect();
    Ok(Known::Hello(Hello {
        peer: OrchestratorId::parse(id).map_err(|error| format!("`id`: {error}"))?,
        capabilities: capabilities.map_err(|error| format!("`capabilities`: {error}"))?,
        dialled: false,
    }))
}

impl Wire for Message {
    fn text(text: String) -> Self {
        Self::Text(text.into())
    }

    fn ping() -> Self {
        Self::Ping(bytes::Bytes::new())
    }

    fn close(code: u16, reason: &str) -> Self {
        Self::Close(Some(CloseFrame { code, reason: reason.into() }))
    }

    fn read(self) -> Frame {
        match self {
            Self::Text(text) => Frame::Text(text.to_string()),
            Self::Binary(_) => Frame::Binary,
            Self::Ping(_) => Frame::Ping,
            Self::Pong(_) => Frame::Pong,
            Self::Close(_) => Frame::Close,
        }
    }
}

impl WireError for axum::Error {
    fn is_too_large(&self) -> bool {
        let source = std::error::Error::source(self);
        source
            .and_then(|error| error.downcast_ref::<tungstenite::Error>())
            .is_some_and(WireError::is_too_large)
    }
}
