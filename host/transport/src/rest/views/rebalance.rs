//! Rebalancing plans and how they ended.

use pilothouse_core::rebalance::{Cause, Move, Plan, Refused, Summary};
use serde::Serialize;
use utoipa::ToSchema;

/// A plan that waits for its execution.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlanView {
    id: String,
    /// Why it was made.
    cause: String,
    /// Version of the snapshot that it was made on.
    epoch: u64,
    /// Highest utilisation over the mean: now, and after the moves.
    imbalance_before: f64,
    imbalance_after: f64,
    /// Fewest moves that could reach balance.
    moves_min: u64,
    moves: Vec<MoveView>,
    /// What the policy proposed and did not pass.
    refused: Vec<RefusedView>,
}

/// One move.
#[derive(Debug, Serialize, ToSchema)]
struct MoveView {
    workload: String,
    from: String,
    to: String,
    /// In the policy's score.
    gain: f32,
}

/// A move that did not pass.
#[derive(Debug, Serialize, ToSchema)]
struct RefusedView {
    workload: Option<String>,
    to: Option<String>,
    why: String,
}

impl From<&Plan> for PlanView {
    fn from(plan: &Plan) -> Self {
        let cause = match &plan.cause {
            Cause::Imbalance { ratio } => format!("the fullest member is {ratio:.2} times the mean"),
            Cause::Full { member, utilisation } => format!("{member} is {:.0} % full", utilisation * 100.0),
            Cause::Asked { by } => format!("asked by {by}"),
        };
        let one = |planned: &Move| MoveView {
            workload: planned.workload.to_string(),
            from: planned.from.to_string(),
            to: planned.to.to_string(),
            gain: planned.gain,
        };
        let refused = |refused: &Refused| RefusedView {
            workload: refused.workload.as_ref().map(ToString::to_string),
            to: refused.to.as_ref().map(ToString::to_string),
            why: refused.why.to_string(),
        };
        Self {
            id: plan.id.to_string(),
            cause,
            epoch: plan.epoch,
            imbalance_before: plan.before.ratio(),
            imbalance_after: plan.after.ratio(),
            moves_min: plan.moves_min,
            moves: plan.moves.iter().map(one).collect(),
            refused: plan.refused.iter().map(refused).collect(),
        }
    }
}

/// Plans that wait.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlansView {
    pub(crate) count: usize,
    pub(crate) plans: Vec<PlanView>,
}

/// How an execution ended.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RebalancedView {
    plan: String,
    moved: Vec<String>,
    failed: Vec<FailedView>,
    /// Never started, because of failures before.
    not_started: Vec<String>,
}

/// A move that failed; the workload is where it was.
#[derive(Debug, Serialize, ToSchema)]
struct FailedView {
    workload: String,
    why: String,
}

impl From<&Summary> for RebalancedView {
    fn from(summary: &Summary) -> Self {
        let Summary { plan, moved, failed, not_started } = summary;
        Self {
            plan: plan.to_string(),
            moved: moved.iter().map(ToString::to_string).collect(),
            failed: failed
                .iter()
                .map(|(workload, why)| FailedView { workload: workload.to_string(), why: why.to_string() })
                .collect(),
            not_started: not_started.iter().map(ToString::to_string).collect(),
        }
    }
}
