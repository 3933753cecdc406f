//! Builds everything, top to bottom, and runs it until it is told to stop.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use pilothouse_core::fleet::geography::{Coordinates, Geography};
use pilothouse_core::id::{Digest, Label, MemberId};
use pilothouse_core::member::{MemberKind, Registration, Role};
use pilothouse_core::policy::Family;
use pilothouse_core::registry::{Registry, Rules, Thresholds};
use pilothouse_core::slot::{Origin, SlotId};
use pilothouse_engine::precheck::COMPONENT_BYTES_MAX;
use pilothouse_engine::{Budget, Cache, Compiler, Runtime};
use pilothouse_member::Probe;
use pilothouse_store::{Embedded, Store, Txn};
use pilothouse_transport::server;
use pilothouse_transport::service::placement::PlacementPlane as _;
use pilothouse_transport::service::{Activation, ControlPlane as _};
use tokio::sync::mpsc;

use crate::blobs::Blobs;
use crate::clock::Clock;
use crate::config::{BudgetConfig, Config, RebalanceConfig, RebalanceMode, ThresholdsConfig};
use crate::control::Control;
use crate::decide::Decider;
use crate::decide::log::DecisionLog;
use crate::failover::{Failovers, Inbox};
use crate::hub::Hub;
use crate::orchestrator::{self, Orchestrators};
use crate::placement::Rebalancing;
use crate::policy_dir::{DEBOUNCE_MS, PolicyDir, may_be_a_change};
use crate::port;
use crate::probes::{self, RoundTrips};
use crate::scaling::{Groups, Webhook};
use crate::slots::library::{Library, StartWith};
use crate::slots::live::FaultReport;
use crate::slots::{REPORTS_MAX, Slots};
use crate::tasks::{Stop, TaskSet};
use crate::trust::Trust;

/// What tasks have after the requests in flight, to write down their last state.
const LAST_WORK: Duration = Duration::from_secs(2);

/// Between two looks at members and slots, ms.
const TICK_MS: u64 = 250;
/// Between two looks at groups, as their shortest period, ms.
const SCALING_TICK_MS: u64 = 100;

/// A running server.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its control plane, for tests and tools in the same process.
    pub control: Control,
    tasks: TaskSet,
    drain: Duration,
}

impl Running {
    /// Stops accepting, lets requests in flight finish, and ends all tasks.
    pub async fn stop(self) {
        self.tasks.stop(self.drain + LAST_WORK).await;
    }
}

/// What the parts of a host send to its tasks.
struct Incoming {
    reports: mpsc::Receiver<FaultReport>,
    calls: Option<(String, mpsc::Receiver<serde_json::Value>)>,
    inbox: Inbox,
}

/// Opens the data folder and starts the server. `program` is this executable, which compiles policies as a child.
///
/// # Errors
/// What could not be opened, and what to do.
pub async fn start(config: &Config, program: Option<std::path::PathBuf>) -> anyhow::Result<Running> {
    crate::config::check(config)?;
    let (protection, limits) = (port::protection(&config.server)?, port::limits(&config.server));
    if config.server.time_factor > 1 {
        tracing::warn!(
            times = config.server.time_factor,
            "a rehearsal: the host's clock runs faster than the world"
        );
    }
    let (control, incoming) = tokio::task::block_in_place(|| open(config, program))?;
    let listener = tokio::net::TcpListener::bind(config.server.listen)
        .await
        .with_context(|| format!("cannot listen on {}; is another server running?", config.server.listen))?;
    let address = listener.local_addr()?;
    register_self(config, &control, address).await?;
    let mut tasks = TaskSet::default();
    let Incoming { reports, calls, inbox } = incoming;
    spawn_loops(config, &control, reports, &mut tasks);
    spawn_scaling(&control, calls, &mut tasks);
    let region = config.server.region.as_deref().map(Label::parse).transpose()?;
    probes::spawn(&config.routing, region, &control.node_id, &control.round_trips, &mut tasks);
    spawn_rebalancing(config, &control, &mut tasks);
    spawn_failover(config, &control, inbox, &mut tasks);
    let federation = control.clone();
    tasks.spawn("orchestrators", move |stop| orchestrator::run(federation, stop));
    let plane = Arc::new(control.clone());
    tasks.spawn("server", move |mut stop| async move {
        server::run(listener, plane, protection, limits, async move { stop.wait().await }).await;
    });
    Ok(Running { address, control, tasks, drain: limits.drain })
}

