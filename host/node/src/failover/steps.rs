//! Carries out what a failover commands, in its order.
//!
//! event -> machine -> commands -> journal, ledger, store, and last of all the placement slot -> events -> machine …
//!
//! Invariant: a command is carried out only after every journal entry before it is durable. If the store does not take one, it
//! and all behind it wait for the next turn. Changes of owners are written together and told when they are durable.

use std::collections::VecDeque;

use pilothouse_core::assignment::Assignment;
use pilothouse_core::event::EventKind;
use pilothouse_core::failback::Event as HomeEvent;
use pilothouse_core::failover::{Command, Entry, Event, FailoverId, Origin, Phase, Planned, Summary};
use pilothouse_core::id::{AgentName, MemberId};
use pilothouse_core::placement::Terms;
use pilothouse_core::placement::commit::{self, NotCommitted};
use pilothouse_core::placement::ledger::RESERVATION_TTL_MS_MAX;
use pilothouse_core::policy::Family;
use pilothouse_store::{Pending, StoreError, TxnOutcome};
use pilothouse_transport::service::ServiceError;

use crate::control::Control;
use crate::hub::store_failed;

/// Most changes of owners written together: far below what may wait for the store.
const WRITES_MAX: usize = 1_024;

/// A change of owner that is in memory, and its write.
struct Change {
    planned: Planned,
    before: Assignment,
    after: Assignment,
    write: Pending<TxnOutcome>,
}

impl Control {
    /// Tells a failover something, and carries out what it commands until it waits for something.
    pub(super) async fn tell(&self, id: FailoverId, event: Event) {
        let mut events = VecDeque::from([event]);
        loop {
            while let Some(event) = events.pop_front() {
                self.step(id, event);
            }
            match self.proceed(id).await {
                Ok(more) if more.is_empty() => return,
                Ok(more) => events.extend(more),
                Err((more, error)) => {
                    tracing::error!(%id, %error, "a failover waits for the store");
                    more.into_iter().for_each(|event| self.step(id, event));
                    return;
                }
            }
            // A failover of many workloads is long; others want to run as well.
            tokio::task::yield_now().await;
        }
    }

    fn step(&self, id: FailoverId, event: Event) {
        let advised = match &event {
            Event::Advised { member, .. } => Some(member.clone()),
            _ => None,
        };
        let now = self.hub.clock.now();
        let (phase, taken) = {
            let mut board = self.failovers.board();
            let Some(open) = board.open.get_mut(&id) else { return };
            let before = open.commands.len();
            let phase = open.step(event, now);
            let taken = open.commands.iter().skip(before).any(|new| matches!(new, Command::Reserve { .. }));
            (phase, taken)
        };
        if let Some(member) = advised.filter(|_| !taken) {
            // The decision was counted as work under way; nothing comes of it.
            let registry = self.hub.registry();
            if let Some(member) = registry.member(&member) {
                registry.published().live.finish(member.row, 1);
            }
        }
        // Its end is told when it is written.
        if let Some(phase) = phase.filter(|phase| !matches!(phase, Phase::Ended(_))) {
            tracing::info!(%id, phase = phase.name(), "failover");
            self.hub.emit(EventKind::Failover(id, phase));
        }
    }

    /// Carries out what waits; answers with what came of it, also if the store did not take a journal entry.
    async fn proceed(&self, id: FailoverId) -> Result<Vec<Event>, (Vec<Event>, StoreError)> {
        let (mut events, mut changes) = (Vec::new(), Vec::new());
        while let Some(command) = self.next_command(id) {
            match command {
                Command::Journal(entry) => {
                    if let Err(error) = self.note(id, &entry).await {
                        self.put_back(id, Command::Journal(entry));
                        self.settle(changes, &mut events).await;
                        return Err((events, error));
                    }
                }
                Command::Ask { workload, terms } => {
                    // The next question is answered when what comes of this one is counted.
                    events.push(self.advise(workload, &terms));
                    break;
                }
                Command::Reserve { workload, member, .. } => {
                    events.extend(self.reserve(id, workload, &member))
                }
                Command::Release { workload, .. } => self.release(id, &workload),
                Command::Commit(planned) => match self.change_owner(id, planned) {
                    Some(Ok(change)) => changes.push(change),
                    Some(Err(event)) => events.push(event),
                    None => {}
                },
                // Members learn from the event and their assignments what they own; what is announced counts as started.
                Command::Start { workload, epoch, .. } => events.push(Event::Started { workload, epoch }),
                Command::Report(summary) => {
                    if let Err(error) = self.conclude(summary).await {
                        self.settle(changes, &mut events).await;
                        return Err((events, error));
                    }
                }
            }
            if changes.len() >= WRITES_MAX {
                self.settle(std::mem::take(&mut changes), &mut events).await;
            }
        }
        self.settle(changes, &mut events).await;
        Ok(events)
    }

    fn next_command(&self, id: FailoverId) -> Option<Command> {
        next_of(&mut self.failovers.board().open.get_mut(&id)?.commands)
    }

    fn put_back(&self, id: FailoverId, command: Command) {
        if let Some(open) = self.failovers.board().open.get_mut(&id) {
            open.commands.push_front(command);
        }
    }

    async fn note(&self, id: FailoverId, entry: &Entry) -> Result<(), StoreError> {
        let records = self.failovers.board().open.get(&id).map_or(0, |open| open.records);
        let records = self.failovers.journal.append(id, records, entry).await?;
        if let Some(open) = self.failovers.board().open.get_mut(&id) {
            open.records = records;
        }
        Ok(())
    }

