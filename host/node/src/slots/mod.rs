//! Slots: executes what core's slot machine commands, on live traffic.
//!
//! request | fault -> [`Slots`] -> machine -> prepare (pool, smoke, probes), exchange (pointer), acknowledge, persist
//!
//! Invariant: compiling happens before a slot is touched; under a slot's lock only instances are made and pointers
//! exchanged. An answer to a request is given after its change is durable. Decisions never take this lock.

pub mod library;
pub mod live;
pub mod serving;
mod stored;
mod trusted;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pilothouse_core::event::EventKind;
use pilothouse_core::id::Label;
use pilothouse_core::policy::state::SlotState;
use pilothouse_core::policy::{Family, Policy};
use pilothouse_core::slot::{Command, Event, Outcome, Revision, SlotId, SlotMachine, Ticket};
use pilothouse_engine::{Budget, Pool, PoolConfig};
use pilothouse_store::{Pending, TxnOutcome};
use pilothouse_transport::service::{Activation, ServiceError, SlotInfo};
use tokio::sync::mpsc;

use crate::hub::Hub;
use crate::trust::Trust;
use library::{Library, StartWith};
use live::{FaultReport, LiveSlot};
use serving::{Chain, Generation};
use stored::SlotRecord;

/// Most slots; each costs a few instances.
const SLOTS_MAX: usize = 64;
/// Fault reports that may wait for the manager.
pub const REPORTS_MAX: usize = 1_024;

/// One slot under management.
struct Managed {
    machine: SlotMachine,
    live: Arc<LiveSlot>,
    generations: Vec<Arc<Generation>>,
    /// Built for the candidate, not in the chain yet.
    prepared: Option<Arc<Generation>>,
    /// History entries below this number are stored and announced.
    announced: u64,
    stored_from: u64,
}

/// All slots.
pub struct Slots {
    hub: Arc<Hub>,
    library: Arc<Library>,
    trust: Arc<Trust>,
    seats: usize,
    budgets: BTreeMap<Family, Budget>,
    reports: mpsc::Sender<FaultReport>,
    managed: Mutex<BTreeMap<SlotId, Arc<Mutex<Managed>>>>,
    live: arc_swap::ArcSwap<BTreeMap<SlotId, Arc<LiveSlot>>>,
    tickets: std::sync::atomic::AtomicU64,
}

impl std::fmt::Debug for Slots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slots").field("slots", &self.live.load().keys()).finish_non_exhaustive()
    }
}

/// What a series of commands left to do.
#[derive(Default)]
struct Aftermath {
    writes: Vec<Pending<TxnOutcome>>,
    answers: Vec<(Ticket, Outcome)>,
}

