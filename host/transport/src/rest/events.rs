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

use super::extract::Query;
use super::{Plane, views};

/// Most events of one list, or replayed at the start of a stream.
const LIMIT_MAX: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FollowQuery {
    since: Option<u64>,
    format: Option<String>,
    limit: Option<usize>,
}

pub(crate) async fn follow(State(plane): State<Plane>, Query(query): Query<FollowQuery>) -> Response {
    let limit = query.limit.unwrap_or(LIMIT_MAX).min(LIMIT_MAX);
    if query.format.as_deref() == Some("json") {
        let (events, missed) = plane.events_since(query.since.unwrap_or(0), limit);
        let events: Vec<_> = events.iter().map(views::event).collect();
        return Json(json!({ "count": events.len(), "missed": missed, "events": events })).into_response();
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
    let view = views::event(event);
    let name = view.get("type").and_then(|name| name.as_str()).unwrap_or("event").to_owned();
    Ok(Sse::default().id(event.sequence.to_string()).event(name).data(view.to_string()))
}
