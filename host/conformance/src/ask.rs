//! Asks a policy of any family, and says what came in one type.
//!
//! Invariant: an answer that leaves here is eligible and a number, whatever the port behind it checks itself.

use pilothouse_core::member::Resources;
use pilothouse_core::policy::fault::{Fault, FaultKind, PolicyError, Refusal};
use pilothouse_core::policy::request::{
    BalancingRequest, Candidate, Choice, Move, PlacementRequest, Resident, Route, RoutingRequest,
    ScalingRequest, ScalingTarget,
};
use pilothouse_core::policy::{Decision, Policy};

use crate::trial::Trouble;
use crate::world::World;

/// Which function of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Decide,
    Rank { limit: u32 },
    Many,
    Moves,
    Victims,
}

/// One request, as every family takes what it needs of it.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    pub(crate) seed: u64,
    pub(crate) now_ms: u64,
    pub(crate) session: Option<u64>,
    pub(crate) needs: Resources,
    pub(crate) traffic_class: u8,
    pub(crate) latency_goal_ms: f32,
    pub(crate) replicas: u32,
    pub(crate) limits: (u32, u32),
    pub(crate) last_change_ms: u64,
}

impl Input {
    /// The n-th request of a series: seeds, sessions and needs vary, the clock goes on.
    pub(crate) fn nth(seed: u64, index: u64) -> Self {
        let seed = pilothouse_core::fleet::facts::mix(seed ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let pick =
            |of: &[u32], shift: u32| of.get((seed >> shift) as usize % of.len().max(1)).copied().unwrap_or(0);
        Self {
            seed,
            now_ms: 1_000_000 + 100 * index,
            session: (!index.is_multiple_of(3)).then_some(seed >> 8),
            needs: Resources {
                cpu_millis: pick(&[0, 500, 4_000], 8),
                memory_mib: pick(&[0, 1_024, 8_192], 12),
                storage_mib: pick(&[0, 10_240], 16),
                accelerator_millis: pick(&[0, 0, 500, 2_000], 20),
            },
            traffic_class: (seed >> 24) as u8 & 7,
            latency_goal_ms: pick(&[0, 20, 80], 28) as f32,
            replicas: 1 + pick(&[0, 4, 9, 40], 32),
            limits: (1, 50),
            last_change_ms: if seed >> 36 & 1 == 1 { 0 } else { 950_000 },
        }
    }

    /// In words, for findings.
    pub(crate) fn told(&self, world: &World) -> String {
        let session = self.session.map(|session| format!(", session {session}")).unwrap_or_default();
        format!("{}; seed {}{session}", world.name, self.seed)
    }

    fn balancing(&self) -> BalancingRequest {
        BalancingRequest { seed: self.seed, now_ms: self.now_ms, session: self.session }
    }

    pub(crate) fn placement(&self) -> PlacementRequest {
        PlacementRequest { seed: self.seed, now_ms: self.now_ms, needs: self.needs, priority: 5 }
    }

    fn routing(&self) -> RoutingRequest {
        RoutingRequest {
            seed: self.seed,
            now_ms: self.now_ms,
            traffic_class: self.traffic_class,
            latency_goal_ms: self.latency_goal_ms,
        }
    }

    fn scaling(&self, world: &World) -> ScalingRequest {
        ScalingRequest {
            seed: self.seed,
            now_ms: self.now_ms,
            replicas: self.replicas,
            min_replicas: self.limits.0,
            max_replicas: self.limits.1,
            start_ms: 30_000,
            period_ms: 15_000,
            last_change_ms: self.last_change_ms,
            samples: world.samples.clone(),
        }
    }
}

/// What came.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Choice(Choice),
    Route(Route),
    Target(ScalingTarget),
    Refused(Refusal),
}

