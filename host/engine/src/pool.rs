//! One revision ready to decide: seats behind core's ports.
//!
//! Invariant: a call never waits longer than its own deadline for a seat, and a panic in the engine ends one call.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use pilothouse_core::eligible::EligibleClass;
use pilothouse_core::fleet::Fleet;
use pilothouse_core::policy::fault::{Fault, FaultKind, PolicyError};
use pilothouse_core::policy::request::{
    BalancingRequest, Candidate, Choice, Move, PlacementRequest, Resident, Route, RoutingRequest,
    ScalingRequest, ScalingTarget,
};
use pilothouse_core::policy::settings::SettingProblem;
use pilothouse_core::policy::state::SlotState;
use pilothouse_core::policy::{
    Balancing, Batch, Decision, Description, Family, Placement, Policy, Routing, Scaling, Usage,
};
use wasmtime::Store;

use crate::bindings;
use crate::component::LoadedPolicy;
use crate::convert;
use crate::imports::SeatData;
use crate::limits::Budget;
use crate::seat::{Blueprint, Functions, MakeError, Seat};
use crate::settings;

/// Rounds over all seats before a call gives up: seats are held for microseconds, so a busy round is rare.
const ROUNDS_MAX: usize = 64;
/// A ranking scores every row where a decision may look at two; it may cost this many decisions.
const RANKING: usize = 64;
/// Most answers asked for in one batch.
const BATCH_MAX: usize = 1_024;

/// How to make a pool.
#[derive(Debug, Clone)]
pub struct PoolConfig {
    /// Calls at once.
    pub seats: usize,
    /// What a call may use.
    pub budget: Budget,
    /// The slot's state.
    pub state: Arc<SlotState>,
    /// Where new counters start.
    pub seed: u64,
}

/// Why a pool could not be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PoolError {
    /// The settings are no good.
    #[error("the settings are not valid: {}", list(.0))]
    Settings(Vec<SettingProblem>),
    /// The policy broke while it was configured.
    #[error("it broke while it was configured: {0}")]
    Fault(Fault),
}

pub(crate) fn list(problems: &[SettingProblem]) -> String {
    let texts: Vec<String> = problems
        .iter()
        .map(|SettingProblem { path, problem }| match path.as_str() {
            "" => problem.clone(),
            path => format!("`{path}`: {problem}"),
        })
        .collect();
    texts.join("; ")
}

/// What every call says beside its own arguments.
#[derive(Clone, Copy)]
struct Question<'a> {
    fleet: &'a Fleet,
    class: Option<&'a EligibleClass>,
    now_ms: u64,
    /// How many decisions it may cost.
    weight: usize,
}

impl<'a> Question<'a> {
    fn over(fleet: &'a Fleet, class: &'a EligibleClass, now_ms: u64, weight: usize) -> Self {
        Self { fleet, class: Some(class), now_ms, weight }
    }
}

/// Seats of one revision.
pub struct Pool {
    blueprint: Blueprint,
    seats: Box<[Mutex<Seat>]>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool")
            .field("policy", &self.blueprint.policy)
            .field("seats", &self.seats.len())
            .finish_non_exhaustive()
    }
}

impl Pool {
    /// Configures the first seat, so that bad settings are known at once; the others follow when probed or used.
    ///
    /// # Errors
    /// [`PoolError`].
    pub fn new(
        policy: Arc<LoadedPolicy>,
        settings_json: &str,
        config: PoolConfig,
    ) -> Result<Self, PoolError> {
        let settings = settings::prepare(&policy.description.settings_schema, settings_json)
            .map_err(PoolError::Settings)?;
        let PoolConfig { seats, budget, state, seed } = config;
        let blueprint = Blueprint { policy, settings, budget, state, counter_seed: seed };
        let pool = Self { blueprint, seats: (0..seats.max(1)).map(|_| Mutex::default()).collect() };
        if let Some(first) = pool.seats.first() {
            lock(first).prepare(&pool.blueprint).map_err(|error| match error {
                MakeError::Settings(problems) => PoolError::Settings(problems),
                MakeError::Fault(fault) => PoolError::Fault(fault),
            })?;
        }
        Ok(pool)
    }

