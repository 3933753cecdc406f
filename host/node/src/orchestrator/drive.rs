//! Does what the ledger commands, and tells it how that went, until it is content.
//!
//! event -> ledger -> commands -> policy | executor | peer's queue | events -> ledger ...
//!
//! Invariant: the lock is held for the ledger's step only. Every command is carried out once, in order.

use std::collections::{BTreeSet, VecDeque};

use pilothouse_core::eligible::{Filter, Requirement};
use pilothouse_core::id::{MemberId, OrchestratorId};
use pilothouse_core::orchestrator::{
    Callback, Complaint, Delegation, Executor, Key, LedgerCommand, LedgerEvent, Message, Notice, Progress,
    Refusal, RefusalKind, Reply, Stage,
};
use pilothouse_core::policy::Family;
use pilothouse_core::policy::request::BalancingRequest;
use pilothouse_transport::service::{ControlPlane as _, ServiceError};
use xxhash_rust::xxh3::xxh3_64;

use super::roster::{member_of, peer_of};
use crate::control::Control;
use crate::decide::question::Question;

/// Longest text of a peer that an event repeats, bytes.
const EVENT_TEXT_BYTES_MAX: usize = 1_024;

impl Control {
    /// Feeds the ledger. Gives the last answer that was for this orchestrator itself.
    ///
    /// A caller that goes away (a request that timed out, a socket that closed) does not stop it half-way: a member would keep a
    /// task that nobody knows.
    pub(super) async fn drive(&self, event: LedgerEvent) -> Option<Reply> {
        let control = self.clone();
        tokio::spawn(async move { control.driven(event).await }).await.ok().flatten()
    }

    async fn driven(&self, event: LedgerEvent) -> Option<Reply> {
        let mut events = VecDeque::from([event]);
        let mut own_answer = None;
        while let Some(event) = events.pop_front() {
            let now = self.hub.clock.now();
            let commands = self.orchestrators.state().ledger.step(event, now);
            for command in commands {
                if let LedgerCommand::Answer(key, reply) = &command
                    && key.origin == self.orchestrators.own
                {
                    own_answer = Some(reply.clone());
                }
                events.extend(self.obey(command).await);
            }
        }
        own_answer
    }

    /// Carries out one command; gives what the ledger has to know of it.
    async fn obey(&self, command: LedgerCommand) -> Option<LedgerEvent> {
        match command {
            LedgerCommand::Choose(key, delegation, excluded) => {
                return Some(match self.choose_executor(&key, &delegation, &excluded) {
                    Ok(executor) => LedgerEvent::Chosen(key, executor),
                    Err(refusal) => LedgerEvent::NotChosen(key, refusal),
                });
            }
            LedgerCommand::Assign(key, member) => return self.assign_task(key, &member).await,
            LedgerCommand::Forward { key, to, delegation, until } => {
                let sent = self.orchestrators.send(&to, Message::Delegation(delegation), Some(until));
                let error = sent.err()?;
                let refusal = Refusal::new(RefusalKind::Unreachable, format!("`{to}`: {error}"));
                return Some(LedgerEvent::NotSent(key, refusal));
            }
            LedgerCommand::Answer(key, reply) => {
                self.orchestrators.tell(&key.origin, self.answered(&key, &reply));
                self.say(&key.origin, Message::Reply(reply));
            }
            LedgerCommand::Call(key, callback) => {
                self.orchestrators.tell(&key.origin, called(&callback));
                self.say(&key.origin, Message::Callback(callback));
            }
            LedgerCommand::Release { key, member, success } => {
                self.orchestrators.executor.release(&key).await;
                // A member that left in the meantime has nothing to learn.
                let _ = success.map(|success| self.outcome(&member, success));
            }
            LedgerCommand::Judge(peer, success) => {
                let _ = member_of(&peer).map(|member| self.outcome(&member, success));
            }
            LedgerCommand::Unknown(peer, task) => {
                let detail = format!("`{peer}` was not asked to take the task `{task}`");
                let (code, about) = ("unknown-task".to_owned(), Some(task.to_string()));
                self.say(&peer, Message::Complaint(Complaint { code, detail, about }));
            }
        }
        None
    }

    async fn assign_task(&self, key: Key, member: &MemberId) -> Option<LedgerEvent> {
        let delegation = self.orchestrators.state().ledger.record(&key)?.delegation.clone();
        let started = self.orchestrators.executor.start(&key, &delegation, member).await;
        let wall = self.hub.clock.wall();
        Some(match started {
            Ok(load) => LedgerEvent::Assigned { key, load, wall },
            Err(refusal) => LedgerEvent::NotAssigned(key, refusal),
        })
    }

