//! The engine without a server: load a component as a server would, make a pool of it, show it fleets.
//!
//! Invariant: the checks are a server's own; the wider bounds are tried only if the usual ones refuse the component, and
//! whoever asks is told that they were needed.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use pilothouse_core::policy::state::SlotState;
use pilothouse_engine::{
    Bounds, Budget, Cache, Compiler, LoadError, LoadedPolicy, Pool, PoolConfig, Runtime,
};

/// Wall clock of a decision, ms, where time is not what is looked at.
pub(super) const PATIENT_MS: u64 = 600_000;
/// Largest memory that a server can be told to give, bytes.
const MEMORY_BYTES_MAX: usize = 64 << 20;

/// A component and what runs it.
pub(super) struct Engine {
    pub(super) loaded: LoadedPolicy,
    pub(super) is_large: bool,
    _runtime: Runtime,
}

/// Loads a component. `code` is a folder for compiled code, so that the next command need not compile again.
pub(super) fn load(bytes: &[u8], code: Option<&Path>) -> anyhow::Result<Engine> {
    let program = std::env::current_exe().context("cannot find this program for the compiler's process")?;
    let cache = match code {
        Some(dir) => Cache::open(dir).with_context(|| format!("cannot use {}", dir.display()))?,
        None => Cache::none(),
    };
    let runtime = Runtime::start(Compiler::child(program, vec!["compile".to_owned()]), cache)?;
    match runtime.load(bytes) {
        Ok(loaded) => Ok(Engine { loaded, is_large: false, _runtime: runtime }),
        Err(LoadError::TooLarge { .. }) => {
            let runtime = runtime.with_bounds(Bounds::LARGE);
            Ok(Engine { loaded: runtime.load(bytes)?, is_large: true, _runtime: runtime })
        }
        Err(error) => Err(error.into()),
    }
}

/// The most that a server can be told to give: for finding out what a policy needs.
pub(super) fn generous() -> Budget {
    Budget {
        fuel: u64::MAX / 4_096,
        deadline_ms: PATIENT_MS,
        memory_bytes: MEMORY_BYTES_MAX,
        host_calls: u32::MAX,
    }
}

/// One seat of a policy with its default settings.
pub(super) fn pool(loaded: &Arc<LoadedPolicy>, budget: Budget) -> anyhow::Result<Pool> {
    let config = PoolConfig { seats: 1, budget, state: Arc::new(SlotState::default()), seed: 1 };
    Pool::new(Arc::clone(loaded), "", config).context("the policy cannot be used with its default settings")
}
