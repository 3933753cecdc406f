//! The source's end of one round: sends what the target lacks, a bounded window at a time.
//!
//! manifest -> wanted ranges -> chunks <-> acknowledgements -> complete
//!
//! Invariant: at most [`Window::chunks`] are under way; a chunk is sent again only after a refusal, a
//! time-out or a broken connection, and at most [`Window::resends_max`] times. What the chunks contain is the
//! shell's, which reads them from the snapshot of the round.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use pilothouse_core::time::Now;

use super::receiver::WRITING_MAX;
use super::{ChunkKey, Manifest};

/// How much is under way, and how patiently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Most chunks that are sent and not acknowledged; at least 1 and at most the receiver's [`WRITING_MAX`]
    /// count.
    pub chunks: usize,
    /// A message that is not answered for so long is sent again, ms.
    pub resend_after_ms: u64,
    /// How often one message is sent again before the round fails.
    pub resends_max: u32,
}

impl Default for Window {
    /// 32 chunks of 256 KiB fill 10 Gbit/s at 6 ms round trip.
    fn default() -> Self {
        Self { chunks: 32, resend_after_ms: 500, resends_max: 5 }
    }
}

/// What the sender is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The target lacks these chunks of this round.
    Wanted(u32, Vec<Range<u32>>),
    /// A chunk is held by the target.
    Acknowledged(ChunkKey),
    /// A chunk arrived damaged or at a bad moment.
    Refused(ChunkKey),
    /// The connection is new: what was under way is lost.
    Reconnected,
    /// Time passed; due at [`Sender::next_deadline`].
    Tick,
}

/// What the shell has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Send [`Sender::manifest`].
    OfferManifest,
    /// Send this chunk.
    SendChunk(ChunkKey),
    /// The target holds everything: the round is over.
    Complete,
    /// The round failed: a message was sent too often without an answer.
    Fail,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SenderState {
    /// The manifest was sent.
    Offering,
    /// Chunks are under way.
    Sending,
    /// The target holds everything.
    Complete,
    /// It gave up.
    Failed,
}

/// A message that waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sent {
    again_at: Now,
    resends: u32,
}

/// One round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    manifest: Manifest,
    window: Window,
    state: SenderState,
    offer: Sent,
    waiting: VecDeque<Range<u32>>,
    under_way: BTreeMap<u32, Sent>,
    acknowledged: u32,
}

impl Sender {
    /// A round; the first command offers the manifest.
    #[must_use]
    pub fn begin(manifest: Manifest, mut window: Window, now: Now) -> (Self, Vec<Command>) {
        window.chunks = window.chunks.clamp(1, WRITING_MAX);
        let offer = Sent { again_at: now.plus_ms(window.resend_after_ms), resends: 0 };
        let sender = Self {
            manifest,
            window,
            state: SenderState::Offering,
            offer,
            waiting: VecDeque::new(),
            under_way: BTreeMap::new(),
            acknowledged: 0,
        };
        (sender, vec![Command::OfferManifest])
    }

    /// What is offered.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// How far it is.
    #[must_use]
    pub const fn state(&self) -> SenderState {
        self.state
    }

    /// Chunks that were acknowledged in this round.
    #[must_use]
    pub const fn acknowledged(&self) -> u32 {
        self.acknowledged
    }

