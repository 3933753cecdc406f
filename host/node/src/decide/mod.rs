//! One decision: eligible set, policy, guardrails, effect, record.
//!
//! question + requirement -> [`Decider::decide`] -> chain of the slot -> guardrail -> in-flight count -> [`Decided`]
//!
//! Invariant: every request with an eligible member gets exactly one answer, whatever its policies do: the chain
//! ends in the host's own choice. Nothing here waits: seats are tried with a bound, and logs are rings.

pub mod log;
pub mod question;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use pilothouse_core::eligible::{Classes, EligibleClass, NoneEligible, Requirement};
use pilothouse_core::fleet::Fleet;
use pilothouse_core::fleet::facts::mix;
use pilothouse_core::guardrail::{self, Breach, Validated};
use pilothouse_core::policy::Decision as Policy;
use pilothouse_core::policy::fault::{Fault, FaultKind, PolicyError, Refusal};
use pilothouse_core::policy::request::{
    Candidate, Choice, Route, RoutingRequest, ScalingRequest, ScalingTarget,
};

use crate::clock::Clock;
use crate::slots::live::LiveSlot;
use crate::slots::serving::Generation;
use log::{Decision, DecisionLog, Link};
use question::Question;

/// Candidates looked at when the first choice lost a race for capacity: enough that losing all of them means the
/// class is full.
const RACE_CANDIDATES: u32 = 8;

/// How long the host's own route may be reused, ms: short, because it knows nothing.
const NATIVE_TTL_MS: u32 = 1_000;

/// Faults are kept with a decision; a chain has four links that can break.
const FAULTS_MAX: usize = 4;

/// Why there is no decision.
#[derive(Debug, Clone, PartialEq)]
pub enum DecideError {
    /// Nobody meets the requirement.
    NoneEligible(NoneEligible),
    /// The policy looked and declined.
    Refused {
        /// The policy's own reason.
        reason: String,
        /// Which policy.
        policy: String,
    },
    /// Everybody eligible is at capacity or behind an open breaker right now.
    Full,
}

/// An answer.
#[derive(Debug)]
pub struct Decided {
    /// The decision as it was recorded.
    pub decision: Decision,
    /// Ranked members, if alternatives were asked for; the first is the chosen one.
    pub candidates: Vec<Candidate>,
    /// The snapshot that rows refer to.
    pub fleet: Arc<Fleet>,
}

/// Where a flow goes.
#[derive(Debug)]
pub struct Routed {
    /// Shares and fallbacks, checked.
    pub route: Validated<Route>,
    /// Which link of the chain answered.
    pub link: Link,
    /// Who answered; `None` = the host itself.
    pub generation: Option<Arc<Generation>>,
    /// Who was eligible.
    pub class: Arc<EligibleClass>,
    /// What the links before did wrong.
    pub faults: Vec<Fault>,
    /// The snapshot that rows refer to.
    pub fleet: Arc<Fleet>,
    /// Time it took, ns.
    pub took_ns: u64,
}

/// Decides, against the newest snapshot.
#[derive(Debug)]
pub struct Decider {
    fleet: Arc<ArcSwap<Fleet>>,
    classes: Classes,
    log: DecisionLog,
    clock: Clock,
    seed: u64,
    seeds: AtomicU64,
}

/// What one link of the chain gave.
struct Answer {
    valid: Validated<Choice>,
    candidates: Vec<Candidate>,
}

impl Decider {
    /// A decider; `seed` starts its stream of randomness.
    #[must_use]
    pub fn new(fleet: Arc<ArcSwap<Fleet>>, log: DecisionLog, clock: Clock, seed: u64) -> Self {
        Self { fleet, classes: Classes::default(), log, clock, seed, seeds: AtomicU64::new(0) }
    }

    /// The newest decisions.
    #[must_use]
    pub fn log(&self) -> &DecisionLog {
        &self.log
    }

    /// The newest snapshot.
    #[must_use]
    pub fn fleet(&self) -> Arc<Fleet> {
        self.fleet.load_full()
    }

    /// The classes in use.
    #[must_use]
    pub fn classes(&self) -> &Classes {
        &self.classes
    }

