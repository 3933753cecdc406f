//! One shape for all simulators: a scenario with its data in memory, that runs who competes, one seed at a time.
//!
//! parameters + [`Data`] -> [`Simulation`] -> [`Simulation::run`] (seed, [`Who`]) -> [`Trial`]
//!
//! Invariant: a trial follows from the simulation, the seed and who ran; all trials of a simulation have the values of
//! [`Simulation::metrics`] and the curves of [`Simulation::plots`], in that order. Statistics and texts are made elsewhere.

pub mod balancing;
mod data;
pub mod placement;
mod published;
pub mod routing;
pub mod scaling;

use std::fmt::Debug;

use pilothouse_core::policy::Policy;
use serde::Serialize;

pub use data::{Data, DataError, NoData};

use crate::faults::Faults;
use crate::plot::Frame;
use crate::statistics::Better;

/// Something that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Metric {
    /// Its name in scenario files and JSON.
    pub key: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// Its unit; empty for a plain number.
    pub unit: &'static str,
    /// Which side is good.
    pub better: Better,
    /// What it means, in a sentence.
    pub meaning: &'static str,
}

/// Who runs.
#[derive(Debug, Clone, Copy)]
pub enum Who<'a> {
    /// A policy, fresh for this run.
    Policy(&'a dyn Policy),
    /// One of [`Simulation::rivals`], by name.
    Rival(&'static str),
}

/// What one run came to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Trial {
    /// By metric.
    pub values: Vec<f64>,
    /// By plot.
    pub curves: Vec<Vec<(f64, f64)>>,
    /// What the policy broke.
    pub faults: Faults,
}

/// What a competitor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A component.
    Policy,
    /// A native algorithm to compare with.
    Reference,
    /// What nobody can beat.
    Bound,
    /// A figure that others published for the same protocol and data.
    Published,
}

impl Kind {
    /// Its name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Reference => "reference",
            Self::Bound => "bound",
            Self::Published => "published",
        }
    }
}

/// An algorithm of the simulation's own that runs beside the policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rival {
    /// Its name.
    pub name: &'static str,
    /// Reference or bound.
    pub kind: Kind,
    /// What it does, in a sentence.
    pub does: &'static str,
}

impl Rival {
    const fn reference(name: &'static str, does: &'static str) -> Self {
        Self { name, kind: Kind::Reference, does }
    }
}

/// Figures that are known without a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// What they are.
    pub label: String,
    /// Bound or published.
    pub kind: Kind,
    /// Where they come from, in a sentence.
    pub source: &'static str,
    /// By metric; NaN where nothing is known.
    pub values: Vec<f64>,
}

/// The run could not be finished; not a fault of a policy, which is counted in the trial.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The policy answers another question.
    #[error("a policy of the family `{family}` cannot run here")]
    Family {
        /// The family that is wanted.
        family: &'static str,
    },
    /// The simulation has no such rival.
    #[error("there is no rival `{name}`")]
    Rival {
        /// The name asked for.
        name: &'static str,
    },
    /// The simulator stopped.
    #[error("the simulator stopped: {0}")]
    Stopped(String),
}

/// What stands behind curves: its name and points.
pub type Backdrop = (&'static str, Vec<(f64, f64)>);

/// A scenario, ready to run.
pub trait Simulation: Send + Sync + Debug {
    /// What is measured; the first one judges unless the scenario says otherwise.
    fn metrics(&self) -> &'static [Metric];

    /// Plots of one run, one curve for each competitor.
    fn plots(&self) -> &'static [Frame<'static>];

    /// What was asked for in a seed's run, to stand behind the curves: by plot, a name and points.
    fn backdrops(&self, seed: u64) -> Vec<Option<Backdrop>>;

    /// Algorithms to compare with.
    fn rivals(&self) -> &'static [Rival];

    /// Bounds and published figures.
    fn known(&self) -> Vec<Known>;

    /// Runs one seed.
    ///
    /// # Errors
    /// [`RunError`]; what a policy breaks is counted in the trial instead.
    fn run(&self, seed: u64, who: Who<'_>) -> Result<Trial, RunError>;
}
