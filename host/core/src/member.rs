//! Members: clusters, and the nodes inside them, as the registry knows them.
//!
//! Types only; the rules that change them are in [`crate::registry`].

use std::collections::BTreeSet;

use crate::device::Devices;
use crate::id::{Label, MemberId};
use crate::time::{Now, WallMs};

/// What kind of member it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemberKind {
    /// A federated cluster, reached by its endpoint.
    Cluster,
    /// A single machine.
    Node,
}

/// The role a node plays among its peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Role {
    /// Coordinates the others.
    Leader,
    /// Takes work.
    #[default]
    Worker,
    /// Holds copies, takes work.
    Replica,
    /// Waits to replace another; takes no new work.
    Standby,
}

/// Whether the member is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Status {
    /// Reports in time.
    Online,
    /// Has not reported for longer than `offline_after_ms`.
    Offline,
    /// Reports, but takes no new work.
    Draining,
    /// Registered, has not reported yet in this run of the host.
    #[default]
    Unknown,
}

/// What the failure detector thinks of a member, beside what the member says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Standing {
    /// Nothing speaks against it.
    #[default]
    Sound,
    /// Silent, and being probed; takes no new work.
    Suspect,
    /// Declared dead; what it ran goes elsewhere.
    Dead,
    /// Heard again after its death; takes no new work until it has stayed for a while.
    Held,
}

/// How well the member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Health {
    /// Below every threshold.
    Healthy,
    /// Above a degraded threshold; still takes work.
    Degraded,
    /// Above an unhealthy threshold, or reported itself so; takes no new work.
    Unhealthy,
    /// Nothing is known yet.
    #[default]
    Unknown,
}

/// What a member said of itself in a heartbeat or load report. Unknown values are `None`; utilisation is 0..1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LoadReport {
    /// CPU utilisation, 0..1.
    pub cpu: Option<f32>,
    /// Memory utilisation, 0..1.
    pub memory: Option<f32>,
    /// Disk utilisation, 0..1.
    pub disk: Option<f32>,
    /// Load average over one minute.
    pub load_average: Option<f32>,
    /// Agents or tasks running now.
    pub active: Option<u32>,
    /// Most it can run.
    pub capacity: Option<u32>,
    /// Work that waits.
    pub queue_depth: Option<u32>,
    /// Its own response time, ms.
    pub latency_ms: Option<f32>,
    /// Share of requests that failed, 0..1.
    pub error_rate: Option<f32>,
    /// Its own opinion of its health.
    pub health: Option<Health>,
    /// What is free of each accelerator device.
    pub devices: Option<Devices>,
}

/// What a member is: given at registration, kept until it changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Registration {
    /// Its id.
    pub id: MemberId,
    /// Cluster or node.
    pub kind: MemberKind,
    /// `host:port` or URL; members are de-duplicated by it.
    pub endpoint: String,
    /// Name of the machine, for people. Empty for clusters.
    pub hostname: String,
    /// Where it is; empty if unknown.
    pub region: Option<Label>,
    /// Where in the region.
    pub zone: Option<Label>,
    /// For a node: the cluster it belongs to.
    pub cluster: Option<MemberId>,
    /// Role at registration.
    pub role: Role,
    /// Most agents it can run; 0 = unlimited.
    pub capacity: u32,
    /// Routing weight relative to others, `> 0` or 0 for "no new work".
    pub weight: f32,
    /// What it can do.
    pub capabilities: BTreeSet<Label>,
    /// Services it runs.
    pub services: BTreeSet<Label>,
    /// What it is certified for, for example `gdpr`.
    pub compliance: BTreeSet<Label>,
    /// Model of its accelerators, if it has any and says so.
    pub accelerator_model: Option<Label>,
    /// Price of an hour, in the federation's currency; NaN if unknown.
    pub cost_per_hour: f32,
    /// Carbon intensity of its power in g CO2e/kWh; NaN if unknown.
    pub carbon_g_per_kwh: f32,
    /// Total resources; zero = unknown, not enforced.
    pub resources: Resources,
}

