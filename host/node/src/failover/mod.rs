//! Failure detection, failover, failback and chaos on a running host.
//!
//! reports -> [`watch`] -> findings -> [`turn`]: standing in the registry, failovers, the way home -> [`journal`], hub, events
//!
//! Invariant: one task takes turns and nobody else steps a failover, so its commands are carried out in their order, each after
//! what must be durable before it. Operators' wishes go through the same task. What is decided is core's; here it is done.

mod board;
mod chaos;
mod home;
mod journal;
mod operate;
mod plan;
pub(crate) mod probe;
mod steps;
mod turn;
mod watch;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pilothouse_core::event::EventKind;
use pilothouse_core::failback::{Event as HomeEvent, Failback};
use pilothouse_core::failover::{Failover, Lost, Opening, Origin, Rules, Survivor, Unfinished, Workload};
use pilothouse_core::failover::{FailoverId, StateCopy};
use pilothouse_core::id::{AgentName, Label, MemberId};
use pilothouse_core::member::Member;
use pilothouse_core::placement::ledger::Ledger;
use pilothouse_core::registry::{Change, MemberChange, Registry};
use pilothouse_transport::service::ServiceError;
use pilothouse_transport::service::failover::{FailoverInfo, FailoverQuery};
use tokio::sync::{mpsc, oneshot};

use crate::config::Config;
use crate::hub::Hub;
use board::{Board, Open};
use chaos::Chaos;
use journal::Journal;
use probe::{PROBES_MAX, Question};
use watch::Watch;

/// Most wishes of operators that wait for the next turn.
const WISHES_MAX: usize = 64;

/// What an operator wants; answered when it is under way.
#[derive(Debug)]
pub(crate) enum Wish {
    /// A failover by hand.
    Open(FailoverQuery, oneshot::Sender<Result<FailoverInfo, ServiceError>>),
    /// A failover shall go on.
    Confirm(FailoverId, oneshot::Sender<Result<FailoverInfo, ServiceError>>),
    /// A failover shall stop.
    Cancel(FailoverId, oneshot::Sender<Result<FailoverInfo, ServiceError>>),
    /// Something about the way home.
    Home(HomeEvent, oneshot::Sender<Result<usize, ServiceError>>),
}

/// What the tasks read.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(crate) wishes: mpsc::Receiver<Wish>,
    pub(crate) questions: mpsc::Receiver<Question>,
}

/// All of it.
#[derive(Debug)]
pub struct Failovers {
    rules: Rules,
    overdue_after_ms: u64,
    probes: bool,
    journal: Journal,
    watch: Mutex<Watch>,
    board: Mutex<Board>,
    chaos: Mutex<Chaos>,
    wishes: mpsc::Sender<Wish>,
    questions: mpsc::Sender<Question>,
}

impl Failovers {
    /// Reads what was under way, and watches all members that are registered.
    ///
    /// # Errors
    /// If a record cannot be read.
    pub(crate) fn open(config: &Config, hub: &Arc<Hub>, own: MemberId) -> anyhow::Result<(Self, Inbox)> {
        let place = config.failover.detection.place.as_deref().map(Label::parse).transpose()?;
        let journal = Journal::new(Arc::clone(&hub.store));
        let found = journal.read()?;
        let failback = Failback::new(config.failback.rules(), found.displaced.iter().cloned());
        let interval_ms = config.registry.heartbeat_interval_ms;
        let detection = config.failover.detection_rules(config.server.time_factor);
        let (wishes, wished) = mpsc::channel(WISHES_MAX);
        let (questions, asked) = mpsc::channel(PROBES_MAX);
        let failovers = Self {
            rules: config.failover.rules(),
            overdue_after_ms: config.failover.max_failover_time_ms,
            probes: config.failover.detection.probe,
            journal,
            watch: Mutex::new(Watch::new(detection, place.clone(), own, interval_ms)),
            board: Mutex::new(Board::new(failback, found.ended, found.displaced, found.last)),
            chaos: Mutex::new(Chaos::new(config.chaos.enabled, place)),
            wishes,
            questions,
        };
        let now = hub.clock.now();
        for member in hub.registry().members() {
            failovers.watch().joined(member.id(), member.registration.region.clone(), now);
        }
        for (unfinished, records) in found.unfinished {
            failovers.resume(hub, unfinished, records);
        }
        Ok((failovers, Inbox { wishes: wished, questions: asked }))
    }