impl Answer {
    /// The row that gets the work, or the largest share of it.
    pub(crate) fn row(&self) -> Option<u32> {
        match self {
            Self::Choice(choice) => Some(choice.row),
            Self::Route(route) => {
                let largest =
                    route.targets.iter().max_by_key(|&&(row, weight)| (weight, std::cmp::Reverse(row)));
                largest.map(|&(row, _)| row)
            }
            Self::Target(_) | Self::Refused(_) => None,
        }
    }

    /// The index of the reason that it gives.
    pub(crate) fn reason(&self) -> Option<u32> {
        match self {
            Self::Choice(Choice { reason, .. })
            | Self::Route(Route { reason, .. })
            | Self::Target(ScalingTarget { reason, .. })
            | Self::Refused(Refusal::NothingSuits(reason)) => Some(*reason),
            Self::Refused(_) => None,
        }
    }

    /// Bit for bit; every NaN equals every other.
    pub(crate) fn same(&self, other: &Self) -> bool {
        let bits = |value: f32| if value.is_nan() { f32::NAN.to_bits() } else { value.to_bits() };
        match (self, other) {
            (Self::Choice(a), Self::Choice(b)) => {
                (a.row, bits(a.score), a.reason) == (b.row, bits(b.score), b.reason)
            }
            (Self::Target(a), Self::Target(b)) => {
                let key =
                    |t: &ScalingTarget| (t.replicas, bits(t.confidence), bits(t.forecast_per_s), t.reason);
                key(a) == key(b)
            }
            (Self::Route(a), Self::Route(b)) => a == b,
            (Self::Refused(a), Self::Refused(b)) => a == b,
            _ => false,
        }
    }

    /// In words, for findings.
    pub(crate) fn told(&self) -> String {
        match self {
            Self::Choice(Choice { row, score, reason }) => {
                format!("row {row}, score {score}, reason {reason}")
            }
            Self::Route(route) => {
                let shares: Vec<_> =
                    route.targets.iter().map(|(row, weight)| format!("row {row} weight {weight}")).collect();
                format!("{}, fallbacks {:?}, reason {}", shares.join(", "), route.fallbacks, route.reason)
            }
            Self::Target(target) => format!(
                "{} replicas, confidence {}, forecast {}, reason {}",
                target.replicas, target.confidence, target.forecast_per_s, target.reason
            ),
            Self::Refused(refusal) => format!("a refusal ({refusal:?})"),
        }
    }
}

/// One decision.
pub(crate) fn decide(policy: &dyn Policy, world: &World, input: &Input) -> Result<Answer, Trouble> {
    let World { fleet, class, .. } = world;
    let answer = match policy.decision() {
        Decision::Balancing(port) => port.choose(fleet, class, &input.balancing()).map(Answer::Choice),
        Decision::Placement(port) => port.place(fleet, class, &input.placement()).map(Answer::Choice),
        Decision::Routing(port) => port.route(fleet, class, &input.routing()).map(Answer::Route),
        Decision::Scaling(port) => port.scale(fleet, &input.scaling(world)).map(Answer::Target),
    };
    let call = Call::Decide;
    match answer.or_else(refused).map_err(|fault| Trouble::fault(call, fault, world, input))? {
        Answer::Choice(choice) => {
            sound(world, choice).map_err(|fault| Trouble::fault(call, fault, world, input))?;
            Ok(Answer::Choice(choice))
        }
        Answer::Route(route) => {
            let rows = route.targets.iter().map(|&(row, _)| row).chain(route.fallbacks.iter().copied());
            for row in rows {
                eligible(world, row).map_err(|fault| Trouble::fault(call, fault, world, input))?;
            }
            Ok(Answer::Route(route))
        }
        other => Ok(other),
    }
}

