//! Who makes a member do a delegated task.
//!
//! task + chosen member -> [`TaskExecutor::start`] -> durable | refusal; its end -> [`TaskExecutor::release`]
//!
//! Invariant: a task that was accepted is durable at its member, and a member that is released holds nothing of it. The member
//! itself tells how the task goes; starting a program on it is not done here.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use pilothouse_core::eligible::Requirement;
use pilothouse_core::event::EventKind;
use pilothouse_core::id::{AgentName, Label, MemberId};
use pilothouse_core::orchestrator::{Delegation, Key, MemberLoad, Priority, Refusal, RefusalKind};
use pilothouse_core::placement::{Terms, commit};
use xxhash_rust::xxh3::xxh3_128;

use crate::hub::Hub;

/// What the names of delegated tasks' agents begin with.
const AGENT_PREFIX: &str = "delegated:";

/// An answer that comes when it is durable.
pub(super) type Done<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Makes members do delegated tasks.
pub(crate) trait TaskExecutor: std::fmt::Debug + Send + Sync {
    /// Gives a task to a member; resolves when that is durable, with how busy the member is then.
    fn start(
        &self,
        key: &Key,
        delegation: &Delegation,
        member: &MemberId,
    ) -> Done<Result<MemberLoad, Refusal>>;
    /// Whether a member still has the task: it may have been taken off it, or evicted.
    fn holds(&self, key: &Key) -> bool;
    /// Takes a task off its member.
    fn release(&self, key: &Key) -> Done<()>;
    /// Takes off what members have of delegations that this run does not know.
    fn forget_all(&self) -> Done<()>;
}

/// A task is an agent that is assigned to the member: what every member understands.
#[derive(Debug)]
pub(super) struct Assigning {
    hub: Arc<Hub>,
}

impl Assigning {
    pub(super) fn new(hub: Arc<Hub>) -> Self {
        Self { hub }
    }
}

impl TaskExecutor for Assigning {
    fn start(
        &self,
        key: &Key,
        delegation: &Delegation,
        member: &MemberId,
    ) -> Done<Result<MemberLoad, Refusal>> {
        let (hub, member, terms) = (Arc::clone(&self.hub), member.clone(), terms(delegation));
        let Some(agent) = agent(key) else {
            let refusal = Refusal::new(RefusalKind::Rejected, "the task's name is not one of an agent");
            return Box::pin(async { Err(refusal) });
        };
        let wall = hub.clock.wall();
        let assigned = hub.transact(|registry, ledger| {
            let assignment = commit::assign(registry, ledger, &agent, &member, &terms, wall)?;
            let write = hub.store_assignment(&assignment);
            Ok((assignment, write))
        });
        Box::pin(async move {
            let overloaded =
                |error: &dyn std::fmt::Display| Refusal::new(RefusalKind::Overloaded, error.to_string());
            let (assignment, write) = assigned.map_err(|error: commit::NotCommitted| overloaded(&error))?;
            hub.emit(EventKind::Assigned(assignment));
            if let Err(error) = write.await {
                hub.transact(|registry, ledger| commit::unassign(registry, ledger, &agent));
                return Err(overloaded(&error));
            }
            Ok(load(&hub, &member))
        })
    }

    fn holds(&self, key: &Key) -> bool {
        agent(key).is_some_and(|agent| self.hub.ledger().get(&agent).is_some())
    }

    fn release(&self, key: &Key) -> Done<()> {
        let hub = Arc::clone(&self.hub);
        let agent = agent(key);
        Box::pin(async move {
            if let Some(agent) = agent {
                unassign(&hub, &agent).await;
            }
        })
    }

    fn forget_all(&self) -> Done<()> {
        let hub = Arc::clone(&self.hub);
        Box::pin(async move {
            let all = |agent: &AgentName| agent.as_str().starts_with(AGENT_PREFIX);
            let ours: Vec<AgentName> =
                hub.ledger().iter().map(|it| it.agent.clone()).filter(|agent| all(agent)).collect();
            for agent in ours {
                unassign(&hub, &agent).await;
            }
        })
    }
}

async fn unassign(hub: &Hub, agent: &AgentName) {
    if let Some((_, write)) = hub.unassign(agent)
        && let Err(error) = write.await
    {
        tracing::warn!(%agent, %error, "a finished task is still stored");
    }
}

/// The agent that stands for a task: readable if it can be, else a digest. Task ids may have marks that agents have not.
fn agent(key: &Key) -> Option<AgentName> {
    let name = format!("{}/{}", key.origin, key.task);
    let plain = AgentName::parse(&format!("{AGENT_PREFIX}{name}"));
    let digest = || AgentName::parse(&format!("{AGENT_PREFIX}{:032x}", xxh3_128(name.as_bytes())));
    plain.or_else(|_| digest()).ok()
}

fn terms(delegation: &Delegation) -> Arc<Terms> {
    let capabilities: BTreeSet<Label> = delegation.demands.capabilities.clone();
    let priority = match delegation.priority {
        Priority::Low => -1,
        Priority::Medium => 0,
        Priority::High => 1,
        Priority::Critical => 2,
    };
    let requirement = Requirement { capabilities, ..Requirement::default() };
    Arc::new(Terms { requirement, priority, ..Terms::default() })
}

fn load(hub: &Hub, member: &MemberId) -> MemberLoad {
    let registry = hub.registry();
    registry.member(member).map_or_else(MemberLoad::default, |member| MemberLoad {
        waiting: member.load.queue_depth.unwrap_or(0),
        active: member.active(),
        capacity: member.capacity(),
        service_ms: member.load.latency_ms,
    })
}
