//! Counts what a policy broke during one run, and decides when it is not asked any more.
//!
//! answer of a port -> [`Faults::judge`] -> the answer, a refusal, or a counted fault
//!
//! Invariant: at most [`FAULTS_MAX`] faults are taken from one policy in one run, so that a policy that burns its fuel at
//! every call cannot stretch a run. What answers in its place is the simulation's choice.

use std::collections::BTreeMap;

use pilothouse_core::policy::fault::{Fault, FaultKind, PolicyError, Refusal};
use serde::Serialize;

/// Faults after which a policy is not asked again in a run, as a host's quarantine would do sooner.
pub const FAULTS_MAX: u64 = 100;

/// What became of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer<T> {
    /// The policy answered.
    Given(T),
    /// It looked and declined.
    Refused,
    /// It broke; the fault is counted.
    Broke,
}

/// The faults of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Faults {
    /// How many of each kind, by the name that the host uses in metrics and history.
    pub kinds: BTreeMap<&'static str, u64>,
    /// What the first one said.
    pub first: Option<String>,
}

impl Faults {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.kinds.values().sum()
    }

    /// Whether the policy has used up what it may break.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.total() >= FAULTS_MAX
    }

    /// Counts an answer if it is a fault.
    pub fn judge<T>(&mut self, answer: Result<T, PolicyError>) -> Answer<T> {
        let fault = match answer {
            Ok(answer) => return Answer::Given(answer),
            Err(PolicyError::Refused(Refusal::NothingSuits(_) | Refusal::Unsupported)) => {
                return Answer::Refused;
            }
            Err(PolicyError::Refused(Refusal::Other(detail))) => Fault::new(FaultKind::Failed, &detail),
            Err(PolicyError::Fault(fault)) => fault,
        };
        self.count(&fault);
        Answer::Broke
    }

    /// Counts a fault.
    pub fn count(&mut self, fault: &Fault) {
        *self.kinds.entry(fault.kind.name()).or_default() += 1;
        self.first.get_or_insert_with(|| fault.to_string());
    }

    /// Adds those of another run.
    pub fn add(&mut self, other: &Self) {
        for (kind, count) in &other.kinds {
            *self.kinds.entry(kind).or_default() += count;
        }
        self.first = self.first.take().or_else(|| other.first.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_refusals_are_no_faults_and_the_first_fault_is_kept() {
        let mut faults = Faults::default();
        assert_eq!(faults.judge(Ok(7)), Answer::Given(7));
        assert_eq!(faults.judge::<()>(Err(PolicyError::Refused(Refusal::NothingSuits(1)))), Answer::Refused);
        assert_eq!(faults.total(), 0);
        for detail in ["one", "two"] {
            let error = PolicyError::Fault(Fault::new(FaultKind::Trap, detail));
            assert_eq!(faults.judge::<()>(Err(error)), Answer::Broke);
        }
        assert_eq!(faults.judge::<()>(Err(PolicyError::Refused(Refusal::Other("x".into())))), Answer::Broke);
        assert_eq!(faults.kinds.iter().collect::<Vec<_>>(), [(&"failed", &1), (&"trap", &2)]);
        assert!(faults.first.is_some_and(|first| first.contains("one")));
    }

    #[test]
    fn a_policy_is_given_up_at_the_bound() {
        let mut faults = Faults::default();
        for count in 0..FAULTS_MAX {
            assert!(!faults.is_exhausted(), "{count}");
            faults.count(&Fault::new(FaultKind::Fuel, ""));
        }
        assert!(faults.is_exhausted());
    }
}
