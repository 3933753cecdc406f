//! Scenarios: files that say what is simulated, with which parameters, on which data and with how many seeds.
//!
//! TOML text -> [`Scenario::parse`] -> [`Scenario::prepare`] with [`Data`] -> [`Prepared`]
//!
//! The table that holds the parameters names the simulator: `[placement]`, `[balancing]`, `[routing]` or `[scaling]`.
//!
//! Invariant: a scenario that parsed can be run; every number is within bounds that keep a run finite. What is wrong with a
//! file is said with its key and a remedy, all of it at once where the syntax allows.

mod builtin;
mod checks;

use pilothouse_core::policy::Family;
use serde::{Deserialize, Serialize};

pub use builtin::builtin;
pub use checks::{Checks, Problem};

use crate::judge::{Data, DataError, Simulation, balancing, placement, routing, scaling};

/// Most seeds of a scenario.
pub const SEEDS_MAX: u32 = 1_000;
/// Longest name, bytes; names stand in tables.
const NAME_BYTES_MAX: usize = 40;
/// Longest text for people, bytes.
const TEXT_BYTES_MAX: usize = 2_000;

/// A file that is no scenario.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    /// It is no TOML, or has keys that no scenario has; the text shows the place.
    #[error("{0}")]
    Syntax(String),
    /// Its values make no scenario.
    #[error("{}", list(.0))]
    Values(Vec<Problem>),
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// What is simulated.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// What it models, for people.
    pub models: String,
    /// Seeds it runs with unless somebody says otherwise.
    pub seeds: u32,
    /// The key of the metric that ranks, if not the simulator's first.
    pub judged_by: Option<String>,
    /// Where its recordings can be had, for people.
    pub data_from: Option<String>,
    /// The file's text.
    pub text: String,
    simulator: Simulator,
}

#[derive(Debug, Clone)]
enum Simulator {
    Placement(placement::Parameters),
    Balancing(Box<balancing::Parameters>),
    Routing(Box<routing::Parameters>),
    Scaling(Box<scaling::Parameters>),
}

/// The file's grammar.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    name: String,
    models: String,
    #[serde(default = "default_seeds")]
    seeds: u32,
    judged_by: Option<String>,
    data_from: Option<String>,
    placement: Option<placement::Parameters>,
    balancing: Option<Box<balancing::Parameters>>,
    routing: Option<Box<routing::Parameters>>,
    scaling: Option<Box<scaling::Parameters>>,
}

const fn default_seeds() -> u32 {
    10
}

/// Where the numbers of a run come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "lowercase")]
pub enum Origin {
    /// Made up from the seed, as the scenario wants it.
    Synthetic,
    /// Recorded.
    Recorded {
        /// The files.
        files: Vec<String>,
    },
}

/// A scenario that cannot run because its recording is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Its name.
    pub scenario: String,
    /// The file that is missing, by its path in the data folder.
    pub missing: String,
    /// Where its recordings can be had.
    pub data_from: Option<String>,
}

impl Skipped {
    /// Why it was left out and what to do.
    #[must_use]
    pub fn remedy(&self) -> String {
        let from = self.data_from.as_ref().map(|from| format!(" (from {from})")).unwrap_or_default();
        let Self { missing, .. } = self;
        format!("there is no `{missing}`; put it{from} into a folder and name that with --data")
    }
}

/// A scenario with its data in memory.
#[derive(Debug)]
pub struct Prepared {
    /// The scenario.
    pub scenario: Scenario,
    /// What runs it.
    pub simulation: Box<dyn Simulation>,
    /// Where its data come from.
    pub origin: Origin,
}

