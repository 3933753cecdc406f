//! Decisions.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::{number, time};
use crate::service::{Alternative, Decided, FlowRoute, FlowTarget};

/// One answer and where it came from.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DecidedView {
    id: String,
    at: String,
    /// `family/name`.
    slot: String,
    /// Who was chosen.
    member: String,
    /// Where requests go.
    endpoint: String,
    region: Option<String>,
    /// By the policy; higher is better.
    score: Option<f32>,
    /// The policy's reason.
    reason: String,
    /// `native` = the host's own choice.
    policy: String,
    version: String,
    revision: Option<String>,
    /// Counts the slot's exchanges.
    generation: u64,
    /// Link of the fallback chain that answered.
    answered_by: &'static str,
    /// What the links before did wrong.
    faults: Vec<String>,
    /// How many members were eligible.
    eligible: u32,
    /// Version of the snapshot.
    epoch: u64,
    /// Randomness of the decision, decimal text (64 bits do not fit a JSON number).
    seed: String,
    took_us: u64,
    alternatives: Vec<AlternativeView>,
}

/// A ranked member.
#[derive(Debug, Serialize, ToSchema)]
struct AlternativeView {
    member: String,
    score: Option<f32>,
    /// Parts of the score by name.
    factors: BTreeMap<String, Option<f32>>,
}

impl From<&Alternative> for AlternativeView {
    fn from(alternative: &Alternative) -> Self {
        let factors = alternative.factors.iter().map(|(name, value)| (name.clone(), number(*value)));
        Self {
            member: alternative.member.to_string(),
            score: number(alternative.score),
            factors: factors.collect(),
        }
    }
}

impl From<&Decided> for DecidedView {
    fn from(decided: &Decided) -> Self {
        Self {
            id: decided.id.to_string(),
            at: time(decided.at),
            slot: decided.slot.to_string(),
            member: decided.member.to_string(),
            endpoint: decided.endpoint.clone(),
            region: decided.region.clone(),
            score: number(decided.score),
            reason: decided.reason.clone(),
            policy: decided.policy.clone(),
            version: decided.version.clone(),
            revision: decided.revision.map(|id| id.to_string()),
            generation: decided.generation,
            answered_by: decided.link,
            faults: decided.faults.clone(),
            eligible: decided.eligible,
            epoch: decided.epoch,
            seed: decided.seed.to_string(),
            took_us: decided.took_ns / 1_000,
            alternatives: decided.alternatives.iter().map(AlternativeView::from).collect(),
        }
    }
}

/// Recent decisions, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DecisionsView {
    pub(crate) count: usize,
    pub(crate) decisions: Vec<DecidedView>,
}

/// Where a flow goes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FlowView {
    /// `family/name`.
    slot: String,
    /// Members with their shares, which sum to 1.
    targets: Vec<FlowTargetView>,
    /// Who takes over, in order.
    fallbacks: Vec<FlowTargetView>,
    /// How long the answer may be reused.
    ttl_ms: u32,
    /// The policy's reason.
    reason: String,
    /// `native` = the host's own choice.
    policy: String,
    /// Counts the slot's exchanges.
    generation: u64,
    /// Link of the fallback chain that answered.
    answered_by: &'static str,
    /// What the links before did wrong.
    faults: Vec<String>,
    /// How many members were eligible.
    eligible: u32,
    took_us: u64,
}

/// A member on the way of a flow.
#[derive(Debug, Serialize, ToSchema)]
struct FlowTargetView {
    member: String,
    endpoint: String,
    region: Option<String>,
    /// 0..1; 0 for a fallback.
    share: f64,
    /// Expected; `null` = unknown.
    rtt_ms: Option<f32>,
}

impl FlowTargetView {
    fn of(target: &FlowTarget, share: f64) -> Self {
        let FlowTarget { member, endpoint, region, rtt_ms } = target;
        Self {
            member: member.to_string(),
            endpoint: endpoint.clone(),
            region: region.clone(),
            share,
            rtt_ms: number(*rtt_ms),
        }
    }
}

impl From<&FlowRoute> for FlowView {
    fn from(route: &FlowRoute) -> Self {
        Self {
            slot: route.slot.to_string(),
            targets: route.targets.iter().map(|(target, share)| FlowTargetView::of(target, *share)).collect(),
            fallbacks: route.fallbacks.iter().map(|target| FlowTargetView::of(target, 0.0)).collect(),
            ttl_ms: route.ttl_ms,
            reason: route.reason.clone(),
            policy: route.policy.clone(),
            generation: route.generation,
            answered_by: route.link,
            faults: route.faults.clone(),
            eligible: route.eligible,
            took_us: route.took_ns / 1_000,
        }
    }
}
