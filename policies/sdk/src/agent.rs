//! Agents: workloads that answer messages from a state of their own.
//!
//! ```
//! use pilothouse_sdk::agent::{Agent, Context, Refusal, Reply};
//! use pilothouse_sdk::{About, Settings, export_agent};
//!
//! /// Remembers the last message.
//! #[derive(Debug, Default)]
//! pub struct Echo(Vec<u8>);
//! export_agent!(Echo);
//!
//! impl Agent for Echo {
//!     const ABOUT: About = About::new("echo", "1.0.0", "Answers with the message before.");
//!
//!     fn new(_settings: &mut Settings) -> Self {
//!         Self::default()
//!     }
//!
//!     fn handle(&mut self, message: &[u8], _context: Context) -> Result<Reply, Refusal> {
//!         Ok(Reply::changed(std::mem::replace(&mut self.0, message.to_vec())))
//!     }
//!
//!     fn save(&self) -> Vec<u8> {
//!         self.0.clone()
//!     }
//!
//!     fn restore(&mut self, state: Vec<u8>) -> Result<(), String> {
//!         self.0 = state;
//!         Ok(())
//!     }
//! }
//!
//! let mut echo = Echo::default();
//! assert_eq!(echo.handle(b"a", Context { seed: 0, now_ms: 0 }).unwrap().body, b"");
//! ```
//!
//! message -> [`Agent::handle`] -> answer; if the state changed, [`Agent::save`] comes before it is given
//!
//! Invariant: an agent is its settings and its state: one that was restored answers as the one that was saved.

use crate::{About, Problem, Settings, Value};

pub use crate::bindings::agent::exports::pilothouse::agent::agent::{Context, Refusal, Reply};

/// An agent. Export it with [`crate::export_agent!`]. Of [`About`], name, version, summary and settings schema count.
pub trait Agent: Sized {
    /// Who it is.
    const ABOUT: About;

    /// Reads the settings; the state is empty. Wrong settings are noted in `settings`.
    fn new(settings: &mut Settings) -> Self;

    /// Handles one message.
    ///
    /// # Errors
    /// A refusal; the state is what it was before.
    fn handle(&mut self, message: &[u8], context: Context) -> Result<Reply, Refusal>;

    /// The whole state.
    fn save(&self) -> Vec<u8>;

    /// Takes a state that `save` gave.
    ///
    /// # Errors
    /// What is wrong with it.
    fn restore(&mut self, state: Vec<u8>) -> Result<(), String>;
}

impl Reply {
    /// An answer after which the state is another one.
    #[must_use]
    pub fn changed(body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), changed: true }
    }

    /// An answer that left the state alone.
    #[must_use]
    pub fn unchanged(body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), changed: false }
    }
}

/// Writes a line to the agent's log; natively nowhere.
pub fn log(message: &str) {
    #[cfg(target_family = "wasm")]
    {
        use crate::bindings::agent::pilothouse::host::log::{Level, write};
        write(Level::Info, message);
    }
    #[cfg(not(target_family = "wasm"))]
    let _ = message;
}

/// Makes an agent with settings, as the host does.
///
/// # Errors
/// What is wrong with them.
pub fn configured<A: Agent>(values: Vec<(String, Value)>) -> Result<A, Vec<Problem>> {
    let mut settings = Settings::new(values);
    let agent = A::new(&mut settings);
    let problems = settings.finish();
    if problems.is_empty() { Ok(agent) } else { Err(problems) }
}

/// Makes a type the agent of this component.
#[macro_export]
macro_rules! export_agent {
    ($agent:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            use $crate::agent::Agent as _;
            use $crate::bindings::agent::exports::pilothouse::agent::agent as wire;

            struct Export;
    thread_local!(static AGENT: std::cell::RefCell<Option<$agent>> =
                const { std::cell::RefCell::new(None) });

            impl wire::Guest for Export {
                fn describe() -> wire::Description {
                    let about = <$agent>::ABOUT;
                    wire::Description {
                        name: about.name.to_owned(),
                        version: about.version.to_owned(),
                        summary: about.summary.to_owned(),
                        settings_schema: about.settings_schema.to_owned(),
                    }
                }

                fn configure(settings: Vec<wire::Setting>) -> Result<(), Vec<wire::SettingProblem>> {
                    let values = settings
                        .into_iter()
                        .map(|wire::Setting { path, value }| {
                            let value = match value {
                                wire::SettingValue::Flag(flag) => $crate::Value::Flag(flag),
                                wire::SettingValue::Integer(integer) => $crate::Value::Integer(integer),
                                wire::SettingValue::Number(number) => $crate::Value::Number(number),
                                wire::SettingValue::Text(text) => $crate::Value::Text(text),
                            };
                            (path, value)
                        })
                        .collect();
                    match $crate::agent::configured::<$agent>(values) {
                        Ok(agent) => {
                            AGENT.set(Some(agent));
                            Ok(())
                        }
                        Err(problems) => Err(problems
                            .into_iter()
                            .map(|$crate::Problem { path, problem }| wire::SettingProblem { path, problem })
                            .collect()),
                    }
                }

                fn handle(message: Vec<u8>, context: wire::Context) -> Result<wire::Reply, wire::Refusal> {
                    AGENT.with_borrow_mut(|agent| match agent {
                        Some(agent) => agent.handle(&message, context),
                        None => Err(wire::Refusal::Other("not configured".to_owned())),
                    })
                }

                fn save() -> Vec<u8> {
                    AGENT.with_borrow(|agent| agent.as_ref().map_or_else(Vec::new, |agent| agent.save()))
                }

                fn restore(state: Vec<u8>) -> Result<(), String> {
                    AGENT.with_borrow_mut(|agent| match agent {
                        Some(agent) => agent.restore(state),
                        None => Err("not configured".to_owned()),
                    })
                }
            }

    $crate::bindings::agent::export_agent_interface!(Export with_types_in $crate::bindings::agent);
        };
    };
}