    /// Finds a free seat, starting at this thread's own so that its caches stay warm.
    fn seat(&self) -> Option<MutexGuard<'_, Seat>> {
        let home = home();
        for _ in 0..ROUNDS_MAX {
            for offset in 0..self.seats.len() {
                let seat = self.seats.get((home + offset) % self.seats.len())?;
                match seat.try_lock() {
                    Ok(free) => return Some(free),
                    Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
                    Err(TryLockError::WouldBlock) => {}
                }
            }
            std::thread::yield_now();
        }
        None
    }

    /// Calls a free seat and checks what it answered; an instance that answered nonsense is not asked again.
    fn call<T, U>(
        &self,
        question: Question<'_>,
        function: impl FnOnce(&mut Store<SeatData>, &Functions) -> wasmtime::Result<T>,
        check: impl FnOnce(T) -> Result<U, Fault>,
    ) -> Result<U, Fault> {
        let mut seat = self.seat().ok_or_else(|| Fault::new(FaultKind::Busy, "every seat is busy"))?;
        let checked = check(self.call_on(&mut seat, question, function)?);
        if checked.is_err() {
            seat.drop_instance();
        }
        checked
    }

    fn call_on<T>(
        &self,
        seat: &mut Seat,
        question: Question<'_>,
        function: impl FnOnce(&mut Store<SeatData>, &Functions) -> wasmtime::Result<T>,
    ) -> Result<T, Fault> {
        let Question { fleet, class, now_ms, weight } = question;
        let call =
            AssertUnwindSafe(|| seat.call(&self.blueprint, fleet, class, now_ms, weight as u64, function));
        catch_unwind(call).unwrap_or_else(|_panic| {
            // The store may be in any state; forgetting the instance is the only safe thing.
            seat.drop_instance();
            Err(Fault::new(FaultKind::Trap, "the engine panicked"))
        })
    }

    /// Asks a question that has one answer.
    fn ask<T, U>(
        &self,
        question: Question<'_>,
        function: impl FnOnce(
            &mut Store<SeatData>,
            &Functions,
        ) -> wasmtime::Result<(Result<T, bindings::Refusal>,)>,
        check: impl FnOnce(T) -> Result<U, Fault>,
    ) -> Result<U, PolicyError> {
        let check = |(answer,): (Result<T, bindings::Refusal>,)| match answer {
            Ok(answer) => check(answer).map(Ok),
            Err(refusal) => convert::refused(refusal).map(Err),
        };
        match self.call(question, function, check) {
            Ok(answer) => answer.map_err(PolicyError::Refused),
            Err(fault) => Err(PolicyError::Fault(fault)),
        }
    }
}

fn lock(seat: &Mutex<Seat>) -> MutexGuard<'_, Seat> {
    seat.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number per thread, handed out in order, so that threads spread over seats.
fn home() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static HOME: Cell<usize> = const { Cell::new(usize::MAX) });
    HOME.with(|home| {
        if home.get() == usize::MAX {
            home.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        home.get()
    })
}

fn other_family<T>() -> wasmtime::Result<T> {
    Err(wasmtime::format_err!("the policy is of another family"))
}

impl Policy for Pool {
    fn description(&self) -> &Description {
        &self.blueprint.policy.description
    }

    fn seats(&self) -> usize {
        self.seats.len()
    }

    fn probe(&self, seat: usize, fleet: &Fleet, class: Option<&EligibleClass>) -> Result<(), PolicyError> {
        let Some(seat) = self.seats.get(seat) else {
            return Err(PolicyError::Fault(Fault::new(FaultKind::Contract, "there is no such seat")));
        };
        let mut seat = lock(seat);
        // Bringing it up to date is the proof; which answer it would give is a question of its own.
        let question = Question { fleet, class, now_ms: 0, weight: 1 };
        self.call_on(&mut seat, question, |_store, _functions| Ok(())).map_err(PolicyError::Fault)
    }