impl Slots {
    /// Slots as they were stored, and one per default policy.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn open(
        hub: Arc<Hub>,
        library: Arc<Library>,
        trust: Arc<Trust>,
        seats: usize,
        budgets: BTreeMap<Family, Budget>,
        defaults: &BTreeMap<Family, StartWith>,
        reports: mpsc::Sender<FaultReport>,
    ) -> anyhow::Result<Self> {
        let slots = Self {
            hub,
            library,
            trust,
            seats,
            budgets,
            reports,
            managed: Mutex::default(),
            live: arc_swap::ArcSwap::default(),
            tickets: std::sync::atomic::AtomicU64::new(1),
        };
        let mut records = stored::read_all(&*slots.hub.store)?;
        for policy in slots.library.builtin() {
            let family = policy.loaded.family();
            let name = Label::parse(&policy.info.description.name)?;
            let id = SlotId { family, name };
            records.entry(id).or_default();
        }
        for &family in defaults.keys() {
            records.entry(SlotId::default_of(family)).or_default();
        }
        for (id, record) in records {
            slots.restore(id, record, defaults);
        }
        Ok(slots)
    }

    fn restore(&self, id: SlotId, record: SlotRecord, defaults: &BTreeMap<Family, StartWith>) {
        let default = self.library.default_of(&id, defaults);
        let SlotRecord { active, previous, generation, history, state } = record;
        let stored_from = history.entries().next_back().map_or(0, |entry| entry.number + 1);
        let machine =
            SlotMachine::new(id.clone(), default.clone(), active.or(default), previous, history, generation);
        let state = Arc::new(SlotState::restore(&state, self.hub.clock.now()));
        let mut managed = self.manage(machine, state);
        managed.announced = stored_from;
        managed.stored_from = stored_from;
        self.rechain(&mut managed);
        self.insert(id, managed);
    }

    fn manage(&self, machine: SlotMachine, state: Arc<SlotState>) -> Managed {
        let live = Arc::new(LiveSlot::new(machine.id().clone(), state, self.reports.clone()));
        Managed { machine, live, generations: Vec::new(), prepared: None, announced: 0, stored_from: 0 }
    }

    fn insert(&self, id: SlotId, managed: Managed) {
        let mut all = lock(&self.managed);
        let mut live = BTreeMap::clone(&self.live.load());
        live.insert(id.clone(), Arc::clone(&managed.live));
        all.insert(id, Arc::new(Mutex::new(managed)));
        self.live.store(Arc::new(live));
    }

    /// A slot as decisions see it.
    pub fn live(&self, id: &SlotId) -> Option<Arc<LiveSlot>> {
        self.live.load().get(id).cloned()
    }

    /// All slots as decisions see them.
    pub fn all_live(&self) -> Vec<Arc<LiveSlot>> {
        self.live.load().values().cloned().collect()
    }

    /// The component store.
    pub fn library(&self) -> &Library {
        &self.library
    }

    /// Makes a revision active. Blocks while instances are made; await the answer for durability.
    ///
    /// # Errors
    /// [`ServiceError`] if there is no such policy or the settings are no JSON.
    pub fn activate(self: &Arc<Self>, activation: Activation) -> Result<Requested, ServiceError> {
        let Activation { slot, policy, settings, force, signature, allow_downgrade, by } = activation;
        let loaded = self.library.find(slot.family, &policy).ok_or(ServiceError::NotFound {
            what: "policy",
            name: format!("{}/{policy}", slot.family.name()),
        })?;
        let revision = loaded
            .revision(&settings)
            .map_err(|problem| ServiceError::Invalid { field: "settings".to_owned(), problem })?;
        let vouched = self.vouch(&loaded, signature.as_deref())?;
        let managed = self.get_or_create(&slot)?;
        let ticket = self.ticket();
        let mut slot_now = lock(&managed);
        let mut aftermath = match self.admit(&slot, &loaded, allow_downgrade) {
            Ok(admission) => {
                let event = Event::Requested { ticket, revision, by: by.clone(), force };
                let mut aftermath = self.step(&mut slot_now, event);
                if aftermath.answers.contains(&(ticket, Outcome::Active)) {
                    aftermath.writes.extend(self.admitted(&slot, &loaded, admission, by));
                }
                aftermath
            }
            Err(reason) => self.step(&mut slot_now, Event::Denied { ticket, revision, by, reason }),
        };
        aftermath.writes.extend(self.forget_distrusted(&mut slot_now).writes);
        drop(slot_now);
        aftermath.writes.extend(vouched);
        Ok(Requested { aftermath, ticket, slot })
    }

    /// Brings the revision before back.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub fn roll_back(&self, slot: SlotId, by: String) -> Result<Requested, ServiceError> {
        let managed = self.managed(&slot).ok_or_else(|| not_found(&slot))?;
        let ticket = self.ticket();
        let mut slot_now = lock(&managed);
        let mut aftermath = self.step(&mut slot_now, Event::RollbackRequested { ticket, by });
        aftermath.writes.extend(self.forget_distrusted(&mut slot_now).writes);
        drop(slot_now);
        Ok(Requested { aftermath, ticket, slot })
    }

    /// Takes a fault from the decision path.
    pub async fn faulted(&self, report: FaultReport) {
        let FaultReport { slot, revision, fault } = report;
        let Some(managed) = self.managed(&slot) else { return };
        let aftermath = self.step(&mut lock(&managed), Event::Faulted(revision, fault));
        settle(aftermath).await;
    }

    /// Lets time pass: quarantines end.
    pub async fn tick(&self) {
        let all: Vec<_> = lock(&self.managed).values().cloned().collect();
        for managed in all {
            let aftermath = self.step(&mut lock(&managed), Event::Tick);
            settle(aftermath).await;
        }
    }

    /// How a slot is.
    pub fn info(&self, id: &SlotId) -> Option<SlotInfo> {
        let managed = self.managed(id)?;
        let slot = lock(&managed);
        let now = self.hub.clock.now();
        let chain = slot.live.chain();
        let active = chain.active.as_ref();
        let seats = active.map_or(0, |active| active.policy.seats());
        Some(SlotInfo {
            id: id.clone(),
            generation: slot.machine.generation(),
            active: slot.machine.active().cloned(),
            standing: slot.machine.active().map(|active| self.standing(active)),
            previous: slot.machine.previous().cloned(),
            candidate: slot.machine.candidate().cloned(),
            serving: (seats, seats.max(self.seats)),
            quarantined: slot.machine.quarantine().held(now).collect(),
            answers: slot.live.answers().map(|(link, count)| (link.name(), count)).collect(),
            faults: active.map(|active| active.faults().collect()).unwrap_or_default(),
            usage: active.map(|active| active.policy.usage()).unwrap_or_default(),
        })
    }

    /// What happened to a slot.
    pub fn history(&self, id: &SlotId) -> Option<Vec<pilothouse_core::slot::HistoryEntry>> {
        let managed = self.managed(id)?;
        let slot = lock(&managed);
        Some(slot.machine.history().entries().cloned().collect())
    }

    fn managed(&self, id: &SlotId) -> Option<Arc<Mutex<Managed>>> {
        lock(&self.managed).get(id).cloned()
    }

    fn get_or_create(&self, id: &SlotId) -> Result<Arc<Mutex<Managed>>, ServiceError> {
        if let Some(managed) = self.managed(id) {
            return Ok(managed);
        }
        if self.live.load().len() >= SLOTS_MAX {
            return Err(ServiceError::Conflict(format!(
                "there are {SLOTS_MAX} slots already; use one of them"
            )));
        }
        self.restore(id.clone(), SlotRecord::default(), &BTreeMap::new());
        self.managed(id).ok_or_else(|| not_found(id))
    }

    fn ticket(&self) -> Ticket {
        self.tickets.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }

    /// Steps the machine and executes its commands, and theirs, until nothing is left.
    fn step(&self, slot: &mut Managed, event: Event) -> Aftermath {
        let mut aftermath = Aftermath::default();
        let mut events = std::collections::VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            for command in slot.machine.step(event, self.hub.clock.now(), self.hub.clock.wall()) {
                match command {
                    Command::Prepare(ticket, revision) => events.extend(self.prepare(slot, ticket, revision)),
                    Command::Exchange(ticket) => events.push_back(self.exchange(slot, ticket)),
                    Command::Rechain => self.rechain(slot),
                    Command::Persist => aftermath.writes.push(self.persist(slot)),
                    Command::Answer(ticket, outcome) => aftermath.answers.push((ticket, outcome)),
                }
            }
        }
        self.announce(slot);
        aftermath
    }

    /// Makes the pool, runs the smoke checks and warms every seat on the newest snapshot.
    fn prepare(&self, slot: &mut Managed, ticket: Ticket, revision: Revision) -> Vec<Event> {
        let refused = |reason: String| vec![Event::Refused(ticket, reason)];
        let pool = match self.pool(&revision, Arc::clone(&slot.live.state)) {
            Ok(pool) => pool,
            Err(reason) => return refused(reason),
        };
        // Checked on a state of its own, so that checking leaves no pins behind.
        match self.pool(&revision, Arc::default()) {
            Ok(trial) => {
                if let Some(finding) = pilothouse_conformance::smoke(&trial).first() {
                    return refused(format!("smoke check `{}` failed {}", finding.check, finding.detail));
                }
            }
            Err(reason) => return refused(reason),
        }
        let number = slot.machine.generation() + 1;
        let generation =
            Arc::new(Generation::new(slot.machine.id().clone(), number, revision, Arc::new(pool)));
        let (warm, of) = self.probe(&generation);
        slot.prepared = Some(generation);
        vec![Event::Compiled(ticket), Event::Warmed(ticket, warm, of)]
    }

    /// Puts the candidate first and asks every worker; the last good one stays behind it until they all answered.
    fn exchange(&self, slot: &mut Managed, ticket: Ticket) -> Event {
        let Some(candidate) = slot.prepared.take() else {
            return Event::Refused(ticket, "it is gone".to_owned());
        };
        let chain = slot.live.chain();
        let next = Chain {
            active: Some(Arc::clone(&candidate)),
            previous: chain.active.clone(),
            default: chain.default.clone(),
        };
        drop(chain);
        slot.generations.push(Arc::clone(&candidate));
        slot.live.exchange(next);
        let (serving, of) = self.probe(&candidate);
        Event::Acknowledged(ticket, serving, of)
    }

    /// Seats that answer, of how many.
    fn probe(&self, generation: &Generation) -> (usize, usize) {
        let fleet = self.hub.fleet.load_full();
        let seats = generation.policy.seats();
        let serving = (0..seats).filter(|&seat| generation.policy.probe(seat, &fleet, None).is_ok()).count();
        (serving, seats)
    }

    /// A single seat of what serves in a slot, for questions about a fleet that is not the real one. It shares nothing with
    /// the seats that serve: an instance that has seen another fleet must never decide on the real one.
    pub fn rehearsal(&self, id: &SlotId) -> Result<Option<Arc<dyn Policy>>, String> {
        let Some(revision) =
            self.live(id).and_then(|slot| Some(slot.chain().active.as_ref()?.label.revision.clone()))
        else {
            return Ok(None);
        };
        let pool = self.pool_of(&revision, Arc::new(SlotState::default()), 1)?;
        Ok(Some(Arc::new(pool)))
    }

    fn budget(&self, family: Family) -> Budget {
        self.budgets.get(&family).copied().unwrap_or_else(|| Budget::of(family))
    }

    fn pool(&self, revision: &Revision, state: Arc<SlotState>) -> Result<Pool, String> {
        self.pool_of(revision, state, self.seats)
    }

    fn pool_of(&self, revision: &Revision, state: Arc<SlotState>, seats: usize) -> Result<Pool, String> {
        let loaded = self.library.get(revision.id.component).map_err(|error| error.to_string())?;
        let family = loaded.loaded.family();
        let budget = self.budget(family);
        let config = PoolConfig { seats, budget, state, seed: self.hub.random() };
        Pool::new(Arc::clone(&loaded.loaded), &revision.settings, config).map_err(|error| error.to_string())
    }

    /// Brings the chain in line with the machine, reusing generations that are still wanted.
    fn rechain(&self, slot: &mut Managed) {
        let wanted = slot.machine.chain(self.hub.clock.now());
        let number = slot.machine.generation();
        let mut find = |revision: Option<Revision>| -> Option<Arc<Generation>> {
            let revision = revision?;
            if let Some(found) =
                slot.generations.iter().rev().find(|known| known.label.revision.id == revision.id)
            {
                return Some(Arc::clone(found));
            }
            match self.pool(&revision, Arc::clone(&slot.live.state)) {
                Ok(pool) => {
                    let id = slot.machine.id().clone();
                    let generation = Arc::new(Generation::new(id, number, revision, Arc::new(pool)));
                    slot.generations.push(Arc::clone(&generation));
                    Some(generation)
                }
                Err(reason) => {
                    tracing::error!(slot = %slot.machine.id(), revision = %revision.id, reason, "revision cannot serve");
                    None
                }
            }
        };
        let (active, previous, default) = (find(wanted.active), find(wanted.previous), find(wanted.default));
        let kept: Vec<_> = [&active, &previous, &default].into_iter().flatten().cloned().collect();
        slot.generations = kept;
        slot.live.exchange(Chain { active, previous, default });
    }

    fn persist(&self, slot: &mut Managed) -> Pending<TxnOutcome> {
        let (txn, stored_from) = stored::write(&slot.machine, slot.stored_from);
        slot.stored_from = stored_from;
        self.hub.store.txn(txn)
    }

    /// Tells followers of new history entries.
    fn announce(&self, slot: &mut Managed) {
        let from = slot.announced;
        for entry in slot.machine.history().entries().filter(|entry| entry.number >= from) {
            slot.announced = entry.number + 1;
            self.hub.emit(EventKind::Slot(slot.machine.id().clone(), Box::new(entry.clone())));
        }
    }

    /// Writes what changed of the slots' own state to the store.
    pub async fn flush_state(&self, flushed: &mut BTreeMap<SlotId, u64>) {
        for slot in self.all_live() {
            let image = slot.state.image(self.hub.clock.now());
            for txn in stored::state_writes(&slot.id, &image, flushed) {
                if let Err(error) = self.hub.store.txn(txn).await {
                    tracing::warn!(slot = %slot.id, %error, "policy state was not stored");
                }
            }
        }
    }
}