    fn answered(&self, key: &Key, reply: &Reply) -> Notice {
        let task = key.task.clone();
        match &reply.answer {
            Ok(_) => {
                let state = self.orchestrators.state();
                let executor = state.ledger.record(key).and_then(|record| record.executor.as_ref());
                let to = executor.map(|executor| match executor {
                    Executor::Member(member) => member.to_string(),
                    Executor::Orchestrator(peer) => peer.to_string(),
                });
                Notice::Delegated { task, to: to.unwrap_or_default() }
            }
            Err(refusal) => Notice::Refused { task, reason: short(&refusal.to_string()) },
        }
    }

    /// Says something to a peer. Who submitted a task here finds its answer by asking.
    fn say(&self, to: &OrchestratorId, message: Message) {
        if *to != self.orchestrators.own
            && let Err(error) = self.orchestrators.send(to, message, None)
        {
            tracing::warn!(peer = %to, %error, "a message to a peer is lost");
        }
    }

    /// The balancing policy chooses among members and connected peers that have what is demanded; a task that names its peer goes
    /// there, connected or not.
    fn choose_executor(
        &self,
        key: &Key,
        delegation: &Delegation,
        excluded: &BTreeSet<OrchestratorId>,
    ) -> Result<Executor, Refusal> {
        if delegation.to != self.orchestrators.own {
            return self.orchestrators.named(delegation);
        }
        let requirement = Requirement {
            capabilities: delegation.demands.capabilities.clone(),
            with_peers: true,
            excluded: excluded.iter().filter_map(member_of).collect(),
            ..Requirement::default()
        };
        let slot = self.slot_for(Family::Balancing, Some(&self.orchestrators.strategy)).map_err(refusal)?;
        let question = Question::Balancing(BalancingRequest {
            seed: self.decider.next_seed(),
            now_ms: self.hub.clock.now().0,
            session: Some(xxh3_64(key.origin.as_str().as_bytes())),
        });
        let chosen = self.decide(&slot, &requirement, &question, 0).map_err(refusal)?.member;
        let Some(peer) = peer_of(&chosen) else { return Ok(Executor::Member(chosen)) };
        if let Some(member) = self.hub.registry().member(&chosen) {
            // What a peer has of us is reported; it is not in flight as well.
            self.hub.fleet.load().live.finish(member.row, 1);
        }
        Ok(Executor::Orchestrator(peer))
    }

    /// Tasks that a member was given and no longer has have failed.
    pub(super) async fn look_after_members(&self) {
        let lost: Vec<Key> = {
            let state = self.orchestrators.state();
            let at_member = state.ledger.records().filter(|record| {
                matches!(record.stage, Stage::Accepted | Stage::Running(_))
                    && matches!(record.executor, Some(Executor::Member(_)))
            });
            at_member
                .map(|record| record.key.clone())
                .filter(|key| !self.orchestrators.executor.holds(key))
                .collect()
        };
        for key in lost {
            let text = "the task was taken off its member".to_owned();
            self.drive(LedgerEvent::Reported(key, Progress::Failed(text))).await;
        }
    }
}

impl super::Orchestrators {
    /// The peer that a task names, if it can do it by all that is known.
    fn named(&self, delegation: &Delegation) -> Result<Executor, Refusal> {
        let state = self.state();
        let to = &delegation.to;
        let unknown = || Refusal::new(RefusalKind::Unreachable, format!("there is no peer `{to}`"));
        let offered = &state.peers.get(to).ok_or_else(unknown)?.offer.capabilities;
        let lacking: Vec<&str> =
            delegation.demands.capabilities.difference(offered).map(|it| it.as_str()).collect();
        if !lacking.is_empty() {
            let detail = format!("`{to}` does not offer {}", lacking.join(", "));
            return Err(Refusal::new(RefusalKind::CapabilityMismatch, detail));
        }
        Ok(Executor::Orchestrator(to.clone()))
    }
}

fn called(callback: &Callback) -> Notice {
    let (status, percent) = match callback.progress {
        Progress::Running(percent) => ("progress", percent),
        Progress::Completed(_) => ("completed", None),
        Progress::Failed(_) => ("failed", None),
    };
    Notice::Callback { task: callback.task.clone(), status, percent }
}

/// What a decision that was not made says to who asked.
fn refusal(error: ServiceError) -> Refusal {
    let kind = match &error {
        ServiceError::NoneEligible(none) => match none.cut.last() {
            None | Some((Filter::Capability | Filter::Kind, _)) => RefusalKind::CapabilityMismatch,
            Some(_) => RefusalKind::Overloaded,
        },
        ServiceError::Full | ServiceError::Busy | ServiceError::Contended { .. } => RefusalKind::Overloaded,
        _ => RefusalKind::Rejected,
    };
    Refusal::new(kind, error.to_string())
}

/// A peer's text as far as an event repeats it.
pub(super) fn short(text: &str) -> String {
    let end = text.floor_char_boundary(EVENT_TEXT_BYTES_MAX);
    text.get(..end).unwrap_or_default().to_owned()
}
