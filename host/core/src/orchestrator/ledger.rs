//! The machine of all delegations: who asked, who executes, what became of it.
//!
//! ask -> choose (a policy's) -> assigned to a member | forwarded to a peer -> answer -> callbacks -> finished
//!
//! Invariant: a task of an origin is answered once, however often it is asked, and every live one has a deadline. A task goes
//! to another peer only after the one before has certainly not taken it: silence is not a refusal. At most [`LIVE_MAX`]
//! live at once. Who is chosen is not decided here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::delegation::{
    Executor, Key, LedgerCommand, LedgerEvent, LedgerSettings, MemberLoad, Record, Stage,
};
use super::estimate::{Durations, share};
use super::message::{Callback, Delegation, Grant, Progress, Refusal, RefusalKind, Reply};
use crate::id::{OrchestratorId, TaskId};
use crate::time::{Now, WallMs};

/// Most delegations that are not finished.
pub const LIVE_MAX: usize = 1_000;
/// Most bytes of delegations that are not finished.
const LIVE_BYTES_MAX: usize = 64 << 20;
/// Finished ones that are kept for those who ask.
const FINISHED_KEPT: usize = 1_000;
/// Larger results are passed on, but not kept.
const RESULT_KEPT_BYTES: usize = 16 << 10;
/// Orchestrators that a task may pass.
pub const PASSED_MAX: usize = 8;
/// Members and peers that are asked, one after the other, to take a task.
pub const TRIES_MAX: usize = 3;
/// Longest time that a task may take, ms.
const TIMEOUT_MS_MAX: u64 = 24 * 3_600_000;

/// All delegations.
#[derive(Debug, Clone)]
pub struct Ledger {
    settings: LedgerSettings,
    records: BTreeMap<Key, Record>,
    /// Live ones by the peer that has them.
    forwarded: BTreeMap<(OrchestratorId, TaskId), Key>,
    finished: VecDeque<Key>,
    live: usize,
    live_bytes: usize,
    tokens_used: u64,
    durations: Durations,
    completed: u64,
    failed: u64,
    refused: u64,
}

impl Ledger {
    /// An empty ledger.
    #[must_use]
    pub fn new(settings: LedgerSettings) -> Self {
        Self {
            settings,
            records: BTreeMap::new(),
            forwarded: BTreeMap::new(),
            finished: VecDeque::new(),
            live: 0,
            live_bytes: 0,
            tokens_used: 0,
            durations: Durations::default(),
            completed: 0,
            failed: 0,
            refused: 0,
        }
    }

    /// All delegations that are kept.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }

    /// One delegation.
    #[must_use]
    pub fn record(&self, key: &Key) -> Option<&Record> {
        self.records.get(key)
    }

    /// Delegations that a peer was asked to take, or has.
    pub fn at(&self, peer: &OrchestratorId) -> impl Iterator<Item = &Key> {
        self.forwarded.iter().filter(move |((at, _), _)| at == peer).map(|(_, key)| key)
    }

    /// Delegations that are not finished.
    #[must_use]
    pub fn live(&self) -> usize {
        self.live
    }

