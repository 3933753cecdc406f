//! Events as a stream (SSE) or a list.
//!
//! Invariant: a follower that falls behind is told how many events it missed, and the host never waits for it.

use std::convert::Infallible;

use axum::Json;
use axum::extract::State;
use axum::response::sse::{Event as Sse, KeepAlive};
use axum::response::{IntoResponse, Response, Sse as Stream};
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::json;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;
use utoipa::IntoParams;

use super::Plane;
use super::extract::Query;
use super::views::{EventView, EventsView};

/// Most events of one list, or replayed at the start of a stream.
const LIMIT_MAX: usize = 1_000;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FollowQuery {
    /// Replay the events after this number first.
    since: Option<u64>,
    /// `json` = a list instead of a stream.
    format: Option<String>,
    /// At most 1,000.
    limit: Option<usize>,
}

/// Follows events as a stream (SSE), or lists them.
#[utoipa::path(get, path = "/api/v1/events", params(FollowQuery), responses(
    (status = 200, content((EventView = "text/event-stream"), (EventsView = "application/json")))
))]
pub(crate) async fn follow(State(plane): State<Plane>, Query(query): Query<FollowQuery>) -> Response {
    let limit = query.limit.unwrap_or(LIMIT_MAX).min(LIMIT_MAX);
    if query.format.as_deref() == Some("json") {
        let (events, missed) = plane.events_since(query.since.unwrap_or(0), limit);
        let events: Vec<_> = events.iter().map(EventView::from).collect();
        return Json(EventsView { count: events.len(), missed, events }).into_response();
    }
    // Subscribed before the past is read, so that nothing falls in between; doubles are filtered by number.
    let live = BroadcastStream::new(plane.subscribe());
    let (past, _) = match query.since {
        Some(since) => plane.events_since(since, limit),
        None => (Vec::new(), false),
    };
    let last = past.last().map_or(query.since.unwrap_or(0), |event| event.sequence);
    let past = futures_util::stream::iter(past).map(|event| frame(&event));
    let live = live.filter_map(move |item| {
        let frame = match item {
            Ok(event) if event.sequence <= last => None,
            Ok(event) => Some(frame(&event)),
            Err(BroadcastStreamRecvError::Lagged(missed)) => {
                Some(Ok(Sse::default().event("missed").data(json!({ "missed": missed }).to_string())))
            }
        };
        std::future::ready(frame)
    });
    Stream::new(past.chain(live)).keep_alive(KeepAlive::default()).into_response()
}

fn frame(event: &pilothouse_core::event::Event) -> Result<Sse, Infallible> {
    let view = EventView::from(event);
    let data = serde_json::to_string(&view).unwrap_or_default();
    Ok(Sse::default().id(view.sequence.to_string()).event(view.kind).data(data))
}
