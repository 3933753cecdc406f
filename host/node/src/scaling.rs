//! Scaling groups on a running host: feeds core's machines and does what they command.
//!
//! samples, ticks, wishes -> group's machine -> policy of the slot | change: spread, store, event, webhook
//!
//! Invariant: a change is queued to the store under the groups' lock, so the store sees the order that memory does. The
//! webhook is told after that, and nothing waits for it.

mod stored;
mod webhook;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pilothouse_core::event::EventKind;
use pilothouse_core::id::Label;
use pilothouse_core::member::{Member, MemberKind};
use pilothouse_core::policy::request::{ScalingRequest, ScalingSample};
use pilothouse_core::scaling::{Change, Command, Event, Group, GroupSpec, Place, Room, sample_of, spread};
use pilothouse_core::time::Now;
use pilothouse_store::{Pending, Txn, TxnOutcome};
use pilothouse_transport::service::{GroupInfo, ServiceError, Wanted};

use crate::decide::Decider;
use crate::hub::Hub;
use crate::records::encode;
use crate::slots::live::LiveSlot;
use stored::{GroupRecord, group_key};
pub(crate) use webhook::{Webhook, run as run_webhook};

/// Most groups.
const GROUPS_MAX: usize = 1_024;

/// One group and where its replicas are.
struct Managed {
    group: Group,
    places: Vec<Place>,
    decided: Option<Now>,
    last: String,
}

/// All groups.
pub struct Groups {
    hub: Arc<Hub>,
    webhook: Option<Webhook>,
    groups: Mutex<BTreeMap<Label, Managed>>,
}

impl std::fmt::Debug for Groups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Groups").field("groups", &lock(&self.groups).keys()).finish_non_exhaustive()
    }
}

impl Groups {
    /// Groups as they were stored.
    ///
    /// # Errors
    /// If a record cannot be read.
    pub(crate) fn open(hub: Arc<Hub>, webhook: Option<Webhook>) -> anyhow::Result<Self> {
        let stored = stored::read_all(&*hub.store)?;
        let managed = |(group, places)| Managed {
            group,
            places,
            decided: None,
            last: "read from the store".to_owned(),
        };
        let groups =
            stored.into_iter().map(|(group, places)| (group.spec().name.clone(), managed((group, places))));
        Ok(Self { groups: Mutex::new(groups.collect()), hub, webhook })
    }

    /// All groups.
    pub fn list(&self) -> Vec<GroupInfo> {
        let now = self.hub.clock.now();
        lock(&self.groups).values().map(|managed| info(managed, now)).collect()
    }

    /// One group.
    pub fn get(&self, name: &Label) -> Option<GroupInfo> {
        lock(&self.groups).get(name).map(|managed| info(managed, self.hub.clock.now()))
    }

