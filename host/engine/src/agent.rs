//! Agents: components of their own family that answer messages from a state.
//!
//! bytes -> pre-check -> cache or compiler -> [`LoadedAgent`] -> [`LoadedAgent::start`] -> [`Instance::handle`]
//!
//! Invariant: an instance whose call failed is never called again; its owner drops it and starts another from the last
//! state. Memory is allocated on demand, one mapping of it per instance, so that ten thousand small ones fit. Where states
//! are kept and who owns an agent is not known here.

mod instance;

use std::sync::Arc;

use pilothouse_core::id::Digest;
use pilothouse_core::policy::fault::Fault;
use pilothouse_core::policy::settings::Setting;
use wasmtime::component::InstancePre;

use crate::bindings::agent::ComponentIndices;
use crate::bindings::agent::exports::pilothouse::agent::agent as wire;
use crate::component::{check_texts, contract};
use crate::precheck::{self, LoadError};
use crate::runtime::Runtime;
use crate::settings;

pub(crate) use instance::AgentData;
pub use instance::{Context, HandleError, Handled, Instance, StartError};

/// What one call of an agent may use, and how much it may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentBudget {
    /// Fuel of a call; the deterministic bound.
    pub fuel: u64,
    /// Wall clock of a call, ms; the backstop.
    pub deadline_ms: u64,
    /// Linear memory of an instance, bytes.
    pub memory_bytes: usize,
    /// Longest answer, bytes.
    pub answer_bytes: usize,
    /// Largest state, bytes.
    pub state_bytes: usize,
}

impl Default for AgentBudget {
    fn default() -> Self {
        Self {
            // Some 0.3 s: as long as one agent may keep others from a thread.
            fuel: 1_000_000_000,
            deadline_ms: 1_000,
            memory_bytes: 32 << 20,
            answer_bytes: 1 << 20,
            state_bytes: 4 << 20,
        }
    }
}

/// What an agent says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AgentDescription {
    /// Its name.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// One line for people.
    pub summary: String,
    /// JSON Schema of its settings; empty = none.
    pub settings_schema: String,
}

/// A compiled agent, from which instances are made.
#[derive(Clone)]
pub struct LoadedAgent {
    /// Digest of its bytes.
    pub digest: Digest,
    /// What it says of itself.
    pub description: AgentDescription,
    /// Whether its code came from the cache.
    pub from_cache: bool,
    budget: AgentBudget,
    pre: InstancePre<AgentData>,
    indices: Arc<ComponentIndices>,
}

impl std::fmt::Debug for LoadedAgent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedAgent")
            .field("digest", &self.digest)
            .field("name", &self.description.name)
            .finish_non_exhaustive()
    }
}

impl Runtime {
    /// Checks and compiles an agent. Blocks for the time of a compile.
    ///
    /// # Errors
    /// [`LoadError`] says what is wrong and what to do.
    pub fn load_agent(&self, bytes: &[u8], budget: AgentBudget) -> Result<LoadedAgent, LoadError> {
        precheck::check_agent(bytes, self.bounds)?;
        let digest = crate::digest(bytes);
        let (component, from_cache) = self.compiled(bytes, digest)?;
        let pre = self.agent_linker.instantiate_pre(&component).map_err(contract)?;
        let indices = Arc::new(ComponentIndices::new(&pre).map_err(contract)?);
        let description = AgentDescription::default();
        let mut loaded = LoadedAgent { digest, description, from_cache, budget, pre, indices };
        let asked = Instance::make(&loaded).and_then(|mut instance| instance.describe());
        let said = asked.map_err(|fault: Fault| LoadError::Description {
            problem: format!("asking for it failed: {fault}"),
        })?;
        let wire::Description { name, version, summary, settings_schema } = said;
        check_texts(&name, &version, &summary, &settings_schema)?;
        loaded.description = AgentDescription { name, version, summary, settings_schema };
        Ok(loaded)
    }
}

impl LoadedAgent {
    /// Makes an instance with settings (JSON text, empty = none), on a state if there is one.
    ///
    /// # Errors
    /// [`StartError`]
    pub fn start(&self, settings: &str, state: Option<&[u8]>) -> Result<Instance, StartError> {
        let settings =
            settings::prepare(&self.description.settings_schema, settings).map_err(StartError::Settings)?;
        let mut instance = Instance::make(self).map_err(StartError::Fault)?;
        instance.configure(&settings.iter().map(setting).collect::<Vec<_>>())?;
        if let Some(state) = state {
            instance.restore(state)?;
        }
        Ok(instance)
    }
}

fn setting(Setting { path, value }: &Setting) -> wire::Setting {
    use pilothouse_core::policy::settings::SettingValue;
    let value = match value {
        SettingValue::Flag(flag) => wire::SettingValue::Flag(*flag),
        SettingValue::Integer(integer) => wire::SettingValue::Integer(*integer),
        SettingValue::Number(number) => wire::SettingValue::Number(*number),
        SettingValue::Text(text) => wire::SettingValue::Text(text.clone()),
    };
    wire::Setting { path: path.clone(), value }
}
