//! Whether a connection is busy: requests under way, from their head to the last byte of the answer.
//!
//! Invariant: a request counts until its answer's body is dropped, so a stream of events keeps its connection for as long
//! as it lives. Pings of HTTP/2 find peers that are gone; they do not count.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::watch;

/// Requests under way on one connection.
#[derive(Clone, Default)]
pub(super) struct Activity(watch::Sender<usize>);

/// A request under way.
pub(super) struct Underway(watch::Sender<usize>);

impl Activity {
    /// A request begins.
    pub(super) fn begin(&self) -> Underway {
        self.0.send_modify(|underway| *underway += 1);
        Underway(self.0.clone())
    }

    /// Ends when nothing has been under way for so long.
    pub(super) async fn idle_for(&self, limit: Duration) {
        let mut underway = self.0.subscribe();
        loop {
            // The sender is ours, so neither wait can fail.
            let _ = underway.wait_for(|count| *count == 0).await;
            if tokio::time::timeout(limit, underway.changed()).await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.send_modify(|underway| *underway = underway.saturating_sub(1));
    }
}

/// The answer of a request that is under way until its body has been sent.
pub(super) fn until_sent(response: Response, underway: Underway) -> Response {
    response.map(|body| Body::new(Sending { body, _underway: underway }))
}

struct Sending {
    body: Body,
    _underway: Underway,
}

impl HttpBody for Sending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;
    use futures_util::FutureExt as _;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(10);

    #[tokio::test]
    async fn idle_counts_from_the_last_end() {
        let activity = Activity::default();
        activity.idle_for(LIMIT).await;
        let answer = until_sent("hello".into_response(), activity.begin());
        assert!(tokio::time::timeout(5 * LIMIT, activity.idle_for(LIMIT)).await.is_err(), "an answer lives");
        let mut idle = Box::pin(activity.idle_for(Duration::from_secs(3_600)));
        assert!((&mut idle).now_or_never().is_none());
        drop(answer);
        assert!((&mut idle).now_or_never().is_none(), "it has just ended");
        activity.idle_for(LIMIT).await;
    }

    #[tokio::test]
    async fn an_answer_is_passed_on_as_it_is() {
        let activity = Activity::default();
        let answer = until_sent("hello".into_response(), activity.begin());
        assert_eq!(answer.body().size_hint().exact(), Some(5));
        assert_eq!(axum::body::to_bytes(answer.into_body(), 5).await.unwrap(), "hello");
        assert_eq!(*activity.0.borrow(), 0);
    }
}