/// A request whose change is made and not yet durable.
pub struct Requested {
    aftermath: Aftermath,
    ticket: Ticket,
    slot: SlotId,
}

impl std::fmt::Debug for Requested {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Requested")
            .field("slot", &self.slot)
            .field("ticket", &self.ticket)
            .finish_non_exhaustive()
    }
}

impl Requested {
    /// Waits until it is durable; answers the slot.
    ///
    /// # Errors
    /// Why it was refused.
    pub async fn settled(self, slots: &Slots) -> Result<SlotInfo, ServiceError> {
        let Self { aftermath, ticket, slot } = self;
        let outcome = aftermath
            .answers
            .iter()
            .find(|(answered, _)| *answered == ticket)
            .map(|(_, outcome)| outcome.clone());
        settle_or_fail(aftermath).await?;
        match outcome {
            Some(Outcome::Active) => slots.info(&slot).ok_or_else(|| not_found(&slot)),
            Some(Outcome::Refused(reason)) => Err(ServiceError::PolicyRefused(reason)),
            Some(Outcome::Superseded) | None => {
                Err(ServiceError::Conflict("a newer request took its place".to_owned()))
            }
        }
    }
}

async fn settle_or_fail(aftermath: Aftermath) -> Result<(), ServiceError> {
    for write in aftermath.writes {
        write.await.map_err(|error| crate::hub::store_failed(&error))?;
    }
    Ok(())
}

async fn settle(aftermath: Aftermath) {
    if let Err(error) = settle_or_fail(aftermath).await {
        tracing::error!(%error, "a slot's change was not stored");
    }
}

fn not_found(slot: &SlotId) -> ServiceError {
    ServiceError::NotFound { what: "slot", name: slot.to_string() }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
