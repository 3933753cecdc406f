//! Flows, and how work went.

use pilothouse_proto::pilothouse as wire;

use super::terms::requirement_in;
use super::{given, number};
use crate::rest::v1::decisions::{FlowBody, OutcomeBody};
use crate::service::{FlowRoute, FlowTarget};

pub(in super::super) fn flow_in(message: wire::RouteFlowRequest) -> FlowBody {
    let wire::RouteFlowRequest { requirement, strategy, traffic_class, latency_goal_ms } = message;
    FlowBody {
        strategy: given(strategy),
        traffic_class,
        latency_goal_ms,
        requirement: requirement_in(requirement.unwrap_or_default()),
    }
}

pub(in super::super) fn outcome_in(message: wire::ReportOutcomeRequest) -> OutcomeBody {
    let wire::ReportOutcomeRequest { member_id, success, source, rtt_ms } = message;
    OutcomeBody { member: member_id, success, source: given(source), rtt_ms }
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

pub(in super::super) fn flow_out(route: FlowRoute) -> wire::RouteFlowResponse {
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