    /// Makes or changes a group.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub fn put(
        &self,
        spec: GroupSpec,
        replicas: Option<u32>,
    ) -> Result<(Label, Pending<TxnOutcome>), ServiceError> {
        spec.check().map_err(|error| ServiceError::Invalid {
            field: error.field.to_owned(),
            problem: error.problem,
        })?;
        let name = spec.name.clone();
        let mut groups = lock(&self.groups);
        if !groups.contains_key(&name) && groups.len() >= GROUPS_MAX {
            return Err(ServiceError::Conflict(format!(
                "there are {GROUPS_MAX} groups already; remove some"
            )));
        }
        let managed = groups.entry(name.clone()).or_insert_with(|| Managed {
            group: Group::new(spec.clone(), replicas.unwrap_or(spec.min_replicas)),
            places: Vec::new(),
            decided: None,
            last: "made".to_owned(),
        });
        let now = self.hub.clock.now();
        let command = managed.group.step(Event::Configure(spec), now);
        self.place(managed);
        self.carry_out(managed, command);
        Ok((name, self.store(managed)))
    }

    /// Forgets a group.
    pub fn remove(&self, name: &Label) -> Option<Pending<TxnOutcome>> {
        let mut groups = lock(&self.groups);
        groups.remove(name)?;
        Some(self.hub.store.txn(Txn::delete(group_key(name))))
    }

    /// Takes a sample.
    ///
    /// # Errors
    /// [`ServiceError`] if there is no such group, or the sample cannot be.
    pub fn sample(&self, name: &Label, sample: ScalingSample) -> Result<(), ServiceError> {
        let mut groups = lock(&self.groups);
        let managed = groups.get_mut(name).ok_or_else(|| missing(name))?;
        match managed.group.step(Event::Sample(sample), self.hub.clock.now()) {
            Some(Command::Refuse(error)) => {
                Err(ServiceError::Invalid { field: "sample".to_owned(), problem: error.to_string() })
            }
            _ => Ok(()),
        }
    }

    /// Sets the count by hand.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub fn scale(&self, name: &Label, wanted: Wanted) -> Result<Pending<TxnOutcome>, ServiceError> {
        let mut groups = lock(&self.groups);
        let managed = groups.get_mut(name).ok_or_else(|| missing(name))?;
        let count = match wanted {
            Wanted::Exactly(count) => count,
            Wanted::By(by) => {
                let sum = i64::from(managed.group.replicas()).saturating_add(by);
                u32::try_from(sum.max(0)).unwrap_or(u32::MAX)
            }
        };
        let command = managed.group.step(Event::Manual(count), self.hub.clock.now());
        self.carry_out(managed, command);
        Ok(self.store(managed))
    }

    /// Lets time pass: groups whose period is over ask their policy. Blocks for as long as policies take.
    pub fn tick(&self, decider: &Decider, slot_for: impl Fn(&GroupSpec) -> Option<Arc<LiveSlot>>) {
        let names: Vec<Label> = lock(&self.groups).keys().cloned().collect();
        for name in names {
            let Some((spec, request)) = self.due(&name, decider.next_seed()) else { continue };
            // Without the lock: a slow policy must not keep samples and operators waiting.
            let advice = slot_for(&spec).and_then(|slot| decider.scale(&slot, &request).ok().flatten());
            self.advise(&name, advice.map(|(_, target)| target));
        }
    }

    fn due(&self, name: &Label, seed: u64) -> Option<(GroupSpec, ScalingRequest)> {
        let now = self.hub.clock.now();
        let mut groups = lock(&self.groups);
        let managed = groups.get_mut(name)?;
        let fed = managed.group.spec().service.clone().and_then(|service| {
            let registry = self.hub.registry();
            sample_of(registry.members(), &service, now)
        });
        let command = managed.group.step(Event::Tick { seed }, now);
        let Some(Command::Ask(mut request)) = command else { return None };
        if let Some(sample) = fed {
            managed.group.step(Event::Sample(sample), now);
            request.samples = managed.group.window().to_vec();
        }
        Some((managed.group.spec().clone(), request))
    }

    fn advise(&self, name: &Label, advice: Option<pilothouse_core::policy::request::ScalingTarget>) {
        let mut groups = lock(&self.groups);
        let Some(managed) = groups.get_mut(name) else { return };
        let (event, now) = (advice.map_or(Event::NoAdvice, Event::Advice), self.hub.clock.now());
        let command = managed.group.step(event, now);
        managed.decided = Some(now);
        match &command {
            Some(Command::Hold(held)) => managed.last = format!("held: {held}"),
            None => managed.last = "the count is right".to_owned(),
            _ => {}
        }
        if matches!(command, Some(Command::Change(_))) {
            self.carry_out(managed, command);
            // Nobody waits for this one; the next change or a restart reads what was stored.
            drop(self.store(managed));
        }
    }

    fn carry_out(&self, managed: &mut Managed, command: Option<Command>) {
        let Some(Command::Change(change)) = command else { return };
        let Change { from, to, .. } = change;
        managed.last = format!("{from} -> {to}");
        self.place(managed);
        let name = managed.group.spec().name.clone();
        if let Some(webhook) = &self.webhook {
            webhook.tell(&name, &change, &managed.places);
        }
        self.hub.emit(EventKind::Scaled(name, change));
    }

    /// Spreads the count over clusters with room.
    fn place(&self, managed: &mut Managed) {
        let running = |member: &Member| {
            managed.places.iter().find(|place| place.member == *member.id()).map_or(0, |place| place.replicas)
        };
        let rooms: Vec<Room> = {
            let registry = self.hub.registry();
            let clusters =
                registry.members().filter(|member| member.registration.kind == MemberKind::Cluster);
            clusters
                .map(|member| {
                    let limit = if member.capacity() == 0 { u32::MAX } else { member.capacity() };
                    let takes = member.takes_work();
                    Room {
                        member: member.id().clone(),
                        region: member.registration.region.clone(),
                        free: if takes { limit.saturating_sub(member.active()) } else { 0 },
                        running: running(member),
                    }
                })
                .collect()
        };
        let spec = managed.group.spec();
        managed.places = spread(&rooms, managed.group.replicas(), spec.region.as_ref())
            .into_iter()
            .filter(|place| place.replicas > 0)
            .collect();
    }

    fn store(&self, managed: &Managed) -> Pending<TxnOutcome> {
        let record = GroupRecord::of(&managed.group, &managed.places);
        self.hub.store.txn(Txn::put(group_key(&managed.group.spec().name), encode(&record)))
    }
}

fn info(managed: &Managed, now: Now) -> GroupInfo {
    let Managed { group, places, decided, last } = managed;
    let placed: u32 = places.iter().map(|place| place.replicas).sum();
    GroupInfo {
        spec: group.spec().clone(),
        replicas: group.replicas(),
        places: places.clone(),
        unplaced: group.replicas().saturating_sub(placed),
        changed_ms_ago: group.last_change().map(|at| now.0.saturating_sub(at.0)),
        decided_ms_ago: decided.map(|at| now.since_ms(at)),
        sampled_ms_ago: group.window().age_ms(now),
        samples: group.window().len(),
        last: last.clone(),
    }
}

/// What a caller is told of a group that is not there.
#[must_use]
pub(crate) fn missing(name: &Label) -> ServiceError {
    ServiceError::NotFound { what: "group", name: name.to_string() }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
