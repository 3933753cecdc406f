//! What a workload is: what runs, what it needs, and what its acknowledgements promise.
//!
//! request -> [`Spec::check`] -> stored with a version -> the member that owns it
//!
//! Invariant: a checked specification can be carried out by any member that has its driver. Who owns the workload is
//! the assignment's ([`crate::assignment`]), whether it moves the migration's. Nothing is started here.

use std::collections::BTreeMap;

use crate::id::{AgentName, Digest};

/// Most parts of a command, program included.
pub const COMMAND_PARTS_MAX: usize = 256;
/// Most variables of an environment.
pub const ENVIRONMENT_MAX: usize = 256;
/// Longest part of a command, name or value of a variable, or settings of a component, bytes.
pub const TEXT_BYTES_MAX: usize = 32 << 10;
/// Longest grace of a stop, pause of a check or wait for a checkpoint, ms.
pub const WAIT_MS_MAX: u64 = 600_000;
/// Variables that the member sets.
pub const RESERVED_PREFIX: &str = "PILOTHOUSE_";

/// What runs and how it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// What runs.
    pub driver: Driver,
    /// What an acknowledged call promises.
    pub durability: Durability,
    /// What happens when it ends by itself.
    pub restart: Restart,
    /// How long a stop waits before it is forced, ms.
    pub stop_grace_ms: u64,
}

/// What runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Driver {
    /// Any program.
    Process(Process),
    /// A component of the family `agent`.
    Component(Component),
}

impl Driver {
    /// Its name: members say which they have.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Process(_) => "process",
            Self::Component(_) => "component",
        }
    }
}

/// A program. No shell reads any of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Process {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Besides `PILOTHOUSE_*` and `PATH`.
    pub environment: BTreeMap<String, String>,
    /// How it is found to be well; `None` = by running.
    pub health: Option<HealthCheck>,
    /// How it is told to bring its state to disk; `None` = it always is there.
    pub checkpoint: Option<Checkpoint>,
    /// Calls are POST requests to this path of its port.
    pub call_path: String,
}

/// A component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Of its bytes.
    pub digest: Digest,
    /// JSON object; empty = none.
    pub settings: String,
}

/// How a process is found to be well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is tried.
    pub probe: Probe,
    /// Between two tries, ms.
    pub interval_ms: u64,
    /// For one try, ms.
    pub timeout_ms: u64,
    /// Failures in a row before it is unhealthy.
    pub failures_max: u32,
}

/// What a health check tries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// GET on its port is answered with a status of 200 to 399.
    Http {
        /// Path.
        path: String,
    },
    /// Its port takes a connection.
    Tcp,
    /// A command ends with status 0.
    Command(Vec<String>),
}

/// How a process is told to bring its state to disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// How.
    pub hook: Hook,
    /// How long that may take, ms.
    pub timeout_ms: u64,
}

/// The way to tell a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hook {
    /// A signal, by its name without `SIG`; done when the file `checkpoint` in the state directory is newer.
    Signal(String),
    /// POST on its port; done when it is answered.
    Http {
        /// Path.
        path: String,
    },
}

/// What an acknowledged call promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Durability {
    /// There is no state worth keeping.
    None,
    /// It is on the member's disk: it survives the member's process.
    Local,
    /// Another member has it, too: it survives the member.
    #[default]
    Replicated,
}

/// What happens when a workload ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Restart {
    /// It is started again, whatever its status.
    #[default]
    Always,
    /// Only if it failed.
    OnFailure,
    /// Not at all.
    Never,
}

/// What is wrong with a specification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}`: {problem}")]
pub struct SpecError {
    /// Which field.
    pub field: &'static str,
    /// What is wrong and what would be right.
    pub problem: String,
}

fn wrong(field: &'static str, problem: impl Into<String>) -> SpecError {
    SpecError { field, problem: problem.into() }
}

impl Spec {
    /// Checks every bound.
    ///
    /// # Errors
    /// [`SpecError`] names the first field that is wrong.
    pub fn check(&self) -> Result<(), SpecError> {
        wait("stop_grace_ms", self.stop_grace_ms, 0)?;
        match &self.driver {
            Driver::Process(process) => process.check(),
            Driver::Component(component) => text("settings", &component.settings),
        }
    }
}

impl Process {
    fn check(&self) -> Result<(), SpecError> {
        command("command", &self.command)?;
        if self.environment.len() > ENVIRONMENT_MAX {
            return Err(wrong("environment", format!("at most {ENVIRONMENT_MAX} variables")));
        }
        for (name, value) in &self.environment {
            if name.is_empty() || name.contains('=') || name.starts_with(RESERVED_PREFIX) {
                let problem = format!("a variable cannot be named `{}`", name.escape_debug());
                return Err(wrong("environment", problem));
            }
            text("environment", name)?;
            text("environment", value)?;
        }
        path("call_path", &self.call_path)?;
        self.health.as_ref().map_or(Ok(()), HealthCheck::check)?;
        self.checkpoint.as_ref().map_or(Ok(()), Checkpoint::check)
    }
}

impl HealthCheck {
    fn check(&self) -> Result<(), SpecError> {
        wait("health.interval_ms", self.interval_ms, 1)?;
        wait("health.timeout_ms", self.timeout_ms, 1)?;
        if self.failures_max == 0 {
            return Err(wrong("health.failures_max", "at least 1"));
        }
        match &self.probe {
            Probe::Http { path: wanted } => path("health.http", wanted),
            Probe::Tcp => Ok(()),
            Probe::Command(parts) => command("health.command", parts),
        }
    }
}