fn open(config: &Config, program: Option<std::path::PathBuf>) -> anyhow::Result<(Control, Incoming)> {
    let dir = &config.server.data_dir;
    {
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .with_context(|| format!("cannot make the data folder {}", dir.display()))?;
    }
    let clock = Clock::start(config.server.time_factor);
    let mut seed = [0; 8];
    rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::empty())?;
    let seed = u64::from_le_bytes(seed);
    let store: Arc<dyn Store> = Arc::new(Embedded::open(dir)?);
    let hub = Arc::new(Hub::open(
        Registry::new(rules(config), geography(config)?),
        Arc::clone(&store),
        clock,
        seed,
    )?);
    let (sender, reports) = mpsc::channel(REPORTS_MAX);
    let trust = Arc::new(Trust::open(Arc::clone(&hub), config.policies.trust.rules()?)?);
    let slots = Arc::new(open_slots(config, &hub, &trust, program, sender)?);
    let log = DecisionLog::new(store.boot(), config.policies.decisions_kept);
    let decider = Arc::new(Decider::new(Arc::clone(&hub.fleet), log, clock, seed));
    let node_id = MemberId::parse(&config.server.node_id)?;
    let (webhook, calls) = match &config.scaling.webhook {
        None => (None, None),
        Some(url) => {
            let (webhook, calls) = Webhook::new();
            (Some(webhook), Some((url.clone(), calls)))
        }
    };
    let groups = Arc::new(Groups::open(
        Arc::clone(&hub),
        webhook,
        config.scaling.group_defaults(),
        config.scaling.multi_cluster_scaling,
    )?);
    let round_trips = Arc::new(RoundTrips::new(Arc::clone(&hub), config.routing.measured_for_ms));
    let rebalancing =
        Arc::new(Rebalancing::new(config.rebalance.rules(config.placement.max_concurrent_migrations)));
    let preemption = config.placement.enable_preemption;
    let (failovers, inbox) = Failovers::open(config, &hub, node_id.clone())?;
    let failovers = Arc::new(failovers);
    let orchestrators = Arc::new(Orchestrators::open(Arc::clone(&hub), config)?);
    let control = Control {
        hub,
        slots,
        trust,
        decider,
        groups,
        round_trips,
        rebalancing,
        preemption,
        failovers,
        orchestrators,
        node_id,
    };
    Ok((control, Incoming { reports, calls, inbox }))
}

/// The default policies, compiled, in slots that go on where they were.
fn open_slots(
    config: &Config,
    hub: &Arc<Hub>,
    trust: &Arc<Trust>,
    program: Option<std::path::PathBuf>,
    sender: mpsc::Sender<FaultReport>,
) -> anyhow::Result<Slots> {
    let dir = &config.server.data_dir;
    let cache = if config.policies.cache { Cache::open(&dir.join("code"))? } else { Cache::none() };
    let compiler = match program.filter(|_| config.policies.compile_in_child) {
        Some(program) => Compiler::child(program, vec!["compile".to_owned()]),
        None => Compiler::here(),
    };
    let runtime = Runtime::start(compiler, cache)?;
    let library = Arc::new(Library::open(runtime, Blobs::open(dir.join("policies"))?)?);
    let start_with = |algorithm: &String| StartWith { policy: algorithm.clone(), settings: "{}".to_owned() };
    let defaults = BTreeMap::from([
        (Family::Balancing, start_with(&config.balancing.algorithm)),
        (Family::Placement, start_with(&config.placement.algorithm)),
        (Family::Routing, start_with(&config.routing.algorithm)),
        (
            Family::Scaling,
            StartWith { settings: config.scaling.settings(), ..start_with(&config.scaling.algorithm) },
        ),
    ]);
    let budgets = BTreeMap::from([
        (Family::Balancing, budget(Family::Balancing, &config.policies.balancing_budget)),
        (Family::Placement, budget(Family::Placement, &config.policies.placement_budget)),
        (Family::Routing, budget(Family::Routing, &config.policies.routing_budget)),
        (Family::Scaling, budget(Family::Scaling, &config.policies.scaling_budget)),
    ]);
    let seats = match config.policies.seats {
        0 => std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
        seats => seats,
    };
    Slots::open(Arc::clone(hub), library, Arc::clone(trust), seats, budgets, &defaults, sender)
}