    /// How many ended how, since the start.
    #[must_use]
    pub fn outcomes(&self) -> [(&'static str, u64); 3] {
        [("completed", self.completed), ("failed", self.failed), ("refused", self.refused)]
    }

    /// One step.
    pub fn step(&mut self, event: LedgerEvent, now: Now) -> Vec<LedgerCommand> {
        match event {
            LedgerEvent::Ask { origin, delegation } => self.ask(origin, *delegation, now),
            LedgerEvent::Chosen(key, executor) => self.chosen(key, executor, now),
            LedgerEvent::NotChosen(key, refusal) if self.stands(&key, &Stage::Choosing) => {
                // Who was asked and refused knows more than a list that is empty now.
                let last = self.records.get_mut(&key).and_then(|record| record.refusal.take());
                self.refuse(&key, last.unwrap_or(refusal))
            }
            LedgerEvent::NotAssigned(key, refusal) | LedgerEvent::NotSent(key, refusal)
                if self.stands(&key, &Stage::Asked) =>
            {
                self.not_taken(&key, refusal)
            }
            // The deadline was faster.
            LedgerEvent::NotChosen(..) | LedgerEvent::NotAssigned(..) | LedgerEvent::NotSent(..) => {
                Vec::new()
            }
            LedgerEvent::Assigned { key, load, wall } => self.assigned(&key, load, wall, now),
            LedgerEvent::Replied(by, reply) => self.replied(by, reply),
            LedgerEvent::Called(by, callback) => self.called(by, callback, now),
            LedgerEvent::Reported(key, progress) => self.progressed(&key, progress, now),
            LedgerEvent::Tick => self.tick(now),
        }
    }

    fn ask(&mut self, origin: OrchestratorId, delegation: Delegation, now: Now) -> Vec<LedgerCommand> {
        let key = Key { origin, task: delegation.task.id.clone() };
        let weight = delegation.weight();
        if let Some(known) = self.records.get(&key) {
            return known.again(&delegation);
        }
        if let Err(refusal) = self.admit(&delegation, weight) {
            self.refused += 1;
            let reply = Reply { task: key.task.clone(), answer: Err(refusal) };
            return vec![LedgerCommand::Answer(key, reply)];
        }
        let timeout_ms = delegation.timeout_ms.unwrap_or(self.settings.timeout_ms).min(TIMEOUT_MS_MAX);
        let delegation = Arc::new(delegation);
        let record = Record {
            key: key.clone(),
            delegation: Arc::clone(&delegation),
            executor: None,
            stage: Stage::Choosing,
            grant: None,
            asked_at: now,
            deadline: now.plus_ms(timeout_ms),
            tried: BTreeSet::new(),
            tries: 0,
            refusal: None,
            weight,
            started_at: None,
        };
        self.live += 1;
        self.live_bytes += weight;
        let choose = self.choose(&record);
        self.records.insert(key, record);
        vec![choose]
    }

    fn stands(&self, key: &Key, stage: &Stage) -> bool {
        self.records.get(key).is_some_and(|record| record.stage == *stage)
    }

    fn admit(&self, delegation: &Delegation, weight: usize) -> Result<(), Refusal> {
        let refused = |kind, detail: String| Err(Refusal::new(kind, detail));
        if self.live >= LIVE_MAX || self.live_bytes + weight > LIVE_BYTES_MAX {
            return refused(RefusalKind::Overloaded, format!("{} delegations are outstanding", self.live));
        }
        if delegation.passed.contains(&self.settings.own) {
            return refused(RefusalKind::Rejected, "the task was here already".to_owned());
        }
        if delegation.passed.len() >= PASSED_MAX {
            return refused(RefusalKind::Rejected, format!("the task passed {PASSED_MAX} orchestrators"));
        }
        Ok(())
    }

    fn choose(&self, record: &Record) -> LedgerCommand {
        let mut excluded: BTreeSet<OrchestratorId> = record.delegation.passed.iter().cloned().collect();
        excluded.extend(record.tried.iter().cloned());
        excluded.insert(record.key.origin.clone());
        LedgerCommand::Choose(record.key.clone(), Arc::clone(&record.delegation), excluded)
    }

    fn chosen(&mut self, key: Key, executor: Executor, now: Now) -> Vec<LedgerCommand> {
        let free = self.settings.tokens.saturating_sub(self.tokens_used);
        let own = self.settings.own.clone();
        let Some(record) = self.records.get_mut(&key).filter(|record| record.stage == Stage::Choosing) else {
            return Vec::new();
        };
        match &executor {
            Executor::Member(member) => {
                if let Some(wanted) = record.delegation.demands.tokens.filter(|&wanted| wanted > free) {
                    let detail = format!("{wanted} tokens are wanted and {free} are free");
                    return self.refuse(&key, Refusal::new(RefusalKind::Overloaded, detail));
                }
                let assign = LedgerCommand::Assign(key, member.clone());
                record.stage = Stage::Asked;
                record.executor = Some(executor);
                vec![assign]
            }
            Executor::Orchestrator(to) => {
                let place = (to.clone(), key.task.clone());
                if self.forwarded.contains_key(&place) {
                    let detail = format!("`{to}` already has a task `{}` of another origin", key.task);
                    record.executor = Some(executor);
                    return self.not_taken(&key, Refusal::new(RefusalKind::Rejected, detail));
                }
                let delegation = Box::new(record.onward(own, to.clone(), now));
                let (to, until) = (to.clone(), record.deadline);
                record.stage = Stage::Asked;
                record.executor = Some(executor);
                self.forwarded.insert(place, key.clone());
                vec![LedgerCommand::Forward { key, to, delegation, until }]
            }
        }
    }

    fn assigned(&mut self, key: &Key, load: MemberLoad, wall: WallMs, now: Now) -> Vec<LedgerCommand> {
        let free = self.settings.tokens.saturating_sub(self.tokens_used);
        let Some(record) = self.records.get_mut(key) else { return Vec::new() };
        let Some(Executor::Member(member)) = record.executor.clone() else { return Vec::new() };
        if record.stage != Stage::Asked {
            // The deadline passed while the store was slow: nobody waits for it any more.
            return vec![LedgerCommand::Release { key: key.clone(), member, success: None }];
        }
        let estimate_ms = self.durations.estimate_ms(&member, load);
        let tokens = record.delegation.demands.tokens.unwrap_or_else(|| share(free, load)).min(free);
        let grant = Grant {
            estimated_completion: estimate_ms.map(|ms| WallMs(wall.0.saturating_add(ms))),
            sessions: 1,
            tokens,
        };
        self.tokens_used += tokens;
        record.stage = Stage::Accepted;
        record.grant = Some(grant);
        record.started_at = Some(now);
        let reply = Reply { task: key.task.clone(), answer: Ok(grant) };
        vec![LedgerCommand::Answer(key.clone(), reply)]
    }

    fn replied(&mut self, by: OrchestratorId, reply: Reply) -> Vec<LedgerCommand> {
        let place = (by, reply.task.clone());
        let Some(key) = self.forwarded.get(&place).cloned() else { return self.stranger(place) };
        let Some(record) = self.records.get_mut(&key).filter(|record| record.stage == Stage::Asked) else {
            return Vec::new();
        };
        match reply.answer {
            Ok(grant) => {
                record.stage = Stage::Accepted;
                record.grant = Some(grant);
                vec![LedgerCommand::Answer(key, reply)]
            }
            Err(refusal) => self.not_taken(&key, refusal),
        }
    }

    fn called(&mut self, by: OrchestratorId, callback: Callback, now: Now) -> Vec<LedgerCommand> {
        let place = (by, callback.task);
        match self.forwarded.get(&place).cloned() {
            Some(key) => self.progressed(&key, callback.progress, now),
            None => self.stranger(place),
        }
    }

    /// News of a task that is finished is late; of one that was never there it is wrong.
    fn stranger(&self, (by, task): (OrchestratorId, TaskId)) -> Vec<LedgerCommand> {
        let had = |record: &Record| {
            record.key.task == task
                && (record.tried.contains(&by) || record.executor == Some(Executor::Orchestrator(by.clone())))
        };
        if self.records.values().any(had) { Vec::new() } else { vec![LedgerCommand::Unknown(by, task)] }
    }

    fn progressed(&mut self, key: &Key, progress: Progress, now: Now) -> Vec<LedgerCommand> {
        let Some(record) = self.records.get_mut(key) else { return Vec::new() };
        // News without an acceptance before it accepts: the document's peers may leave the answer out.
        let is_asked_peer =
            record.stage == Stage::Asked && !matches!(record.executor, Some(Executor::Member(_)));
        if !matches!(record.stage, Stage::Accepted | Stage::Running(_)) && !is_asked_peer {
            return Vec::new();
        }
        let call =
            LedgerCommand::Call(key.clone(), Callback { task: key.task.clone(), progress: progress.clone() });
        let success = matches!(progress, Progress::Completed(_));
        let stage = match progress {
            Progress::Running(percent) => {
                record.stage = Stage::Running(percent);
                return vec![call];
            }
            Progress::Completed(result) => {
                Stage::Completed(result.filter(|result| result.len() <= RESULT_KEPT_BYTES))
            }
            Progress::Failed(error) => Stage::Failed(error),
        };
        if let (true, Some(started), Some(Executor::Member(member))) =
            (success, record.started_at, record.executor.clone())
        {
            self.durations.learn(member, now.since_ms(started));
        }
        let mut commands = vec![call];
        commands.extend(self.finish(key, stage, Some(success)));
        commands
    }

    /// Who was chosen has certainly not taken it: the next one is asked, unless it was for that peer alone.
    fn not_taken(&mut self, key: &Key, refusal: Refusal) -> Vec<LedgerCommand> {
        let Some(record) = self.records.get_mut(key).filter(|record| !record.stage.is_final()) else {
            return Vec::new();
        };
        if let Some(Executor::Orchestrator(peer)) = record.executor.take() {
            let place = (peer, key.task.clone());
            if self.forwarded.get(&place) == Some(key) {
                self.forwarded.remove(&place);
            }
            record.tried.insert(place.0);
        }
        record.tries += 1;
        if record.tries >= TRIES_MAX || record.delegation.to != self.settings.own {
            return self.refuse(key, refusal);
        }
        record.stage = Stage::Choosing;
        record.refusal = Some(refusal);
        let record = record.clone();
        vec![self.choose(&record)]
    }

    fn refuse(&mut self, key: &Key, refusal: Refusal) -> Vec<LedgerCommand> {
        if self.records.get(key).is_none_or(|record| record.stage.is_final()) {
            return Vec::new();
        }
        let reply = Reply { task: key.task.clone(), answer: Err(refusal.clone()) };
        let mut commands = vec![LedgerCommand::Answer(key.clone(), reply)];
        commands.extend(self.finish(key, Stage::Refused(refusal), None));
        commands
    }

    /// Ends a delegation: frees what it held and forgets the oldest finished ones.
    fn finish(&mut self, key: &Key, stage: Stage, success: Option<bool>) -> Option<LedgerCommand> {
        let record = self.records.get_mut(key)?;
        *match stage {
            Stage::Completed(_) => &mut self.completed,
            Stage::Refused(_) => &mut self.refused,
            _ => &mut self.failed,
        } += 1;
        let was_accepted = matches!(record.stage, Stage::Accepted | Stage::Running(_));
        record.stage = stage;
        self.live -= 1;
        self.live_bytes = self.live_bytes.saturating_sub(record.weight);
        let mut kept = (*record.delegation).clone();
        (kept.context, kept.task.other) = (None, "{}".into());
        record.delegation = Arc::new(kept);
        let command = match record.executor.clone() {
            Some(Executor::Member(member)) => {
                let tokens = record.grant.map_or(0, |grant| grant.tokens);
                self.tokens_used = self.tokens_used.saturating_sub(tokens);
                was_accepted.then(|| LedgerCommand::Release { key: key.clone(), member, success })
            }
            Some(Executor::Orchestrator(peer)) => {
                self.forwarded.remove(&(peer.clone(), key.task.clone()));
                success.map(|success| LedgerCommand::Judge(peer, success))
            }
            None => None,
        };
        self.finished.push_back(key.clone());
        if self.finished.len() > FINISHED_KEPT
            && let Some(oldest) = self.finished.pop_front()
        {
            self.records.remove(&oldest);
        }
        command
    }

    fn tick(&mut self, now: Now) -> Vec<LedgerCommand> {
        let overdue =
            self.records.values().filter(|record| !record.stage.is_final() && record.deadline <= now);
        let overdue: Vec<(Key, bool)> = overdue
            .map(|record| (record.key.clone(), matches!(record.stage, Stage::Accepted | Stage::Running(_))))
            .collect();
        let mut commands = Vec::new();
        for (key, accepted) in overdue {
            commands.extend(if accepted {
                self.progressed(&key, Progress::Failed("timeout: the deadline has passed".to_owned()), now)
            } else {
                self.refuse(
                    &key,
                    Refusal::new(RefusalKind::Timeout, "nobody took the task before its deadline"),
                )
            });
        }
        commands
    }
}
