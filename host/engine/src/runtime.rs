//! The process's one wasmtime engine: settings, ticker, and the linker with the host's imports.
//!
//! Invariant: child and parent build the engine from the same settings, so that what the child compiled fits the parent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Config, Engine, Strategy, WasmFeatures};

use crate::agent::AgentData;
use crate::bindings::agent::Component;
use crate::bindings::host::Base;
use crate::cache::Cache;
use crate::compile::Compiler;
use crate::imports::SeatData;
use crate::precheck::Bounds;

/// Period of the epoch ticker; deadlines are counted in it, ms.
const TICK_MS: u64 = 1;

/// The engine could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the WebAssembly engine: {0}")]
pub struct StartError(pub(crate) String);

/// Compiles and runs components.
#[derive(Clone)]
pub struct Runtime {
    pub(crate) engine: Engine,
    pub(crate) linker: Arc<Linker<SeatData>>,
    pub(crate) agent_linker: Arc<Linker<AgentData>>,
    pub(crate) compiler: Arc<Compiler>,
    pub(crate) cache: Arc<Cache>,
    pub(crate) bounds: Bounds,
    _ticker: Arc<Ticker>,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime")
            .field("compiler", &self.compiler)
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}

impl Runtime {
    /// Starts the engine and its ticker. One per process is enough.
    ///
    /// # Errors
    /// [`StartError`] if this machine cannot run it.
    pub fn start(compiler: Compiler, cache: Cache) -> Result<Self, StartError> {
        let failed = |error: wasmtime::Error| StartError(format!("{error:#}"));
        let engine = engine().map_err(failed)?;
        let mut linker = Linker::new(&engine);
        Base::add_to_linker::<SeatData, HasSelf<SeatData>>(&mut linker, |data| data).map_err(failed)?;
        let mut agent_linker = Linker::new(&engine);
        Component::add_to_linker::<AgentData, HasSelf<AgentData>>(&mut agent_linker, |data| data)
            .map_err(failed)?;
        let ticker = Ticker::start(&engine).map_err(|error| StartError(error.to_string()))?;
        Ok(Self {
            engine,
            linker: Arc::new(linker),
            agent_linker: Arc::new(agent_linker),
            compiler: Arc::new(compiler),
            cache: Arc::new(cache),
            bounds: Bounds::STANDARD,
            _ticker: Arc::new(ticker),
        })
    }

    /// The same, taking components within other bounds than [`Bounds::STANDARD`].
    #[must_use]
    pub fn with_bounds(self, bounds: Bounds) -> Self {
        Self { bounds, ..self }
    }
}

/// Parts of a deadline. A busy machine may take a thread off its core for longer than a whole deadline, and a call that did not
/// run is no fault of its policy: being off the core uses up one part, however long it was. A call that does run uses
/// all parts in its deadline, in at most twice of it because of rounding to ticks.
pub(crate) const DEADLINE_PARTS: u32 = 4;

/// How far a call's deadline has gone by.
#[derive(Debug, Default)]
pub(crate) struct Deadline {
    parts_left: u32,
    part_ticks: u64,
}

impl Deadline {
    /// Starts anew.
    pub(crate) fn begin(&mut self, part_ticks: u64) {
        *self = Self { parts_left: DEADLINE_PARTS - 1, part_ticks };
    }

    /// Ticks of the next part; `None` when it is over.
    pub(crate) fn next_part(&mut self) -> Option<u64> {
        self.parts_left = self.parts_left.checked_sub(1)?;
        Some(self.part_ticks)
    }
}

/// Ticks of one part of a deadline.
pub(crate) const fn part_ticks(deadline_ms: u64) -> u64 {
    let ticks = deadline_ms / TICK_MS / DEADLINE_PARTS as u64;
    if ticks == 0 { 1 } else { ticks }
}

/// An engine with our settings. Reasons stand in `faults.md` section 5 of the design.
pub(crate) fn engine() -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config.strategy(Strategy::Cranelift);
    // Proposals by allow-list: everything off, then what compilers of policies need.
    config.wasm_features(WasmFeatures::all(), false);
    config.wasm_features(allowed_features(), true);
    // The engine's own adapters between parts of a component (stubs of WASI are such parts) have two memories. Modules of guests may not:
    // the pre-check has it off.
    config.wasm_features(WasmFeatures::MULTI_MEMORY, true);
    // Asynchronous components are not needed, and most recent defects were there.
    config.concurrency_support(false);
    // Fuel bounds a decision deterministically, the epoch bounds it in time; together they cost what one costs.
    config.consume_fuel(true);
    config.epoch_interruption(true);
    config.max_wasm_stack(256 << 10);
    // Equal decisions on every CPU.
    config.cranelift_nan_canonicalization(true);
    // Small virtual footprint; guard pages stay.
    config.memory_reservation(64 << 20);
    // Names in traps come from the guest; nobody needs them.
    config.wasm_backtrace_max_frames(None);
    Engine::new(&config)
}

/// The proposals a policy may use.
pub(crate) fn allowed_features() -> WasmFeatures {
    WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::REFERENCE_TYPES
        | WasmFeatures::FLOATS
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::SIMD
        | WasmFeatures::COMPONENT_MODEL
}

/// Advances the engine's epoch until it is dropped.
struct Ticker {
    stop: Arc<AtomicBool>,
}

impl Ticker {
    fn start(engine: &Engine) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (engine, stopped) = (engine.weak(), Arc::clone(&stop));
        std::thread::Builder::new().name("epoch-ticker".to_owned()).spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                std::thread::park_timeout(Duration::from_millis(TICK_MS));
                match engine.upgrade() {
                    Some(engine) => engine.increment_epoch(),
                    None => break,
                }
            }
        })?;
        Ok(Self { stop })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_runs_all_the_time_is_cut_within_twice_its_deadline() {
        for deadline_ms in 1..=1_000 {
            let ticks = part_ticks(deadline_ms) * u64::from(DEADLINE_PARTS);
            // The tick in which a call starts has partly gone by, hence one more.
            assert!(ticks * TICK_MS <= 2 * deadline_ms.max(2), "{deadline_ms} ms are {ticks} ticks");
            assert!(
                (ticks + u64::from(DEADLINE_PARTS)) * TICK_MS > deadline_ms,
                "{deadline_ms} ms are {ticks} ticks"
            );
        }
    }
}
