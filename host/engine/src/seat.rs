//! One seat: an instance with its mirror of the fleet, serving one call at a time.
//!
//! Before a decision the seat pushes what changed: blocks of the declared columns whose epoch is newer than the mirror's,
//! then the class if its version differs.
//!
//! Invariant: after any error the instance is gone; the next call makes a new one. A trapped instance cannot be entered
//! again, and one that answered nonsense is not trusted again.

use std::sync::Arc;

use pilothouse_core::eligible::{CLASSES_MAX, EligibleClass};
use pilothouse_core::fleet::Fleet;
use pilothouse_core::fleet::column::Column;
use pilothouse_core::policy::Family;
use pilothouse_core::policy::fault::{Fault, FaultKind};
use pilothouse_core::policy::settings::{Setting, SettingProblem};
use pilothouse_core::policy::state::SlotState;
use pilothouse_core::time::Now;
use wasmtime::component::{ComponentNamedList, Instance, Lift, Lower, TypedFunc};
use wasmtime::{AsContextMut, Store};

use crate::bindings::host::Base;
use crate::bindings::{
    BalancingRequest, Candidate, Choice, Move, PlacementRequest, Refusal, Resident, Route, RoutingRequest,
    ScalingRequest, ScalingTarget,
};
use crate::component::{LoadedPolicy, begin, new_store};
use crate::convert;
use crate::faults::classify;
use crate::imports::SeatData;
use crate::limits::Budget;

/// Calls after which an instance is replaced: a slow leak in a guest ends here, and a new instance costs some 20 us.
const CALLS_MAX: u64 = 1_000_000;

type Answer<T> = (Result<T, Refusal>,);
pub(crate) type Answers<T> = (Vec<Result<T, Refusal>>,);

/// The family's functions of one instance, looked up once.
pub(crate) enum Functions {
    Balancing {
        choose: TypedFunc<(BalancingRequest,), Answer<Choice>>,
        rank: TypedFunc<(BalancingRequest, u32), Answer<Vec<Candidate>>>,
        choose_many: TypedFunc<(Vec<BalancingRequest>,), Answers<Choice>>,
    },
    Placement {
        place: TypedFunc<(PlacementRequest,), Answer<Choice>>,
        rank: TypedFunc<(PlacementRequest, u32), Answer<Vec<Candidate>>>,
        place_many: TypedFunc<(Vec<PlacementRequest>,), Answers<Choice>>,
        suggest_moves: TypedFunc<(PlacementRequest, Vec<Resident>, u32), Answer<Vec<Move>>>,
        choose_victims: TypedFunc<(PlacementRequest, u32, Vec<Resident>), Answer<Vec<u32>>>,
    },
    Routing {
        route: TypedFunc<(RoutingRequest,), Answer<Route>>,
    },
    Scaling {
        scale: TypedFunc<(ScalingRequest,), Answer<ScalingTarget>>,
    },
}

/// Looks up the family's functions; fails if one is missing or has another type.
pub(crate) fn family_functions(
    policy: &LoadedPolicy,
    store: &mut Store<SeatData>,
    instance: &Instance,
) -> wasmtime::Result<Functions> {
    let mut finder = Finder { policy, store, instance };
    Ok(match policy.family() {
        Family::Balancing => Functions::Balancing {
            choose: finder.find("choose")?,
            rank: finder.find("rank")?,
            choose_many: finder.find("choose-many")?,
        },
        Family::Placement => Functions::Placement {
            place: finder.find("place")?,
            rank: finder.find("rank")?,
            place_many: finder.find("place-many")?,
            suggest_moves: finder.find("suggest-moves")?,
            choose_victims: finder.find("choose-victims")?,
        },
        Family::Routing => Functions::Routing { route: finder.find("route")? },
        Family::Scaling => Functions::Scaling { scale: finder.find("scale")? },
    })
}

/// Looks functions of the family's interface up.
pub(crate) struct Finder<'a> {
    pub(crate) policy: &'a LoadedPolicy,
    pub(crate) store: &'a mut Store<SeatData>,
    pub(crate) instance: &'a Instance,
}

