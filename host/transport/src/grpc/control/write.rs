//! Core's values as messages. What is unknown is absent, never 0.

use pilothouse_core::id::Label;
use pilothouse_core::member::Health;
use pilothouse_core::region::{Amounts, RegionSums};
use pilothouse_proto::pilothouse as wire;

use crate::rest::{origin_name, role_name};
use crate::service::region::{Lag, RegionInfo};
use crate::service::rtt::RttInfo;
use crate::service::{FlowRoute, FlowTarget, GroupInfo};

fn number(value: f32) -> Option<f32> {
    value.is_finite().then_some(value)
}

fn text(label: Option<&Label>) -> String {
    label.map(ToString::to_string).unwrap_or_default()
}

fn target(target: FlowTarget, share: f64) -> wire::FlowTarget {
    let FlowTarget { member, endpoint, region, rtt_ms } = target;
    wire::FlowTarget {
        member_id: member.to_string(),
        endpoint,
        region: region.unwrap_or_default(),
        share,
        rtt_ms: number(rtt_ms),
    }
}

pub(super) fn flow(route: FlowRoute) -> wire::RouteFlowResponse {
    let FlowRoute {
        slot,
        targets,
        fallbacks,
        ttl_ms,
        reason,
        policy,
        generation,
        link,
        faults,
        eligible,
        took_ns,
    } = route;
    wire::RouteFlowResponse {
        slot: slot.to_string(),
        targets: targets.into_iter().map(|(to, share)| target(to, share)).collect(),
        fallbacks: fallbacks.into_iter().map(|to| target(to, 0.0)).collect(),
        ttl_ms,
        reason,
        policy,
        generation,
        answered_by: link.to_owned(),
        faults,
        eligible,
        took_us: took_ns / 1_000,
    }
}

pub(super) fn group(info: &GroupInfo) -> wire::Group {
    let GroupInfo { spec, replicas, places, unplaced, changed_ms_ago, sampled_ms_ago, samples, last } = info;
    wire::Group {
        name: spec.name.to_string(),
        replicas: *replicas,
        min_replicas: spec.min_replicas,
        max_replicas: spec.max_replicas,
        period_ms: spec.period_ms,
        start_ms: spec.start_ms,
        cooldown_ms: spec.cooldown_ms,
        step_up_max: spec.step_up_max,
        step_down_max: spec.step_down_max,
        confidence_min: spec.confidence_min,
        region: text(spec.region.as_ref()),
        service: text(spec.service.as_ref()),
        places: places.iter().map(|place| (place.member.to_string(), place.replicas)).collect(),
        unplaced: *unplaced,
        changed_ms_ago: *changed_ms_ago,
        sampled_ms_ago: *sampled_ms_ago,
        samples: *samples as u64,
        last: last.clone(),
    }
}

fn amounts(amounts: Amounts) -> wire::Amounts {
    let Amounts { cpu_millis, memory_mib, storage_mib, accelerator_millis } = amounts;
    wire::Amounts { cpu_millis, memory_mib, storage_mib, accelerator_millis }
}

pub(super) fn region(region: &RegionInfo) -> wire::Region {
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

pub(super) fn lag(lag: &Lag) -> wire::Lag {
    let Lag { from, to, rtt_ms, origin } = lag;
    wire::Lag {
        from: from.to_string(),
        to: to.to_string(),
        rtt_ms: number(*rtt_ms),
        known: origin_name(*origin).to_owned(),
    }
}

pub(super) fn round_trip(info: &RttInfo) -> wire::RoundTrip {
    let RttInfo { source, target, region, path, expected_ms, fresh, now } = info;
    wire::RoundTrip {
        source: source.to_string(),
        target: target.to_string(),
        region: text(region.as_ref()),
        last_ms: number(path.last_ms),
        expected_ms: number(*expected_ms),
        lowest_ms: number(path.lowest_ms()),
        jitter_ms: path.jitter_ms,
        loss: path.loss,
        age_ms: info.age_ms(),
        probes: path.tries,
        fresh: *fresh,
    }
}
