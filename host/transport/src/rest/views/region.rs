//! Regions. Amounts are in the documents' units: cores, MiB, devices; percentages are 0..100.

use std::collections::BTreeMap;

use pilothouse_core::fleet::measured::RttOrigin;
use pilothouse_core::member::Health;
use pilothouse_core::region::{Amounts, RegionSums};
use serde::Serialize;
use utoipa::ToSchema;

use super::{number, role_name};
use crate::service::region::{Lag, RegionInfo};

/// A region in numbers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RegionView {
    id: String,
    /// Degrees, north positive; `null` = not configured.
    latitude: Option<f64>,
    /// Degrees, east positive; `null` = not configured.
    longitude: Option<f64>,
    /// Mean over its members, 0..100: healthy 100, degraded or unknown 50, unhealthy or offline 0; `null` = it has none.
    health_score: Option<f64>,
    members: u64,
    clusters: u64,
    nodes: u64,
    online: u64,
    healthy: u64,
    degraded: u64,
    /// Offline ones are counted here.
    unhealthy: u64,
    /// Not heard of yet.
    unknown: u64,
    /// Members by role.
    roles: BTreeMap<&'static str, u64>,
    capacity: RegionCapacityView,
    agents: RegionAgentsView,
    load: RegionLoadView,
    /// Mean price of an hour of a member; `null` = unknown.
    cost_per_hour: Option<f64>,
    /// Mean carbon intensity; `null` = unknown.
    carbon_g_per_kwh: Option<f64>,
}

/// Resources. Of members that take no new work nothing is free. Totals that a member did not give count 0.
#[derive(Debug, Serialize, ToSchema)]
struct RegionCapacityView {
    /// Cores.
    total_cpu: f64,
    used_cpu: f64,
    free_cpu: f64,
    /// MiB.
    total_memory: u64,
    used_memory: u64,
    free_memory: u64,
    /// MiB.
    total_storage: u64,
    used_storage: u64,
    free_storage: u64,
    /// Devices.
    total_accelerators: f64,
    used_accelerators: f64,
    free_accelerators: f64,
    /// Most of each resource that is free on one member.
    largest_free: LargestFreeView,
}

/// The largest holes.
#[derive(Debug, Serialize, ToSchema)]
struct LargestFreeView {
    /// Cores.
    cpu: f64,
    /// MiB.
    memory: u64,
    /// MiB.
    storage: u64,
    /// Devices.
    accelerators: f64,
}

/// Agents.
#[derive(Debug, Serialize, ToSchema)]
struct RegionAgentsView {
    active: u64,
    /// Unlimited members are not counted.
    max: u64,
    available: u64,
}

/// Mean load of its members; `null` = nobody said.
#[derive(Debug, Serialize, ToSchema)]
struct RegionLoadView {
    /// 0..1.
    cpu: Option<f64>,
    /// 0..1.
    memory: Option<f64>,
    /// Waiting work of all members.
    queue_depth: u64,
}

#[expect(clippy::cast_precision_loss, reason = "amounts for people")]
fn thousandths(millis: u64) -> f64 {
    millis as f64 / 1_000.0
}

fn capacity(sums: &RegionSums) -> RegionCapacityView {
    let RegionSums { total, used, free, largest_free, .. } = sums;
    let Amounts { cpu_millis, memory_mib, storage_mib, accelerator_millis } = *largest_free;
    RegionCapacityView {
        total_cpu: thousandths(total.cpu_millis),
        used_cpu: thousandths(used.cpu_millis),
        free_cpu: thousandths(free.cpu_millis),
        total_memory: total.memory_mib,
        used_memory: used.memory_mib,
        free_memory: free.memory_mib,
        total_storage: total.storage_mib,
        used_storage: used.storage_mib,
        free_storage: free.storage_mib,
        total_accelerators: thousandths(total.accelerator_millis),
        used_accelerators: thousandths(used.accelerator_millis),
        free_accelerators: thousandths(free.accelerator_millis),
        largest_free: LargestFreeView {
            cpu: thousandths(cpu_millis),
            memory: memory_mib,
            storage: storage_mib,
            accelerators: thousandths(accelerator_millis),
        },
    }
}

impl From<&RegionInfo> for RegionView {
    fn from(region: &RegionInfo) -> Self {
        let RegionInfo { id, place, sums } = region;
        Self {
            id: id.to_string(),
            latitude: place.map(|place| place.latitude),
            longitude: place.map(|place| place.longitude),
            health_score: sums.health_percent(),
            members: sums.members,
            clusters: sums.clusters,
            nodes: sums.members - sums.clusters,
            online: sums.online,
            healthy: sums.of_health(Health::Healthy),
            degraded: sums.of_health(Health::Degraded),
            unhealthy: sums.of_health(Health::Unhealthy),
            unknown: sums.of_health(Health::Unknown),
            roles: sums.by_role.iter().map(|(role, count)| (role_name(*role), *count)).collect(),
            capacity: capacity(sums),
            agents: RegionAgentsView {
                active: sums.active,
                max: sums.agents_max,
                available: sums.agents_free,
            },
            load: RegionLoadView {
                cpu: sums.cpu.value(),
                memory: sums.memory.value(),
                queue_depth: sums.queue_depth,
            },
            cost_per_hour: sums.cost_per_hour.value(),
            carbon_g_per_kwh: sums.carbon_g_per_kwh.value(),
        }
    }
}

/// All regions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RegionsView {
    pub(crate) count: usize,
    pub(crate) regions: Vec<RegionView>,
}

/// How far one region is from another.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LagView {
    from: String,
    to: String,
    /// `null` = unknown.
    rtt_ms: Option<f32>,
    /// `measured`, `configured`, `estimated` or `unknown`.
    known: &'static str,
}

impl From<&Lag> for LagView {
    fn from(lag: &Lag) -> Self {
        let Lag { from, to, rtt_ms, origin } = lag;
        Self {
            from: from.to_string(),
            to: to.to_string(),
            rtt_ms: number(*rtt_ms),
            known: origin_name(*origin),
        }
    }
}

pub(crate) fn origin_name(origin: RttOrigin) -> &'static str {
    match origin {
        RttOrigin::Measured => "measured",
        RttOrigin::Configured => "configured",
        RttOrigin::Estimated => "estimated",
        RttOrigin::Unknown => "unknown",
    }
}

/// One region and its distances.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RegionStatusView {
    #[serde(flatten)]
    region: RegionView,
    /// How far the other regions are.
    lags: Vec<LagView>,
}

impl RegionStatusView {
    pub(crate) fn of(region: &RegionInfo, lags: &[Lag]) -> Self {
        Self { region: region.into(), lags: lags.iter().map(LagView::from).collect() }
    }
}

/// How far regions are from each other.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LagMatrixView {
    pub(crate) count: usize,
    pub(crate) regions: Vec<String>,
    pub(crate) lags: Vec<LagView>,
}
