//! The host of the world and its journal: a migration that runs, one that was replaced without knowing it,
//! and their recovery.
//!
//! Invariant: the journal takes an entry only at its end, so of two hosts that write the same sequence one
//! stops. What is in a host's own memory goes when it goes down; what it sent stays on its way.

use super::{Host, Message, World};
use crate::saga::recover::recover_seeded;
use crate::saga::{Command, Entry, Event, Note};

impl World {
    /// Tells the host, and the one that it replaced.
    pub(super) fn tell(&mut self, event: Event) {
        let now = self.now;
        if let Some(rival) = &mut self.rival {
            let commands = rival.step(event.clone(), now);
            rival.forget_stale();
            self.carry_out_rival(commands);
        }
        if let Host::Up(saga) = &mut self.host {
            let commands = saga.step(event, now);
            saga.forget_stale();
            self.carry_out(commands);
        }
    }

    pub(super) fn carry_out(&mut self, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::Journal(entry) => self.writing.push(entry),
                Command::End(outcome) => self.host = Host::Idle(Some(outcome)),
                other => self.send(other),
            }
        }
    }

    fn carry_out_rival(&mut self, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::Journal(entry) => self.rival_writing.push(entry),
                Command::End(_) => self.rival = None,
                other => self.send(other),
            }
        }
    }

    fn send(&mut self, command: Command) {
        let message = match command {
            Command::Validate(attempt) => Message::Validate(attempt),
            Command::Order(to, order) => Message::Order(to, order),
            Command::Swap(attempt, swap) => Message::Swap(attempt, swap),
            Command::ReadOwner(attempt) => Message::Read(attempt),
            Command::Journal(_) | Command::End(_) => return,
        };
        self.messages.push(message);
    }

    pub(super) fn persist(&mut self) {
        let entry = self.writing.remove(0);
        let written = self.write(entry);
        if let Host::Up(saga) = &mut self.host {
            let commands = saga.step(written.clone(), self.now);
            self.carry_out(commands);
        }
        if written == Event::JournalFailed {
            self.host = Host::Down;
            self.writing.clear();
        }
    }

    pub(super) fn persist_rival(&mut self) {
        let entry = self.rival_writing.remove(0);
        let written = self.write(entry);
        if let Some(rival) = &mut self.rival {
            let commands = rival.step(written.clone(), self.now);
            self.carry_out_rival(commands);
        }
        if written == Event::JournalFailed {
            self.rival = None;
            self.rival_writing.clear();
        }
    }

    /// Takes an entry into the journal if its place is free.
    fn write(&mut self, entry: Entry) -> Event {
        let sequence = entry.sequence;
        if sequence as usize != self.journal.len() + 1 {
            return Event::JournalFailed;
        }
        self.journal.push(entry);
        Event::Journaled(sequence)
    }

    pub(super) fn crash(&mut self, persisted: bool, sent: bool) {
        self.host = Host::Down;
        if persisted && !self.writing.is_empty() {
            let entry = self.writing.remove(0);
            self.write(entry);
        }
        self.writing.clear();
        // What is in the host's own memory goes with it; what others have sent stays on its way, and is told
        // to nobody.
        self.messages.retain(|message| sent && matches!(message, Message::Order(..) | Message::Swap(..)));
    }

    pub(super) fn recover(&mut self) {
        if self.journal.is_empty() {
            self.host = Host::Idle(None);
            return;
        }
        let recovered = recover_seeded(&self.journal, Some(&self.owner), self.now, self.seeded);
        let (saga, commands) = recovered.unwrap();
        self.host = match self.journal.last() {
            Some(Entry { note: Note::End(outcome), .. }) => Host::Idle(Some(outcome.clone())),
            _ => Host::Up(Box::new(saga)),
        };
        self.carry_out(commands);
    }
}