/// A ranking; `None` if the family has none or the policy refused.
pub(crate) fn rank(
    policy: &dyn Policy,
    world: &World,
    input: &Input,
    limit: u32,
) -> Result<Option<Vec<Candidate>>, Trouble> {
    let World { fleet, class, .. } = world;
    let ranked = match policy.decision() {
        Decision::Balancing(port) => port.rank(fleet, class, &input.balancing(), limit),
        Decision::Placement(port) => port.rank(fleet, class, &input.placement(), limit),
        Decision::Routing(_) | Decision::Scaling(_) => return Ok(None),
    };
    let checked = ranked.map(Some).or_else(|error| refused(error).map(|_| None)).and_then(|ranked| {
        ranked.iter().flatten().try_for_each(|candidate| sound(world, candidate.choice)).map(|()| ranked)
    });
    checked.map_err(|fault| Trouble::fault(Call::Rank { limit }, fault, world, input))
}

/// Many decisions at once; `None` if the port has none.
pub(crate) fn many(
    policy: &dyn Policy,
    world: &World,
    inputs: &[Input],
) -> Result<Option<Vec<Answer>>, Trouble> {
    let World { fleet, class, .. } = world;
    let Some(first) = inputs.first() else { return Ok(None) };
    let answers = match policy.decision() {
        Decision::Balancing(port) => {
            let requests: Vec<_> = inputs.iter().map(Input::balancing).collect();
            port.choose_many(fleet, class, &requests)
        }
        Decision::Placement(port) => {
            let requests: Vec<_> = inputs.iter().map(Input::placement).collect();
            port.place_many(fleet, class, &requests)
        }
        Decision::Routing(_) | Decision::Scaling(_) => return Ok(None),
    };
    let checked = answers.and_then(|answers| {
        if answers.len() != inputs.len() {
            let detail = format!("{} answers to {} requests", answers.len(), inputs.len());
            return Err(Fault::new(FaultKind::Contract, &detail));
        }
        answers.iter().flatten().try_for_each(|choice| sound(world, *choice))?;
        Ok(answers.into_iter().map(|answer| answer.map_or_else(Answer::Refused, Answer::Choice)).collect())
    });
    checked.map(Some).map_err(|fault| Trouble::fault(Call::Many, fault, world, first))
}

/// Suggested moves; `None` unless the policy offers them.
pub(crate) fn moves(
    policy: &dyn Policy,
    world: &World,
    input: &Input,
    residents: &[Resident],
    limit: u32,
) -> Result<Option<Vec<Move>>, Trouble> {
    let Decision::Placement(port) = policy.decision() else { return Ok(None) };
    let moves = port.suggest_moves(&world.fleet, &world.class, &input.placement(), residents, limit);
    let offered = moves.map(Some).or_else(|error| refused(error).map(|_| None));
    offered.map_err(|fault| Trouble::fault(Call::Moves, fault, world, input))
}

/// Victims; `None` unless the policy offers them.
pub(crate) fn victims(
    policy: &dyn Policy,
    world: &World,
    input: &Input,
    row: u32,
    residents: &[Resident],
) -> Result<Option<Vec<u32>>, Trouble> {
    let Decision::Placement(port) = policy.decision() else { return Ok(None) };
    let victims = port.choose_victims(&world.fleet, &world.class, &input.placement(), row, residents);
    let offered = victims.map(Some).or_else(|error| refused(error).map(|_| None));
    offered.map_err(|fault| Trouble::fault(Call::Victims, fault, world, input))
}

fn refused(error: PolicyError) -> Result<Answer, Fault> {
    match error {
        PolicyError::Refused(Refusal::Other(text)) => Err(Fault::new(FaultKind::Failed, &text)),
        PolicyError::Refused(refusal) => Ok(Answer::Refused(refusal)),
        PolicyError::Fault(fault) => Err(fault),
    }
}

fn sound(world: &World, choice: Choice) -> Result<(), Fault> {
    if choice.score.is_nan() {
        return Err(Fault::new(FaultKind::NotANumber, "a score is not a number"));
    }
    eligible(world, choice.row)
}

fn eligible(world: &World, row: u32) -> Result<(), Fault> {
    if world.class.contains(row) {
        return Ok(());
    }
    let detail = format!("row {row} is not among the {} eligible ones", world.class.count);
    Err(Fault::new(FaultKind::Ineligible, &detail))
}
