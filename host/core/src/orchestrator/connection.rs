//! The machine of one peer's connection.
//!
//! down --retry--> dialing --opened--> up (connected, active, idle) --silent--> degraded --silent as long again--> closed --> down
//!
//! Invariant: messages leave in the order in which they were given, or are refused to who gave them; at most
//! `queue_max` messages and [`QUEUE_BYTES_MAX`] bytes wait, connected or not. Time and jitter come in as arguments.
//! What was handed to a socket that then broke is not sent again: the protocol has no acknowledgement.

use std::collections::{BTreeSet, VecDeque};

use super::link::{CloseReason, Command, ConnectionStatus, Event, Health, Outgoing, SendError, Settings};
use super::message::{Condition, Heartbeat, Message};
use crate::fleet::facts::mix;
use crate::id::TaskId;
use crate::time::Now;

/// Most bytes that wait for one peer.
pub const QUEUE_BYTES_MAX: usize = 16 << 20;
/// Wrong messages in a row after which the connection is closed.
pub const MALFORMED_MAX: u32 = 32;
/// How long a graceful close may take to flush, ms.
const FLUSH_MS: u64 = 5_000;
/// First pause before a connection is tried again, ms, before jitter.
const RETRY_FIRST_MS: u64 = 500;
/// Longest pause, ms, before jitter.
const RETRY_MOST_MS: u64 = 30_000;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Link {
    Down { failed: bool, retry_at: Option<Now> },
    Dialing,
    Up(Up),
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Up {
    since: Now,
    degraded: bool,
    /// The host has asked for the end; nothing is sent any more.
    ended: bool,
    malformed: u32,
    beat_at: Now,
    beat_due: bool,
    status_due: bool,
}

#[derive(Debug, Clone, PartialEq)]
struct Waiting {
    message: Message,
    until: Option<Now>,
}

/// One peer's connection.
#[derive(Debug, Clone)]
pub struct Connection {
    settings: Settings,
    dials: bool,
    link: Link,
    attempts: u32,
    queue: VecDeque<Waiting>,
    queue_bytes: usize,
    flush_until: Option<Now>,
    condition: Condition,
    last_heartbeat: Option<Now>,
    last_traffic: Option<Now>,
    sent: u64,
    received: u64,
    errors: u64,
}

impl Connection {
    /// A connection that is not open. `dials` = it is this side that opens it.
    #[must_use]
    pub fn new(settings: Settings, dials: bool) -> Self {
        let retry_at = dials.then_some(Now(0));
        Self {
            settings,
            dials,
            link: Link::Down { failed: false, retry_at },
            attempts: 0,
            queue: VecDeque::new(),
            queue_bytes: 0,
            flush_until: None,
            condition: Condition::Healthy,
            last_heartbeat: None,
            last_traffic: None,
            sent: 0,
            received: 0,
            errors: 0,
        }
    }

    /// Whether a socket is open and not being closed.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(self.link, Link::Up(Up { ended: false, .. }))
    }

    /// Whether a socket is being opened.
    #[must_use]
    pub fn is_dialing(&self) -> bool {
        self.link == Link::Dialing
    }

    /// Whether the peer may be given work.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        matches!(self.link, Link::Up(Up { degraded: false, ended: false, .. }))
            && self.condition == Condition::Healthy
    }

    /// What the peer said of itself.
    #[must_use]
    pub fn condition(&self) -> Condition {
        self.condition
    }

    /// How it is.
    #[must_use]
    pub fn health(&self, now: Now) -> Health {
        let status = match self.link {
            Link::Down { failed: true, .. } => ConnectionStatus::Error,
            Link::Down { failed: false, .. } => ConnectionStatus::Disconnected,
            Link::Dialing => ConnectionStatus::Connecting,
            Link::Up(up) if up.degraded || self.condition != Condition::Healthy => ConnectionStatus::Degraded,
            Link::Up(_) => match self.last_traffic {
                None => ConnectionStatus::Connected,
                Some(at) if now.since_ms(at) < self.settings.heartbeat_timeout_ms => ConnectionStatus::Active,
                Some(_) => ConnectionStatus::Idle,
            },
        };
        let uptime_ms = if let Link::Up(up) = self.link { now.since_ms(up.since) } else { 0 };
        Health {
            status,
            uptime_ms,
            sent: self.sent,
            received: self.received,
            errors: self.errors,
            last_heartbeat: self.last_heartbeat,
            queued: self.queue.len(),
        }
    }

    /// Takes delegations of these tasks out of the queue. Gives those that were there: they have certainly not been sent.
    pub fn withdraw(&mut self, tasks: &BTreeSet<TaskId>) -> Vec<TaskId> {
        let (mut withdrawn, mut freed) = (Vec::new(), 0);
        self.queue.retain(|Waiting { message, .. }| match message {
            Message::Delegation(delegation) if tasks.contains(&delegation.task.id) => {
                freed += message.weight();
                withdrawn.push(delegation.task.id.clone());
                false
            }
            _ => true,
        });
        self.queue_bytes = self.queue_bytes.saturating_sub(freed);
        withdrawn
    }

    /// One step; at most two commands.
    pub fn step(&mut self, event: Event, now: Now) -> Vec<Command> {
        match event {
            Event::Opened => self.opened(now),
            Event::Closed { failed, seed } => self.closed(failed, seed, now),
            Event::Received => {
                self.received += 1;
                self.attempts = 0;
                self.last_traffic = Some(now);
                if let Link::Up(up) = &mut self.link {
                    up.malformed = 0;
                }
                Vec::new()
            }
            Event::Alive(heartbeat) => self.alive(heartbeat, now),
            Event::Malformed => self.malformed(),
            Event::Send { message, until } => self.send(message, until),
            Event::Writable => self.writable(now).into_iter().collect(),
            Event::Stop => self.stop(now),
            Event::Tick => self.tick(now),
        }
    }

    fn opened(&mut self, now: Now) -> Vec<Command> {
        self.link = Link::Up(Up {
            since: now,
            degraded: false,
            ended: false,
            malformed: 0,
            beat_at: now,
            beat_due: true,
            status_due: true,
        });
        self.condition = Condition::Healthy;
        self.last_heartbeat = Some(now);
        self.last_traffic = None;
        vec![Command::Wake]
    }

    fn closed(&mut self, failed: bool, seed: u64, now: Now) -> Vec<Command> {
        self.errors += u64::from(failed);
        let again = self.dials && self.flush_until.is_none();
        let retry_at = again.then(|| now.plus_ms(pause_ms(self.attempts, seed)));
        self.attempts = self.attempts.saturating_add(1);
        self.link = Link::Down { failed, retry_at };
        Vec::new()
    }

    fn alive(&mut self, heartbeat: Option<Heartbeat>, now: Now) -> Vec<Command> {
        let Link::Up(up) = &mut self.link else { return Vec::new() };
        self.last_heartbeat = Some(now);
        if let Some(heartbeat) = heartbeat {
            self.received += 1;
            self.attempts = 0;
            up.malformed = 0;
            self.condition = heartbeat.condition;
        }
        let recovered = std::mem::take(&mut up.degraded);
        if recovered { vec![Command::Recovered] } else { Vec::new() }
    }

    fn malformed(&mut self) -> Vec<Command> {
        self.errors += 1;
        let Link::Up(up) = &mut self.link else { return Vec::new() };
        up.malformed += 1;
        if up.malformed < MALFORMED_MAX { Vec::new() } else { end(up, CloseReason::Malformed) }
    }

    fn send(&mut self, message: Message, until: Option<Now>) -> Vec<Command> {
        if self.flush_until.is_some() {
            return vec![Command::Refuse(SendError::Closing)];
        }
        let weight = message.weight();
        if self.queue.len() >= self.settings.queue_max || self.queue_bytes + weight > QUEUE_BYTES_MAX {
            let mut commands = vec![Command::Refuse(SendError::QueueFull(self.queue.len()))];
            if let Link::Up(up) = &mut self.link {
                commands.extend(end(up, CloseReason::SlowReader));
            }
            return commands;
        }
        self.queue_bytes += weight;
        self.queue.push_back(Waiting { message, until });
        if self.is_up() { vec![Command::Wake] } else { Vec::new() }
    }

    fn writable(&mut self, now: Now) -> Option<Command> {
        while self.queue.front().is_some_and(|waiting| waiting.until.is_some_and(|until| until <= now)) {
            self.pop();
        }
        let Link::Up(up) = &mut self.link else { return None };
        if up.ended {
            return None;
        }
        let outgoing = if std::mem::take(&mut up.status_due) {
            Outgoing::Status
        } else if std::mem::take(&mut up.beat_due) {
            up.beat_at = now;
            Outgoing::Heartbeat
        } else if self.queue.is_empty() {
            let closes = self.flush_until.is_some();
            return closes.then(|| end(up, CloseReason::Graceful).pop()).flatten();
        } else {
            self.last_traffic = Some(now);
            Outgoing::Message(self.pop()?)
        };
        self.sent += 1;
        Some(Command::Transmit(outgoing))
    }

    fn pop(&mut self) -> Option<Message> {
        let Waiting { message, .. } = self.queue.pop_front()?;
        self.queue_bytes = self.queue_bytes.saturating_sub(message.weight());
        Some(message)
    }

    fn stop(&mut self, now: Now) -> Vec<Command> {
        self.flush_until = Some(now.plus_ms(FLUSH_MS));
        match &mut self.link {
            Link::Up(up) => {
                // What waits counts; greetings do not.
                (up.status_due, up.beat_due) = (false, false);
                vec![Command::Wake]
            }
            Link::Dialing => Vec::new(),
            Link::Down { retry_at, .. } => {
                *retry_at = None;
                Vec::new()
            }
        }
    }

    fn tick(&mut self, now: Now) -> Vec<Command> {
        let timeout_ms = self.settings.heartbeat_timeout_ms;
        let silent_ms = self.last_heartbeat.map_or(0, |at| now.since_ms(at));
        match &mut self.link {
            Link::Down { retry_at: Some(at), .. } if *at <= now => {
                self.link = Link::Dialing;
                vec![Command::Dial]
            }
            Link::Down { .. } | Link::Dialing => Vec::new(),
            Link::Up(up) if up.ended => Vec::new(),
            Link::Up(up) if self.flush_until.is_some_and(|until| until <= now) => {
                end(up, CloseReason::Graceful)
            }
            Link::Up(up) if silent_ms >= 2 * timeout_ms => end(up, CloseReason::Silent),
            Link::Up(up) => {
                let mut commands = Vec::new();
                if silent_ms >= timeout_ms && !up.degraded {
                    up.degraded = true;
                    commands.push(Command::Degraded);
                }
                if now.since_ms(up.beat_at) >= timeout_ms / 2 && !up.beat_due && self.flush_until.is_none() {
                    (up.beat_due, up.status_due) = (true, true);
                    commands.push(Command::Wake);
                }
                commands
            }
        }
    }
}

/// Asks for the end of a socket, once.
fn end(up: &mut Up, reason: CloseReason) -> Vec<Command> {
    if std::mem::replace(&mut up.ended, true) { Vec::new() } else { vec![Command::Close(reason)] }
}

/// Exponential back-off with "equal jitter" (M. Brooker, "Exponential Backoff and Jitter", 2015): half of the pause is certain.
fn pause_ms(attempts: u32, seed: u64) -> u64 {
    let whole = RETRY_FIRST_MS.saturating_mul(1 << attempts.min(16)).min(RETRY_MOST_MS);
    whole / 2 + mix(seed) % (whole / 2 + 1)
}
