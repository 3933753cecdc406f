//! The registry: which members there are and how they are.
//!
//! register, report, outcome, tick -> [`Registry`] -> changes, and a snapshot by [`Registry::publish`]
//!
//! Invariant: ids and endpoints are unique, a member keeps its row while it lives, and durations are judged by the
//! receiver's monotonic clock alone. Storing and telling others is the caller's work.

mod change;
mod entries;
mod rules;
mod stats;
#[cfg(test)]
mod tests;

use crate::breaker::{Breaker, Input};
use crate::device::Devices;
use crate::fleet::Fleet;
use crate::fleet::builder::FleetBuilder;
use crate::fleet::facts::{TooManyNames, mix};
use crate::fleet::geography::{Geography, Slowdown};
use crate::fleet::live::MEMBERS_MAX;
use crate::id::MemberId;
use crate::member::{
    Claim, Health, LoadReport, Member, MemberKind, Registration, Resources, Role, Standing, Status,
};
use crate::time::{Now, WallMs};

pub use change::{Change, MemberChange, Removal};
use entries::{Entries, Entry};
pub use rules::{MASS_LOSS_MEMBERS_MIN, Rules, Thresholds};
pub use stats::Stats;

/// Why a registration was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RegisterError {
    /// Another member answers at this endpoint.
    #[error("endpoint `{endpoint}` belongs to `{owner}`; unregister it first or use another endpoint")]
    EndpointTaken {
        /// The endpoint.
        endpoint: String,
        /// Whose it is.
        owner: MemberId,
    },
    /// A field is out of its range.
    #[error("`{field}` is {value}: {problem}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// The value given.
        value: String,
        /// What would be right.
        problem: &'static str,
    },
    /// The host is full.
    #[error("the host already has {MEMBERS_MAX} members")]
    Full,
    /// Too many distinct labels.
    #[error(transparent)]
    TooManyNames(#[from] TooManyNames),
}

/// Why a report was not taken.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ReportError {
    /// No such member; it should register.
    #[error("member `{0}` is not registered")]
    Unknown(MemberId),
    /// A field is out of its range.
    #[error("`{field}` is {value}: {problem}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// The value given.
        value: f32,
        /// What would be right.
        problem: &'static str,
    },
}

/// What a member is told in reply to a report.
#[derive(Debug, Clone, PartialEq)]
pub struct Recommendation {
    /// Whether it will be offered new work.
    pub accepts_work: bool,
    /// When it should report again, ms.
    pub report_again_ms: u64,
    /// Health as judged.
    pub health: Health,
    /// `scale-up`, `scale-down`, `drain`; empty if all is well.
    pub advice: Vec<&'static str>,
}

/// All members.
#[derive(Debug)]
pub struct Registry {
    rules: Rules,
    entries: Entries,
    builder: FleetBuilder,
    /// Rows emptied but not yet shown empty by a published snapshot.
    emptied: Vec<u32>,
    free: Vec<u32>,
    next_row: u32,
    mass_loss: bool,
}

impl Registry {
    /// An empty registry.
    #[must_use]
    pub fn new(rules: Rules, geography: Geography) -> Self {
        Self {
            rules,
            entries: Entries::default(),
            builder: FleetBuilder::new(geography),
            emptied: Vec::new(),
            free: Vec::new(),
            next_row: 0,
            mass_loss: false,
        }
    }

    /// The rules in force.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Takes members from the store: their status is unknown, and they have a full time-out from now.
    ///
    /// # Errors
    /// [`RegisterError`] if they do not fit this host.
    pub fn restore(&mut self, members: Vec<Member>, now: Now) -> Result<(), RegisterError> {
        for mut member in members {
            if member.row as usize >= MEMBERS_MAX {
                return Err(RegisterError::Full);
            }
            self.builder.intern(&member.registration)?;
            member.status = if member.draining { Status::Draining } else { Status::Unknown };
            self.next_row = self.next_row.max(member.row + 1);
            self.builder.put(&member, Breaker::default(), true);
            self.entries.insert(Entry { member, breaker: Breaker::default(), contact: now });
        }
        let used: std::collections::BTreeSet<u32> =
            self.entries.iter().map(|entry| entry.member.row).collect();
        self.free = (0..self.next_row).filter(|row| !used.contains(row)).collect();
        Ok(())
    }

