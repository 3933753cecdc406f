//! When a process that ended is started again.
//!
//! event, time -> [`Machine::step`] -> what to do
//!
//! Invariant: pure. Between an end and the next start lies a pause that doubles with every short run up to [`BACK_OFF_MAX_MS`]; a process that ran
//! for [`STEADY_MS`] begins anew. After a stop nothing is started.

use pilothouse_core::time::Now;
use pilothouse_core::workload::{Condition, Restart};

/// Pause after the first end, ms.
pub const BACK_OFF_MIN_MS: u64 = 100;
/// Longest pause, ms.
pub const BACK_OFF_MAX_MS: u64 = 30_000;
/// A run of this length was a good one, ms.
pub const STEADY_MS: u64 = 10_000;

/// Where a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Phase {
    /// It is being started.
    Starting,
    /// It runs since then.
    Running { since: Now, healthy: bool, failures: u32 },
    /// It ended; the next start is due then.
    Waiting { until: Now },
    /// It is not started again.
    Ended,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The system started it.
    Started,
    /// It ended, or could not be started.
    Exited {
        /// With status 0.
        success: bool,
    },
    /// A health check succeeded, or failed.
    Checked {
        /// Whether it is well.
        well: bool,
    },
    /// Time passed; due at [`Machine::due`].
    Tick,
    /// It is to end for good.
    Stop,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    None,
    /// Start it.
    Start,
}

/// One process from its first start to its last end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Machine {
    policy: Restart,
    /// It is unhealthy until its first successful check.
    checked: bool,
    failures_max: u32,
    phase: Phase,
    back_off_ms: u64,
    restarts: u32,
}

impl Machine {
    /// A process that is being started. `failures_max` is how many checks in a row may fail; 0 = it has no check.
    #[must_use]
    pub const fn new(policy: Restart, failures_max: u32) -> Self {
        let checked = failures_max > 0;
        Self {
            policy,
            checked,
            failures_max,
            phase: Phase::Starting,
            back_off_ms: BACK_OFF_MIN_MS,
            restarts: 0,
        }
    }

    /// What an event leads to.
    pub fn step(&mut self, event: Event, now: Now) -> Action {
        match (event, self.phase) {
            (_, Phase::Ended) => Action::None,
            (Event::Stop, _) => {
                self.phase = Phase::Ended;
                Action::None
            }
            (Event::Started, Phase::Starting) => {
                self.phase = Phase::Running { since: now, healthy: !self.checked, failures: 0 };
                Action::None
            }
            (Event::Exited { success }, Phase::Starting | Phase::Running { .. }) => {
                self.ended(success, now);
                Action::None
            }
            (Event::Checked { well: true }, Phase::Running { since, .. }) => {
                self.phase = Phase::Running { since, healthy: true, failures: 0 };
                Action::None
            }
            (Event::Checked { well: false }, Phase::Running { since, healthy, failures }) => {
                let failures = failures.saturating_add(1);
                let healthy = healthy && failures < self.failures_max;
                self.phase = Phase::Running { since, healthy, failures };
                Action::None
            }
            (Event::Tick, Phase::Waiting { until }) if now >= until => {
                self.phase = Phase::Starting;
                self.restarts = self.restarts.saturating_add(1);
                Action::Start
            }
            // What comes late or too early.
            (Event::Tick | Event::Started | Event::Exited { .. } | Event::Checked { .. }, _) => Action::None,
        }
    }

    fn ended(&mut self, success: bool, now: Now) {
        let again = match self.policy {
            Restart::Always => true,
            Restart::OnFailure => !success,
            Restart::Never => false,
        };
        if !again {
            self.phase = Phase::Ended;
            return;
        }
        if let Phase::Running { since, .. } = self.phase
            && now.since_ms(since) >= STEADY_MS
        {
            self.back_off_ms = BACK_OFF_MIN_MS;
        }
        self.phase = Phase::Waiting { until: now.plus_ms(self.back_off_ms) };
        self.back_off_ms = self.back_off_ms.saturating_mul(2).min(BACK_OFF_MAX_MS);
    }

    /// When [`Event::Tick`] is due.
    #[must_use]
    pub const fn due(&self) -> Option<Now> {
        match self.phase {
            Phase::Waiting { until } => Some(until),
            _ => None,
        }
    }

    /// How it is.
    #[must_use]
    pub const fn condition(&self) -> Condition {
        match self.phase {
            Phase::Starting => Condition::Starting,
            Phase::Running { healthy: true, .. } => Condition::Healthy,
            // Not yet well is not ill.
            Phase::Running { failures, .. } if failures < self.failures_max => Condition::Starting,
            Phase::Running { .. } => Condition::Unhealthy,
            Phase::Waiting { .. } => Condition::BackingOff,
            Phase::Ended => Condition::Ended,
        }
    }

