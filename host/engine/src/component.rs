//! A component that passed every check and is compiled.
//!
//! bytes -> pre-check -> cache or compiler -> links against our imports -> says who it is -> [`LoadedPolicy`]
//!
//! Invariant: a `LoadedPolicy` has the exports of its family with the right types, and its description names only columns
//! that this host has.

use std::sync::Arc;

use pilothouse_core::fleet::column::{Column, RTT_COLUMN};
use pilothouse_core::id::{Digest, PolicyName};
use pilothouse_core::policy::state::SlotState;
use pilothouse_core::policy::{Description, Family};
use wasmtime::component::{Component, InstancePre};
use wasmtime::{Store, UpdateDeadline};

use crate::bindings::host::BaseIndices;
use crate::bindings::lifecycle;
use crate::imports::SeatData;
use crate::limits::{Budget, HANDLES_MAX, HOSTCALL_BYTES_MAX};
use crate::precheck::{LoadError, Outline};
use crate::runtime::{Runtime, part_ticks};
use crate::{precheck, seat, settings};

/// Longest text of a description, bytes; the schema may have more.
const TEXT_BYTES_MAX: usize = 1_024;
const SCHEMA_BYTES_MAX: usize = 64 << 10;
/// Most columns, reasons and factors.
const LIST_MAX: usize = 64;

/// A compiled policy.
#[derive(Clone)]
pub struct LoadedPolicy {
    /// Digest of its bytes.
    pub digest: Digest,
    /// Its size, bytes.
    pub size_bytes: usize,
    /// Its family, imports and exports.
    pub outline: Outline,
    /// What it says of itself.
    pub description: Description,
    /// Whether its code came from the cache.
    pub from_cache: bool,
    pub(crate) columns: Vec<Column>,
    pub(crate) wants_rtt: bool,
    pub(crate) pre: InstancePre<SeatData>,
    pub(crate) indices: Arc<BaseIndices>,
}

impl std::fmt::Debug for LoadedPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedPolicy")
            .field("digest", &self.digest)
            .field("name", &self.description.name)
            .finish_non_exhaustive()
    }
}

impl LoadedPolicy {
    /// Its family.
    #[must_use]
    pub fn family(&self) -> Family {
        self.outline.family
    }
}

impl Runtime {
    /// Checks and compiles a component. Blocks for the time of a compile.
    ///
    /// # Errors
    /// [`LoadError`] says what is wrong and what to do.
    pub fn load(&self, bytes: &[u8]) -> Result<LoadedPolicy, LoadError> {
        let outline = precheck::check(bytes, self.bounds)?;
        let digest = crate::digest(bytes);
        let (component, from_cache) = self.compiled(bytes, digest)?;
        let pre = self.linker.instantiate_pre(&component).map_err(contract)?;
        let indices = Arc::new(BaseIndices::new(&pre).map_err(contract)?);
        let mut loaded = LoadedPolicy {
            digest,
            size_bytes: bytes.len(),
            outline,
            description: Description::default(),
            from_cache,
            columns: Vec::new(),
            wants_rtt: false,
            pre,
            indices,
        };
        self.describe(&mut loaded)?;
        Ok(loaded)
    }

    /// Code from the cache (true), or compiled now. The bytes have passed a pre-check.
    pub(crate) fn compiled(&self, bytes: &[u8], digest: Digest) -> Result<(Component, bool), LoadError> {
        if let Some(component) = self.cache.get(&self.engine, digest).and_then(|code| self.map(&code).ok()) {
            return Ok((component, true));
        }
        let code = self.compiler.compile(&self.engine, bytes, self.bounds)?;
        let component =
            self.map(&code).map_err(|error| LoadError::Compile { problem: format!("{error:#}") })?;
        self.cache.put(&self.engine, digest, &code);
        Ok((component, false))
    }

    fn map(&self, code: &[u8]) -> wasmtime::Result<Component> {
        // SAFETY: the bytes were made by our own compiler with the same engine settings, either just now or by this
        // host earlier, in which case the cache has verified its authentication tag over them.
        #[expect(unsafe_code, reason = "mapping compiled code; see the safety comment")]
        unsafe {
            Component::deserialize(&self.engine, code)
        }
    }

