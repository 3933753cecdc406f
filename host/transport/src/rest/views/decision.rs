//! Decisions.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::{number, time};
use crate::service::{Alternative, Decided};

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