fn budget(family: Family, config: &BudgetConfig) -> Budget {
    let BudgetConfig { fuel, deadline_ms, memory_mib } = *config;
    Budget { fuel, deadline_ms, memory_bytes: (memory_mib as usize) << 20, ..Budget::of(family) }
}

fn rules(config: &Config) -> Rules {
    let registry = &config.registry;
    let thresholds = |set: &ThresholdsConfig| {
        let ThresholdsConfig { cpu, memory, disk, latency_ms, error_rate } = *set;
        Thresholds { cpu, memory, disk, latency_ms, error_rate }
    };
    Rules {
        heartbeat_interval_ms: registry.heartbeat_interval_ms,
        offline_after_ms: registry.offline_after_ms,
        remove_after_ms: registry.remove_after_ms,
        mass_loss_share: registry.mass_loss_share,
        degraded: thresholds(&registry.health.degraded),
        unhealthy: thresholds(&registry.health.unhealthy),
    }
}

fn geography(config: &Config) -> anyhow::Result<Geography> {
    let mut geography = Geography::default();
    for (region, place) in &config.regions {
        let coordinates = Coordinates { latitude: place.latitude, longitude: place.longitude };
        geography.places.insert(Label::parse(region)?, coordinates);
    }
    for pair in &config.rtt {
        geography.measured_rtt_ms.insert((Label::parse(&pair.from)?, Label::parse(&pair.to)?), pair.ms);
    }
    Ok(geography)
}

/// This node is a member like any other, and the leader if there is none.
async fn register_self(config: &Config, control: &Control, address: SocketAddr) -> anyhow::Result<()> {
    let mut probe = Probe::new(config.server.data_dir.clone());
    let registration = Registration {
        id: control.node_id.clone(),
        kind: MemberKind::Node,
        endpoint: address.to_string(),
        hostname: pilothouse_member::hostname(),
        region: config.server.region.as_deref().map(Label::parse).transpose()?,
        zone: config.server.zone.as_deref().map(Label::parse).transpose()?,
        cluster: None,
        role: Role::Leader,
        capacity: config.server.max_agents,
        weight: 1.0,
        capabilities: own_capabilities(config)?,
        services: Default::default(),
        compliance: Default::default(),
        accelerator_model: None,
        cost_per_hour: f32::NAN,
        carbon_g_per_kwh: f32::NAN,
        resources: probe.resources(),
    };
    let id = control.register(registration).await?.registration.id;
    if control.leader().is_none_or(|leader| leader.registration.id == id) {
        control.promote(id).await?;
    }
    Ok(())
}

/// What this node itself can do.
fn own_capabilities(config: &Config) -> anyhow::Result<BTreeSet<Label>> {
    Ok(config.federation.capabilities.iter().map(|text| Label::parse(text)).collect::<Result<_, _>>()?)
}

fn spawn_loops(
    config: &Config,
    control: &Control,
    mut reports: mpsc::Receiver<FaultReport>,
    tasks: &mut TaskSet,
) {
    let clock = control.hub.clock;
    let publish = clock.period(config.registry.publish_interval_ms);
    let hub = Arc::clone(&control.hub);
    tasks.spawn("publish", move |mut stop| async move {
        while stop.sleep(publish).await {
            hub.publish();
        }
    });
    let (hub, slots) = (Arc::clone(&control.hub), Arc::clone(&control.slots));
    let failovers = Arc::clone(&control.failovers);
    tasks.spawn("tick", move |mut stop| async move {
        while stop.sleep(clock.period(TICK_MS)).await {
            tick_registry(&hub, &failovers).await;
            crate::placement::release_over(&hub);
            slots.tick().await;
        }
    });
    let slots = Arc::clone(&control.slots);
    tasks.spawn("faults", move |mut stop| async move {
        loop {
            tokio::select! {
                () = stop.wait() => break,
                report = reports.recv() => match report {
                    Some(report) => slots.faulted(report).await,
                    None => break,
                },
            }
        }
    });
    let (slots, flush) = (Arc::clone(&control.slots), Duration::from_millis(config.policies.state_flush_ms));
    tasks.spawn("state-flush", move |mut stop| async move {
        let mut flushed = BTreeMap::new();
        while stop.sleep(flush).await {
            slots.flush_state(&mut flushed).await;
        }
        slots.flush_state(&mut flushed).await;
    });
    let (probed, mut probe) = (control.clone(), Probe::new(config.server.data_dir.clone()));
    let every = clock.period(config.registry.probe_interval_ms);
    tasks.spawn("probe", move |mut stop| async move {
        while stop.sleep(every).await {
            if let Err(error) = probed.report(&probed.node_id, &probe.read()) {
                tracing::debug!(%error, "this node is not registered");
            }
        }
    });
    if let Some(dir) = config.policies.policy_dir.clone() {
        let (control, poll) = (control.clone(), Duration::from_millis(config.policies.poll_interval_ms));
        tasks.spawn("policy-folder", move |stop| watch_folder(dir, control, poll, stop));
    }
}