    fn advise(&self, workload: AgentName, terms: &Terms) -> Event {
        let slot = self.slot_for(Family::Placement, None);
        let decided = slot.and_then(|slot| self.decide_place(&slot, terms, 0, Some(&workload)));
        match decided {
            Ok((decided, _)) => Event::Advised { workload, member: decided.member },
            Err(ServiceError::NoneEligible(none)) => Event::NoneEligible { workload, none },
            Err(error) => {
                tracing::debug!(%workload, %error, "no advice");
                Event::AdviceFailed { workload }
            }
        }
    }

    fn reserve(&self, id: FailoverId, workload: AgentName, member: &MemberId) -> Option<Event> {
        let until = self.hub.clock.now().plus_ms(RESERVATION_TTL_MS_MAX);
        let reserved = self
            .hub
            .transact(|registry, ledger| commit::reserve_move(registry, ledger, &workload, member, until));
        match reserved {
            Ok(held) => {
                let mut board = self.failovers.board();
                if let Some(open) = board.open.get_mut(&id) {
                    open.reserved.insert(workload, held);
                }
                None
            }
            Err(error) => {
                tracing::debug!(%workload, %member, %error, "not reserved");
                Some(Event::Refused { workload })
            }
        }
    }

    fn release(&self, id: FailoverId, workload: &AgentName) {
        let held = self.failovers.board().open.get_mut(&id).and_then(|open| open.reserved.remove(workload));
        if let Some(held) = held {
            self.hub.transact(|registry, ledger| commit::release(registry, ledger, held.id));
        }
    }

    /// Changes the owner in memory and queues the write; what is certain already is told at once. `None` = its reservation was
    /// refused, so the commit is void.
    fn change_owner(&self, id: FailoverId, planned: Planned) -> Option<Result<Change, Event>> {
        let Planned { workload, epoch, to, .. } = &planned;
        let held =
            self.failovers.board().open.get_mut(&id).and_then(|open| open.take_reserved(workload, to))?;
        let wall = self.hub.clock.wall();
        let changed = self.hub.transact(|registry, ledger| {
            // The room it holds is free only inside this step.
            commit::release(registry, ledger, held.id);
            let Some(before) = ledger.get(workload).cloned() else {
                return Err(Event::Fenced { workload: workload.clone(), found: 0 });
            };
            if before.member == *to && before.epoch == epoch + 1 {
                return Err(Event::Committed { workload: workload.clone(), epoch: before.epoch });
            }
            let after = commit::relocate(registry, ledger, workload, *epoch, to, wall);
            let after = after.map_err(|error| match error {
                NotCommitted::NoVictim(_) => {
                    Event::Fenced { workload: workload.clone(), found: before.epoch }
                }
                _ => Event::Refused { workload: workload.clone() },
            })?;
            let write = self.hub.store_assignment(&after);
            Ok((before, after, write))
        });
        Some(changed.map(|(before, after, write)| Change { planned, before, after, write }))
    }

    /// Waits for the writes. A change that was certainly not stored is taken back.
    async fn settle(&self, changes: Vec<Change>, events: &mut Vec<Event>) {
        for Change { planned, before, after, write } in changes {
            let workload = planned.workload;
            match write.await {
                Err(error @ (StoreError::Busy | StoreError::TooLarge { .. })) => {
                    tracing::warn!(%workload, %error, "a change of owner was not stored");
                    self.hub.transact(|registry, ledger| {
                        if ledger.get(&workload) == Some(&after) {
                            commit::unassign(registry, ledger, &workload);
                            registry.count_assigned(&before.member, true, before.claim());
                            ledger.insert(before);
                        }
                    });
                    events.push(Event::Refused { workload });
                }
                stored => {
                    if let Err(error) = stored {
                        // Whether it is on disk shows at the next start; until then memory decides.
                        tracing::error!(%workload, error = %store_failed(&error), "a change of owner may be lost");
                    }
                    let epoch = after.epoch;
                    self.hub.emit(EventKind::Assigned(after));
                    events.push(Event::Committed { workload, epoch });
                }
            }
        }
    }

    /// Writes a failover's end. Displaced workloads come first: if this host stops in between, the failover is resumed.
    async fn conclude(&self, summary: Summary) -> Result<(), StoreError> {
        let id = summary.id;
        let now = self.hub.clock.now();
        let by_hand = {
            let board = self.failovers.board();
            board.open.get(&id).is_some_and(|open| *open.machine.origin() != Origin::Detector)
        };
        self.tell_home(HomeEvent::Displaced { placed: summary.placed.clone(), by_hand }).await;
        let (info, records, forgotten) = {
            let board = self.failovers.board();
            let Some(open) = board.open.get(&id) else { return Ok(()) };
            (open.closing(now), open.records, board.oldest())
        };
        if let Err(error) = self.failovers.journal.conclude(id, &info, records, forgotten).await {
            self.put_back(id, Command::Report(summary));
            return Err(error);
        }
        self.failovers.board().close(id, info);
        tracing::warn!(%id, outcome = summary.outcome.name(), placed = summary.placed.len(), left = summary.left.len(), took_ms = summary.took_ms, "failover ended");
        self.hub.emit(EventKind::FailedOver(Box::new(summary)));
        Ok(())
    }
}

/// The next command; questions wait until everything else is done, so that each is asked about the newest state.
pub(super) fn next_of(commands: &mut VecDeque<Command>) -> Option<Command> {
    let effect = commands.iter().position(|command| !matches!(command, Command::Ask { .. }));
    commands.remove(effect.unwrap_or(0))
}
