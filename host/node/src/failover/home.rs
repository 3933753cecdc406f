//! The way home: does what core's failback commands.
//!
//! homes that are well or not -> [`Failback`](pilothouse_core::failback::Failback) -> moves by compare-and-swap on the epoch -> settled
//!
//! Invariant: a workload that does not get home stays where it runs. Moving live state is the migration engine's; here the owner
//! is changed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use pilothouse_core::event::EventKind;
use pilothouse_core::failback::{Command, Displaced, Ending, Event};
use pilothouse_core::failover::Placed;
use pilothouse_core::id::{AgentName, MemberId};
use pilothouse_core::placement::commit::{self, NotCommitted};
use pilothouse_state::detection::Presence;
use pilothouse_transport::service::ServiceError;

use crate::control::Control;

/// Between two looks at homes, ms.
const LOOK_MS: u64 = 1_000;

impl Control {
    /// Tells failback how homes are, every now and then, and that time went by.
    pub(super) async fn look_home(&self) {
        let now = self.hub.clock.now();
        let (homes, before) = {
            let mut board = self.failovers.board();
            if now.since_ms(board.looked) < LOOK_MS {
                return;
            }
            board.looked = now;
            let homes: BTreeSet<MemberId> =
                board.failback.displaced().map(|displaced| displaced.placed.home.clone()).collect();
            (homes, board.well.clone())
        };
        let well: BTreeSet<MemberId> = homes.into_iter().filter(|home| self.is_well(home)).collect();
        self.failovers.board().well.clone_from(&well);
        for unwell in before.difference(&well) {
            self.tell_home(Event::HomeUnwell(unwell.clone())).await;
        }
        for back in well.difference(&before) {
            self.tell_home(Event::HomeBack(back.clone())).await;
        }
        self.tell_home(Event::Tick).await;
    }

    /// Does what an operator wants of a home; answers with how many workloads that is about.
    pub(super) async fn homeward(&self, event: Event) -> Result<usize, ServiceError> {
        let (Event::Approved(home) | Event::Forgotten(home)) = &event else { return Ok(0) };
        let about = {
            let board = self.failovers.board();
            board.failback.displaced().filter(|displaced| displaced.placed.home == *home).count()
        };
        if about == 0 {
            return Err(ServiceError::NotFound { what: "displaced work of", name: home.to_string() });
        }
        self.tell_home(event).await;
        Ok(about)
    }

    /// Tells failback something and carries out what it commands.
    pub(super) async fn tell_home(&self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let commands = self.failovers.board().failback.step(event, self.hub.clock.now());
            for command in commands {
                match command {
                    Command::Persist => self.persist_displaced().await,
                    Command::Migrate(placed) => {
                        let workload = placed.workload.clone();
                        let ending = self.bring_home_now(placed).await;
                        self.hub.emit(EventKind::Failback(workload.clone(), ending));
                        events.push_back(Event::Settled(workload, ending));
                    }
                    // Moves are one step here: there is never one to be rolled back.
                    Command::Cancel(_) => {}
                }
            }
        }
    }

    /// There, sound, and heard in this run of the host.
    fn is_well(&self, home: &MemberId) -> bool {
        let present =
            self.failovers.watch().presence(home).is_none_or(|presence| presence == Presence::Alive);
        let able =
            |member: &pilothouse_core::member::Member| member.takes_work() && member.reported_at.is_some();
        present && self.hub.registry().member(home).is_some_and(able)
    }

    async fn persist_displaced(&self) {
        let (before, now) = {
            let board = self.failovers.board();
            let named = |displaced: &Displaced| (displaced.placed.workload.clone(), displaced.clone());
            let now: BTreeMap<AgentName, Displaced> = board.failback.displaced().map(named).collect();
            (board.stored.clone(), now)
        };
        match self.failovers.journal.displace(&before, &now).await {
            Ok(()) => self.failovers.board().stored = now,
            // What is not written now is written with the next change.
            Err(error) => tracing::error!(%error, "who is away from home was not stored"),
        }
    }

    async fn bring_home_now(&self, placed: Placed) -> Ending {
        let Placed { workload, home, epoch, .. } = placed;
        let wall = self.hub.clock.wall();
        let moved = self.hub.transact(|registry, ledger| {
            let after = commit::relocate(registry, ledger, &workload, epoch, &home, wall)?;
            let write = self.hub.store_assignment(&after);
            Ok((after, write))
        });
        match moved {
            Ok((after, write)) => {
                if let Err(error) = write.await {
                    tracing::error!(%workload, %error, "a way home may be lost");
                }
                self.hub.emit(EventKind::Assigned(after));
                Ending::Home
            }
            Err(NotCommitted::NoVictim(_)) => Ending::Gone,
            Err(error) => {
                tracing::info!(%workload, %home, %error, "not home yet");
                Ending::RolledBack
            }
        }
    }
}