impl Scenario {
    /// Reads a scenario file.
    ///
    /// # Errors
    /// [`ScenarioError`].
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let file: File = toml::from_str(text)
            .map_err(|error| ScenarioError::Syntax(error.to_string().trim_end().to_owned()))?;
        let mut checks = Checks::default();
        checks.name("name", &file.name, NAME_BYTES_MAX);
        checks.text("models", &file.models, TEXT_BYTES_MAX);
        if let Some(data_from) = &file.data_from {
            checks.text("data-from", data_from, TEXT_BYTES_MAX);
        }
        checks.within("seeds", f64::from(file.seeds), 1.0, f64::from(SEEDS_MAX));
        let mut found: Vec<Simulator> = Vec::new();
        if let Some(parameters) = file.placement {
            parameters.check(&mut checks);
            found.push(Simulator::Placement(parameters));
        }
        if let Some(parameters) = file.balancing {
            parameters.check(&mut checks);
            found.push(Simulator::Balancing(parameters));
        }
        if let Some(parameters) = file.routing {
            parameters.check(&mut checks);
            found.push(Simulator::Routing(parameters));
        }
        if let Some(parameters) = file.scaling {
            parameters.check(&mut checks);
            found.push(Simulator::Scaling(parameters));
        }
        let (simulator, rest) = (found.pop(), found.len());
        let Some(simulator) = simulator.filter(|_| rest == 0) else {
            checks.problem(
                "simulator",
                "give exactly one of the tables [placement], [balancing], [routing], [scaling]",
            );
            return Err(ScenarioError::Values(checks.into_problems()));
        };
        let scenario = Self {
            name: file.name,
            models: file.models,
            seeds: file.seeds,
            judged_by: file.judged_by,
            data_from: file.data_from,
            text: text.to_owned(),
            simulator,
        };
        scenario.check_metric(&mut checks);
        let problems = checks.into_problems();
        if problems.is_empty() { Ok(scenario) } else { Err(ScenarioError::Values(problems)) }
    }

    fn check_metric(&self, checks: &mut Checks) {
        let Some(key) = &self.judged_by else { return };
        let metrics = match &self.simulator {
            Simulator::Placement(_) => placement::METRICS,
            Simulator::Balancing(_) => balancing::METRICS,
            Simulator::Routing(_) => routing::METRICS,
            Simulator::Scaling(_) => scaling::METRICS,
        };
        if metrics.iter().all(|metric| metric.key != key) {
            let known: Vec<&str> = metrics.iter().map(|metric| metric.key).collect();
            checks.problem("judged-by", format!("`{key}` is not measured; use one of {}", known.join(", ")));
        }
    }

    /// The family whose policies it judges.
    #[must_use]
    pub const fn family(&self) -> Family {
        match &self.simulator {
            Simulator::Placement(_) => Family::Placement,
            Simulator::Balancing(_) => Family::Balancing,
            Simulator::Routing(_) => Family::Routing,
            Simulator::Scaling(_) => Family::Scaling,
        }
    }

    /// Reads its data.
    ///
    /// # Errors
    /// [`DataError`] if a recording is missing or cannot be used.
    pub fn prepare(&self, data: &dyn Data) -> Result<Prepared, DataError> {
        fn boxed<S: Simulation + 'static>(
            (simulation, origin): (S, Origin),
        ) -> (Box<dyn Simulation>, Origin) {
            (Box::new(simulation), origin)
        }
        let (simulation, origin) = match &self.simulator {
            Simulator::Placement(parameters) => boxed(parameters.prepare(data)?),
            Simulator::Balancing(parameters) => boxed(parameters.prepare()),
            Simulator::Routing(parameters) => boxed(parameters.prepare(data)?),
            Simulator::Scaling(parameters) => boxed(parameters.prepare(data)?),
        };
        Ok(Prepared { scenario: self.clone(), simulation, origin })
    }
}

impl Prepared {
    /// The place of the metric that ranks.
    #[must_use]
    pub fn judged_by(&self) -> usize {
        let key = self.scenario.judged_by.as_deref();
        let metrics = self.simulation.metrics();
        metrics.iter().position(|metric| Some(metric.key) == key).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