impl Finder<'_> {
    pub(crate) fn find<P, R>(&mut self, name: &str) -> wasmtime::Result<TypedFunc<P, R>>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let interface =
            self.instance.get_export_index(self.store.as_context_mut(), None, &self.policy.outline.interface);
        let function = interface
            .and_then(|interface| {
                self.instance.get_export_index(self.store.as_context_mut(), Some(&interface), name)
            })
            .ok_or_else(|| {
                wasmtime::format_err!("`{}` has no function `{name}`", self.policy.outline.interface)
            })?;
        self.instance
            .get_typed_func(self.store.as_context_mut(), function)
            .map_err(|error| error.context(format!("`{name}` of `{}`", self.policy.outline.interface)))
    }
}

/// What every seat of a pool is made from.
#[derive(Debug)]
pub(crate) struct Blueprint {
    pub(crate) policy: Arc<LoadedPolicy>,
    pub(crate) settings: Vec<Setting>,
    pub(crate) budget: Budget,
    pub(crate) state: Arc<SlotState>,
    pub(crate) counter_seed: u64,
}

/// Why an instance could not be made.
#[derive(Debug)]
pub(crate) enum MakeError {
    Settings(Vec<SettingProblem>),
    Fault(Fault),
}

/// A live instance and what it has seen.
struct Live {
    store: Store<SeatData>,
    base: Base,
    functions: Functions,
    epoch: u64,
    block_epochs: Vec<u64>,
    classes: Vec<SeenClass>,
    calls: u64,
}

#[derive(Clone, Copy)]
struct SeenClass {
    id: u32,
    version: u64,
    used: u64,
}

/// One place of a pool.
#[derive(Default)]
pub(crate) struct Seat {
    live: Option<Box<Live>>,
    scratch: Vec<u64>,
    /// Instances made here.
    pub(crate) instances: u64,
    /// Fuel burned by decisions.
    pub(crate) fuel: u64,
    /// Decisions asked.
    pub(crate) calls: u64,
    /// Largest linear memory of the instances that are gone, bytes.
    memory_bytes: u64,
    /// Log lines that they dropped.
    log_dropped: u64,
}

impl Seat {
    /// Makes the instance if there is none.
    pub(crate) fn prepare(&mut self, blueprint: &Blueprint) -> Result<(), MakeError> {
        if self.live.as_ref().is_some_and(|live| live.calls >= CALLS_MAX) {
            self.drop_instance();
        }
        if self.live.is_none() {
            self.instances += 1;
            self.live = Some(Box::new(make(blueprint)?));
        }
        Ok(())
    }

    /// Drops the instance, keeping its figures.
    pub(crate) fn drop_instance(&mut self) {
        if let Some(live) = self.live.take() {
            self.note(&live);
        }
    }

    fn note(&mut self, live: &Live) {
        let data = live.store.data();
        self.memory_bytes = self.memory_bytes.max(data.limiter.memory_bytes() as u64);
        self.log_dropped += data.log_dropped;
    }

    /// Brings the instance up to date and calls it. `decisions` is how many answers the call gives.
    pub(crate) fn call<T>(
        &mut self,
        blueprint: &Blueprint,
        fleet: &Fleet,
        class: Option<&EligibleClass>,
        now_ms: u64,
        decisions: u64,
        function: impl FnOnce(&mut Store<SeatData>, &Functions) -> wasmtime::Result<T>,
    ) -> Result<T, Fault> {
        self.prepare(blueprint).map_err(|error| match error {
            MakeError::Fault(fault) => fault,
            MakeError::Settings(_) => {
                Fault::new(FaultKind::Contract, "it refused settings that it took before")
            }
        })?;
        let Some(live) = &mut self.live else {
            return Err(Fault::new(FaultKind::Contract, "it has no instance"));
        };
        live.store.data_mut().now = Now(now_ms);
        let answered = live.update(blueprint, fleet, class, &mut self.scratch).and_then(|()| {
            let budget = blueprint.budget.times(decisions);
            let fuel = budget.fuel;
            begin(&mut live.store, &budget);
            let answer = function(&mut live.store, &live.functions);
            self.fuel += fuel.saturating_sub(live.store.get_fuel().unwrap_or(fuel));
            live.calls += 1;
            answer
        });
        self.calls += decisions;
        match answered {
            Ok(answer) => Ok(answer),
            Err(error) => {
                let fault = classify(&error, live.store.data().limiter.refused);
                self.drop_instance();
                Err(fault)
            }
        }
    }

