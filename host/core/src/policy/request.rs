//! Requests to policies and their raw advice, per family. Mirrors `wit/`; units are in the names.

use crate::member::Resources;

/// One task to balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BalancingRequest {
    /// Randomness of this decision.
    pub seed: u64,
    /// The host's monotonic clock, ms.
    pub now_ms: u64,
    /// Hash of the session key.
    pub session: Option<u64>,
}

/// One workload to place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlacementRequest {
    /// Randomness of this decision.
    pub seed: u64,
    /// The host's monotonic clock, ms.
    pub now_ms: u64,
    /// What it takes.
    pub needs: Resources,
    /// Higher is more important.
    pub priority: i32,
}

/// One flow to route.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RoutingRequest {
    /// Randomness of this decision.
    pub seed: u64,
    /// The host's monotonic clock, ms.
    pub now_ms: u64,
    /// 0 = most urgent .. 7 = scavenger.
    pub traffic_class: u8,
    /// Wanted round-trip time, ms; 0 = no wish.
    pub latency_goal_ms: f32,
}

/// One group to scale.
#[derive(Debug, Clone, PartialEq)]
pub struct ScalingRequest {
    /// Randomness of this decision.
    pub seed: u64,
    /// The host's monotonic clock, ms.
    pub now_ms: u64,
    /// Replicas running or starting.
    pub replicas: u32,
    /// Lower limit.
    pub min_replicas: u32,
    /// Upper limit.
    pub max_replicas: u32,
    /// Time until a new replica is ready, ms.
    pub start_ms: u32,
    /// Time to the next decision, ms.
    pub period_ms: u32,
    /// When the count last changed, 0 = never.
    pub last_change_ms: u64,
    /// Oldest first.
    pub samples: Vec<ScalingSample>,
}

/// One observation of a group; NaN = unknown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScalingSample {
    /// The host's monotonic clock, ms.
    pub at_ms: u64,
    /// Arriving work per second.
    pub arrivals_per_s: f32,
    /// Finished work per second.
    pub completions_per_s: f32,
    /// Waiting work.
    pub queue_depth: f32,
    /// Mean utilisation of ready replicas, 0..1.
    pub utilisation: f32,
    /// Mean service time, ms.
    pub service_ms: f32,
    /// Replicas that serve.
    pub ready_replicas: u32,
}

/// One chosen row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// The row.
    pub row: u32,
    /// Higher is better.
    pub score: f32,
    /// Index into the description's reasons.
    pub reason: u32,
}

/// One ranked row.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Row, score and reason.
    pub choice: Choice,
    /// Parts of the score, in the order of the description's factors.
    pub factors: Vec<f32>,
}

/// A workload that lives somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resident {
    /// Handle within one call.
    pub workload: u32,
    /// Where it lives.
    pub row: u32,
    /// What it takes.
    pub needs: Resources,
    /// Higher is more important.
    pub priority: i32,
    /// How long it has run, ms.
    pub age_ms: u64,
}

/// A proposed move.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Move {
    /// Handle within one call.
    pub workload: u32,
    /// Where to.
    pub to: u32,
    /// Gain in the policy's score.
    pub gain: f32,
}

/// A weighted route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Rows with relative weights.
    pub targets: Vec<(u32, u32)>,
    /// Rows to try in order if all targets fail.
    pub fallbacks: Vec<u32>,
    /// How long the answer may be reused, ms.
    pub ttl_ms: u32,
    /// Index into the description's reasons.
    pub reason: u32,
}

/// A wanted size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScalingTarget {
    /// Wanted replicas.
    pub replicas: u32,
    /// 0..1.
    pub confidence: f32,
    /// Expected arrivals per second, NaN = no forecast.
    pub forecast_per_s: f32,
    /// Index into the description's reasons.
    pub reason: u32,
}
