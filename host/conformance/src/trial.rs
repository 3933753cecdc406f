//! One component while it is tried: fresh instances, worlds, a count of inputs, and what went wrong.

use std::sync::Arc;

use pilothouse_core::policy::Policy;
use pilothouse_core::policy::fault::Fault;
use pilothouse_core::policy::state::SlotState;
use serde_json::Value;

use crate::ask::{self, Answer, Call, Input};
use crate::runner::{Mode, Options};
use crate::schema;
use crate::subject::{Facts, NotMade, Subject};
use crate::world::{Maker, World};

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The input, in short.
    pub input: String,
    /// What the contract promises for it.
    pub expected: String,
    /// What came instead.
    pub got: String,
}

/// Why a check did not pass.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The check found what it looks for.
    Failed(Failure),
    /// The policy broke; belongs to the check that names the fault.
    Fault { call: Call, fault: Fault, input: String },
    /// No instance could be made.
    NotMade(NotMade),
    /// There is nothing to check, and why.
    Skipped(String),
}

impl Trouble {
    pub(crate) fn fault(call: Call, fault: Fault, world: &World, input: &Input) -> Self {
        Self::Fault { call, fault, input: input.told(world) }
    }
}

/// The result of a check.
pub(crate) type Checked = Result<(), Trouble>;

/// A check's own finding.
pub(crate) fn failed(
    input: impl Into<String>,
    expected: impl Into<String>,
    got: impl Into<String>,
) -> Checked {
    Err(Trouble::Failed(Failure { input: input.into(), expected: expected.into(), got: got.into() }))
}

/// A check's own finding, unless a condition holds.
pub(crate) fn ensure(holds: bool, finding: impl FnOnce() -> (String, String, String)) -> Checked {
    if holds {
        return Ok(());
    }
    let (input, expected, got) = finding();
    failed(input, expected, got)
}

/// A component while it is tried.
#[derive(Debug)]
pub(crate) struct Trial<'a> {
    pub(crate) subject: &'a dyn Subject,
    pub(crate) options: &'a Options,
    pub(crate) maker: Maker,
    /// Inputs tried by the check that runs.
    pub(crate) tried: u64,
    /// Figures for the report.
    pub(crate) measured: Vec<(String, String)>,
}

impl<'a> Trial<'a> {
    pub(crate) fn new(subject: &'a dyn Subject, options: &'a Options) -> Self {
        Self { subject, options, maker: Maker::default(), tried: 0, measured: Vec::new() }
    }

    pub(crate) fn facts(&self) -> &'a Facts {
        self.subject.facts()
    }

    /// The settings' schema.
    pub(crate) fn schema(&self) -> Value {
        schema::parse(&self.facts().description.settings_schema)
    }

    /// How often, in this mode.
    pub(crate) fn times(&self, quick: u64, full: u64) -> u64 {
        match self.options.mode {
            Mode::Quick => quick,
            Mode::Full => full,
        }
    }

    /// A policy with its default settings on a new state.
    pub(crate) fn fresh(&self) -> Result<Box<dyn Policy>, Trouble> {
        self.on(&Arc::default())
    }

    /// A policy with its default settings on a state.
    pub(crate) fn on(&self, state: &Arc<SlotState>) -> Result<Box<dyn Policy>, Trouble> {
        self.subject.make("", Arc::clone(state)).map_err(Trouble::NotMade)
    }

    /// The n-th input of this run.
    pub(crate) fn input(&self, index: u64) -> Input {
        Input::nth(self.options.seed, index)
    }

    /// The first so many.
    pub(crate) fn inputs(&self, count: u64) -> Vec<Input> {
        (0..count).map(|index| self.input(index)).collect()
    }

    /// Asks for one decision.
    pub(crate) fn decide(
        &mut self,
        policy: &dyn Policy,
        world: &World,
        input: &Input,
    ) -> Result<Answer, Trouble> {
        self.tried += 1;
        ask::decide(policy, world, input)
    }

    /// Asks for many decisions one after the other.
    pub(crate) fn series(
        &mut self,
        policy: &dyn Policy,
        world: &World,
        inputs: &[Input],
    ) -> Result<Vec<Answer>, Trouble> {
        inputs.iter().map(|input| self.decide(policy, world, input)).collect()
    }
}

/// Two series of answers to the same inputs must be the same.
pub(crate) fn compare(
    world: &World,
    inputs: &[Input],
    expected: &[Answer],
    got: &[Answer],
    who: &str,
) -> Checked {
    for ((input, expected), got) in inputs.iter().zip(expected).zip(got) {
        ensure(expected.same(got), || {
            (input.told(world), format!("{who}: {}", expected.told()), got.told())
        })?;
    }
    Ok(())
}
