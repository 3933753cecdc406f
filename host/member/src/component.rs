//! Runs agents that are components: thousands of small states, a few threads.
//!
//! call -> the agent's queue -> a worker of the [`pool`] -> [`Agent::handle`] -> state file replaced -> answer
//!
//! Invariant: the state file is the state after the last message that changed it and was answered; an instance is only a
//! cache of it. Whatever goes wrong drops the instance, and the next message begins from the file. Messages of one agent are
//! handled one at a time, in order; a thread belongs to no agent.

mod file;
mod instance;
mod lines;
mod pool;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::sync::Arc;

use pilothouse_core::workload::{Component, Driver as Kind};

use crate::driver::{Driver, DriverError, Instance, Launch, Pending};
use instance::Cell;
use pool::Pool;

pub use lines::{LINES_MAX, LOG_BYTES_MAX};

/// Longest message and answer, bytes.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Largest state, bytes.
pub const STATE_BYTES_MAX: usize = 4 << 20;
/// Most messages that wait in one agent; the next one is told that it is busy.
pub const WAITING_MAX: usize = 256;

/// Makes agents; what a member needs of a WebAssembly engine.
pub trait AgentRuntime: Debug + Send + Sync {
    /// Makes an instance with the component's settings, on `state` if there is one. Blocks, for the time of a compile if
    /// the component is new.
    ///
    /// # Errors
    /// [`AgentError`]; `Unusable` if no other try can succeed.
    fn start(&self, component: &Component, state: Option<Vec<u8>>) -> Result<Box<dyn Agent>, AgentError>;
}

/// One instance. After any error but a refusal it is dropped.
pub trait Agent: Debug + Send {
    /// Handles one message. Blocks, for a bounded time.
    ///
    /// # Errors
    /// [`AgentError`]
    fn handle(&mut self, message: &[u8], context: Context) -> Result<Handled, AgentError>;

    /// What it wrote since it was last asked, oldest first.
    fn take_lines(&mut self) -> Vec<String>;
}

/// What arrives with a message besides its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// Randomness for this message and no other.
    pub seed: u64,
    /// Milliseconds since the Unix epoch.
    pub now_ms: u64,
}

/// A message that was handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handled {
    /// The answer.
    pub body: Vec<u8>,
    /// The state after it; `None` if it is the one before.
    pub state: Option<Vec<u8>>,
}

/// Why an agent gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentError {
    /// The agent refused the message; nothing changed.
    #[error("{0}")]
    Refused(String),
    /// It broke, or used more than it may.
    #[error("{0}")]
    Broke(String),
    /// It cannot run here at all: its component, its settings or its state are no good.
    #[error("{0}")]
    Unusable(String),
}

/// Where contexts come from: the caller owns clock and randomness.
pub type Contexts = Arc<dyn Fn() -> Context + Send + Sync>;

/// Runs components.
#[derive(Debug)]
pub struct ComponentDriver {
    runtime: Arc<dyn AgentRuntime>,
    contexts: Surroundings,
    pool: Arc<Pool>,
}

#[derive(Clone)]
struct Surroundings(Contexts);

impl Debug for Surroundings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Surroundings")
    }
}

impl ComponentDriver {
    /// A driver with so many threads for guests.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn new(runtime: Arc<dyn AgentRuntime>, contexts: Contexts, threads: usize) -> std::io::Result<Self> {
        Ok(Self { runtime, contexts: Surroundings(contexts), pool: Arc::new(Pool::start(threads)?) })
    }
}

impl Driver for ComponentDriver {
    fn start(&self, launch: Launch) -> Pending<Result<Arc<dyn Instance>, DriverError>> {
        let Kind::Component(component) = launch.spec.driver else {
            let problem = DriverError::Unusable("it is no component".to_owned());
            return Box::pin(std::future::ready(Err(problem)));
        };
        let files = file::StateFile::new(&launch.state_dir, &launch.work_dir);
        let (runtime, contexts) = (Arc::clone(&self.runtime), self.contexts.clone());
        let started = Cell::start(runtime, contexts, component, files, Arc::clone(&self.pool));
        Box::pin(async move { started.await.map(|cell| Arc::new(cell) as Arc<dyn Instance>) })
    }
}
