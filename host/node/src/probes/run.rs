//! Active probes: chosen once a period, sent by a fixed number of workers.
//!
//! period over -> chosen members -> bounded queue -> worker: endpoint of the registered member -> connect, perhaps ask its
//! health -> estimates
//!
//! Invariant: a probe goes only to the endpoint that a member has registered at the moment of sending; redirects and
//! proxies are not followed. At most as many probes are in flight as there are workers. A member that does not answer
//! costs its time-out and nothing else.

use std::sync::Arc;
use std::time::Duration;

use pilothouse_core::id::{Label, MemberId};
use pilothouse_transport::service::rtt::RttSample;
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::{Mutex, mpsc};

use super::RoundTrips;
use super::endpoint::Endpoint;
use crate::clock::Clock;
use crate::config::RoutingConfig;
use crate::tasks::{Stop, TaskSet};

/// How often measured times go into a snapshot, ms.
const PUBLISH_EVERY_MS: u64 = 1_000;

/// Sends probes from a region.
struct Prober {
    round_trips: Arc<RoundTrips>,
    source: Label,
    timeout: Duration,
    health: Option<Health>,
}

/// Asks for a path after the connection stood.
struct Health {
    path: String,
    agent: ureq::Agent,
}

/// Starts the loops: publishing always, probing if this host knows its region and has a budget.
pub(crate) fn spawn(
    config: &RoutingConfig,
    region: Option<Label>,
    own_id: &MemberId,
    round_trips: &Arc<RoundTrips>,
    tasks: &mut TaskSet,
) {
    let published = Arc::clone(round_trips);
    tasks.spawn("rtt-publish", move |mut stop| async move {
        while stop.sleep(published.hub.clock.period(PUBLISH_EVERY_MS)).await {
            published.publish();
        }
    });
    let Some(source) = region.filter(|_| config.probes_per_period > 0) else { return };
    let (sender, receiver) = mpsc::channel(config.probes_per_period);
    let receiver = Arc::new(Mutex::new(receiver));
    let timeout = Duration::from_millis(config.probe_timeout_ms);
    let health = config.probe_path.clone().map(|path| Health { path, agent: agent(timeout) });
    let prober =
        Arc::new(Prober { round_trips: Arc::clone(round_trips), source: source.clone(), timeout, health });
    for _ in 0..config.probes_in_flight {
        let (prober, receiver) = (Arc::clone(&prober), Arc::clone(&receiver));
        tasks.spawn("rtt-probe", |stop| work(prober, receiver, stop));
    }
    let (round_trips, own_id, budget) = (Arc::clone(round_trips), own_id.clone(), config.probes_per_period);
    let period = round_trips.hub.clock.period(config.probe_period_ms);
    tasks.spawn("rtt-choose", move |mut stop| async move {
        while stop.sleep(period).await {
            // Probes that still wait are part of the budget: what does not fit is chosen again.
            let free = budget.min(sender.capacity());
            for target in round_trips.choose(&source, &own_id, free) {
                let _ = sender.try_send(target);
            }
        }
    });
}

fn agent(timeout: Duration) -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(timeout))
        .max_redirects(0)
        .proxy(None)
        .http_status_as_error(true)
        .build();
    config.into()
}

async fn work(prober: Arc<Prober>, receiver: Arc<Mutex<mpsc::Receiver<MemberId>>>, mut stop: Stop) {
    loop {
        let next = async { receiver.lock().await.recv().await };
        let target = tokio::select! {
            () = stop.wait() => return,
            target = next => match target { Some(target) => target, None => return },
        };
        tokio::select! {
            () = stop.wait() => return,
            () = prober.probe(target) => {}
        }
    }
}

impl Prober {
    async fn probe(&self, target: MemberId) {
        let registered = self.round_trips.hub.registry().member(&target).cloned();
        let Some(member) = registered else { return };
        let rtt_ms = match Endpoint::parse(&member.registration.endpoint) {
            None => None,
            Some(endpoint) => self.measure(&endpoint).await,
        };
        let sample = RttSample { source: self.source.clone(), target, rtt_ms };
        // It may have left meanwhile.
        let _ = self.round_trips.sample(&sample);
    }

    /// Time to connect, which is one round trip, ms; `None` if the member does not answer as it should in time.
    async fn measure(&self, endpoint: &Endpoint) -> Option<f32> {
        let answered = async {
            let rtt_ms = connect(&endpoint.address, self.round_trips.hub.clock).await?;
            let Some(Health { path, agent }) = &self.health else { return Some(rtt_ms) };
            let (agent, url) = (agent.clone(), endpoint.url(path));
            let asked = tokio::task::spawn_blocking(move || agent.get(&url).call().is_ok()).await;
            asked.unwrap_or(false).then_some(rtt_ms)
        };
        tokio::time::timeout(self.timeout, answered).await.ok().flatten()
    }
}

/// The name is looked up before the time is taken.
async fn connect(address: &str, clock: Clock) -> Option<f32> {
    let address = lookup_host(address).await.ok()?.next()?;
    let started_ns = clock.nanos();
    TcpStream::connect(address).await.ok()?;
    #[expect(clippy::cast_precision_loss, reason = "a round trip needs few digits")]
    let rtt_ms = clock.nanos().saturating_sub(started_ns) as f32 / 1e6;
    Some(rtt_ms)
}