    /// Largest linear memory and dropped log lines, the live instance included.
    pub(crate) fn figures_now(&self) -> (u64, u64) {
        let live = self.live.as_ref().map(|live| live.store.data());
        let (memory_bytes, log_dropped) =
            live.map_or((0, 0), |data| (data.limiter.memory_bytes() as u64, data.log_dropped));
        (self.memory_bytes.max(memory_bytes), self.log_dropped + log_dropped)
    }
}

fn make(blueprint: &Blueprint) -> Result<Live, MakeError> {
    let upkeep = blueprint.budget.upkeep();
    let policy = &blueprint.policy;
    let name: Arc<str> = policy.description.name.as_str().into();
    let data = SeatData::new(&upkeep, Arc::clone(&blueprint.state), blueprint.counter_seed, name);
    let mut store = new_store(policy.pre.engine(), data, &upkeep);
    let made = policy.pre.instantiate(&mut store).and_then(|instance| {
        let base = policy.indices.load(&mut store, &instance)?;
        let functions = family_functions(policy, &mut store, &instance)?;
        begin(&mut store, &upkeep);
        let settings = convert::settings(&blueprint.settings);
        let configured = base.pilothouse_host_lifecycle().call_configure(&mut store, &settings)?;
        Ok((base, functions, configured))
    });
    match made {
        Ok((base, functions, Ok(()))) => Ok(Live {
            store,
            base,
            functions,
            epoch: 0,
            block_epochs: Vec::new(),
            classes: Vec::new(),
            calls: 0,
        }),
        Ok((_, _, Err(problems))) => Err(MakeError::Settings(convert::problems(problems))),
        Err(error) => Err(MakeError::Fault(classify(&error, store.data().limiter.refused))),
    }
}

impl Live {
    /// Pushes what changed since the last call.
    fn update(
        &mut self,
        blueprint: &Blueprint,
        fleet: &Fleet,
        class: Option<&EligibleClass>,
        scratch: &mut Vec<u64>,
    ) -> wasmtime::Result<()> {
        if self.epoch != fleet.epoch || self.block_epochs.len() != fleet.blocks.len() {
            self.update_blocks(blueprint, fleet, scratch)?;
        }
        let Some(class) = class else { return Ok(()) };
        let used = self.calls;
        match self.classes.iter_mut().find(|seen| seen.id == class.id) {
            Some(seen) if seen.version == class.version => {
                seen.used = used;
                Ok(())
            }
            _ => self.update_class(blueprint, class, used),
        }
    }

    #[cold]
    fn update_blocks(
        &mut self,
        blueprint: &Blueprint,
        fleet: &Fleet,
        scratch: &mut Vec<u64>,
    ) -> wasmtime::Result<()> {
        let columns = &blueprint.policy.columns;
        self.block_epochs.resize(fleet.blocks.len(), 0);
        self.store.data_mut().fleet = Some(fleet.clone());
        let upkeep = blueprint.budget.upkeep();
        for ((index, block), seen) in (0_u32..).zip(&fleet.blocks).zip(&mut self.block_epochs) {
            if *seen == block.epoch {
                continue;
            }
            scratch.clear();
            columns.iter().for_each(|&column: &Column| scratch.extend_from_slice(block.column(column)));
            begin(&mut self.store, &upkeep);
            self.base.pilothouse_host_lifecycle().call_sync_block(
                &mut self.store,
                fleet.epoch,
                fleet.rows,
                index,
                scratch,
            )?;
            *seen = block.epoch;
        }
        self.epoch = fleet.epoch;
        Ok(())
    }

    #[cold]
    fn update_class(
        &mut self,
        blueprint: &Blueprint,
        class: &EligibleClass,
        used: u64,
    ) -> wasmtime::Result<()> {
        let upkeep = blueprint.budget.upkeep();
        self.classes.retain(|seen| seen.id != class.id);
        if self.classes.len() >= CLASSES_MAX
            && let Some(oldest) = self.classes.iter().min_by_key(|seen| seen.used).map(|seen| seen.id)
        {
            begin(&mut self.store, &upkeep);
            self.base.pilothouse_host_lifecycle().call_drop_class(&mut self.store, oldest)?;
            self.classes.retain(|seen| seen.id != oldest);
        }
        begin(&mut self.store, &upkeep);
        let update = convert::class(class, blueprint.policy.wants_rtt);
        self.base.pilothouse_host_lifecycle().call_sync_class(&mut self.store, &update)?;
        self.classes.push(SeenClass { id: class.id, version: class.version, used });
        Ok(())
    }
}
