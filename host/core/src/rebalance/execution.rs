//! Plans that wait, and the one that is being executed.
//!
//! plan -> (waits for execute) -> checked again -> migrations, a few at a time -> [`Summary`]
//!
//! Invariants: a plan is executed at most once, one plan at a time; after [`FAILURES_MAX`] failures no further migration
//! starts. Migrating, and refusing to when the epoch is no longer the planned one, is the migration's work.

use std::collections::{BTreeSet, VecDeque};

use super::{Advice, Cause, Move, Plan, PlanId, Recent, Rules, Snapshot, Stale, Trigger, View};
use crate::id::AgentName;
use crate::time::Now;

/// Most plans that wait; the oldest is forgotten.
pub const PLANS_MAX: usize = 16;
/// After so many failed migrations a plan stops: the fleet is not what it thought.
pub const FAILURES_MAX: usize = 3;

/// Why a migration of a plan failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Somebody else changed the owner first.
    #[error("the owner changed: epoch {found} is in force")]
    Fenced {
        /// The epoch in force.
        found: u64,
    },
    /// The migration was rolled back.
    #[error("rolled back: {0}")]
    RolledBack(String),
}

/// Why a plan is not executed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ExecuteError {
    /// There is no such plan: never made, executed already, or forgotten.
    #[error("no plan `{0}` waits; ask for a new one")]
    Unknown(PlanId),
    /// Another one is being executed.
    #[error("plan `{0}` is being executed")]
    Busy(PlanId),
    /// The fleet moved under it. It is forgotten.
    #[error(transparent)]
    Stale(#[from] Stale),
}

/// What the shell does.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Migrate live, committing only on the planned epoch; answer with [`Rebalancer::settled`].
    Migrate(Move),
    /// Everything that was started has ended.
    Finished(Summary),
}

/// How an execution ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Which plan.
    pub plan: PlanId,
    /// What moved.
    pub moved: Vec<AgentName>,
    /// What did not, and why.
    pub failed: Vec<(AgentName, Failure)>,
    /// What was never started, because of failures or because somebody stopped it.
    pub not_started: Vec<AgentName>,
}

#[derive(Debug)]
struct Running {
    summary: Summary,
    waiting: VecDeque<Move>,
    started: BTreeSet<AgentName>,
}

/// Everything of rebalancing that has to be remembered.
#[derive(Debug)]
pub struct Rebalancer {
    rules: Rules,
    trigger: Trigger,
    recent: Recent,
    plans: VecDeque<Plan>,
    running: Option<Running>,
}

impl Rebalancer {
    /// With checked rules.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            trigger: Trigger::default(),
            recent: Recent::default(),
            plans: VecDeque::new(),
            running: None,
        }
    }

    /// The rules in force.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// A window ended. A cause says that the placement policy should be asked for moves.
    pub fn window(&mut self, snapshot: &Snapshot) -> Option<Cause> {
        self.trigger.observe(&self.rules, snapshot)
    }

    /// Checks what the policy proposed and keeps the plan for execution.
    pub fn plan(&mut self, id: PlanId, cause: Cause, advice: Advice<'_>, view: View<'_>) -> Plan {
        let plan = Plan::make(id, cause, advice, &self.rules, &self.recent, view);
        if self.plans.len() >= PLANS_MAX {
            self.plans.pop_front();
        }
        self.plans.push_back(plan.clone());
        plan
    }

    /// Plans that wait for execution, oldest first.
    pub fn plans(&self) -> impl ExactSizeIterator<Item = &Plan> {
        self.plans.iter()
    }

    /// The plan that is being executed.
    #[must_use]
    pub fn running(&self) -> Option<PlanId> {
        self.running.as_ref().map(|running| running.summary.plan)
    }

    /// Starts to execute a plan, if everything in it still passes.
    ///
    /// # Errors
    /// [`ExecuteError`]; nothing was started.
    pub fn execute(&mut self, id: PlanId, view: View<'_>) -> Result<Vec<Command>, ExecuteError> {
        if let Some(running) = self.running() {
            return Err(ExecuteError::Busy(running));
        }
        let place = self.plans.iter().position(|plan| plan.id == id);
        let plan = place.and_then(|place| self.plans.remove(place)).ok_or(ExecuteError::Unknown(id))?;
        plan.recheck(&self.rules, &self.recent, view)?;
        let summary = Summary { plan: id, moved: Vec::new(), failed: Vec::new(), not_started: Vec::new() };
        self.running = Some(Running { summary, waiting: plan.moves.into(), started: BTreeSet::new() });
        Ok(self.proceed(view.now))
    }

    /// A migration ended. Answers about anything else are late and say nothing.
    pub fn settled(&mut self, workload: &AgentName, result: Result<(), Failure>, now: Now) -> Vec<Command> {
        let Some(running) = &mut self.running else { return Vec::new() };
        if !running.started.remove(workload) {
            return Vec::new();
        }
        match result {
            Ok(()) => running.summary.moved.push(workload.clone()),
            Err(failure) => running.summary.failed.push((workload.clone(), failure)),
        }
        if running.summary.failed.len() >= FAILURES_MAX {
            running.give_up();
        }
        self.proceed(now)
    }

    /// Stops after the migrations that run: no further one is started.
    pub fn stop(&mut self, now: Now) -> Vec<Command> {
        if let Some(running) = &mut self.running {
            running.give_up();
        }
        self.proceed(now)
    }

    fn proceed(&mut self, now: Now) -> Vec<Command> {
        let Some(mut running) = self.running.take() else { return Vec::new() };
        let mut commands = Vec::new();
        while running.started.len() < self.rules.parallel_max
            && let Some(planned) = running.waiting.pop_front()
        {
            self.recent.note(&self.rules, &planned.workload, now);
            running.started.insert(planned.workload.clone());
            commands.push(Command::Migrate(planned));
        }
        if running.started.is_empty() {
            commands.push(Command::Finished(running.summary));
        } else {
            self.running = Some(running);
        }
        commands
    }
}

impl Running {
    fn give_up(&mut self) {
        self.summary.not_started.extend(self.waiting.drain(..).map(|planned| planned.workload));
    }
}
