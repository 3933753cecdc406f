//! Rebalancing plans and how they ended; told, never taken.

use pilothouse_core::rebalance::{Move, Plan, Refused, Summary};
use pilothouse_proto::pilothouse as wire;

use super::{text, texts};
use crate::rest::cause_text;

fn move_out(planned: &Move) -> wire::Move {
    let Move { workload, from, to, epoch: _, load: _, gain } = planned;
    wire::Move { workload: workload.to_string(), from: from.to_string(), to: to.to_string(), gain: *gain }
}

fn refused_out(refused: &Refused) -> wire::RefusedMove {
    let Refused { workload, to, why } = refused;
    wire::RefusedMove { workload: text(workload.as_ref()), to: text(to.as_ref()), why: why.to_string() }
}

pub(in super::super) fn plan_out(plan: &Plan) -> wire::RebalancingPlan {
    let Plan { id, cause, epoch, valid_until: _, before, after, moves_min, moves, refused } = plan;
    wire::RebalancingPlan {
        id: id.to_string(),
        cause: cause_text(cause),
        epoch: *epoch,
        imbalance_before: before.ratio(),
        imbalance_after: after.ratio(),
        moves_min: *moves_min,
        moves: moves.iter().map(move_out).collect(),
        refused: refused.iter().map(refused_out).collect(),
    }
}

pub(in super::super) fn summary_out(summary: &Summary) -> wire::RebalancingSummary {
    let Summary { plan, moved, failed, not_started } = summary;
    let failed_out = |(workload, why): &(_, _)| wire::FailedMove {
        workload: ToString::to_string(workload),
        why: ToString::to_string(why),
    };
    wire::RebalancingSummary {
        plan_id: plan.to_string(),
        moved: texts(moved),
        failed: failed.iter().map(failed_out).collect(),
        not_started: texts(not_started),
    }
}
