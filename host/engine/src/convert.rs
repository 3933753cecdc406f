//! Core's values to the guest's and back. Exhaustive: a new field breaks the build here.

use pilothouse_core::eligible::EligibleClass;
use pilothouse_core::member::Resources;
use pilothouse_core::policy::fault::{Fault, FaultKind, Refusal};
use pilothouse_core::policy::request::{
    BalancingRequest, Candidate, Choice, Move, PlacementRequest, Resident, Route, RoutingRequest,
    ScalingRequest, ScalingSample, ScalingTarget,
};
use pilothouse_core::policy::settings::{Setting, SettingProblem, SettingValue};
use pilothouse_core::policy::{Batch, Description};

use crate::bindings::{self, lifecycle};

/// Longest refusal text kept, bytes.
const REFUSAL_BYTES_MAX: usize = 256;

pub(crate) fn description(said: lifecycle::Description) -> Description {
    let lifecycle::Description { name, version, summary, columns, settings_schema, reasons, factors } = said;
    Description { name, version, summary, columns, settings_schema, reasons, factors }
}

pub(crate) fn settings(settings: &[Setting]) -> Vec<lifecycle::Setting> {
    settings
        .iter()
        .map(|Setting { path, value }| lifecycle::Setting {
            path: path.clone(),
            value: match value {
                SettingValue::Flag(flag) => lifecycle::SettingValue::Flag(*flag),
                SettingValue::Integer(integer) => lifecycle::SettingValue::Integer(*integer),
                SettingValue::Number(number) => lifecycle::SettingValue::Number(*number),
                SettingValue::Text(text) => lifecycle::SettingValue::Text(text.clone()),
            },
        })
        .collect()
}

pub(crate) fn problems(problems: Vec<lifecycle::SettingProblem>) -> Vec<SettingProblem> {
    let short = |text: String| Fault::new(FaultKind::Failed, &text).detail;
    problems
        .into_iter()
        .take(16)
        .map(|lifecycle::SettingProblem { path, problem }| SettingProblem {
            path: short(path),
            problem: short(problem),
        })
        .collect()
}

pub(crate) fn class(class: &EligibleClass, wants_rtt: bool) -> lifecycle::ClassUpdate {
    let rtt_ms = class.rtt_ms.as_deref().filter(|_| wants_rtt);
    lifecycle::ClassUpdate {
        class: class.id,
        eligible: class.eligible.to_vec(),
        required_capabilities: class.required_capabilities.to_vec(),
        preferred_capabilities: class.preferred_capabilities.to_vec(),
        source_region: class.source_region,
        source_zone: class.source_zone,
        rtt_ms: rtt_ms.map(<[f32]>::to_vec).unwrap_or_default(),
    }
}

pub(crate) fn balancing(class: u32, request: &BalancingRequest) -> bindings::BalancingRequest {
    let BalancingRequest { seed, now_ms, session } = *request;
    bindings::BalancingRequest { class, seed, now_ms, session }
}

pub(crate) fn placement(class: u32, request: &PlacementRequest) -> bindings::PlacementRequest {
    let PlacementRequest { seed, now_ms, needs, priority } = *request;
    bindings::PlacementRequest { class, seed, now_ms, needs: resources(needs), priority }
}

fn resources(resources: Resources) -> bindings::Resources {
    let Resources { cpu_millis, memory_mib, storage_mib, accelerator_millis } = resources;
    bindings::Resources { cpu_millis, memory_mib, storage_mib, accelerator_millis }
}

pub(crate) fn resident(resident: &Resident) -> bindings::Resident {
    let Resident { workload, row, needs, priority, age_ms } = *resident;
    bindings::Resident { workload, row, needs: resources(needs), priority, age_ms }
}

pub(crate) fn routing(class: u32, request: &RoutingRequest) -> bindings::RoutingRequest {
    let RoutingRequest { seed, now_ms, traffic_class, latency_goal_ms } = *request;
    bindings::RoutingRequest { class, seed, now_ms, traffic_class, latency_goal_ms }
}

pub(crate) fn scaling(request: &ScalingRequest) -> bindings::ScalingRequest {
    let ScalingRequest {
        seed,
        now_ms,
        replicas,
        min_replicas,
        max_replicas,
        start_ms,
        period_ms,
        last_change_ms,
        samples,
    } = request;
    bindings::ScalingRequest {
        seed: *seed,
        now_ms: *now_ms,
        replicas: *replicas,
        min_replicas: *min_replicas,
        max_replicas: *max_replicas,
        start_ms: *start_ms,
        period_ms: *period_ms,
        last_change_ms: *last_change_ms,
        samples: samples.iter().map(sample).collect(),
    }
}

fn sample(sample: &ScalingSample) -> bindings::ScalingSample {
    let ScalingSample {
        at_ms,
        arrivals_per_s,
        completions_per_s,
        queue_depth,
        utilisation,
        service_ms,
        ready_replicas,
    } = *sample;
    bindings::ScalingSample {
        at_ms,
        arrivals_per_s,
        completions_per_s,
        queue_depth,
        utilisation,
        service_ms,
        ready_replicas,
    }
}