    /// Registers a member or updates a known one. A cluster with a known endpoint is that cluster, whatever
    /// id it proposes. Returns the id it has.
    ///
    /// # Errors
    /// [`RegisterError`]; nothing changed.
    pub fn register(
        &mut self,
        mut registration: Registration,
        now: Now,
        wall: WallMs,
    ) -> Result<(MemberId, Vec<MemberChange>), RegisterError> {
        check_registration(&registration)?;
        if let Some(owner) =
            self.entries.owner_of(&registration.endpoint).filter(|owner| **owner != registration.id)
        {
            let same_cluster = registration.kind == MemberKind::Cluster
                && self
                    .entries
                    .get(owner)
                    .is_some_and(|entry| entry.member.registration.kind == MemberKind::Cluster);
            if !same_cluster {
                return Err(RegisterError::EndpointTaken {
                    endpoint: registration.endpoint,
                    owner: owner.clone(),
                });
            }
            registration.id = owner.clone();
        }
        self.builder.intern(&registration)?;
        let id = registration.id.clone();
        let kind = registration.kind;
        let mut changes = Vec::new();
        let known = self.entries.get(&id).map(|entry| entry.member.clone());
        let member = match known {
            Some(old) => {
                changes.push(about(&id, Change::Updated));
                Member { registration, ..old }
            }
            None => {
                let row = self.take_row().ok_or(RegisterError::Full)?;
                changes.push(about(&id, Change::Registered { kind }));
                Member {
                    role: registration.role,
                    registration,
                    row,
                    status: Status::Unknown,
                    standing: Standing::Sound,
                    draining: false,
                    health: Health::Unknown,
                    load: LoadReport::default(),
                    assigned: 0,
                    used: Resources::default(),
                    granted: Devices::default(),
                    reported_at: None,
                    registered_at: wall,
                    last_seen: wall,
                }
            }
        };
        let breaker = self.entries.get(&id).map_or_else(Breaker::default, |entry| entry.breaker);
        self.builder.put(&member, breaker, true);
        self.entries.insert(Entry { member, breaker, contact: now });
        self.contacted(&id, now, wall, &mut changes);
        Ok((id, changes))
    }

    /// Removes a member.
    pub fn unregister(&mut self, id: &MemberId) -> Option<(Member, Vec<MemberChange>)> {
        let entry = self.remove(id)?;
        Some((entry.member, vec![about(id, Change::Unregistered { why: Removal::Requested })]))
    }

    /// Takes a heartbeat or load report; fields that are not given keep their value.
    ///
    /// # Errors
    /// [`ReportError`]; nothing changed.
    pub fn report(
        &mut self,
        id: &MemberId,
        report: &LoadReport,
        now: Now,
        wall: WallMs,
    ) -> Result<(Recommendation, Vec<MemberChange>), ReportError> {
        check_report(report)?;
        let rules = self.rules;
        let entry = self.entries.get_mut(id).ok_or_else(|| ReportError::Unknown(id.clone()))?;
        merge(&mut entry.member.load, report);
        entry.member.reported_at = Some(now);
        if report.active.is_some() {
            // The count contains what was sent before; only what is sent from now on comes on top.
            self.builder.live().finish(entry.member.row, u32::MAX);
        }
        let mut changes = Vec::new();
        let health = rules.health(&entry.member.load);
        if health != entry.member.health {
            changes.push(about(id, Change::Health { from: entry.member.health, to: health }));
            entry.member.health = health;
        }
        self.contacted(id, now, wall, &mut changes);
        let entry = self.entries.get(id).ok_or_else(|| ReportError::Unknown(id.clone()))?;
        Ok((recommend(&rules, &entry.member), changes))
    }

    /// Takes the result of a piece of work.
    pub fn outcome(&mut self, id: &MemberId, success: bool, now: Now) -> Option<Vec<MemberChange>> {
        let entry = self.entries.get(id)?;
        self.builder.live().finish(entry.member.row, 1);
        Some(self.step_breaker(&id.clone(), if success { Input::Success } else { Input::Failure }, now))
    }