    /// Asks the policy who it is, on an instance of its own.
    fn describe(&self, loaded: &mut LoadedPolicy) -> Result<(), LoadError> {
        let budget = Budget::of(loaded.family()).upkeep();
        let data = SeatData::new(&budget, Arc::new(SlotState::default()), 0, loaded.digest.short().into());
        let mut store = new_store(&self.engine, data, &budget);
        let broken = |error: &wasmtime::Error| LoadError::Description {
            problem: format!("asking for it failed: {}", crate::faults::classify(error, false)),
        };
        let instance = loaded.pre.instantiate(&mut store).map_err(|error| broken(&error))?;
        let base = loaded.indices.load(&mut store, &instance).map_err(|error| broken(&error))?;
        seat::family_functions(loaded, &mut store, &instance).map_err(|error| LoadError::Contract {
            problem: format!("{error:#}").chars().take(300).collect(),
        })?;
        let said =
            base.pilothouse_host_lifecycle().call_describe(&mut store).map_err(|error| broken(&error))?;
        let (columns, wants_rtt) = check_description(&said)?;
        (loaded.columns, loaded.wants_rtt) = (columns, wants_rtt);
        loaded.description = crate::convert::description(said);
        Ok(())
    }
}

pub(crate) fn contract(error: wasmtime::Error) -> LoadError {
    let problem = format!("{error:#}").chars().take(300).collect::<String>().escape_debug().to_string();
    LoadError::Contract { problem }
}

/// A store with the limits of an instance and the budget of its first calls.
pub(crate) fn new_store(engine: &wasmtime::Engine, data: SeatData, budget: &Budget) -> Store<SeatData> {
    let mut store = Store::new(engine, data);
    store.limiter(|data| &mut data.limiter);
    store.set_hostcall_fuel(HOSTCALL_BYTES_MAX);
    store.set_max_component_handles(HANDLES_MAX);
    store.epoch_deadline_callback(|mut context| {
        Ok(match context.data_mut().deadline.next_part() {
            Some(ticks) => UpdateDeadline::Continue(ticks),
            None => UpdateDeadline::Interrupt,
        })
    });
    begin(&mut store, budget);
    store
}

/// Gives the next call its budget.
pub(crate) fn begin(store: &mut Store<SeatData>, budget: &Budget) {
    // Fuel is on in our engine, so this cannot fail.
    let _ = store.set_fuel(budget.fuel);
    let part_ticks = part_ticks(budget.deadline_ms);
    store.set_epoch_deadline(part_ticks);
    store.data_mut().begin(budget.host_calls, part_ticks);
}

/// Checks what every component says of itself.
pub(crate) fn check_texts(name: &str, version: &str, summary: &str, schema: &str) -> Result<(), LoadError> {
    let bad = |problem: String| LoadError::Description { problem };
    PolicyName::parse(name).map_err(|error| bad(error.to_string()))?;
    for (what, text) in [("name", name), ("version", version), ("summary", summary)] {
        if text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control) {
            return Err(bad(format!(
                "`{what}` is longer than {TEXT_BYTES_MAX} bytes or has control characters"
            )));
        }
    }
    if schema.len() > SCHEMA_BYTES_MAX {
        return Err(bad(format!("`settings-schema` is longer than {SCHEMA_BYTES_MAX} bytes")));
    }
    if !schema.is_empty() {
        settings::validator(schema).map_err(bad)?;
    }
    Ok(())
}

fn check_description(said: &lifecycle::Description) -> Result<(Vec<Column>, bool), LoadError> {
    let bad = |problem: String| LoadError::Description { problem };
    check_texts(&said.name, &said.version, &said.summary, &said.settings_schema)?;
    for (what, list) in [("columns", &said.columns), ("reasons", &said.reasons), ("factors", &said.factors)] {
        if list.len() > LIST_MAX
            || list.iter().any(|text| text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control))
        {
            return Err(bad(format!("`{what}` has more than {LIST_MAX} entries, or one that is too long")));
        }
    }
    let mut columns = Vec::new();
    for name in said.columns.iter().filter(|name| *name != RTT_COLUMN) {
        let known = || Column::ALL.iter().map(|column| column.name()).collect::<Vec<_>>().join(", ");
        let column = Column::parse(name).ok_or_else(|| {
            bad(format!("it wants the column `{name}`; this host has {}, {RTT_COLUMN}", known()))
        })?;
        columns.push(column);
    }
    Ok((columns, said.columns.iter().any(|name| name == RTT_COLUMN)))
}