    /// A registered member is watched from now on, and was just heard.
    pub(crate) fn joined(&self, hub: &Hub, member: &Member) {
        let now = hub.clock.now();
        let mut watch = self.watch();
        watch.joined(member.id(), member.registration.region.clone(), now);
        watch.heard(member.id(), now);
    }

    /// A member was heard, or will be after some time.
    pub(crate) fn heard(&self, hub: &Hub, member: &MemberId, late_by_ms: u64) {
        let now = hub.clock.now();
        match late_by_ms {
            0 => self.watch().heard(member, now),
            late => self.watch().heard_late(member, now.plus_ms(late)),
        }
    }

    /// Members that are gone from the registry are not watched any more.
    pub(crate) fn follow(&self, hub: &Hub, changes: &[MemberChange]) {
        let gone = changes.iter().filter(|change| matches!(change.change, Change::Unregistered { .. }));
        for member in gone.filter_map(|change| change.member.as_ref()) {
            self.watch().left(member, hub.clock.now());
        }
    }

    /// Lets the detector look at the time, and sends its probes.
    pub(crate) fn look(&self, hub: &Hub) {
        let probes = self.watch().tick(hub.clock.now());
        for (member, probe) in probes {
            if !self.probes || self.suffering(hub, &member).down {
                continue;
            }
            let endpoint = hub.registry().member(&member).map(|member| member.registration.endpoint.clone());
            if let Some(endpoint) = endpoint {
                // A full queue: so many are silent that the brake will decide.
                let _ = self.questions.try_send(Question { member, endpoint, probe });
            }
        }
    }

    /// Failovers under way, workloads away from home, and brakes that are on.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        let board = self.board();
        (board.open.len(), board.failback.displaced().len(), board.brakes.len())
    }

    fn resume(&self, hub: &Hub, unfinished: Unfinished, records: u64) {
        let (now, wall) = (hub.clock.now(), hub.clock.wall());
        let opening = hub.transact(|registry, ledger| {
            let planned: Vec<AgentName> = unfinished.workloads().cloned().collect();
            let mut workloads = workloads_of(ledger, &unfinished.lost);
            let known = planned.iter().filter_map(|workload| ledger.get(workload));
            let elsewhere = known.filter(|held| !unfinished.lost.members.contains(&held.member));
            workloads.extend(elsewhere.map(workload));
            Opening {
                id: unfinished.id,
                origin: unfinished.origin.clone(),
                lost: unfinished.lost.clone(),
                workloads,
                survivors: self.survivors(registry),
                seed: hub.random(),
            }
        });
        let id = unfinished.id;
        let (machine, commands) = Failover::resume(self.rules, unfinished, opening, now);
        hub.emit(EventKind::Failover(id, machine.phase()));
        self.board().open.insert(id, Open::new(machine, commands, records, now, wall));
    }

    /// What a failover of these members begins with.
    fn opening(&self, hub: &Hub, id: FailoverId, origin: Origin, lost: Lost) -> Opening {
        hub.transact(|registry, ledger| Opening {
            id,
            origin,
            workloads: workloads_of(ledger, &lost),
            survivors: self.survivors(registry),
            lost,
            seed: hub.random(),
        })
    }

    fn survivors(&self, registry: &Registry) -> Vec<Survivor> {
        let able = registry.members().filter(|member| member.takes_work());
        able.map(|member| Survivor::of(member, &self.rules)).collect()
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        lock(&self.watch)
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        lock(&self.board)
    }

    fn chaos(&self) -> MutexGuard<'_, Chaos> {
        lock(&self.chaos)
    }
}

/// The workloads of lost members, as their records are now.
fn workloads_of(ledger: &Ledger, lost: &Lost) -> Vec<Workload> {
    lost.members.iter().flat_map(|member| ledger.on(member)).map(workload).collect()
}

/// An assignment has no state that this host could copy: it is started anew.
fn workload(held: &pilothouse_core::assignment::Assignment) -> Workload {
    Workload {
        name: held.agent.clone(),
        owner: held.member.clone(),
        epoch: held.epoch,
        terms: Arc::clone(&held.terms),
        state: StateCopy::Stateless,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
