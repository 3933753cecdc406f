//! Runs checks and charges every fault to the check that names it.
//!
//! Invariant: a component's report has one outcome per check that was selected and concerns its family; what a fault kept
//! from being seen is `blocked`, never `passed`.

use std::collections::BTreeMap;

use pilothouse_core::policy::Family;
use pilothouse_core::policy::fault::FaultKind;

use crate::ask::Call;
use crate::catalogue::{CHECKS, Check, find};
use crate::report::{Outcome, Report, Tested, Verdict};
use crate::subject::{NotMade, Subject};
use crate::trial::{Failure, Trial, Trouble};

/// How thorough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Seconds: every check with few inputs.
    Quick,
    /// A minute or two: a million calls among them.
    Full,
}

impl Mode {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Full => "full",
        }
    }
}

/// What to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// How thorough.
    pub mode: Mode,
    /// Where the inputs come from; the same seed gives the same inputs.
    pub seed: u64,
    /// Ids or groups; empty = all.
    pub only: Vec<String>,
}

/// A check that does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownCheck(
    /// What was asked for.
    pub String,
);

impl std::fmt::Display for UnknownCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "there is no check or group `{}`; see `pilothouse policy conform --list`", self.0)
    }
}

impl std::error::Error for UnknownCheck {}

/// The checks of a family that options select.
fn selected(family: Option<Family>, options: &Options) -> Result<Vec<&'static Check>, UnknownCheck> {
    let names = |check: &Check, wanted: &str| check.id == wanted || check.group() == wanted;
    if let Some(wanted) = options.only.iter().find(|wanted| !CHECKS.iter().any(|check| names(check, wanted)))
    {
        return Err(UnknownCheck(wanted.clone()));
    }
    let is_selected = |check: &&Check| {
        let of_family = family.is_none_or(|family| check.families.contains(&family));
        of_family && (options.only.is_empty() || options.only.iter().any(|wanted| names(check, wanted)))
    };
    Ok(CHECKS.iter().filter(is_selected).collect())
}

/// Runs the kit over a component.
///
/// # Errors
/// [`UnknownCheck`].
pub fn run(subject: &dyn Subject, options: &Options) -> Result<Report, UnknownCheck> {
    let facts = subject.facts();
    let checks = selected(Some(facts.family), options)?;
    let started = subject.elapsed();
    let mut trial = Trial::new(subject, options);
    let mut ledger = Ledger { family: facts.family, outcomes: Vec::new(), charged: BTreeMap::new() };
    for check in checks {
        let began = subject.elapsed();
        trial.tried = 0;
        let verdict = match ledger.charged.get(check.id) {
            Some(failure) => Verdict::Failed(failure.clone()),
            None => match (check.run)(&mut trial) {
                Ok(()) => Verdict::Passed,
                Err(trouble) => ledger.judge(check, trouble),
            },
        };
        let took = subject.elapsed().saturating_sub(began);
        ledger.outcomes.push(Outcome { check, verdict, inputs: trial.tried, took });
    }
    Ok(Report {
        tested: Tested {
            name: facts.description.name.clone(),
            version: facts.description.version.clone(),
            family: Some(facts.family),
            digest: facts.digest.clone(),
            size_bytes: facts.size_bytes,
        },
        mode: options.mode,
        seed: options.seed,
        outcomes: ledger.outcomes,
        measured: std::mem::take(&mut trial.measured),
        took: subject.elapsed().saturating_sub(started),
    })
}

/// The report on a component that could not even be loaded: one check says why, the others are blocked by it.
///
/// # Errors
/// [`UnknownCheck`] if there is no such check.
pub fn refused(tested: Tested, id: &str, why: &str, options: &Options) -> Result<Report, UnknownCheck> {
    let charged = find(id).ok_or_else(|| UnknownCheck(id.to_owned()))?;
    let mut checks = selected(tested.family, options)?;
    if !checks.iter().any(|check| check.id == charged.id) {
        checks.insert(0, charged);
    }
    let failure = Failure {
        input: "loading the component".to_owned(),
        expected: charged.what.to_owned(),
        got: why.to_owned(),
    };
    let outcome = |check: &'static Check| Outcome {
        check,
        verdict: if check.id == charged.id {
            Verdict::Failed(failure.clone())
        } else {
            Verdict::Blocked(charged.id)
        },
        inputs: 0,
        took: std::time::Duration::ZERO,
    };
    let outcomes = checks.into_iter().map(outcome).collect();
    let (mode, seed) = (options.mode, options.seed);
    Ok(Report { tested, mode, seed, outcomes, measured: Vec::new(), took: std::time::Duration::ZERO })
}

