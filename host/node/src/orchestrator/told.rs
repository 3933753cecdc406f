//! The federation as it is told: to peers, to people, to Prometheus.
//!
//! Invariant: times leave the host as wall time. Label values of metrics are fixed sets; peers are not among them.

use std::fmt::Write as _;

use pilothouse_core::orchestrator::{Connection, Record};
use pilothouse_core::time::{Now, WallMs};
use pilothouse_transport::orchestrator::port::{DelegationInfo, FederationInfo, HealthInfo, PeerInfo};

use super::Orchestrators;
use crate::clock::Clock;
use crate::metrics::family;

/// How a connection is.
pub(super) fn health(connection: &Connection, clock: &Clock) -> HealthInfo {
    let health = connection.health(clock.now());
    HealthInfo {
        status: health.status,
        uptime_ms: health.uptime_ms,
        sent: health.sent,
        received: health.received,
        errors: health.errors,
        last_heartbeat: health.last_heartbeat.map(|at| wall(at, clock)),
        queued: health.queued,
    }
}

fn wall(at: Now, clock: &Clock) -> WallMs {
    let (now, wall) = (clock.now(), clock.wall().0);
    WallMs(wall.saturating_sub(now.since_ms(at)).saturating_add(at.since_ms(now)))
}

/// A delegation.
pub(super) fn delegation(record: &Record, clock: &Clock) -> DelegationInfo {
    DelegationInfo {
        asked_at: wall(record.asked_at, clock),
        deadline: wall(record.deadline, clock),
        record: record.clone(),
    }
}

impl Orchestrators {
    /// This orchestrator and its peers.
    pub(super) fn info(&self) -> FederationInfo {
        let offer = self.own_offer();
        let state = self.state();
        let peers = state.peers.iter().map(|(id, peer)| PeerInfo {
            id: id.clone(),
            url: self.targets.get(id).map(|target| target.url.clone()),
            health: health(&peer.connection, &self.hub.clock),
            offer: peer.offer.clone(),
            outstanding: state.ledger.at(id).count(),
        });
        FederationInfo {
            id: self.own.clone(),
            offer,
            outstanding: state.ledger.live(),
            outcomes: state.ledger.outcomes(),
            peers: peers.collect(),
        }
    }
}

/// Figures in Prometheus' format.
pub(crate) fn metrics(out: &mut String, orchestrators: &Orchestrators) {
    let info = orchestrators.info();
    family(
        out,
        "pilothouse_orchestrator_peers",
        "gauge",
        "Peer orchestrators by status of their connection.",
    );
    for status in pilothouse_core::orchestrator::ConnectionStatus::ALL {
        let count = info.peers.iter().filter(|peer| peer.health.status == status).count();
        let _ = writeln!(out, "pilothouse_orchestrator_peers{{status=\"{}\"}} {count}", status.name());
    }
    family(out, "pilothouse_orchestrator_queued", "gauge", "Messages that wait for peers.");
    let queued: usize = info.peers.iter().map(|peer| peer.health.queued).sum();
    let _ = writeln!(out, "pilothouse_orchestrator_queued {queued}");
    family(out, "pilothouse_delegations_live", "gauge", "Delegated tasks that are not finished.");
    let _ = writeln!(out, "pilothouse_delegations_live {}", info.outstanding);
    family(out, "pilothouse_delegations_total", "counter", "Delegated tasks by how they ended.");
    for (outcome, count) in info.outcomes {
        let _ = writeln!(out, "pilothouse_delegations_total{{outcome=\"{outcome}\"}} {count}");
    }
}