    /// Starts after the first.
    #[must_use]
    pub const fn restarts(&self) -> u32 {
        self.restarts
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const EVENTS: [Event; 7] = [
        Event::Started,
        Event::Exited { success: true },
        Event::Exited { success: false },
        Event::Checked { well: true },
        Event::Checked { well: false },
        Event::Tick,
        Event::Stop,
    ];

    /// A machine with its times seen from now, so that the same situation is the same at any time.
    fn seen_from(machine: Machine, now: Now) -> Machine {
        let phase = match machine.phase {
            Phase::Running { since, healthy, failures } => {
                let since = Now(now.since_ms(since).min(STEADY_MS));
                Phase::Running { since, healthy, failures: failures.min(machine.failures_max) }
            }
            Phase::Waiting { until } => Phase::Waiting { until: Now(until.since_ms(now)) },
            other => other,
        };
        Machine { phase, ..machine }
    }

    /// Everything that can be reached by any events, at once, late and when it is due.
    #[test]
    fn in_every_state_that_can_be_reached_the_laws_hold() {
        for policy in [Restart::Always, Restart::OnFailure, Restart::Never] {
            for failures_max in [0, 1, 3] {
                let first = Machine::new(policy, failures_max);
                let (mut seen, mut open) = (BTreeSet::from([first]), vec![(first, Now(1_000))]);
                while let Some((machine, now)) = open.pop() {
                    let due_ms = machine.due().map_or(STEADY_MS / 2, |due| due.since_ms(now));
                    for event in EVENTS {
                        for after_ms in [0, due_ms, STEADY_MS] {
                            let (mut next, then) = (machine, now.plus_ms(after_ms));
                            let action = next.step(event, then);
                            laws(machine, event, then, next, action);
                            if next.restarts < 12 && seen.insert(seen_from(next, then)) {
                                open.push((next, then));
                            }
                        }
                    }
                }
                let most = if policy == Restart::Never { 0 } else { 11 };
                assert_eq!(seen.iter().map(|machine| machine.restarts).max(), Some(most));
            }
        }
    }

    fn laws(before: Machine, event: Event, now: Now, after: Machine, action: Action) {
        let context = format!("{before:?} {event:?} {now:?} -> {after:?}");
        let due = before.due().is_some_and(|due| now >= due);
        assert_eq!(action == Action::Start, event == Event::Tick && due, "{context}");
        assert_eq!(after.restarts, before.restarts + u32::from(action == Action::Start), "{context}");
        if before.phase == Phase::Ended || event == Event::Stop {
            assert_eq!((after.phase, after.condition()), (Phase::Ended, Condition::Ended), "{context}");
        }
        if let (Phase::Waiting { until }, Event::Exited { success }) = (after.phase, event)
            && before.phase != after.phase
        {
            let pause = until.since_ms(now);
            assert!((BACK_OFF_MIN_MS..=BACK_OFF_MAX_MS).contains(&pause), "{context}");
            assert!(before.policy == Restart::Always || !success, "{context}");
            let steady =
                matches!(before.phase, Phase::Running { since, .. } if now.since_ms(since) >= STEADY_MS);
            assert_eq!(pause, if steady { BACK_OFF_MIN_MS } else { before.back_off_ms }, "{context}");
        }
        if let Phase::Running { failures, healthy, .. } = after.phase {
            assert!(!(healthy && before.failures_max > 0 && failures >= before.failures_max), "{context}");
        }
    }

    #[test]
    fn pauses_double_up_to_the_bound_and_a_good_run_begins_anew() {
        let mut machine = Machine::new(Restart::Always, 0);
        let (mut now, mut pauses) = (Now(1), Vec::new());
        for _ in 0..12 {
            machine.step(Event::Started, now);
            machine.step(Event::Exited { success: false }, now);
            let due = machine.due().unwrap();
            pauses.push(due.since_ms(now));
            assert_eq!(machine.step(Event::Tick, Now(due.0 - 1)), Action::None);
            assert_eq!(machine.step(Event::Tick, due), Action::Start);
            now = due;
        }
        assert_eq!(pauses[..4], [100, 200, 400, 800]);
        assert_eq!((pauses[11], machine.restarts()), (BACK_OFF_MAX_MS, 12));
        machine.step(Event::Started, now);
        machine.step(Event::Exited { success: false }, now.plus_ms(STEADY_MS));
        assert_eq!(machine.due(), Some(now.plus_ms(STEADY_MS + BACK_OFF_MIN_MS)));
    }

    #[test]
    fn checks_make_it_healthy_and_unhealthy() {
        let mut machine = Machine::new(Restart::Always, 2);
        let mut conditions = vec![machine.condition()];
        for event in [
            Event::Started,
            Event::Checked { well: false },
            Event::Checked { well: true },
            Event::Checked { well: false },
            Event::Checked { well: false },
            Event::Checked { well: true },
            Event::Exited { success: true },
        ] {
            machine.step(event, Now(1));
            conditions.push(machine.condition());
        }
        use Condition::{BackingOff, Healthy, Starting, Unhealthy};
        assert_eq!(
            conditions,
            [Starting, Starting, Starting, Healthy, Healthy, Unhealthy, Healthy, BackingOff]
        );
    }
}