    fn usage(&self) -> Usage {
        self.seats.iter().map(|seat| lock(seat)).fold(Usage::default(), |sum, seat| {
            let (memory_bytes, log_dropped) = seat.figures_now();
            Usage {
                calls: sum.calls + seat.calls,
                fuel: sum.fuel + seat.fuel,
                memory_bytes: sum.memory_bytes.max(memory_bytes),
                instances: sum.instances + seat.instances,
                log_lines_dropped: sum.log_lines_dropped + log_dropped,
            }
        })
    }

    fn decision(&self) -> Decision<'_> {
        match self.blueprint.policy.family() {
            Family::Balancing => Decision::Balancing(self),
            Family::Placement => Decision::Placement(self),
            Family::Routing => Decision::Routing(self),
            Family::Scaling => Decision::Scaling(self),
        }
    }
}

impl Balancing for Pool {
    fn choose(
        &self,
        fleet: &Fleet,
        class: &EligibleClass,
        request: &BalancingRequest,
    ) -> Result<Choice, PolicyError> {
        let request = convert::balancing(class.id, request);
        let choose = |store: &mut Store<SeatData>, functions: &Functions| match functions {
            Functions::Balancing { choose, .. } => choose.call(store, (request,)),
            _ => other_family(),
        };
        let question = Question::over(fleet, class, request.now_ms, 1);
        self.ask(question, choose, |chosen| convert::choice(class, chosen))
    }

    fn rank(
        &self,
        fleet: &Fleet,
        class: &EligibleClass,
        request: &BalancingRequest,
        limit: u32,
    ) -> Result<Vec<Candidate>, PolicyError> {
        let request = convert::balancing(class.id, request);
        let rank = |store: &mut Store<SeatData>, functions: &Functions| match functions {
            Functions::Balancing { rank, .. } => rank.call(store, (request, limit)),
            _ => other_family(),
        };
        let question = Question::over(fleet, class, request.now_ms, RANKING);
        self.ask(question, rank, |ranked| convert::candidates(class, ranked, limit))
    }

    fn choose_many(
        &self,
        fleet: &Fleet,
        class: &EligibleClass,
        requests: &[BalancingRequest],
    ) -> Batch<Choice> {
        batch(requests, |requests| {
            let now_ms = requests.first().map_or(0, |request| request.now_ms);
            let requests: Vec<_> =
                requests.iter().map(|request| convert::balancing(class.id, request)).collect();
            let asked = requests.len();
            let question = Question::over(fleet, class, now_ms, asked);
            let choose_many = |store: &mut Store<SeatData>, functions: &Functions| match functions {
                Functions::Balancing { choose_many, .. } => choose_many.call(store, (requests,)),
                _ => other_family(),
            };
            self.call(question, choose_many, |(answers,)| convert::choices(class, asked, answers))
        })
    }
}

impl Placement for Pool {
    fn place(
        &self,
        fleet: &Fleet,
        class: &EligibleClass,
        request: &PlacementRequest,
    ) -> Result<Choice, PolicyError> {
        let request = convert::placement(class.id, request);
        let place = |store: &mut Store<SeatData>, functions: &Functions| match functions {
            Functions::Placement { place, .. } => place.call(store, (request,)),
            _ => other_family(),
        };
        let question = Question::over(fleet, class, request.now_ms, 1);
        self.ask(question, place, |chosen| convert::choice(class, chosen))
    }

    fn rank(
        &self,
        fleet: &Fleet,
        class: &EligibleClass,
        request: &PlacementRequest,
        limit: u32,
    ) -> Result<Vec<Candidate>, PolicyError> {
        let request = convert::placement(class.id, request);
        let rank = |store: &mut Store<SeatData>, functions: &Functions| match functions {
            Functions::Placement { rank, .. } => rank.call(store, (request, limit)),
            _ => other_family(),
        };
        let question = Question::over(fleet, class, request.now_ms, RANKING);
        self.ask(question, rank, |ranked| convert::candidates(class, ranked, limit))
    }

