//! Tells a configured address of every change of a group.
//!
//! change -> queue -> `POST` with JSON, three times with growing pauses -> dropped and logged
//!
//! Invariant: the caller never waits; when the queue is full the call is dropped, counted in the log, and the event and the API
//! still have it.

use std::time::Duration;

use pilothouse_core::id::Label;
use pilothouse_core::scaling::{Change, Place, Why};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::tasks::Stop;

/// Most calls that wait.
const CALLS_MAX: usize = 64;
/// Attempts of one call.
const ATTEMPTS: u32 = 3;
/// One attempt, all of it.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The sending end.
#[derive(Debug)]
pub(crate) struct Webhook(mpsc::Sender<Value>);

impl Webhook {
    /// A webhook, and what its task reads.
    #[must_use]
    pub(crate) fn new() -> (Self, mpsc::Receiver<Value>) {
        let (sender, receiver) = mpsc::channel(CALLS_MAX);
        (Self(sender), receiver)
    }

    /// Queues a call.
    pub(super) fn tell(&self, group: &Label, change: &Change, places: &[Place]) {
        let (why, confidence) = match &change.why {
            Why::Advice(advice) => ("advice", Some(advice.confidence)),
            Why::Manual => ("manual", None),
            Why::Limits => ("limits", None),
        };
        let places: serde_json::Map<_, _> =
            places.iter().map(|place| (place.member.to_string(), json!(place.replicas))).collect();
        let call = json!({
            "group": group.as_str(), "from": change.from, "to": change.to, "why": why, "confidence": confidence,
            "places": places,
        });
        if self.0.try_send(call).is_err() {
            tracing::warn!(%group, "the webhook is too slow; a call was dropped");
        }
    }
}

/// Calls one after the other, in order.
pub(crate) async fn run(url: String, mut calls: mpsc::Receiver<Value>, mut stop: Stop) {
    let config = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).build();
    let agent: ureq::Agent = config.into();
    loop {
        let call = tokio::select! {
            () = stop.wait() => return,
            call = calls.recv() => match call { Some(call) => call, None => return },
        };
        for attempt in 1..=ATTEMPTS {
            let (agent, to, body) = (agent.clone(), url.clone(), call.clone());
            let sent = tokio::task::spawn_blocking(move || agent.post(&to).send_json(&body).map(drop)).await;
            match sent {
                Ok(Ok(())) => break,
                Ok(Err(error)) => tracing::warn!(url, attempt, %error, "the webhook did not take a call"),
                Err(error) => tracing::error!(%error, "the webhook's thread ended"),
            }
            if !stop.sleep(Duration::from_millis(200) * attempt).await {
                return;
            }
        }
    }
}
