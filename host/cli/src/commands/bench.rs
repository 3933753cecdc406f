//! `bench`: many decisions over REST, and how long they took. Bounded in count.

use std::sync::Mutex;
use std::time::Instant;

use serde_json::json;

use crate::client::Client;
use crate::output::Report;

/// Most requests and connections, so that a slip of the finger does no harm.
const REQUESTS_MAX: u32 = 10_000_000;
const CONNECTIONS_MAX: u32 = 64;

pub(super) fn run(client: &Client, requests: u32, connections: u32) -> anyhow::Result<Report> {
    let (requests, connections) = (requests.clamp(1, REQUESTS_MAX), connections.clamp(1, CONNECTIONS_MAX));
    client.post("/api/v1/route", &json!({}))?;
    let times = Mutex::new(Vec::with_capacity(requests as usize));
    let failed = std::sync::atomic::AtomicU32::new(0);
    let started = now();
    std::thread::scope(|scope| {
        for connection in 0..connections {
            let share = requests / connections + u32::from(connection < requests % connections);
            let (client, times, failed) = (client.clone(), &times, &failed);
            scope.spawn(move || {
                let mut own = Vec::with_capacity(share as usize);
                for _ in 0..share {
                    let asked = now();
                    if client.post("/api/v1/route", &json!({})).is_err() {
                        failed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    }
                    own.push(asked.elapsed().as_nanos());
                }
                times.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(own);
            });
        }
    });
    let seconds = started.elapsed().as_secs_f64();
    let mut times = times.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    times.sort_unstable();
    let micros = |share: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rank"
        )]
        let rank = (times.len() as f64 * share) as usize;
        times.get(rank.min(times.len().saturating_sub(1))).copied().unwrap_or_default() / 1_000
    };
    let json = json!({
        "requests": requests,
        "connections": connections,
        "failed": failed.into_inner(),
        "seconds": seconds,
        "per_second": (f64::from(requests) / seconds).round(),
        "p50_us": micros(0.5) as u64,
        "p99_us": micros(0.99) as u64,
        "max_us": micros(1.0) as u64,
    });
    Ok(Report::fields(json))
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "a load generator measures time")]
    Instant::now()
}
