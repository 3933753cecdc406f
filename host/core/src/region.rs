//! A region in numbers: sums over the members that are in it.
//!
//! members -> [`RegionSums::of`]
//!
//! Invariant: nothing is counted twice: a node that belongs to a cluster counts as a member, but its agents and resources
//! are its cluster's. What nobody knows is NaN or missing and never zero. No region is preferred to another here.

use std::collections::BTreeMap;

use crate::member::{Health, Member, MemberKind, Resources, Role, Status};

/// Amounts of a region; more than a member's numbers hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Thousandths of a CPU core.
    pub cpu_millis: u64,
    /// MiB of memory.
    pub memory_mib: u64,
    /// MiB of storage.
    pub storage_mib: u64,
    /// Thousandths of an accelerator.
    pub accelerator_millis: u64,
}

impl Amounts {
    fn with(self, other: Resources, apply: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            cpu_millis: apply(self.cpu_millis, other.cpu_millis.into()),
            memory_mib: apply(self.memory_mib, other.memory_mib.into()),
            storage_mib: apply(self.storage_mib, other.storage_mib.into()),
            accelerator_millis: apply(self.accelerator_millis, other.accelerator_millis.into()),
        }
    }

    fn add(&mut self, other: Resources) {
        *self = self.with(other, u64::saturating_add);
    }
}

/// A mean over those that are known.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Mean {
    sum: f64,
    count: u32,
}

impl Mean {
    fn add(&mut self, value: f32) {
        if value.is_finite() {
            self.sum += f64::from(value);
            self.count += 1;
        }
    }

    /// The mean; `None` if nothing is known.
    #[must_use]
    pub fn value(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / f64::from(self.count))
    }
}

/// Sums over the members of a region.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RegionSums {
    /// Members of both kinds.
    pub members: u64,
    /// Clusters among them.
    pub clusters: u64,
    /// Members that are not offline and drain nothing.
    pub online: u64,
    /// Members by health; offline ones are unhealthy, whatever they said last.
    pub by_health: BTreeMap<Health, u64>,
    /// Members by role.
    pub by_role: BTreeMap<Role, u64>,
    /// Agents that run.
    pub active: u64,
    /// Agents that could run; unlimited members are not counted.
    pub agents_max: u64,
    /// Agents that could be added now.
    pub agents_free: u64,
    /// Resources of all members.
    pub total: Amounts,
    /// Resources of assigned work.
    pub used: Amounts,
    /// Resources that new work may take now.
    pub free: Amounts,
    /// Most of each resource that is free on one member.
    pub largest_free: Amounts,
    /// CPU utilisation, 0..1.
    pub cpu: Mean,
    /// Memory utilisation, 0..1.
    pub memory: Mean,
    /// Work that waits.
    pub queue_depth: u64,
    /// Price of an hour of a member.
    pub cost_per_hour: Mean,
    /// g CO2e/kWh.
    pub carbon_g_per_kwh: Mean,
}

impl RegionSums {
    /// Sums over members of one region.
    #[must_use]
    pub fn of<'a>(members: impl IntoIterator<Item = &'a Member>) -> Self {
        let mut sums = Self::default();
        for member in members {
            sums.count(member);
            if member.registration.cluster.is_none() {
                sums.measure(member);
            }
        }
        sums
    }

    fn count(&mut self, member: &Member) {
        let health = if member.status == Status::Offline { Health::Unhealthy } else { member.health };
        self.members += 1;
        self.clusters += u64::from(member.registration.kind == MemberKind::Cluster);
        self.online += u64::from(member.status == Status::Online);
        *self.by_health.entry(health).or_default() += 1;
        *self.by_role.entry(member.role).or_default() += 1;
    }

    fn measure(&mut self, member: &Member) {
        let (registration, active, capacity) = (&member.registration, member.active(), member.capacity());
        self.active += u64::from(active);
        self.agents_max += u64::from(capacity);
        self.total.add(registration.resources);
        self.used.add(member.used);
        if member.takes_work() {
            let free = registration.resources.less(member.used);
            self.agents_free += u64::from(capacity.saturating_sub(active));
            self.free.add(free);
            self.largest_free = self.largest_free.with(free, u64::max);
        }
        self.cpu.add(member.load.cpu.unwrap_or(f32::NAN));
        self.memory.add(member.load.memory.unwrap_or(f32::NAN));
        self.queue_depth += u64::from(member.load.queue_depth.unwrap_or(0));
        self.cost_per_hour.add(registration.cost_per_hour);
        self.carbon_g_per_kwh.add(registration.carbon_g_per_kwh);
    }

    /// Members of a health.
    #[must_use]
    pub fn of_health(&self, health: Health) -> u64 {
        self.by_health.get(&health).copied().unwrap_or(0)
    }

    /// Mean health of the members, percent: healthy 100, degraded or unknown 50, unhealthy 0, as a single member's. `None`
    /// without members.
    #[must_use]
    pub fn health_percent(&self) -> Option<f64> {
        let half = self.of_health(Health::Degraded) + self.of_health(Health::Unknown);
        #[expect(clippy::cast_precision_loss, reason = "a percentage of at most 65,536 members")]
        let percent = 50.0 * (2 * self.of_health(Health::Healthy) + half) as f64 / self.members as f64;
        (self.members > 0).then_some(percent)
    }
}

#[cfg(test)]
mod tests;
