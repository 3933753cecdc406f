//! One instance of an agent and the budget of each of its calls.
//!
//! Invariant: what a call brings back is bounded before it is copied (fuel of host calls) and checked after it.

use pilothouse_core::policy::fault::{Fault, FaultKind};
use pilothouse_core::policy::settings::SettingProblem;
use wasmtime::{Result, Store, UpdateDeadline};

use super::{AgentBudget, LoadedAgent, wire};
use crate::bindings::agent::Component;
use crate::bindings::log;
use crate::faults::classify;
use crate::limits::{Budget, HANDLES_MAX, LOG_BYTES_MAX, LOG_LINES_MAX, Limiter};
use crate::runtime::{Deadline, part_ticks};

/// What a call may bring back besides its list: texts of refusals, log lines.
const SMALL_BYTES: usize = 64 << 10;
/// Longest text of a refusal that is passed on, bytes.
const REFUSAL_BYTES_MAX: usize = 1 << 10;

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

/// Why an instance could not be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StartError {
    /// The settings are no good.
    #[error("the settings are not valid: {}", crate::pool::list(.0))]
    Settings(Vec<SettingProblem>),
    /// It does not take the state.
    #[error("it does not take its state: {0}")]
    State(String),
    /// It broke while it was made.
    #[error("it broke while it was started: {0}")]
    Fault(Fault),
}

/// Why a message has no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum HandleError {
    /// The agent refused it; the instance is good.
    #[error("{0}")]
    Refused(String),
    /// The agent broke; the instance is over.
    #[error("{0}")]
    Fault(Fault),
}

/// The host's side of an instance.
pub(crate) struct AgentData {
    limiter: Limiter,
    deadline: Deadline,
    lines: Vec<String>,
    line_bytes: usize,
    lines_dropped: u64,
}

impl log::Host for AgentData {
    fn write(&mut self, level: log::Level, message: String) -> Result<()> {
        let bytes = self.line_bytes.saturating_add(message.len());
        if self.lines.len() >= LOG_LINES_MAX as usize || bytes > LOG_BYTES_MAX {
            self.lines_dropped = self.lines_dropped.saturating_add(1);
            return Ok(());
        }
        self.line_bytes = bytes;
        let level = match level {
            log::Level::Debug => "debug",
            log::Level::Info => "info",
            log::Level::Warn => "warn",
            log::Level::Error => "error",
        };
        self.lines.push(format!("{level}: {}", message.escape_debug()));
        Ok(())
    }
}

/// A live instance.
pub struct Instance {
    store: Store<AgentData>,
    exports: Component,
    budget: AgentBudget,
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").field("memory_bytes", &self.memory_bytes()).finish_non_exhaustive()
    }
}

impl Instance {
    /// Makes one; it is not configured.
    pub(super) fn make(agent: &LoadedAgent) -> Result<Self, Fault> {
        let budget = agent.budget;
        let AgentBudget { fuel, deadline_ms, memory_bytes, .. } = budget;
        let limiter = Limiter::new(&Budget { fuel, deadline_ms, memory_bytes, host_calls: 0 });
        let data = AgentData {
            limiter,
            deadline: Deadline::default(),
            lines: Vec::new(),
            line_bytes: 0,
            lines_dropped: 0,
        };
        let mut store = Store::new(agent.pre.engine(), data);
        store.limiter(|data| &mut data.limiter);
        store.set_max_component_handles(HANDLES_MAX);
        store.epoch_deadline_callback(|mut context| {
            Ok(match context.data_mut().deadline.next_part() {
                Some(ticks) => UpdateDeadline::Continue(ticks),
                None => UpdateDeadline::Interrupt,
            })
        });
        begin(&mut store, &budget, SMALL_BYTES);
        let made = agent.pre.instantiate(&mut store).and_then(|made| agent.indices.load(&mut store, &made));
        match made {
            Ok(exports) => Ok(Self { store, exports, budget }),
            Err(error) => Err(classify(&error, store.data().limiter.refused)),
        }
    }

    pub(super) fn describe(&mut self) -> Result<wire::Description, Fault> {
        self.call(2 * SMALL_BYTES, |exports, store| exports.pilothouse_agent_agent().call_describe(store))
    }