/// Amounts of the resources that workloads take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Resources {
    /// Thousandths of a CPU core.
    pub cpu_millis: u32,
    /// MiB of memory.
    pub memory_mib: u32,
    /// MiB of storage.
    pub storage_mib: u32,
    /// Thousandths of an accelerator.
    pub accelerator_millis: u32,
}

impl Resources {
    /// Both together, at most what fits the numbers.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.with(other, u32::saturating_add)
    }

    /// What is left without the other, never below zero.
    #[must_use]
    pub fn less(self, other: Self) -> Self {
        self.with(other, u32::saturating_sub)
    }

    fn with(self, other: Self, apply: fn(u32, u32) -> u32) -> Self {
        Self {
            cpu_millis: apply(self.cpu_millis, other.cpu_millis),
            memory_mib: apply(self.memory_mib, other.memory_mib),
            storage_mib: apply(self.storage_mib, other.storage_mib),
            accelerator_millis: apply(self.accelerator_millis, other.accelerator_millis),
        }
    }
}

/// A member as the registry holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// What it registered.
    pub registration: Registration,
    /// Row in the fleet snapshot; stable while the member lives.
    pub row: u32,
    /// Presence, by the receiver's clock.
    pub status: Status,
    /// What the failure detector thinks of it.
    pub standing: Standing,
    /// An operator asked for no new work; survives restarts.
    pub draining: bool,
    /// Health by the rules.
    pub health: Health,
    /// The current role; promotion changes it.
    pub role: Role,
    /// The newest report, merged field by field.
    pub load: LoadReport,
    /// Agents that the host itself assigned to it.
    pub assigned: u32,
    /// Sum of the resources of assigned work.
    pub used: Resources,
    /// Sum of the devices of assigned work.
    pub granted: Devices,
    /// When it last reported, by the receiver's clock; `None` = never in this run.
    pub reported_at: Option<Now>,
    /// When it registered, for people.
    pub registered_at: WallMs,
    /// When it last reported, for people.
    pub last_seen: WallMs,
}

/// What one workload has of its member, by the host's books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Claim {
    /// How much of each resource.
    pub needs: Resources,
    /// Which shares of which devices.
    pub devices: Devices,
}

impl Member {
    /// Free devices: by its report and the host's books.
    #[must_use]
    pub fn free_devices(&self) -> Devices {
        self.free_devices_with(self.granted)
    }

    /// Free devices, if so much were granted.
    #[must_use]
    pub fn free_devices_with(&self, granted: Devices) -> Devices {
        let all = Devices::from_total(self.registration.resources.accelerator_millis);
        Devices::free_of(self.load.devices, all.less(granted))
    }

    /// What a workload with these needs gets; no devices if there are more than are told apart.
    #[must_use]
    pub fn claim(&self, needs: Resources) -> Claim {
        let free = self.free_devices();
        let devices = free.take(needs.accelerator_millis).map(|left| free.less(left)).unwrap_or_default();
        Claim { needs, devices }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &MemberId {
        &self.registration.id
    }

    /// Work it runs: what it reported or what the host assigned, whichever is more.
    #[must_use]
    pub fn active(&self) -> u32 {
        self.load.active.unwrap_or(0).max(self.assigned)
    }

    /// Most it can run; 0 = unlimited.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.load.capacity.unwrap_or(self.registration.capacity)
    }

    /// Whether it may be offered new work at all, before any breaker.
    #[must_use]
    pub fn takes_work(&self) -> bool {
        matches!(self.status, Status::Online | Status::Unknown)
            && self.standing == Standing::Sound
            && !self.draining
            && !matches!(self.health, Health::Unhealthy)
            && !matches!(self.role, Role::Standby)
            && self.registration.weight > 0.0
    }
}