    /// Lets time pass: silent members go offline and are removed, open breakers let trials through.
    pub fn tick(&mut self, now: Now) -> Vec<MemberChange> {
        let mut changes = Vec::new();
        let Rules { offline_after_ms, remove_after_ms, mass_loss_share, .. } = self.rules;
        let silent: Vec<(MemberId, u64)> = self
            .entries
            .iter()
            .map(|entry| (entry.member.id().clone(), now.since_ms(entry.contact)))
            .filter(|(_, silent_ms)| *silent_ms >= offline_after_ms)
            .collect();
        let all = self.entries.len();
        #[expect(clippy::cast_precision_loss, reason = "a share of at most 65,536 members")]
        let mass_loss =
            silent.len() >= MASS_LOSS_MEMBERS_MIN && silent.len() as f32 > mass_loss_share * all as f32;
        if mass_loss != self.mass_loss {
            self.mass_loss = mass_loss;
            let change = if mass_loss {
                Change::MassLoss { lost: silent.len(), of: all }
            } else {
                Change::MassLossOver
            };
            changes.push(MemberChange { member: None, change });
        }
        for (id, silent_ms) in silent {
            if silent_ms >= remove_after_ms && !mass_loss {
                self.remove(&id);
                changes.push(about(&id, Change::Unregistered { why: Removal::Silent }));
            } else {
                self.set_status(&id, Status::Offline, &mut changes);
            }
        }
        let waiting: Vec<MemberId> = self
            .entries
            .iter()
            .filter(|entry| entry.breaker.gate().is_some())
            .map(|entry| entry.member.id().clone())
            .collect();
        for id in waiting {
            changes.extend(self.step_breaker(&id, Input::Tick, now));
        }
        changes
    }

    /// Takes what the failure detector thinks of a member. One that is dead is offline at once.
    pub fn set_standing(&mut self, id: &MemberId, to: Standing) -> Vec<MemberChange> {
        let Some(entry) = self.entries.get_mut(id) else { return Vec::new() };
        let from = std::mem::replace(&mut entry.member.standing, to);
        let mut changes = Vec::new();
        if from != to {
            changes.push(about(id, Change::Standing { from, to }));
            self.rewrite(id);
        }
        if to == Standing::Dead {
            self.set_status(id, Status::Offline, &mut changes);
        }
        changes
    }

    /// Stops (or resumes) offering new work to a member.
    pub fn set_draining(&mut self, id: &MemberId, draining: bool) -> Option<Vec<MemberChange>> {
        let entry = self.entries.get_mut(id)?;
        entry.member.draining = draining;
        let status = match entry.member.status {
            Status::Offline => Status::Offline,
            _ if draining => Status::Draining,
            Status::Draining if entry.member.reported_at.is_none() => Status::Unknown,
            Status::Draining => Status::Online,
            other => other,
        };
        let mut changes = Vec::new();
        self.set_status(&id.clone(), status, &mut changes);
        self.rewrite(id);
        Some(changes)
    }