/// At the end of every window the fleet is looked at; what follows is as configured.
fn spawn_rebalancing(config: &Config, control: &Control, tasks: &mut TaskSet) {
    let RebalanceConfig { mode, window_ms, .. } = config.rebalance;
    if mode == RebalanceMode::Off {
        return;
    }
    let control = control.clone();
    tasks.spawn("rebalance", move |mut stop| async move {
        while stop.sleep(control.hub.clock.period(window_ms)).await {
            for kind in [MemberKind::Cluster, MemberKind::Node] {
                let watching = control.clone();
                let plan = tokio::task::spawn_blocking(move || watching.watch_balance(kind)).await;
                match plan {
                    Ok(Some(Ok(plan))) if mode == RebalanceMode::Execute && !plan.moves.is_empty() => {
                        if let Err(error) = control.execute(plan.id).await {
                            tracing::warn!(%error, plan = %plan.id, "a rebalancing plan was not executed");
                        }
                    }
                    Ok(Some(Err(error))) => tracing::warn!(%error, "no rebalancing plan could be made"),
                    Ok(_) => {}
                    Err(error) => tracing::error!(%error, "looking at the balance ended"),
                }
            }
        }
    });
}

/// The detector looks at the time in a task of its own: a failover under way must not make it late.
fn spawn_failover(config: &Config, control: &Control, inbox: Inbox, tasks: &mut TaskSet) {
    let clock = control.hub.clock;
    let tick = clock.period(config.failover.detection_rules(config.server.time_factor).tick_ms);
    let Inbox { mut wishes, questions } = inbox;
    let (failovers, hub) = (Arc::clone(&control.failovers), Arc::clone(&control.hub));
    tasks.spawn("detection", move |mut stop| async move {
        while stop.sleep(tick).await {
            failovers.look(&hub);
        }
    });
    let failovers = Arc::clone(&control.failovers);
    tasks.spawn("suspects", move |stop| crate::failover::probe::run(failovers, clock, questions, stop));
    let control = control.clone();
    tasks.spawn("failover", move |mut stop| async move {
        loop {
            tokio::select! {
                () = stop.wait() => break,
                Some(wish) = wishes.recv() => control.fulfil(wish).await,
                () = tokio::time::sleep(tick) => control.failover_turn().await,
            }
        }
    });
}

/// Groups look at the time as often as their shortest period allows; what they decide is carried out here.
fn spawn_scaling(
    control: &Control,
    calls: Option<(String, mpsc::Receiver<serde_json::Value>)>,
    tasks: &mut TaskSet,
) {
    let control = control.clone();
    tasks.spawn("scaling", move |mut stop| async move {
        while stop.sleep(control.hub.clock.period(SCALING_TICK_MS)).await {
            let control = control.clone();
            let ticked = tokio::task::spawn_blocking(move || {
                let Control { groups, decider, slots, .. } = &control;
                groups.tick(decider, |spec| {
                    let named = |name: &Label| SlotId { family: Family::Scaling, name: name.clone() };
                    slots
                        .live(&named(spec.strategy.as_ref().unwrap_or(&spec.name)))
                        .or_else(|| slots.live(&SlotId::default_of(Family::Scaling)))
                });
            });
            if let Err(error) = ticked.await {
                tracing::error!(%error, "a tick of the scaling groups ended");
            }
        }
    });
    if let Some((url, calls)) = calls {
        tasks.spawn("webhook", move |stop| crate::scaling::run_webhook(url, calls, stop));
    }
}

