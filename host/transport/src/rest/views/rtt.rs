//! Round-trip times.

use serde::Serialize;
use utoipa::ToSchema;

use super::number;
use crate::service::rtt::RttInfo;

/// What is known of the way from a region to a member.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RttView {
    source: String,
    target: String,
    /// Region of the member.
    region: Option<String>,
    /// Last time that was measured; `null` = it never answered.
    last_ms: Option<f32>,
    /// Time to expect now.
    expected_ms: Option<f32>,
    /// Lowest of the last minutes: the way without its queues.
    lowest_ms: Option<f32>,
    /// Mean difference between consecutive times.
    jitter_ms: f32,
    /// Share of recent tries without an answer, 0..1.
    loss: f32,
    /// How old the last time is; `null` = it never answered.
    age_ms: Option<u64>,
    /// Probes and samples so far.
    probes: u32,
    /// Whether decisions use it; what is stale they do not.
    fresh: bool,
}

impl From<&RttInfo> for RttView {
    fn from(info: &RttInfo) -> Self {
        let RttInfo { source, target, region, path, expected_ms, fresh, now: _ } = info;
        Self {
            source: source.to_string(),
            target: target.to_string(),
            region: region.as_ref().map(ToString::to_string),
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
}

/// Ways by source and target.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RttListView {
    pub(crate) count: usize,
    pub(crate) round_trips: Vec<RttView>,
}