    /// Makes a member the leader and every other leader a worker.
    pub fn promote(&mut self, id: &MemberId) -> Option<Vec<MemberChange>> {
        self.entries.get(id)?;
        let roles: Vec<(MemberId, Role, Role)> = self
            .entries
            .iter()
            .filter_map(|entry| {
                let to = match entry.member.role {
                    _ if entry.member.id() == id => Role::Leader,
                    Role::Leader => Role::Worker,
                    role => role,
                };
                (to != entry.member.role).then(|| (entry.member.id().clone(), entry.member.role, to))
            })
            .collect();
        let mut changes = Vec::new();
        for (id, from, to) in roles {
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.member.role = to;
            }
            self.rewrite(&id);
            changes.push(about(&id, Change::Role { from, to }));
        }
        Some(changes)
    }

    /// Counts work that the host assigned to a member (or took from it, with `taken = false`).
    pub fn count_assigned(&mut self, id: &MemberId, taken: bool, claim: Claim) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        let (member, Claim { needs, devices }) = (&mut entry.member, claim);
        if taken {
            member.assigned = member.assigned.saturating_add(1);
            (member.used, member.granted) = (member.used.plus(needs), member.granted.plus(devices));
        } else {
            member.assigned = member.assigned.saturating_sub(1);
            (member.used, member.granted) = (member.used.less(needs), member.granted.less(devices));
        }
        // From here on the count is in `assigned`, no longer in flight.
        if taken {
            self.builder.live().finish(entry.member.row, 1);
        }
        self.rewrite(id);
    }

    /// Sets what the host assigned to a member: for one that came back while its work was still assigned to it.
    pub fn set_books(&mut self, id: &MemberId, claims: impl Iterator<Item = Claim>) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        let member = &mut entry.member;
        (member.assigned, member.used, member.granted) = Default::default();
        for Claim { needs, devices } in claims {
            member.assigned = member.assigned.saturating_add(1);
            (member.used, member.granted) = (member.used.plus(needs), member.granted.plus(devices));
        }
        self.rewrite(id);
    }

    /// Makes ways between regions longer, until told otherwise.
    pub fn slow_down(&mut self, slowdowns: Vec<Slowdown>) {
        self.builder.slow_down(slowdowns);
    }

    /// A copy in which changes can be tried: nothing that happens in it is seen by decisions.
    #[must_use]
    pub fn what_if(&self) -> Self {
        Self {
            rules: self.rules,
            entries: self.entries.clone(),
            builder: self.builder.what_if(),
            emptied: self.emptied.clone(),
            free: self.free.clone(),
            next_row: self.next_row,
            mass_loss: self.mass_loss,
        }
    }

    /// One member.
    #[must_use]
    pub fn member(&self, id: &MemberId) -> Option<&Member> {
        self.entries.get(id).map(|entry| &entry.member)
    }

    /// The breaker of a member.
    #[must_use]
    pub fn breaker(&self, id: &MemberId) -> Option<Breaker> {
        self.entries.get(id).map(|entry| entry.breaker)
    }

    /// All members in order of their ids.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.entries.iter().map(|entry| &entry.member)
    }

    /// Sums over members of a kind.
    #[must_use]
    pub fn stats(&self, kind: MemberKind) -> Stats {
        Stats::of(self.members().filter(|member| member.registration.kind == kind))
    }

    /// A new snapshot, if anything changed since the last one.
    pub fn publish(&mut self) -> Option<Fleet> {
        let fleet = self.builder.publish();
        self.free.append(&mut self.emptied);
        fleet
    }

    /// The snapshot published last.
    #[must_use]
    pub fn published(&self) -> &Fleet {
        self.builder.published()
    }

    fn take_row(&mut self) -> Option<u32> {
        if let Some(row) = self.free.pop() {
            return Some(row);
        }
        let row = self.next_row;
        ((row as usize) < MEMBERS_MAX).then(|| {
            self.next_row += 1;
            row
        })
    }

    fn remove(&mut self, id: &MemberId) -> Option<Entry> {
        let entry = self.entries.remove(id)?;
        self.builder.clear(entry.member.row);
        self.emptied.push(entry.member.row);
        Some(entry)
    }

    fn contacted(&mut self, id: &MemberId, now: Now, wall: WallMs, changes: &mut Vec<MemberChange>) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        entry.contact = now;
        entry.member.last_seen = wall;
        let status = if entry.member.draining { Status::Draining } else { Status::Online };
        self.set_status(id, status, changes);
        self.rewrite(id);
    }

    fn set_status(&mut self, id: &MemberId, to: Status, changes: &mut Vec<MemberChange>) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        let from = std::mem::replace(&mut entry.member.status, to);
        if from != to {
            changes.push(about(id, Change::Status { from, to }));
            self.rewrite(id);
        }
    }

    fn step_breaker(&mut self, id: &MemberId, input: Input, now: Now) -> Vec<MemberChange> {
        let Some(entry) = self.entries.get_mut(id) else { return Vec::new() };
        let from = entry.breaker;
        let to = from.step(input, now, mix(now.0 ^ u64::from(entry.member.row)));
        entry.breaker = to;
        let renewed = from != to && matches!(input, Input::Tick);
        if from.name() == to.name() && !renewed {
            return Vec::new();
        }
        self.builder.live().set_gate(entry.member.row, to.gate());
        self.rewrite(id);
        if from.name() == to.name() {
            return Vec::new();
        }
        vec![about(id, Change::Breaker { from: from.name(), to: to.name() })]
    }

    fn rewrite(&mut self, id: &MemberId) {
        if let Some(entry) = self.entries.get(id) {
            self.builder.put(&entry.member, entry.breaker, false);
        }
    }
}