    pub(super) fn configure(&mut self, settings: &[wire::Setting]) -> Result<(), StartError> {
        let configured = self.call(SMALL_BYTES, |exports, store| {
            exports.pilothouse_agent_agent().call_configure(store, settings)
        });
        configured.map_err(StartError::Fault)?.map_err(|problems| {
            let short = |text: &str| Fault::new(FaultKind::Failed, text).detail;
            let problem = |wire::SettingProblem { path, problem }: &_| SettingProblem {
                path: short(path),
                problem: short(problem),
            };
            StartError::Settings(problems.iter().take(16).map(problem).collect())
        })
    }

    pub(super) fn restore(&mut self, state: &[u8]) -> Result<(), StartError> {
        let restored = self
            .call(SMALL_BYTES, |exports, store| exports.pilothouse_agent_agent().call_restore(store, state));
        let problem = |text: String| StartError::State(Fault::new(FaultKind::Failed, &text).detail);
        restored.map_err(StartError::Fault)?.map_err(problem)
    }

    /// Handles a message and saves if the state changed.
    ///
    /// # Errors
    /// [`HandleError`]; after a fault the instance is good for nothing but being dropped.
    pub fn handle(&mut self, message: &[u8], context: Context) -> Result<Handled, HandleError> {
        let Context { seed, now_ms } = context;
        let most = self.budget.answer_bytes.saturating_add(SMALL_BYTES);
        let context = wire::Context { seed, now_ms };
        let answered = self.call(most, |exports, store| {
            exports.pilothouse_agent_agent().call_handle(store, message, context)
        });
        let wire::Reply { body, changed } =
            answered.map_err(HandleError::Fault)?.map_err(|refusal| HandleError::Refused(text(refusal)))?;
        bounded("answer", &body, self.budget.answer_bytes)?;
        let state = if changed { Some(self.save()?) } else { None };
        Ok(Handled { body, state })
    }

    fn save(&mut self) -> Result<Vec<u8>, HandleError> {
        let most = self.budget.state_bytes.saturating_add(SMALL_BYTES);
        let saved = self.call(most, |exports, store| exports.pilothouse_agent_agent().call_save(store));
        let state = saved.map_err(HandleError::Fault)?;
        bounded("state", &state, self.budget.state_bytes)?;
        Ok(state)
    }

    /// The lines that were written since this was last asked; a note stands for those that were too many.
    pub fn take_lines(&mut self) -> Vec<String> {
        let data = self.store.data_mut();
        data.line_bytes = 0;
        let mut lines = std::mem::take(&mut data.lines);
        match std::mem::take(&mut data.lines_dropped) {
            0 => {}
            dropped => lines.push(format!("{dropped} lines more than may be written were dropped")),
        }
        lines
    }

    /// Linear memory in use, bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.store.data().limiter.memory_bytes()
    }

    fn call<T>(
        &mut self,
        bytes_back: usize,
        function: impl FnOnce(&Component, &mut Store<AgentData>) -> Result<T>,
    ) -> Result<T, Fault> {
        begin(&mut self.store, &self.budget, bytes_back);
        function(&self.exports, &mut self.store)
            .map_err(|error| classify(&error, self.store.data().limiter.refused))
    }
}

/// Gives the next call its budget.
fn begin(store: &mut Store<AgentData>, budget: &AgentBudget, bytes_back: usize) {
    // Fuel is on in our engine, so this cannot fail.
    let _ = store.set_fuel(budget.fuel);
    store.set_hostcall_fuel(bytes_back);
    let part_ticks = part_ticks(budget.deadline_ms);
    store.set_epoch_deadline(part_ticks);
    let data = store.data_mut();
    data.deadline.begin(part_ticks);
    data.limiter.refused = false;
}

fn bounded(what: &str, bytes: &[u8], most: usize) -> Result<(), HandleError> {
    if bytes.len() <= most {
        return Ok(());
    }
    let problem = format!("its {what} has {} bytes, at most {most} are taken", bytes.len());
    Err(HandleError::Fault(Fault::new(FaultKind::Output, &problem)))
}

fn text(refusal: wire::Refusal) -> String {
    let (wire::Refusal::BadMessage(mut text)
    | wire::Refusal::NotNow(mut text)
    | wire::Refusal::Other(mut text)) = refusal;
    let end = (0..=REFUSAL_BYTES_MAX.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    text.truncate(end.unwrap_or(0));
    text
}