struct Ledger {
    family: Family,
    outcomes: Vec<Outcome>,
    /// Findings of checks whose turn has not come.
    charged: BTreeMap<&'static str, Failure>,
}

impl Ledger {
    fn has_failed(&self, id: &str) -> bool {
        self.charged.contains_key(id)
            || self
                .outcomes
                .iter()
                .any(|outcome| outcome.check.id == id && matches!(outcome.verdict, Verdict::Failed(_)))
    }

    fn judge(&mut self, check: &'static Check, trouble: Trouble) -> Verdict {
        match trouble {
            Trouble::Skipped(why) => Verdict::Skipped(why),
            Trouble::Failed(failure) => {
                // The state of an instance that another check found to be its own explains these as well.
                match implied_by(check.id).filter(|earlier| self.has_failed(earlier)) {
                    Some(earlier) => Verdict::Blocked(earlier),
                    None => Verdict::Failed(failure),
                }
            }
            Trouble::NotMade(NotMade::Settings(problems)) => {
                let texts: Vec<_> =
                    problems.iter().map(|wrong| format!("{}: {}", wrong.path, wrong.problem)).collect();
                self.charge(check, "contract/start", "its default settings", texts.join("; "))
            }
            Trouble::NotMade(NotMade::Fault(fault)) => {
                self.charge(check, "contract/start", "its default settings", fault.to_string())
            }
            Trouble::Fault { call, fault, input } => {
                let named = self.names(call, fault.kind);
                let owner = if check.scenario && !self.has_failed(named) { check.id } else { named };
                self.charge(check, owner, &input, fault.to_string())
            }
        }
    }

    /// Which check a fault belongs to.
    fn names(&self, call: Call, kind: FaultKind) -> &'static str {
        match (kind, call) {
            (FaultKind::Trap | FaultKind::Busy, _) => "correctness/no-trap",
            (FaultKind::Fuel | FaultKind::Deadline, _) => "bounds/fuel",
            (FaultKind::Memory, _) => "bounds/memory",
            (FaultKind::Output, _) => "bounds/output",
            (FaultKind::Ineligible, _) => "correctness/eligible",
            (FaultKind::NotANumber, _) => "correctness/score",
            (FaultKind::Failed, _) => "correctness/no-failure",
            (FaultKind::Contract, Call::Decide) if self.family == Family::Routing => {
                "correctness/route-shape"
            }
            (FaultKind::Contract, Call::Decide) => "correctness/answer",
            (FaultKind::Contract, Call::Rank { limit }) => {
                // A list of one cannot have a row twice; with more room, who keeps the limit has one twice.
                let keeps_limit = limit > 1 && !self.has_failed("correctness/rank-limit");
                if keeps_limit { "correctness/rank-distinct" } else { "correctness/rank-limit" }
            }
            (FaultKind::Contract, Call::Many) => "correctness/batch-count",
            (FaultKind::Contract, Call::Moves) => "correctness/moves",
            (FaultKind::Contract, Call::Victims) => "correctness/victims",
        }
    }

    /// Makes the owner fail, and says what that means for the check that ran.
    fn charge(&mut self, check: &'static Check, owner: &'static str, input: &str, got: String) -> Verdict {
        let owner = find(owner).unwrap_or(check);
        let failure = Failure { input: input.to_owned(), expected: owner.what.to_owned(), got };
        if owner.id == check.id {
            return Verdict::Failed(failure);
        }
        if !self.has_failed(owner.id) {
            match self.outcomes.iter_mut().find(|outcome| outcome.check.id == owner.id) {
                Some(outcome) => outcome.verdict = Verdict::Failed(failure),
                None => {
                    self.charged.insert(owner.id, failure);
                }
            }
        }
        Verdict::Blocked(owner.id)
    }
}

/// A check whose finding follows from that of an earlier one.
fn implied_by(id: &str) -> Option<&'static str> {
    match id {
        "state/hand-over" => Some("determinism/instances"),
        "determinism/instances" | "determinism/reload" => Some("determinism/repeat"),
        _ => None,
    }
}