fn about(id: &MemberId, change: Change) -> MemberChange {
    MemberChange { member: Some(id.clone()), change }
}

fn check_registration(registration: &Registration) -> Result<(), RegisterError> {
    let weight = registration.weight;
    if !(weight.is_finite() && weight >= 0.0) {
        return Err(RegisterError::Invalid {
            field: "weight",
            value: weight.to_string(),
            problem: "use a finite number from 0 (0 = no new work)",
        });
    }
    for (field, value) in
        [("cost_per_hour", registration.cost_per_hour), ("carbon_g_per_kwh", registration.carbon_g_per_kwh)]
    {
        if value.is_infinite() || value < 0.0 {
            return Err(RegisterError::Invalid {
                field,
                value: value.to_string(),
                problem: "use a finite number from 0, or leave it out",
            });
        }
    }
    if registration.endpoint.is_empty() || registration.endpoint.len() > crate::id::ID_BYTES_MAX {
        return Err(RegisterError::Invalid {
            field: "endpoint",
            value: registration.endpoint.chars().take(64).collect(),
            problem: "use an address of 1 to 253 bytes",
        });
    }
    Ok(())
}

fn check_report(report: &LoadReport) -> Result<(), ReportError> {
    for (field, value, most) in [
        ("cpu", report.cpu, 1.0),
        ("memory", report.memory, 1.0),
        ("disk", report.disk, 1.0),
        ("error_rate", report.error_rate, 1.0),
        ("load_average", report.load_average, f32::MAX),
        ("latency_ms", report.latency_ms, f32::MAX),
    ] {
        if let Some(value) = value.filter(|value| !(0.0..=most).contains(value)) {
            let problem = if most > 1.0 {
                "use a number from 0"
            } else {
                "use a share from 0 to 1 (0 to 100 in percent)"
            };
            return Err(ReportError::Invalid { field, value, problem });
        }
    }
    Ok(())
}

fn merge(load: &mut LoadReport, report: &LoadReport) {
    let LoadReport {
        cpu,
        memory,
        disk,
        load_average,
        active,
        capacity,
        queue_depth,
        latency_ms,
        error_rate,
        health,
        devices,
    } = *report;
    *load = LoadReport {
        cpu: cpu.or(load.cpu),
        memory: memory.or(load.memory),
        disk: disk.or(load.disk),
        load_average: load_average.or(load.load_average),
        active: active.or(load.active),
        capacity: capacity.or(load.capacity),
        queue_depth: queue_depth.or(load.queue_depth),
        latency_ms: latency_ms.or(load.latency_ms),
        error_rate: error_rate.or(load.error_rate),
        health: health.or(load.health),
        devices: devices.or(load.devices),
    };
}

fn recommend(rules: &Rules, member: &Member) -> Recommendation {
    let (active, capacity) = (u64::from(member.active()), u64::from(member.capacity()));
    let mut advice = Vec::new();
    if member.health == Health::Unhealthy {
        advice.push("drain");
    }
    if capacity > 0 && active * 10 >= capacity * 9 {
        advice.push("scale-up");
    } else if capacity > 0 && active * 10 < capacity && member.load.queue_depth == Some(0) {
        advice.push("scale-down");
    }
    Recommendation {
        accepts_work: member.takes_work() && (capacity == 0 || active < capacity),
        report_again_ms: rules.heartbeat_interval_ms,
        health: member.health,
        advice,
    }
}
