//! Agents: the engine behind the port of the member's component driver.
//!
//! digest -> loaded once (bytes from a [`Source`]) -> instances
//!
//! Invariant: a component is compiled once while it is remembered, at most [`LOADED_MAX`] are, and bytes that do not have
//! their digest are refused.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use pilothouse_core::id::Digest;
use pilothouse_core::workload::Component;
use pilothouse_engine::agent::{HandleError, Instance, StartError};
use pilothouse_engine::{AgentBudget, LoadedAgent, Runtime};
use pilothouse_member::component::{
    Agent, AgentError, AgentRuntime, Context, Handled, MESSAGE_BYTES_MAX, STATE_BYTES_MAX,
};

/// Most components remembered; the code of each takes memory. The one with the smallest digest leaves.
const LOADED_MAX: usize = 64;

/// Where the bytes of components are.
pub trait Source: Debug + Send + Sync {
    /// The bytes. Blocks.
    ///
    /// # Errors
    /// What is to be said if they cannot be had.
    fn bytes(&self, digest: Digest) -> Result<Vec<u8>, String>;
}

/// The engine's agents.
#[derive(Debug)]
pub struct Agents {
    runtime: Runtime,
    source: Box<dyn Source>,
    loaded: Mutex<BTreeMap<Digest, Arc<LoadedAgent>>>,
}

impl Agents {
    /// Agents of an engine.
    #[must_use]
    pub fn new(runtime: Runtime, source: Box<dyn Source>) -> Self {
        Self { runtime, source, loaded: Mutex::default() }
    }

    fn load(&self, digest: Digest) -> Result<Arc<LoadedAgent>, AgentError> {
        // Held while it compiles: a thousand agents that start on one new component wait for one compile.
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = loaded.get(&digest) {
            return Ok(Arc::clone(agent));
        }
        let bytes = self.source.bytes(digest).map_err(AgentError::Broke)?;
        if pilothouse_engine::digest(&bytes) != digest {
            return Err(AgentError::Broke(format!("what was offered as {digest} is something else")));
        }
        let budget = AgentBudget {
            answer_bytes: MESSAGE_BYTES_MAX,
            state_bytes: STATE_BYTES_MAX,
            ..AgentBudget::default()
        };
        let agent = self.runtime.load_agent(&bytes, budget);
        let agent = Arc::new(agent.map_err(|error| AgentError::Unusable(error.to_string()))?);
        if loaded.len() >= LOADED_MAX {
            loaded.pop_first();
        }
        loaded.insert(digest, Arc::clone(&agent));
        Ok(agent)
    }
}

impl AgentRuntime for Agents {
    fn start(&self, component: &Component, state: Option<Vec<u8>>) -> Result<Box<dyn Agent>, AgentError> {
        let instance = self.load(component.digest)?.start(&component.settings, state.as_deref());
        match instance {
            Ok(instance) => Ok(Box::new(Running(instance))),
            Err(error @ StartError::Fault(_)) => Err(AgentError::Broke(error.to_string())),
            Err(error) => Err(AgentError::Unusable(error.to_string())),
        }
    }
}

#[derive(Debug)]
struct Running(Instance);

impl Agent for Running {
    fn handle(&mut self, message: &[u8], context: Context) -> Result<Handled, AgentError> {
        let Context { seed, now_ms } = context;
        let context = pilothouse_engine::agent::Context { seed, now_ms };
        match self.0.handle(message, context) {
            Ok(pilothouse_engine::agent::Handled { body, state }) => Ok(Handled { body, state }),
            Err(HandleError::Refused(reason)) => Err(AgentError::Refused(reason)),
            Err(HandleError::Fault(fault)) => Err(AgentError::Broke(fault.to_string())),
        }
    }

    fn take_lines(&mut self) -> Vec<String> {
        self.0.take_lines()
    }
}
