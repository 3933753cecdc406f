//! The lifecycle of a slot's policy, as a pure machine.
//!
//! requested -> prepared (checked, compiled, warm) -> exchanged -> acknowledged by every worker -> active
//!          \-> refused     \-> superseded by a newer request      \-> not serving: the last good one is back
//! active --three strikes in a minute--> quarantined, and the one before (or the default, or the host itself) serves
//!
//! Invariants: "active" means that every worker serves it; until then the last good revision stays first in line for
//! everything that goes wrong. The host's own choice stands behind every chain, so a slot is never empty. Executing
//! commands (compiling, exchanging pointers, storing) is the shell's work, see `node`.

mod history;
mod quarantine;
mod revision;
#[cfg(test)]
mod tests;

use crate::id::Digest;
use crate::policy::fault::Fault;
use crate::time::{Now, WallMs};

pub use history::{HISTORY_MAX, Happening, History, HistoryEntry};
pub use quarantine::{
    QUARANTINE_MAX_MS, QUARANTINE_MIN_MS, Quarantine, STRIKE_WINDOW_MS, STRIKES_TO_QUARANTINE,
};
pub use revision::{Origin, Revision, RevisionId, SlotId, SlotIdError};

/// Number by which the shell matches answers to requests.
pub type Ticket = u64;

/// How far a candidate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Asked for; being checked and compiled.
    Desired,
    /// Compiled; instances are being made.
    Compiled,
    /// All instances answer probes; not exchanged yet.
    Warm,
    /// Exchanged; so many workers have answered with it.
    Serving,
}

impl Phase {
    /// The name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Desired => "desired",
            Self::Compiled => "compiled",
            Self::Warm => "warm",
            Self::Serving => "serving",
        }
    }
}

/// A revision on its way.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Whose request it is.
    pub ticket: Ticket,
    /// What is wanted.
    pub revision: Revision,
    /// Who asked.
    pub by: String,
    /// How far it is.
    pub phase: Phase,
    /// Workers that have it, of how many.
    pub workers: (usize, usize),
}

/// What a slot is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Somebody wants a revision active.
    Requested {
        /// Matches the answer.
        ticket: Ticket,
        /// What.
        revision: Revision,
        /// Who.
        by: String,
        /// Even if it is quarantined.
        force: bool,
    },
    /// The component passed its checks and is compiled.
    Compiled(Ticket),
    /// Instances were made and answered probes.
    Warmed(Ticket, usize, usize),
    /// It may not serve.
    Refused(Ticket, String),
    /// After the exchange, so many workers of so many answered with it.
    Acknowledged(Ticket, usize, usize),
    /// A revision broke.
    Faulted(RevisionId, Fault),
    /// Somebody wants a revision that may not come in, whatever it can do. What is on its way stays on its way.
    Denied {
        /// Matches the answer.
        ticket: Ticket,
        /// What.
        revision: Revision,
        /// Who.
        by: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The component is no longer trusted: what serves goes on, but nothing goes back to it.
    Distrusted(Digest, String),
    /// Somebody wants the one before back.
    RollbackRequested {
        /// Matches the answer.
        ticket: Ticket,
        /// Who.
        by: String,
    },
    /// Time passed.
    Tick,
}

/// What the shell has to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Check, compile and warm the candidate; report `Compiled`, `Warmed` or `Refused`.
    Prepare(Ticket, Revision),
    /// Put the candidate first in the chain, ask every worker, report `Acknowledged`.
    Exchange(Ticket),
    /// Bring the chain in line with [`SlotMachine::chain`].
    Rechain,
    /// Store the slot and its history.
    Persist,
    /// Answer the request, after everything before this command was done.
    Answer(Ticket, Outcome),
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every worker serves it.
    Active,
    /// It was refused; why.
    Refused(String),
    /// A newer request took its place.
    Superseded,
}

/// Revisions in the order in which they are asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RevisionChain {
    /// Answers first.
    pub active: Option<Revision>,
    /// The last good one.
    pub previous: Option<Revision>,
    /// The family's default.
    pub default: Option<Revision>,
}

/// One slot.
#[derive(Debug, Clone)]
pub struct SlotMachine {
    id: SlotId,
    default: Option<Revision>,
    active: Option<Revision>,
    previous: Option<Revision>,
    candidate: Option<Candidate>,
    quarantine: Quarantine,
    history: History,
    generation: u64,
}