/// A choice within the class: an infinite score is clamped, NaN and rows outside are the policy's fault.
pub(crate) fn choice(class: &EligibleClass, choice: bindings::Choice) -> Result<Choice, Fault> {
    let bindings::Choice { row, score, reason } = choice;
    eligible(class, row)?;
    Ok(Choice { row, score: number(score)?, reason })
}

/// Candidates: at most `limit`, no row twice, best first.
pub(crate) fn candidates(
    class: &EligibleClass,
    candidates: Vec<bindings::Candidate>,
    limit: u32,
) -> Result<Vec<Candidate>, Fault> {
    let contract = |detail: &str| Fault::new(FaultKind::Contract, detail);
    if candidates.is_empty() || candidates.len() > limit as usize {
        return Err(contract(&format!("it ranked {} rows, asked for 1 to {limit}", candidates.len())));
    }
    let mut ranked: Vec<Candidate> = Vec::with_capacity(candidates.len());
    for bindings::Candidate { row, score, reason, factors } in candidates {
        let choice = choice(class, bindings::Choice { row, score, reason })?;
        if ranked.iter().any(|earlier| earlier.choice.row == row) {
            return Err(contract(&format!("it ranked row {row} twice")));
        }
        ranked.push(Candidate { choice, factors });
    }
    Ok(ranked)
}

pub(crate) fn moves(
    class: &EligibleClass,
    moves: Vec<bindings::Move>,
    limit: u32,
) -> Result<Vec<Move>, Fault> {
    if moves.len() > limit as usize {
        return Err(Fault::new(
            FaultKind::Contract,
            &format!("{} moves, asked for at most {limit}", moves.len()),
        ));
    }
    moves
        .into_iter()
        .map(|bindings::Move { workload, to, gain }| {
            eligible(class, to)?;
            Ok(Move { workload, to, gain: number(gain)? })
        })
        .collect()
}

pub(crate) fn route(class: &EligibleClass, route: bindings::Route) -> Result<Route, Fault> {
    let bindings::Route { targets, fallbacks, ttl_ms, reason } = route;
    let contract = |detail: &str| Fault::new(FaultKind::Contract, detail);
    if targets.is_empty() || targets.len() > 16 || fallbacks.len() > 8 {
        return Err(contract("a route has 1 to 16 targets and at most 8 fallbacks"));
    }
    if targets.iter().all(|target| target.weight == 0) {
        return Err(contract("every weight is 0"));
    }
    for row in targets.iter().map(|target| target.row).chain(fallbacks.iter().copied()) {
        eligible(class, row)?;
    }
    let targets = targets.into_iter().map(|bindings::RouteTarget { row, weight }| (row, weight)).collect();
    Ok(Route { targets, fallbacks, ttl_ms: ttl_ms.clamp(100, 3_600_000), reason })
}

pub(crate) fn target(target: bindings::ScalingTarget) -> Result<ScalingTarget, Fault> {
    let bindings::ScalingTarget { replicas, confidence, forecast_per_s, reason } = target;
    let confidence = number(confidence)?.clamp(0.0, 1.0);
    Ok(ScalingTarget { replicas, confidence, forecast_per_s, reason })
}

fn refusal(refusal: bindings::Refusal) -> Refusal {
    match refusal {
        bindings::Refusal::NothingSuits(reason) => Refusal::NothingSuits(reason),
        bindings::Refusal::Unsupported => Refusal::Unsupported,
        bindings::Refusal::Other(text) => Refusal::Other(text.chars().take(REFUSAL_BYTES_MAX / 4).collect()),
    }
}

/// A refusal as the port reports it: `other` is a failure, not a decision.
pub(crate) fn refused(refusal_of_guest: bindings::Refusal) -> Result<Refusal, Fault> {
    match refusal(refusal_of_guest) {
        Refusal::Other(text) => Err(Fault::new(FaultKind::Failed, &text)),
        declined => Ok(declined),
    }
}

/// Answers of a batch: one per request, in order.
pub(crate) fn choices(
    class: &EligibleClass,
    asked: usize,
    answers: Vec<Result<bindings::Choice, bindings::Refusal>>,
) -> Batch<Choice> {
    if answers.len() != asked {
        let detail = format!("{} answers to {asked} requests", answers.len());
        return Err(Fault::new(FaultKind::Contract, &detail));
    }
    let answer = |answer| match answer {
        Ok(chosen) => choice(class, chosen).map(Ok),
        Err(refused) => Ok(Err(refusal(refused))),
    };
    answers.into_iter().map(answer).collect()
}

fn eligible(class: &EligibleClass, row: u32) -> Result<(), Fault> {
    if class.contains(row) {
        return Ok(());
    }
    Err(Fault::new(
        FaultKind::Ineligible,
        &format!("row {row} is not among the {} eligible ones", class.count),
    ))
}

fn number(value: f32) -> Result<f32, Fault> {
    if value.is_nan() {
        return Err(Fault::new(FaultKind::NotANumber, "a score is not a number"));
    }
    Ok(value.clamp(f32::MIN, f32::MAX))
}
