//! Messages as the bodies that REST takes; nothing is checked here, so nothing can be checked differently.
//!
//! Invariant: messages are taken apart field by field, so a new field cannot be forgotten. In protobuf an empty text means
//! "not given".

use pilothouse_proto::pilothouse as wire;
use tonic::Status;

use crate::rest::v1::decisions::{FlowBody, OutcomeBody};
use crate::rest::v1::groups::{GroupBody, SampleBody, ScaleBody};
use crate::rest::v1::requirement::RequirementBody;
use crate::rest::v1::rtt::{RttBody, RttQuery};

fn given(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn requirement(message: wire::Requirement) -> RequirementBody {
    let wire::Requirement {
        kind,
        cluster,
        required_capabilities,
        preferred_capabilities,
        services,
        allowed_regions,
        denied_regions,
        allowed_zones,
        denied_zones,
        compliance,
        accelerator_models,
        max_latency_ms,
        min_health,
        excluded,
        preferred_region,
        source_zone,
    } = message;
    RequirementBody {
        kind: given(kind),
        cluster: given(cluster),
        required_capabilities,
        preferred_capabilities,
        services,
        allowed_regions,
        denied_regions,
        allowed_zones,
        denied_zones,
        compliance,
        accelerator_models,
        max_latency_ms,
        min_health,
        excluded,
        preferred_region: given(preferred_region),
        source_zone: given(source_zone),
    }
}

pub(super) fn flow(message: wire::RouteFlowRequest) -> Result<FlowBody, Status> {
    let wire::RouteFlowRequest { requirement: wanted, strategy, traffic_class, latency_goal_ms } = message;
    let no_class =
        |_| Status::invalid_argument(format!("`traffic_class`: {traffic_class} is out of range; use 0 to 7"));
    Ok(FlowBody {
        strategy: given(strategy),
        traffic_class: u8::try_from(traffic_class).map_err(no_class)?,
        latency_goal_ms,
        requirement: requirement(wanted.unwrap_or_default()),
    })
}

pub(super) fn outcome(message: wire::ReportOutcomeRequest) -> OutcomeBody {
    let wire::ReportOutcomeRequest { member_id, success, source, rtt_ms } = message;
    OutcomeBody { member: member_id, success, source: given(source), rtt_ms }
}

pub(super) fn group(message: wire::PutGroupRequest) -> GroupBody {
    let wire::PutGroupRequest {
        name,
        min_replicas,
        max_replicas,
        replicas,
        period_ms,
        start_ms,
        cooldown_ms,
        step_up_max,
        step_down_max,
        confidence_min,
        region,
        service,
    } = message;
    GroupBody {
        name,
        min_replicas,
        max_replicas,
        replicas,
        period_ms,
        start_ms,
        cooldown_ms,
        step_up_max,
        step_down_max,
        confidence_min,
        region: given(region),
        service: given(service),
    }
}

pub(super) fn group_sample(message: wire::SampleGroupRequest) -> (String, SampleBody) {
    let wire::SampleGroupRequest {
        name,
        arrivals_per_s,
        completions_per_s,
        queue_depth,
        utilisation,
        service_ms,
        ready_replicas,
    } = message;
    let body =
        SampleBody { arrivals_per_s, completions_per_s, queue_depth, utilisation, service_ms, ready_replicas };
    (name, body)
}

pub(super) fn scale(message: wire::ScaleGroupRequest) -> (String, ScaleBody) {
    use wire::scale_group_request::Wanted;
    let wire::ScaleGroupRequest { name, wanted } = message;
    let (replicas, by) = match wanted {
        None => (None, None),
        Some(Wanted::Replicas(replicas)) => (Some(replicas), None),
        Some(Wanted::By(by)) => (None, Some(by)),
    };
    (name, ScaleBody { replicas, by })
}

pub(super) fn round_trips(message: wire::ListRoundTripsRequest) -> RttQuery {
    let wire::ListRoundTripsRequest { source, target, limit } = message;
    RttQuery {
        source: given(source),
        target: given(target),
        limit: usize::try_from(limit).ok().filter(|limit| *limit > 0),
    }
}

pub(super) fn round_trip(message: wire::SampleRoundTripRequest) -> RttBody {
    let wire::SampleRoundTripRequest { source, target, rtt_ms } = message;
    RttBody { source, target, rtt_ms }
}
