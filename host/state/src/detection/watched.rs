//! One member under watch.
//!
//! Invariant: evidence of life is a heartbeat newer than every one before, or the answer to a probe of the current
//! suspicion; everything else proves nothing. Memory is the window of arrivals and a dozen numbers.

use pilothouse_core::id::Label;
use pilothouse_core::time::Now;

use super::arrivals::Arrivals;
use super::{Presence, Rules};

/// Most doublings of a hold-down.
const FLAPS_MAX: u32 = 16;

/// Silences at which judgement changes, in deviations above the mean.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) suspect: f64,
    pub(super) dead: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Suspicion {
    since: Now,
    next_probe: Now,
    probes: u32,
    first_probe: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Alive,
    Suspect(Suspicion),
    Dead { at: Now },
}

/// What time brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aged {
    Nothing,
    Suspected,
    Probe,
    HoldOver,
}

/// A member and what is known of it. All times are steady.
#[derive(Debug, Clone)]
pub(super) struct Watched {
    pub(super) region: Option<Label>,
    pub(super) incarnation: u64,
    pub(super) life: Life,
    /// An operator said that it is gone if it stays silent.
    pub(super) confirmed: bool,
    sequence: u64,
    arrivals: Arrivals,
    heard: Now,
    suspect_after_ms: f64,
    dead_after_ms: f64,
    flaps: u32,
    risen: Now,
    held_until: Option<Now>,
}

impl Watched {
    pub(super) fn new(
        region: Option<Label>,
        interval_ms: u64,
        incarnation: u64,
        heard: Now,
        limits: Limits,
    ) -> Self {
        let mut watched = Self {
            region,
            incarnation,
            life: Life::Alive,
            confirmed: false,
            sequence: 0,
            arrivals: Arrivals::promised(interval_ms),
            heard,
            suspect_after_ms: 0.0,
            dead_after_ms: 0.0,
            flaps: 0,
            risen: heard,
            held_until: None,
        };
        watched.relearn(limits);
        watched
    }

    pub(super) fn presence(&self) -> Presence {
        match self.life {
            Life::Alive if self.held_until.is_some() => Presence::Held,
            Life::Alive => Presence::Alive,
            Life::Suspect(_) => Presence::Suspect,
            Life::Dead { .. } => Presence::Dead,
        }
    }

    pub(super) fn silent_ms(&self, now: Now) -> u64 {
        now.since_ms(self.heard)
    }

    pub(super) fn phi(&self, now: Now) -> f64 {
        let (mean, deviation) = self.arrivals.shape();
        super::phi_of((float(self.silent_ms(now)) - mean) / deviation)
    }

    /// A heartbeat of this run. Answers whether it is newer than all before.
    pub(super) fn heartbeat(&mut self, sequence: u64, limits: Limits, now: Now) -> bool {
        if sequence <= self.sequence {
            return false;
        }
        self.sequence = sequence;
        self.arrivals.arrived(now);
        self.relearn(limits);
        true
    }

    /// Whether the answer to a probe belongs to the current suspicion.
    pub(super) fn is_answer(&self, probe: u64) -> bool {
        matches!(self.life, Life::Suspect(suspicion) if probe >= suspicion.first_probe)
    }

    /// There is evidence of life. Answers with the life before.
    pub(super) fn alive(&mut self, rules: &Rules, now: Now) -> Life {
        self.heard = self.heard.max(now);
        self.confirmed = false;
        let before = std::mem::replace(&mut self.life, Life::Alive);
        if matches!(before, Life::Dead { .. }) {
            self.hold_down(rules, now);
        }
        before
    }

    /// A new run of the member: what was learned of the one before does not count.
    pub(super) fn reborn(
        &mut self,
        interval_ms: u64,
        incarnation: u64,
        rules: &Rules,
        limits: Limits,
        now: Now,
    ) {
        self.incarnation = incarnation;
        self.sequence = 0;
        self.arrivals = Arrivals::promised(interval_ms);
        self.relearn(limits);
        if !matches!(self.life, Life::Dead { .. }) {
            self.flapped(rules, now);
            self.hold_down(rules, now);
        }
    }

    pub(super) fn interval_ms(&self) -> u64 {
        let (mean, _) = self.arrivals.shape();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a mean of intervals")]
        let interval_ms = mean as u64;
        interval_ms
    }

    pub(super) fn hold_left_ms(&self, now: Now) -> u64 {
        self.held_until.map_or(0, |until| until.since_ms(now))
    }

    /// Lets time pass. `stretch` multiplies all time-outs, `probe` is the number of the next probe.
    pub(super) fn age(&mut self, rules: &Rules, stretch: u64, probe: u64, now: Now) -> Aged {
        let too_silent = float(self.silent_ms(now)) > self.suspect_after_ms * float(stretch);
        let next_probe = now.plus_ms(rules.probe_every_ms);
        match &mut self.life {
            Life::Alive if too_silent => {
                self.life =
                    Life::Suspect(Suspicion { since: now, next_probe, probes: 1, first_probe: probe });
                Aged::Suspected
            }
            Life::Alive if self.held_until.is_some_and(|until| until <= now) => {
                self.held_until = None;
                Aged::HoldOver
            }
            Life::Suspect(suspicion) if suspicion.next_probe <= now => {
                suspicion.next_probe = next_probe;
                suspicion.probes = suspicion.probes.saturating_add(1);
                Aged::Probe
            }
            _ => Aged::Nothing,
        }
    }

    /// Whether it would be dead if no brake were on.
    pub(super) fn is_due(&self, rules: &Rules, stretch: u64, now: Now) -> bool {
        let Life::Suspect(suspicion) = self.life else { return false };
        // The last probe had its time to be answered, too.
        suspicion.probes > rules.probes_min
            && now.since_ms(suspicion.since) >= rules.suspicion_ms.saturating_mul(stretch)
            && float(self.silent_ms(now)) >= self.dead_after_ms * float(stretch)
    }

    pub(super) fn die(&mut self, rules: &Rules, now: Now) {
        self.flapped(rules, now);
        self.held_until = None;
        self.arrivals.interrupt();
        self.life = Life::Dead { at: now };
    }

    fn flapped(&mut self, rules: &Rules, now: Now) {
        let forgiven = u32::try_from(now.since_ms(self.risen) / rules.forgive_ms.max(1)).unwrap_or(u32::MAX);
        self.flaps = (self.flaps.saturating_sub(forgiven) + 1).min(FLAPS_MAX);
    }

    fn hold_down(&mut self, rules: &Rules, now: Now) {
        let hold_ms = rules.hold_ms.saturating_mul(1 << self.flaps.saturating_sub(1)).min(rules.hold_max_ms);
        self.risen = now;
        self.held_until = Some(now.plus_ms(hold_ms));
    }

    fn relearn(&mut self, limits: Limits) {
        let (mean, deviation) = self.arrivals.shape();
        self.suspect_after_ms = mean + limits.suspect * deviation;
        self.dead_after_ms = mean + limits.dead * deviation;
    }
}

#[allow(clippy::cast_precision_loss, reason = "silences are compared with deviations of at least 10 ms")]
fn float(value: u64) -> f64 {
    value as f64
}