impl Checkpoint {
    fn check(&self) -> Result<(), SpecError> {
        wait("checkpoint.timeout_ms", self.timeout_ms, 1)?;
        match &self.hook {
            Hook::Http { path: wanted } => path("checkpoint.http", wanted),
            Hook::Signal(name) if ["USR1", "USR2", "HUP"].contains(&name.as_str()) => Ok(()),
            Hook::Signal(name) => {
                Err(wrong("checkpoint.signal", format!("USR1, USR2 or HUP, not `{}`", name.escape_debug())))
            }
        }
    }
}

fn command(field: &'static str, parts: &[String]) -> Result<(), SpecError> {
    if parts.is_empty() || parts.len() > COMMAND_PARTS_MAX {
        return Err(wrong(field, format!("a program and at most {} arguments", COMMAND_PARTS_MAX - 1)));
    }
    if parts.first().is_some_and(String::is_empty) {
        return Err(wrong(field, "the program has no name"));
    }
    parts.iter().try_for_each(|part| text(field, part))
}

fn path(field: &'static str, path: &str) -> Result<(), SpecError> {
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic());
    if path.starts_with('/') && plain {
        text(field, path)
    } else {
        Err(wrong(field, "a path that begins with `/`"))
    }
}

fn text(field: &'static str, text: &str) -> Result<(), SpecError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(wrong(field, format!("longer than {TEXT_BYTES_MAX} bytes")));
    }
    if text.contains('\0') { Err(wrong(field, "contains a zero byte")) } else { Ok(()) }
}

fn wait(field: &'static str, ms: u64, least: u64) -> Result<(), SpecError> {
    if (least..=WAIT_MS_MAX).contains(&ms) {
        Ok(())
    } else {
        Err(wrong(field, format!("{least} to {WAIT_MS_MAX} ms, not {ms}")))
    }
}

/// How a workload is, as its member says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Condition {
    /// It is being started.
    #[default]
    Starting,
    /// It runs and its check succeeds.
    Healthy,
    /// It runs and its check fails.
    Unhealthy,
    /// It ended and waits for its next start.
    BackingOff,
    /// It ended and is not started again.
    Ended,
}

impl Condition {
    /// Name in JSON and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::BackingOff => "backing-off",
            Self::Ended => "ended",
        }
    }
}

/// A workload as an operator wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// Its name, unique in the federation.
    pub name: AgentName,
    /// What runs.
    pub spec: Spec,
    /// Grows with every change of the specification, from 1.
    pub version: u64,
    /// Whether it is to run; a stopped one keeps its state and its owner.
    pub wanted: Wanted,
}

/// Whether a workload is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Wanted {
    /// It runs.
    #[default]
    Running,
    /// It does not, its state is kept.
    Stopped,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(change: impl FnOnce(&mut Process)) -> Spec {
        let mut process =
            Process { command: vec!["cat".into()], call_path: "/".into(), ..Process::default() };
        change(&mut process);
        Spec {
            driver: Driver::Process(process),
            durability: Durability::Replicated,
            restart: Restart::Always,
            stop_grace_ms: 5_000,
        }
    }

    #[test]
    fn a_specification_that_cannot_be_carried_out_names_its_field() {
        let hook = |hook| Some(Checkpoint { hook, timeout_ms: 1 });
        let health =
            |probe, interval_ms| Some(HealthCheck { probe, interval_ms, timeout_ms: 1, failures_max: 1 });
        let variable = |name: &str| BTreeMap::from([(name.to_owned(), String::new())]);
        for (field, spec) in [
            (None, process(|_| ())),
            (Some("command"), process(|it| it.command.clear())),
            (Some("command"), process(|it| it.command = vec![String::new()])),
            (Some("command"), process(|it| it.command = vec!["a\0".into()])),
            (Some("command"), process(|it| it.command = vec!["a".into(); COMMAND_PARTS_MAX + 1])),
            (Some("command"), process(|it| it.command = vec!["a".repeat(TEXT_BYTES_MAX + 1)])),
            (Some("environment"), process(|it| it.environment = variable("PILOTHOUSE_PORT"))),
            (Some("environment"), process(|it| it.environment = variable("A=B"))),
            (Some("environment"), process(|it| it.environment = variable(""))),
            (Some("call_path"), process(|it| it.call_path = "here".into())),
            (Some("health.interval_ms"), process(|it| it.health = health(Probe::Tcp, 0))),
            (Some("health.http"), process(|it| it.health = health(Probe::Http { path: "a b".into() }, 1))),
            (Some("health.command"), process(|it| it.health = health(Probe::Command(Vec::new()), 1))),
            (Some("checkpoint.signal"), process(|it| it.checkpoint = hook(Hook::Signal("KILL".into())))),
            (None, process(|it| it.checkpoint = hook(Hook::Signal("USR1".into())))),
            (Some("stop_grace_ms"), Spec { stop_grace_ms: WAIT_MS_MAX + 1, ..process(|_| ()) }),
        ] {
            assert_eq!(spec.check().err().map(|error| error.field), field, "{spec:?}");
        }
    }
}
