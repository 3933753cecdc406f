//! Orchestrator federation on a running host: feeds core's machines and does what they command.
//!
//! sessions -> [`peers`] (under one lock) -> connection machines; delegations -> [`drive`] -> ledger -> policy of the slot ->
//! member ([`executor`]) | peer (its queue)
//!
//! Invariant: a connected peer is a member of kind orchestrator and leaves the registry with its connection. No lock is held while
//! something waits; the registry's is taken after the one here. A restart forgets delegations, and takes them off their members.

mod drive;
mod executor;
mod peers;
mod port;
mod roster;
mod run;
mod told;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use pilothouse_core::id::{Label, OrchestratorId};
use pilothouse_core::orchestrator::{CloseReason, Connection, Ledger, LedgerSettings, Offer, Settings};
use pilothouse_core::time::Now;
use pilothouse_transport::orchestrator::client::{self, Target};
use pilothouse_transport::orchestrator::port::Session;
use tokio::sync::Semaphore;

use crate::config::{Config, PeerConfig};
use crate::hub::Hub;
use executor::{Assigning, TaskExecutor};
pub(crate) use run::run;
pub(crate) use told::metrics;

/// Most peers that are known at once.
pub(crate) const PEERS_MAX: usize = 256;
/// Most sockets at once; some may not have said yet whose they are.
const SOCKETS_MAX: usize = 2 * PEERS_MAX;

/// One peer.
#[derive(Debug)]
struct Peer {
    connection: Connection,
    session: Option<Session>,
    /// Whether it was this side that opened the session.
    dialled: bool,
    /// Whether the configuration names it; others are forgotten when room is needed.
    configured: bool,
    offer: Offer,
    /// Why the session has to end, until it was told.
    close: Option<CloseReason>,
}

impl Peer {
    fn new(connection: Connection, offer: Offer, configured: bool) -> Self {
        Self { connection, session: None, dialled: false, configured, offer, close: None }
    }
}

/// What is under the lock.
#[derive(Debug)]
struct State {
    peers: BTreeMap<OrchestratorId, Peer>,
    ledger: Ledger,
    /// Sockets so far.
    sessions: u64,
    /// When the registry was last told of every peer.
    reported: Now,
    stopping: bool,
}

/// This orchestrator and its peers.
#[derive(Debug)]
pub struct Orchestrators {
    hub: Arc<Hub>,
    own: OrchestratorId,
    strategy: String,
    settings: Settings,
    targets: BTreeMap<OrchestratorId, Target>,
    places: Arc<Semaphore>,
    executor: Box<dyn TaskExecutor>,
    state: Mutex<State>,
}

impl Orchestrators {
    /// Peers as they are configured; nobody is dialled yet.
    ///
    /// # Errors
    /// If a file of the configuration cannot be read.
    pub(crate) fn open(hub: Arc<Hub>, config: &Config) -> anyhow::Result<Self> {
        let federation = &config.federation;
        let own = OrchestratorId::parse(federation.id.as_ref().unwrap_or(&config.server.node_id))
            .context("`server.node-id` is no orchestrator id; set `federation.id`")?;
        let settings = Settings {
            heartbeat_timeout_ms: federation.heartbeat_timeout_ms,
            queue_max: federation.queue_max,
        };
        let mut targets = BTreeMap::new();
        let mut peers = BTreeMap::new();
        for peer in &federation.peers {
            let target = target(peer)?;
            anyhow::ensure!(target.peer != own, "`federation.peers` has this orchestrator itself, `{own}`");
            let capabilities: Result<_, _> =
                peer.capabilities.iter().map(|text| Label::parse(text)).collect();
            let offer = Offer { capabilities: capabilities?, ..Offer::default() };
            peers.insert(target.peer.clone(), Peer::new(Connection::new(settings, true), offer, true));
            targets.insert(target.peer.clone(), target);
        }
        let ledger = Ledger::new(LedgerSettings {
            own: own.clone(),
            timeout_ms: federation.task_timeout_ms,
            tokens: federation.tokens,
        });
        Ok(Self {
            own,
            strategy: federation.strategy.clone(),
            settings,
            targets,
            places: Arc::new(Semaphore::new(SOCKETS_MAX)),
            executor: Box::new(Assigning::new(Arc::clone(&hub))),
            hub,
            state: Mutex::new(State { peers, ledger, sessions: 0, reported: Now(0), stopping: false }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn target(peer: &PeerConfig) -> anyhow::Result<Target> {
    let token = peer.token_file.as_deref().map(|path| {
        let text = std::fs::read_to_string(path);
        text.with_context(|| format!("cannot read the token of peer `{}` from {}", peer.id, path.display()))
    });
    Ok(Target {
        peer: OrchestratorId::parse(&peer.id)?,
        url: peer.url.clone(),
        token: token.transpose()?.map(|text| text.trim().to_owned()),
        tls: client::trust(peer.ca_file.as_deref()).map_err(anyhow::Error::msg)?,
    })
}