impl SlotMachine {
    /// A slot as it was stored; a new one has neither active nor previous revision and no history.
    #[must_use]
    pub fn new(
        id: SlotId,
        default: Option<Revision>,
        active: Option<Revision>,
        previous: Option<Revision>,
        history: History,
        generation: u64,
    ) -> Self {
        Self {
            id,
            default,
            active,
            previous,
            candidate: None,
            quarantine: Quarantine::default(),
            history,
            generation,
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &SlotId {
        &self.id
    }

    /// What serves (or served last before the host took over).
    #[must_use]
    pub fn active(&self) -> Option<&Revision> {
        self.active.as_ref()
    }

    /// What served before.
    #[must_use]
    pub fn previous(&self) -> Option<&Revision> {
        self.previous.as_ref()
    }

    /// What is on its way.
    #[must_use]
    pub fn candidate(&self) -> Option<&Candidate> {
        self.candidate.as_ref()
    }

    /// Who is in quarantine.
    #[must_use]
    pub fn quarantine(&self) -> &Quarantine {
        &self.quarantine
    }

    /// What happened.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// How often the chain's first link was exchanged.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Who is asked, in order, without those in quarantine.
    #[must_use]
    pub fn chain(&self, now: Now) -> RevisionChain {
        let free = |revision: &Option<Revision>| {
            revision.clone().filter(|revision| !self.quarantine.holds(revision.id, now))
        };
        let active = free(&self.active);
        let other = |revision: &Revision| active.as_ref().map(|active| active.id) != Some(revision.id);
        let previous = free(&self.previous).filter(other);
        let default = free(&self.default).filter(other);
        RevisionChain { active, previous, default }
    }

    /// Takes an event; the commands are to be executed in order.
    pub fn step(&mut self, event: Event, now: Now, wall: WallMs) -> Vec<Command> {
        match event {
            Event::Requested { ticket, revision, by, force } => {
                self.requested(ticket, revision, by, force, now, wall)
            }
            Event::Compiled(ticket) => self.advance(ticket, Phase::Compiled, (0, 0)),
            Event::Warmed(ticket, seats, of) if seats < of || of == 0 => {
                self.refuse(ticket, &format!("only {seats} of {of} workers could be made ready"), now, wall)
            }
            Event::Warmed(ticket, seats, of) => {
                let mut commands = self.advance(ticket, Phase::Warm, (seats, of));
                if self.candidate.as_ref().is_some_and(|candidate| candidate.ticket == ticket) {
                    commands.push(Command::Exchange(ticket));
                }
                commands
            }
            Event::Refused(ticket, reason) => self.refuse(ticket, &reason, now, wall),
            Event::Acknowledged(ticket, seats, of) => self.acknowledged(ticket, seats, of, now, wall),
            Event::Denied { ticket, revision, by, reason } => {
                self.history.add(wall, Some(&revision), Some(&by), Happening::Refused(reason.clone()));
                vec![Command::Persist, Command::Answer(ticket, Outcome::Refused(reason))]
            }
            Event::Distrusted(component, reason) => self.distrusted(component, reason, wall),
            Event::Faulted(revision, fault) => self.faulted(revision, &fault, now, wall),
            Event::RollbackRequested { ticket, by } => self.roll_back(ticket, &by, now, wall),
            Event::Tick if self.quarantine.release(now) => vec![Command::Rechain],
            Event::Tick => Vec::new(),
        }
    }

    fn requested(
        &mut self,
        ticket: Ticket,
        revision: Revision,
        by: String,
        force: bool,
        now: Now,
        wall: WallMs,
    ) -> Vec<Command> {
        let mut commands = self.supersede(wall);
        if let Some(left_ms) = self.quarantine.left_ms(revision.id, now).filter(|_| !force) {
            let reason =
                format!("it is in quarantine for another {} s; fix it, or force it", left_ms.div_ceil(1_000));
            self.history.add(wall, Some(&revision), Some(&by), Happening::Refused(reason.clone()));
            commands.extend([Command::Persist, Command::Answer(ticket, Outcome::Refused(reason))]);
            return commands;
        }
        if self
            .active
            .as_ref()
            .is_some_and(|active| active.id == revision.id && !self.quarantine.holds(active.id, now))
        {
            commands.push(Command::Answer(ticket, Outcome::Active));
            return commands;
        }
        self.history.add(wall, Some(&revision), Some(&by), Happening::Requested);
        commands.push(Command::Prepare(ticket, revision.clone()));
        self.candidate = Some(Candidate { ticket, revision, by, phase: Phase::Desired, workers: (0, 0) });
        commands
    }

    /// The newest request wins: what was on its way is dropped.
    fn supersede(&mut self, wall: WallMs) -> Vec<Command> {
        let Some(old) = self.candidate.take() else { return Vec::new() };
        self.history.add(wall, Some(&old.revision), Some(&old.by), Happening::Superseded);
        let mut commands = Vec::new();
        if old.phase == Phase::Serving {
            commands.push(Command::Rechain);
        }
        commands.push(Command::Answer(old.ticket, Outcome::Superseded));
        commands
    }

    fn advance(&mut self, ticket: Ticket, phase: Phase, workers: (usize, usize)) -> Vec<Command> {
        if let Some(candidate) = self.candidate.as_mut().filter(|candidate| candidate.ticket == ticket) {
            (candidate.phase, candidate.workers) = (phase, workers);
            if phase == Phase::Warm {
                candidate.phase = Phase::Serving;
                candidate.workers.0 = 0;
            }
        }
        Vec::new()
    }

    fn refuse(&mut self, ticket: Ticket, reason: &str, _now: Now, wall: WallMs) -> Vec<Command> {
        let Some(candidate) = self.candidate.take_if(|candidate| candidate.ticket == ticket) else {
            return Vec::new();
        };
        self.history.add(
            wall,
            Some(&candidate.revision),
            Some(&candidate.by),
            Happening::Refused(reason.to_owned()),
        );
        vec![Command::Persist, Command::Answer(ticket, Outcome::Refused(reason.to_owned()))]
    }

    fn acknowledged(
        &mut self,
        ticket: Ticket,
        seats: usize,
        of: usize,
        now: Now,
        wall: WallMs,
    ) -> Vec<Command> {
        let Some(candidate) = self.candidate.take_if(|candidate| candidate.ticket == ticket) else {
            return Vec::new();
        };
        if seats < of || of == 0 {
            let reason = format!("only {seats} of {of} workers served it");
            let what = Happening::NotServing(reason.clone());
            self.history.add(wall, Some(&candidate.revision), Some(&candidate.by), what);
            return vec![
                Command::Rechain,
                Command::Persist,
                Command::Answer(ticket, Outcome::Refused(reason)),
            ];
        }
        self.quarantine.pardon(candidate.revision.id);
        let last_good = self.active.take().filter(|active| !self.quarantine.holds(active.id, now));
        if last_good.as_ref().is_some_and(|last| last.id != candidate.revision.id) {
            self.previous = last_good;
        }
        self.generation += 1;
        self.history.add(wall, Some(&candidate.revision), Some(&candidate.by), Happening::Activated);
        self.active = Some(candidate.revision);
        vec![Command::Rechain, Command::Persist, Command::Answer(ticket, Outcome::Active)]
    }

    fn faulted(&mut self, id: RevisionId, fault: &Fault, now: Now, wall: WallMs) -> Vec<Command> {
        let serving = self.candidate.as_ref().filter(|candidate| candidate.phase == Phase::Serving);
        let known = [&self.active, &self.previous, &self.default];
        let known = known.into_iter().flatten().chain(serving.map(|candidate| &candidate.revision));
        let Some(revision) = known.into_iter().find(|revision| revision.id == id).cloned() else {
            return Vec::new();
        };
        let what = Happening::Faulted { kind: fault.kind, detail: fault.detail.clone(), count: 1 };
        self.history.add(wall, Some(&revision), None, what);
        if !fault.kind.is_strike() {
            return Vec::new();
        }
        let Some(for_ms) = self.quarantine.strike(id, now) else { return Vec::new() };
        self.history.add(wall, Some(&revision), None, Happening::Quarantined { for_ms });
        if self.active.as_ref().is_some_and(|active| active.id == id) {
            let chain = self.chain(now);
            let next = chain.previous.or(chain.default);
            self.history.add(wall, next.as_ref(), None, Happening::Restored);
            self.previous = None;
            self.generation += 1;
            // With nobody left, the quarantined one stays named: the host chooses until its time is over.
            self.active = next.or_else(|| self.active.take());
        }
        vec![Command::Rechain, Command::Persist]
    }

    fn distrusted(&mut self, component: Digest, reason: String, wall: WallMs) -> Vec<Command> {
        let Some(previous) = self.previous.take_if(|previous| previous.id.component == component) else {
            return Vec::new();
        };
        self.history.add(wall, Some(&previous), None, Happening::Refused(reason));
        vec![Command::Rechain, Command::Persist]
    }

    fn roll_back(&mut self, ticket: Ticket, by: &str, now: Now, wall: WallMs) -> Vec<Command> {
        let target = self.chain(now).previous;
        let Some(target) = target else {
            let reason = "there is no earlier revision to go back to".to_owned();
            return vec![Command::Answer(ticket, Outcome::Refused(reason))];
        };
        let mut commands = self.supersede(wall);
        self.previous = self.active.replace(target);
        self.generation += 1;
        self.history.add(wall, self.active.as_ref(), Some(by), Happening::RolledBack);
        commands.extend([Command::Rechain, Command::Persist, Command::Answer(ticket, Outcome::Active)]);
        commands
    }
}
