//! Scaling groups.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::service::GroupInfo;

/// How a scaling group is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GroupView {
    name: String,
    /// Replicas wanted.
    replicas: u32,
    min_replicas: u32,
    max_replicas: u32,
    period_ms: u32,
    start_ms: u32,
    cooldown_ms: u64,
    step_up_max: u32,
    step_down_max: u32,
    confidence_min: f32,
    region: Option<String>,
    service: Option<String>,
    /// How many replicas each cluster should run.
    places: BTreeMap<String, u32>,
    /// Replicas for which there is no room.
    unplaced: u32,
    /// `null` = never.
    changed_ms_ago: Option<u64>,
    /// `null` = never.
    decided_ms_ago: Option<u64>,
    /// `null` = never.
    sampled_ms_ago: Option<u64>,
    /// Samples in the window.
    samples: usize,
    /// What happened at the last decision.
    last: String,
}

impl From<&GroupInfo> for GroupView {
    fn from(info: &GroupInfo) -> Self {
        let GroupInfo { spec, replicas, places, unplaced, samples, last, .. } = info;
        let GroupInfo { changed_ms_ago, decided_ms_ago, sampled_ms_ago, .. } = info;
        Self {
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
            region: spec.region.as_ref().map(ToString::to_string),
            service: spec.service.as_ref().map(ToString::to_string),
            places: places.iter().map(|place| (place.member.to_string(), place.replicas)).collect(),
            unplaced: *unplaced,
            changed_ms_ago: *changed_ms_ago,
            decided_ms_ago: *decided_ms_ago,
            sampled_ms_ago: *sampled_ms_ago,
            samples: *samples,
            last: last.clone(),
        }
    }
}

/// All scaling groups.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GroupsView {
    pub(crate) count: usize,
    pub(crate) groups: Vec<GroupView>,
}
