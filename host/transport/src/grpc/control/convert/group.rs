//! Scaling groups.

use pilothouse_core::scaling::GroupSpec;
use pilothouse_proto::pilothouse as wire;

use super::{given, text};
use crate::rest::v1::groups::{GroupBody, SampleBody, ScaleBody};
use crate::service::GroupInfo;

pub(in super::super) fn group_in(message: wire::PutGroupRequest) -> GroupBody {
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
        strategy,
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
        strategy: given(strategy),
        region: given(region),
        service: given(service),
    }
}

pub(in super::super) fn group_out(info: GroupInfo) -> wire::Group {
    let GroupInfo {
        spec,
        replicas,
        places,
        unplaced,
        changed_ms_ago,
        sampled_ms_ago,
        decided_ms_ago,
        samples,
        last,
    } = info;
    let GroupSpec {
        name,
        min_replicas,
        max_replicas,
        period_ms,
        start_ms,
        cooldown_ms,
        step_up_max,
        step_down_max,
        confidence_min,
        strategy,
        region,
        service,
    } = spec;
    wire::Group {
        name: name.to_string(),
        replicas,
        min_replicas,
        max_replicas,
        period_ms,
        start_ms,
        cooldown_ms,
        step_up_max,
        step_down_max,
        confidence_min,
        region: text(region.as_ref()),
        service: text(service.as_ref()),
        places: places.into_iter().map(|place| (place.member.to_string(), place.replicas)).collect(),
        unplaced,
        changed_ms_ago,
        sampled_ms_ago,
        samples: samples as u64,
        last,
        strategy: text(strategy.as_ref()),
        decided_ms_ago,
    }
}

pub(in super::super) fn sample_in(message: wire::SampleGroupRequest) -> (String, SampleBody) {
    let wire::SampleGroupRequest {
        name,
        arrivals_per_s,
        completions_per_s,
        queue_depth,
        utilisation,
        service_ms,
        ready_replicas,
    } = message;
    let body = SampleBody {
        arrivals_per_s,
        completions_per_s,
        queue_depth,
        utilisation,
        service_ms,
        ready_replicas,
    };
    (name, body)
}

pub(in super::super) fn scale_in(message: wire::ScaleGroupRequest) -> (String, ScaleBody) {
    use wire::scale_group_request::Wanted;
    let wire::ScaleGroupRequest { name, wanted } = message;
    let (replicas, by) = match wanted {
        None => (None, None),
        Some(Wanted::Replicas(replicas)) => (Some(replicas), None),
        Some(Wanted::By(by)) => (None, Some(by)),
    };
    (name, ScaleBody { replicas, by })
}