    /// Randomness for the next decision.
    pub fn next_seed(&self) -> u64 {
        mix(self.seed ^ self.seeds.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Decides one question; with `alternatives` it also ranks that many members beside the chosen one.
    ///
    /// # Errors
    /// [`DecideError`].
    pub fn decide(
        &self,
        slot: &LiveSlot,
        requirement: &Requirement,
        question: &Question,
        alternatives: u32,
    ) -> Result<Decided, DecideError> {
        let started_ns = self.clock.nanos();
        let fleet = self.fleet.load_full();
        let class = self.classes.resolve(&fleet, requirement).map_err(DecideError::NoneEligible)?;
        let mut faults = Vec::new();
        let asked =
            walk(slot, &mut faults, |generation| ask(generation, &fleet, &class, question, alternatives))?;
        let (link, generation, answer) = match asked {
            Some(Answered { link, generation, advice }) => (link, Some(generation), advice),
            None => {
                let valid = first_that_passes(&fleet, &class, class.rows()).ok_or(DecideError::Full)?;
                (Link::Native, None, Answer { valid, candidates: Vec::new() })
            }
        };
        let choice = *answer.valid.get();
        fleet.live.start(choice.row);
        let Some(member) = fleet.facts(choice.row).map(Arc::clone) else { return Err(DecideError::Full) };
        let decision = Decision {
            id: self.log.next_id(),
            at: self.clock.wall(),
            generation: generation.map(|generation| Arc::clone(&generation.label)),
            link,
            class,
            epoch: fleet.epoch,
            seed: question.seed(),
            session: question.session(),
            choice,
            member,
            faults,
            took_ns: self.clock.nanos().saturating_sub(started_ns),
        };
        slot.count(link, decision.took_ns);
        self.log.push(decision.clone());
        Ok(Decided { decision, candidates: answer.candidates, fleet })
    }

    /// Records a choice that the host made itself: the only row of a class.
    pub fn by_host(&self, fleet: &Fleet, class: Arc<EligibleClass>, started_ns: u64) -> Option<Decision> {
        let choice = Choice { row: class.rows().next()?, score: 0.0, reason: 0 };
        let decision = Decision {
            id: self.log.next_id(),
            at: self.clock.wall(),
            generation: None,
            link: Link::Native,
            member: Arc::clone(fleet.facts(choice.row)?),
            class,
            epoch: fleet.epoch,
            seed: 0,
            session: None,
            choice,
            faults: Vec::new(),
            took_ns: self.clock.nanos().saturating_sub(started_ns),
        };
        self.log.push(decision.clone());
        Some(decision)
    }

    /// Routes one flow: shares over members, and who takes over when they fail.
    ///
    /// # Errors
    /// [`DecideError`].
    pub fn route(
        &self,
        slot: &LiveSlot,
        requirement: &Requirement,
        request: &RoutingRequest,
    ) -> Result<Routed, DecideError> {
        let started_ns = self.clock.nanos();
        let fleet = self.fleet.load_full();
        let class = self.classes.resolve(&fleet, requirement).map_err(DecideError::NoneEligible)?;
        let mut faults = Vec::new();
        let answered = walk(slot, &mut faults, |generation| {
            let Policy::Routing(port) = generation.policy.decision() else {
                return Err(PolicyError::Fault(question::wrong_family()));
            };
            let route = port.route(&fleet, &class, request)?;
            guardrail::check_route(&fleet, &class, route)
                .map_err(|breach| PolicyError::Fault(Fault::new(FaultKind::Ineligible, &breach.to_string())))
        })?;
        let (link, generation, route) = match answered {
            Some(Answered { link, generation, advice }) => (link, Some(generation), advice),
            None => (Link::Native, None, native_route(&fleet, &class).ok_or(DecideError::Full)?),
        };
        let took_ns = self.clock.nanos().saturating_sub(started_ns);
        slot.count(link, took_ns);
        Ok(Routed { route, link, generation, class, faults, fleet, took_ns })
    }

    /// Asks how many replicas a group should have; `None` if no policy answered. The group's machine checks the answer.
    ///
    /// # Errors
    /// [`DecideError::Refused`].
    pub fn scale(
        &self,
        slot: &LiveSlot,
        request: &ScalingRequest,
    ) -> Result<Option<(Arc<Generation>, ScalingTarget)>, DecideError> {
        let started_ns = self.clock.nanos();
        let fleet = self.fleet.load_full();
        let answered = walk(slot, &mut Vec::new(), |generation| match generation.policy.decision() {
            Policy::Scaling(port) => port.scale(&fleet, request),
            _ => Err(PolicyError::Fault(question::wrong_family())),
        })?;
        let link = answered.as_ref().map_or(Link::Native, |answered| answered.link);
        slot.count(link, self.clock.nanos().saturating_sub(started_ns));
        Ok(answered.map(|answered| (answered.generation, answered.advice)))
    }
}

/// Who answered what.
struct Answered<T> {
    link: Link,
    generation: Arc<Generation>,
    advice: T,
}

/// Asks link after link of the slot's chain until one gives advice that passes; `None` if none does.
fn walk<T>(
    slot: &LiveSlot,
    faults: &mut Vec<Fault>,
    ask: impl Fn(&Generation) -> Result<T, PolicyError>,
) -> Result<Option<Answered<T>>, DecideError> {
    let chain = slot.chain();
    for (link, generation) in [
        (Link::Active, &chain.active),
        (Link::FreshInstance, &chain.active),
        (Link::Previous, &chain.previous),
        (Link::Default, &chain.default),
    ] {
        let Some(generation) = generation else { continue };
        if link == Link::FreshInstance && !faults.last().is_some_and(worth_a_fresh_instance) {
            continue;
        }
        match ask(generation) {
            Ok(advice) => {
                generation.count_decision();
                return Ok(Some(Answered { link, generation: Arc::clone(generation), advice }));
            }
            Err(PolicyError::Refused(Refusal::NothingSuits(code))) => {
                generation.count_refusal();
                let about = generation.policy.description();
                return Err(DecideError::Refused {
                    reason: about.reason(code).to_owned(),
                    policy: about.name.clone(),
                });
            }
            Err(error) => {
                let fault = into_fault(error);
                generation.count_fault(fault.kind);
                slot.report_fault(generation, &fault);
                if faults.len() < FAULTS_MAX {
                    faults.push(fault);
                }
            }
        }
    }
    Ok(None)
}

/// Everything to the first eligible member that is there.
fn native_route(fleet: &Fleet, class: &EligibleClass) -> Option<Validated<Route>> {
    class.rows().find_map(|row| {
        let all_to_one =
            Route { targets: vec![(row, 1)], fallbacks: Vec::new(), ttl_ms: NATIVE_TTL_MS, reason: 0 };
        guardrail::check_route(fleet, class, all_to_one).ok()
    })
}

/// Asks one generation and checks its advice. Advice that only lost a race (the member filled up or its breaker
/// opened since the snapshot) is replaced by the policy's next best, then by the host's choice: that is no fault.
fn ask(
    generation: &Generation,
    fleet: &Fleet,
    class: &EligibleClass,
    question: &Question,
    alternatives: u32,
) -> Result<Answer, PolicyError> {
    let policy = generation.policy.as_ref();
    let candidates = match alternatives {
        0 => Vec::new(),
        wanted => question.rank(policy, fleet, class, wanted.saturating_add(1))?,
    };
    let choice = match candidates.first() {
        Some(first) => first.choice,
        None => question.choose(policy, fleet, class)?,
    };
    let breach = match guardrail::check(fleet, class, choice) {
        Ok(valid) => return Ok(Answer { valid, candidates }),
        Err(breach) => breach,
    };
    match breach {
        Breach::Ineligible { .. } => {
            Err(PolicyError::Fault(Fault::new(FaultKind::Ineligible, &breach.to_string())))
        }
        Breach::NoShare | Breach::NotANumber => {
            Err(PolicyError::Fault(Fault::new(FaultKind::NotANumber, &breach.to_string())))
        }
        Breach::Gone { .. } | Breach::Full { .. } | Breach::GateClosed { .. } => {
            let ranked = question.rank(policy, fleet, class, RACE_CANDIDATES)?;
            let next_best =
                ranked.iter().find_map(|candidate| guardrail::check(fleet, class, candidate.choice).ok());
            let valid = next_best.or_else(|| first_that_passes(fleet, class, class.rows()));
            valid.map(|valid| Answer { valid, candidates }).ok_or_else(|| {
                PolicyError::Fault(Fault::new(
                    FaultKind::Busy,
                    "every eligible member is full or behind an open breaker",
                ))
            })
        }
    }
}

fn first_that_passes(
    fleet: &Fleet,
    class: &EligibleClass,
    mut rows: impl Iterator<Item = u32>,
) -> Option<Validated<Choice>> {
    rows.find_map(|row| guardrail::check(fleet, class, Choice { row, score: 0.0, reason: 0 }).ok())
}

/// A trap or exhausted memory may come from what earlier calls left in the instance; anything else would come again.
fn worth_a_fresh_instance(fault: &Fault) -> bool {
    matches!(fault.kind, FaultKind::Trap | FaultKind::Memory)
}

fn into_fault(error: PolicyError) -> Fault {
    match error {
        PolicyError::Fault(fault) => fault,
        PolicyError::Refused(Refusal::Unsupported) => {
            Fault::new(FaultKind::Failed, "the policy does not offer this")
        }
        PolicyError::Refused(Refusal::Other(text)) => Fault::new(FaultKind::Failed, &text),
        PolicyError::Refused(Refusal::NothingSuits(code)) => {
            Fault::new(FaultKind::Failed, &format!("reason {code}"))
        }
    }
}
