//! Regions in numbers, and how far they are from each other; told, never taken.

use pilothouse_core::member::Health;
use pilothouse_core::region::{Amounts, RegionSums};
use pilothouse_proto::pilothouse as wire;

use super::number;
use crate::rest::{origin_name, role_name};
use crate::service::region::{Lag, RegionInfo};

fn amounts(amounts: Amounts) -> wire::Amounts {
    let Amounts { cpu_millis, memory_mib, storage_mib, accelerator_millis } = amounts;
    wire::Amounts { cpu_millis, memory_mib, storage_mib, accelerator_millis }
}

pub(in super::super) fn region_out(region: &RegionInfo) -> wire::Region {
    let RegionInfo { id, place, sums } = region;
    let RegionSums {
        members,
        clusters,
        online,
        by_health: _,
        by_role,
        active,
        agents_max,
        agents_free,
        total,
        used,
        free,
        largest_free,
        cpu,
        memory,
        queue_depth,
        cost_per_hour,
        carbon_g_per_kwh,
    } = sums;
    wire::Region {
        id: id.to_string(),
        latitude: place.map(|place| place.latitude),
        longitude: place.map(|place| place.longitude),
        health_score: sums.health_percent(),
        members: *members,
        clusters: *clusters,
        online: *online,
        healthy: sums.of_health(Health::Healthy),
        degraded: sums.of_health(Health::Degraded),
        unhealthy: sums.of_health(Health::Unhealthy),
        unknown: sums.of_health(Health::Unknown),
        roles: by_role.iter().map(|(role, count)| (role_name(*role).to_owned(), *count)).collect(),
        total: Some(amounts(*total)),
        used: Some(amounts(*used)),
        free: Some(amounts(*free)),
        largest_free: Some(amounts(*largest_free)),
        active_agents: *active,
        max_agents: *agents_max,
        available_agents: *agents_free,
        cpu_utilization: cpu.value(),
        memory_utilization: memory.value(),
        queue_depth: *queue_depth,
        cost_per_hour: cost_per_hour.value(),
        carbon_g_per_kwh: carbon_g_per_kwh.value(),
    }
}

pub(in super::super) fn lag_out(lag: &Lag) -> wire::Lag {
    let Lag { from, to, rtt_ms, origin } = lag;
    wire::Lag {
        from: from.to_string(),
        to: to.to_string(),
        rtt_ms: number(*rtt_ms),
        known: origin_name(*origin).to_owned(),
    }
}