    fn place_many(
        &self,
        fleet: &Fleet,
        class: &EligibleClass,
        requests: &[PlacementRequest],
    ) -> Batch<Choice> {
        batch(requests, |requests| {
            let now_ms = requests.first().map_or(0, |request| request.now_ms);
            let requests: Vec<_> =
                requests.iter().map(|request| convert::placement(class.id, request)).collect();
            let asked = requests.len();
            let question = Question::over(fleet, class, now_ms, asked);
            let place_many = |store: &mut Store<SeatData>, functions: &Functions| match functions {
                Functions::Placement { place_many, .. } => place_many.call(store, (requests,)),
                _ => other_family(),
            };
            self.call(question, place_many, |(answers,)| convert::choices(class, asked, answers))
        })
    }

    fn suggest_moves(
        &self,
        fleet: &Fleet,
        class: &EligibleClass,
        request: &PlacementRequest,
        residents: &[Resident],
        limit: u32,
    ) -> Result<Vec<Move>, PolicyError> {
        let request = convert::placement(class.id, request);
        let residents: Vec<_> = residents.iter().map(convert::resident).collect();
        let suggest = |store: &mut Store<SeatData>, functions: &Functions| match functions {
            Functions::Placement { suggest_moves, .. } => {
                suggest_moves.call(store, (request, residents, limit))
            }
            _ => other_family(),
        };
        let question = Question::over(fleet, class, request.now_ms, RANKING);
        self.ask(question, suggest, |moves| convert::moves(class, moves, limit))
    }

    fn choose_victims(
        &self,
        fleet: &Fleet,
        class: &EligibleClass,
        request: &PlacementRequest,
        row: u32,
        residents: &[Resident],
    ) -> Result<Vec<u32>, PolicyError> {
        let request = convert::placement(class.id, request);
        let residents: Vec<_> = residents.iter().map(convert::resident).collect();
        let choose = |store: &mut Store<SeatData>, functions: &Functions| match functions {
            Functions::Placement { choose_victims, .. } => {
                choose_victims.call(store, (request, row, residents))
            }
            _ => other_family(),
        };
        self.ask(Question::over(fleet, class, request.now_ms, RANKING), choose, Ok)
    }
}

impl Routing for Pool {
    fn route(
        &self,
        fleet: &Fleet,
        class: &EligibleClass,
        request: &RoutingRequest,
    ) -> Result<Route, PolicyError> {
        let request = convert::routing(class.id, request);
        let route = |store: &mut Store<SeatData>, functions: &Functions| match functions {
            Functions::Routing { route } => route.call(store, (request,)),
            _ => other_family(),
        };
        self.ask(Question::over(fleet, class, request.now_ms, 1), route, |route| convert::route(class, route))
    }
}

impl Scaling for Pool {
    fn scale(&self, fleet: &Fleet, request: &ScalingRequest) -> Result<ScalingTarget, PolicyError> {
        let request = convert::scaling(request);
        let question = Question { fleet, class: None, now_ms: request.now_ms, weight: 1 };
        let scale = |store: &mut Store<SeatData>, functions: &Functions| match functions {
            Functions::Scaling { scale } => scale.call(store, (request,)),
            _ => other_family(),
        };
        self.ask(question, scale, convert::target)
    }
}

/// Splits long batches, because a guest's call is bounded.
fn batch<R, T>(requests: &[R], mut one: impl FnMut(&[R]) -> Batch<T>) -> Batch<T> {
    let mut answers = Vec::with_capacity(requests.len());
    for part in requests.chunks(BATCH_MAX) {
        answers.extend(one(part)?);
    }
    Ok(answers)
}
