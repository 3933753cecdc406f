//! Measured round-trip times.

use pilothouse_proto::pilothouse as wire;

use super::{given, number, text};
use crate::rest::v1::rtt::{RttBody, RttQuery};
use crate::service::rtt::RttInfo;

pub(in super::super) fn list_in(message: wire::ListRoundTripsRequest) -> RttQuery {
    let wire::ListRoundTripsRequest { source, target, limit } = message;
    let limit = usize::try_from(limit).ok().filter(|limit| *limit > 0);
    RttQuery { source: given(source), target: given(target), limit }
}

pub(in super::super) fn sample_in(message: wire::SampleRoundTripRequest) -> RttBody {
    let wire::SampleRoundTripRequest { source, target, rtt_ms } = message;
    RttBody { source, target, rtt_ms }
}

pub(in super::super) fn round_trip_out(info: &RttInfo) -> wire::RoundTrip {
    let RttInfo { source, target, region, path, expected_ms, fresh, now: _ } = info;
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
