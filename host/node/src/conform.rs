//! Components of the engine under the conformance kit, without a server.
//!
//! bytes -> [`conform`] -> loaded by the runtime, or refused -> the kit's report
//!
//! Invariant: the limits are a server's but for time: fuel, memory and host calls bound a decision, and the deadline is far
//! away, so that a busy machine finds the same as an idle one.

use std::sync::Arc;
use std::time::Duration;

use pilothouse_conformance::{Facts, NotMade, Options, Report, Subject, Tested, UnknownCheck};
use pilothouse_core::policy::fault::Fault;
use pilothouse_core::policy::state::SlotState;
use pilothouse_core::policy::{Description, Policy};
use pilothouse_engine::{Budget, LoadError, LoadedPolicy, Pool, PoolConfig, PoolError, Runtime};

use crate::clock::Clock;

/// Wall clock of a decision, ms: a backstop that no policy within its fuel reaches.
const DEADLINE_MS: u64 = 60_000;
/// Where a policy's counters start, so that equal policies are equal.
const COUNTER_SEED: u64 = 1;

/// Runs the kit over bytes; `label` names them if they cannot be loaded.
///
/// # Errors
/// [`UnknownCheck`] if the options name a check that does not exist.
pub fn conform(
    runtime: &Runtime,
    label: &str,
    bytes: &[u8],
    options: &Options,
) -> Result<Report, UnknownCheck> {
    match Component::load(runtime, bytes) {
        Ok(component) => pilothouse_conformance::run(&component, options),
        Err((id, why)) => {
            let tested = Tested {
                name: label.to_owned(),
                digest: pilothouse_engine::digest(bytes).to_string(),
                size_bytes: bytes.len(),
                ..Tested::default()
            };
            pilothouse_conformance::refused(tested, id, &why, options)
        }
    }
}

/// The check that names why a component was not loaded.
fn charged(error: &LoadError) -> &'static str {
    match error {
        LoadError::Import { .. } => "contract/imports",
        LoadError::Version { .. } => "contract/version",
        LoadError::Family { .. } | LoadError::Contract { .. } => "contract/exports",
        LoadError::Description { problem } if problem.contains("column") => "contract/columns",
        LoadError::Description { problem } if problem.contains("schema") => "contract/schema",
        LoadError::Description { .. } => "contract/constant",
        _ => "contract/component",
    }
}

/// A loaded component.
#[derive(Debug)]
struct Component {
    runtime: Runtime,
    bytes: Arc<[u8]>,
    loaded: Arc<LoadedPolicy>,
    facts: Facts,
    clock: Clock,
}

impl Component {
    fn load(runtime: &Runtime, bytes: &[u8]) -> Result<Self, (&'static str, String)> {
        let loaded = runtime.load(bytes).map_err(|error| (charged(&error), error.to_string()))?;
        let missing = loaded.missing_functions().map_err(|fault| ("contract/exports", fault.to_string()))?;
        let budget = Budget::of(loaded.family());
        let facts = Facts {
            family: loaded.family(),
            digest: loaded.digest.to_string(),
            size_bytes: loaded.size_bytes,
            imports: loaded.outline.imports.clone(),
            description: loaded.description.clone(),
            missing,
            fuel_max: budget.fuel,
            memory_bytes_max: budget.memory_bytes as u64,
        };
        Ok(Self {
            runtime: runtime.clone(),
            bytes: bytes.into(),
            loaded: Arc::new(loaded),
            facts,
            clock: Clock::start(1),
        })
    }
}

impl Subject for Component {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn make(&self, settings: &str, state: Arc<SlotState>) -> Result<Box<dyn Policy>, NotMade> {
        let budget = Budget { deadline_ms: DEADLINE_MS, ..Budget::of(self.loaded.family()) };
        let config = PoolConfig { seats: 1, budget, state, seed: COUNTER_SEED };
        match Pool::new(Arc::clone(&self.loaded), settings, config) {
            Ok(pool) => Ok(Box::new(pool)),
            Err(PoolError::Settings(problems)) => Err(NotMade::Settings(problems)),
            Err(PoolError::Fault(fault)) => Err(NotMade::Fault(fault)),
        }
    }

    fn describe_again(&self) -> Result<Description, Fault> {
        self.loaded.describe_again()
    }

    fn load_again(&self) -> Result<Box<dyn Subject>, String> {
        match Self::load(&self.runtime, &self.bytes) {
            Ok(again) => Ok(Box::new(again)),
            Err((_, why)) => Err(why),
        }
    }

    fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.clock.nanos())
    }
}
