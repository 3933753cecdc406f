//! Agents and the members they are assigned to.
//!
//! Invariant: an agent has at most one assignment, and its ownership epoch grows with every change, so that a command
//! with an older epoch can be refused. At most [`ASSIGNMENTS_MAX`] exist.

use std::collections::BTreeMap;

use crate::id::{AgentName, MemberId};
use crate::time::WallMs;

/// Most agents assigned at once.
pub const ASSIGNMENTS_MAX: usize = 1_000_000;

/// One agent's assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The agent.
    pub agent: AgentName,
    /// Where it runs.
    pub member: MemberId,
    /// Grows with every change of the owner.
    pub epoch: u64,
    /// When, for people.
    pub assigned_at: WallMs,
}

/// All assignments.
#[derive(Debug, Default)]
pub struct Assignments {
    by_agent: BTreeMap<AgentName, Assignment>,
}

/// There are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{ASSIGNMENTS_MAX} agents are assigned already; unassign some")]
pub struct TooManyAssignments;

impl Assignments {
    /// Takes assignments from the store.
    #[must_use]
    pub fn restore(assignments: impl IntoIterator<Item = Assignment>) -> Self {
        let by_agent =
            assignments.into_iter().map(|assignment| (assignment.agent.clone(), assignment)).collect();
        Self { by_agent }
    }

    /// Assigns an agent, or moves it; the answer has the new epoch.
    ///
    /// # Errors
    /// [`TooManyAssignments`].
    pub fn assign(
        &mut self,
        agent: &AgentName,
        member: &MemberId,
        assigned_at: WallMs,
    ) -> Result<Assignment, TooManyAssignments> {
        let epoch = self.by_agent.get(agent).map_or(0, |old| old.epoch) + 1;
        if epoch == 1 && self.by_agent.len() >= ASSIGNMENTS_MAX {
            return Err(TooManyAssignments);
        }
        let assignment = Assignment { agent: agent.clone(), member: member.clone(), epoch, assigned_at };
        self.by_agent.insert(agent.clone(), assignment.clone());
        Ok(assignment)
    }

    /// Takes an agent off its member.
    pub fn unassign(&mut self, agent: &AgentName) -> Option<Assignment> {
        self.by_agent.remove(agent)
    }

    /// Where an agent is.
    #[must_use]
    pub fn get(&self, agent: &AgentName) -> Option<&Assignment> {
        self.by_agent.get(agent)
    }

    /// All assignments, by agent.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Assignment> {
        self.by_agent.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_has_one_assignment_and_its_epoch_grows() {
        let (agent, id) = (AgentName::parse("codex").unwrap(), |text| MemberId::parse(text).unwrap());
        let mut assignments = Assignments::default();
        assert_eq!(assignments.assign(&agent, &id("a"), WallMs(1)).unwrap().epoch, 1);
        assert_eq!(assignments.assign(&agent, &id("b"), WallMs(2)).unwrap().epoch, 2);
        assert_eq!((assignments.iter().len(), assignments.get(&agent).unwrap().member.clone()), (1, id("b")));
        assert_eq!(assignments.unassign(&agent).unwrap().epoch, 2);
        assert_eq!(assignments.unassign(&agent), None);
    }
}