    /// When [`Event::Tick`] is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Now> {
        match self.state {
            SenderState::Offering => Some(self.offer.again_at),
            SenderState::Sending => self.under_way.values().map(|sent| sent.again_at).min(),
            SenderState::Complete | SenderState::Failed => None,
        }
    }

    /// One step. Answers to other rounds and chunks that are not under way change nothing.
    pub fn step(&mut self, event: Event, now: Now) -> Vec<Command> {
        if matches!(self.state, SenderState::Complete | SenderState::Failed) {
            return Vec::new();
        }
        match event {
            Event::Wanted(round, ranges) if round == self.manifest.round() => self.wanted(ranges, now),
            Event::Acknowledged(key) => self.acknowledge(key, now),
            Event::Refused(key) if self.is_ours(key) => self.send_again(key.index, now),
            Event::Reconnected => self.offer_again(0, now),
            Event::Tick => self.tick(now),
            Event::Wanted(..) | Event::Refused(_) => Vec::new(),
        }
    }

    fn is_ours(&self, key: ChunkKey) -> bool {
        key.migration == self.manifest.migration() && key.round == self.manifest.round()
    }

    /// Only chunks that exist are sent, each once, whatever a confused target asks for.
    fn wanted(&mut self, ranges: Vec<Range<u32>>, now: Now) -> Vec<Command> {
        if self.state != SenderState::Offering {
            return Vec::new();
        }
        self.state = SenderState::Sending;
        let mut from = 0;
        let end = u32::try_from(self.manifest.digests().len()).unwrap_or(u32::MAX);
        for range in ranges {
            let range = range.start.max(from)..range.end.min(end);
            if !range.is_empty() {
                from = range.end;
                self.waiting.push_back(range);
            }
        }
        self.fill(now)
    }

    fn acknowledge(&mut self, key: ChunkKey, now: Now) -> Vec<Command> {
        if !self.is_ours(key) || self.under_way.remove(&key.index).is_none() {
            return Vec::new();
        }
        self.acknowledged = self.acknowledged.saturating_add(1);
        self.fill(now)
    }

    fn fill(&mut self, now: Now) -> Vec<Command> {
        let mut commands = Vec::new();
        while self.under_way.len() < self.window.chunks {
            let Some(range) = self.waiting.front_mut() else { break };
            let Some(index) = range.next() else {
                self.waiting.pop_front();
                continue;
            };
            let again_at = now.plus_ms(self.window.resend_after_ms);
            self.under_way.insert(index, Sent { again_at, resends: 0 });
            commands.push(self.chunk(index));
        }
        if self.under_way.is_empty() {
            self.state = SenderState::Complete;
            commands.push(Command::Complete);
        }
        commands
    }

    const fn chunk(&self, index: u32) -> Command {
        let key = ChunkKey { migration: self.manifest.migration(), round: self.manifest.round(), index };
        Command::SendChunk(key)
    }

    fn send_again(&mut self, index: u32, now: Now) -> Vec<Command> {
        let Some(sent) = self.under_way.get_mut(&index) else { return Vec::new() };
        if sent.resends >= self.window.resends_max {
            return self.fail();
        }
        *sent = Sent {
            again_at: now.plus_ms(self.window.resend_after_ms),
            resends: sent.resends.saturating_add(1),
        };
        vec![self.chunk(index)]
    }

    fn offer_again(&mut self, resends: u32, now: Now) -> Vec<Command> {
        self.state = SenderState::Offering;
        self.waiting.clear();
        self.under_way.clear();
        self.offer = Sent { again_at: now.plus_ms(self.window.resend_after_ms), resends };
        vec![Command::OfferManifest]
    }

    fn tick(&mut self, now: Now) -> Vec<Command> {
        if self.state == SenderState::Offering {
            return match self.offer {
                Sent { again_at, .. } if now < again_at => Vec::new(),
                Sent { resends, .. } if resends >= self.window.resends_max => self.fail(),
                Sent { resends, .. } => self.offer_again(resends.saturating_add(1), now),
            };
        }
        let late = self.under_way.iter().filter(|(_, sent)| now >= sent.again_at);
        let late: Vec<u32> = late.map(|(index, _)| *index).collect();
        late.into_iter().flat_map(|index| self.send_again(index, now)).collect()
    }

    fn fail(&mut self) -> Vec<Command> {
        self.state = SenderState::Failed;
        self.under_way.clear();
        self.waiting.clear();
        vec![Command::Fail]
    }
}