async fn tick_registry(hub: &Hub, failovers: &Failovers) {
    use pilothouse_core::registry::Change;
    let (changes, removals) = {
        let mut registry = hub.registry();
        let changes = registry.tick(hub.clock.now());
        let gone = changes.iter().filter(|change| matches!(change.change, Change::Unregistered { .. }));
        let gone = gone.filter_map(|change| change.member.as_ref());
        let removals: Vec<_> = gone.map(|id| hub.store_member(id, None)).collect();
        (changes, removals)
    };
    failovers.follow(hub, &changes);
    hub.announce(changes);
    for removal in removals {
        if let Err(error) = removal.await {
            tracing::error!(%error, "a removed member is still stored");
        }
    }
}

/// Notices are hints; the poll finds what they missed.
async fn watch_folder(dir: std::path::PathBuf, control: Control, poll: Duration, mut stop: Stop) {
    let (hint, mut hints) = mpsc::channel(1);
    let _watcher = notifier(&dir, hint);
    // Whoever writes the files lives in the world's time.
    let clock = Clock::start(1);
    let mut folder = PolicyDir::new(dir, COMPONENT_BYTES_MAX as u64);
    folder.remember(remembered(&*control.hub.store));
    loop {
        let (found, settling) = folder.scan(clock.now());
        for found in found {
            take_file(&control, found).await;
            remember(&*control.hub.store, &folder).await;
        }
        let wait = if settling { Duration::from_millis(DEBOUNCE_MS) } else { poll };
        tokio::select! {
            () = stop.wait() => break,
            _ = hints.recv() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

fn notifier(dir: &std::path::Path, hint: mpsc::Sender<()>) -> Option<notify::RecommendedWatcher> {
    use notify::Watcher as _;
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !may_be_a_change(event.kind)) {
            return;
        }
        // A full queue already has a hint in it.
        let _ = hint.try_send(());
    });
    let watched = watcher.and_then(|mut watcher| {
        watcher.watch(dir, notify::RecursiveMode::Recursive)?;
        Ok(watcher)
    });
    watched
        .inspect_err(|error| tracing::warn!(%error, dir = %dir.display(), "no change notices for the policy folder; it is polled"))
        .ok()
}

async fn take_file(control: &Control, found: crate::policy_dir::Found) {
    let crate::policy_dir::Found { path, slot, bytes, settings, signature } = found;
    let slots = Arc::clone(&control.slots);
    let origin = Origin::File(path.clone());
    let taking = tokio::task::spawn_blocking(move || slots.take(&bytes, signature.as_deref(), origin)).await;
    let loaded = match taking {
        // What vouches for it is stored before the activation that follows.
        Ok(Ok((loaded, _))) => loaded,
        Ok(Err(error)) => return tracing::warn!(path, %error, "policy file refused"),
        Err(error) => return tracing::error!(path, %error, "policy file not loaded"),
    };
    let slot = slot.unwrap_or_else(|| SlotId::default_of(loaded.loaded.family()));
    let activation = Activation {
        slot: slot.clone(),
        policy: loaded.info.digest.to_string(),
        settings: settings.unwrap_or_default(),
        force: false,
        signature: None,
        allow_downgrade: false,
        by: format!("file:{path}"),
    };
    match control.activate(activation).await {
        Ok(_) => tracing::info!(path, %slot, "policy file active"),
        Err(error) => tracing::warn!(path, %slot, %error, "policy file refused"),
    }
}

fn remembered(store: &dyn Store) -> Vec<(String, Digest)> {
    let entries = store.range("folder/", 1_024).unwrap_or_default();
    entries
        .into_iter()
        .filter_map(|entry| {
            let digest = Digest::parse(std::str::from_utf8(&entry.value).ok()?)?;
            Some((entry.key.trim_start_matches("folder/").to_owned(), digest))
        })
        .collect()
}

async fn remember(store: &dyn Store, folder: &PolicyDir) {
    let handed_on: Vec<_> = folder.handed_on().map(|(path, digest)| (path.to_owned(), digest)).collect();
    for (path, digest) in handed_on {
        if let Err(error) =
            store.txn(Txn::put(format!("folder/{path}"), digest.to_string().into_bytes())).await
        {
            tracing::warn!(%error, "the policy folder's state was not stored");
        }
    }
}
