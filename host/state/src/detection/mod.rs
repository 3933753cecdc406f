//! Failure detection: who is there, who is suspected, who is dead, and when we had better not say.
//!
//! heartbeats, probe answers, opinions of other observers, ticks -> [`Detection::step`] -> suspicions, probes, deaths, returns
//!
//! alive --phi >= suspect--> suspect (probed) --phi >= dead, nothing answered--> dead --heard again--> held down --> alive
//!                  ^-- fresh heartbeat or answer --/            ^-- not while a brake is on --/
//!
//! Phi is Hayashibara et al. 2004 (the phi accrual failure detector), suspicion and probes are SWIM's (Das et al. 2002),
//! the stretching of our own time-outs is Lifeguard's (Dadgar et al. 2018).
//!
//! Invariants: only the receiver's monotonic clock counts, and time in which we did not run ourselves counts for nobody;
//! nobody dies without suspicion and unanswered probes; nobody dies while a brake is on unless other observers or an
//! operator confirm it; a message that is not newer than the last one proves nothing. Deliberately absent: sockets,
//! randomness, wall clocks, and the durable fact of a death (what follows from it is the failover's, which is journaled).

mod arrivals;
mod brake;
mod local;
mod machine;
mod region;
mod watched;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use pilothouse_core::id::{Label, MemberId};
use pilothouse_core::setting::{SettingError, within};

pub use arrivals::{WINDOW, phi_of};
pub use brake::{Lifted, Scope};
pub use machine::Detection;
pub use region::OPINIONS_MAX;

/// When who is judged how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// How often the shell promises to send [`Event::Tick`], ms.
    pub tick_ms: u64,
    /// If nothing was stepped for longer than this, it was we who stood still, ms.
    pub lag_max_ms: u64,
    /// How long a new member may take until its first heartbeat, ms.
    pub grace_ms: u64,
    /// Phi from which a member is suspected: it is wrong once in 10^phi if arrivals are as they were.
    pub phi_suspect: f64,
    /// Phi below which no member is dead.
    pub phi_dead: f64,
    /// How long a suspicion lasts at least before it is a death, ms.
    pub suspicion_ms: u64,
    /// Time between probes of a suspect, ms.
    pub probe_every_ms: u64,
    /// Probes that must have stayed without an answer.
    pub probes_min: u32,
    /// Brake: share of the fleet that may be lost at once, 0..1.
    pub fleet_share: f64,
    /// Brake: share of a region that may be lost at once, 0..1.
    pub region_share: f64,
    /// Brake: fewer lost members than this are no mass failure.
    pub lost_min: usize,
    /// Brake: deaths within this time are "at once", ms.
    pub lost_window_ms: u64,
    /// Observers in different places that must agree before a region is dead, we included.
    pub observers_min: usize,
    /// How long the opinion of another observer counts, ms.
    pub opinion_ms: u64,
    /// How long a member that came back is held down after its first flap, ms; doubles with each.
    pub hold_ms: u64,
    /// Longest hold-down, ms.
    pub hold_max_ms: u64,
    /// Time without a flap after which one is forgotten, ms.
    pub forgive_ms: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            tick_ms: 20,
            lag_max_ms: 100,
            grace_ms: 3_000,
            phi_suspect: 5.0,
            phi_dead: 10.0,
            suspicion_ms: 400,
            probe_every_ms: 40,
            probes_min: 8,
            fleet_share: 0.33,
            region_share: 0.55,
            lost_min: 3,
            lost_window_ms: 60_000,
            observers_min: 2,
            opinion_ms: 10_000,
            hold_ms: 10_000,
            hold_max_ms: 600_000,
            forgive_ms: 1_800_000,
        }
    }
}

impl Rules {
    /// Checks every rule against its range.
    ///
    /// # Errors
    /// The first that is out of it.
    #[allow(clippy::cast_precision_loss, reason = "ranges end far below 2^53")]
    pub fn check(&self) -> Result<(), SettingError> {
        let time = |field, value: u64, low: u64| within(field, value as f64, low as f64..=86_400_000.0);
        time("tick_ms", self.tick_ms, 1)?;
        time("lag_max_ms", self.lag_max_ms, self.tick_ms.saturating_mul(2))?;
        time("grace_ms", self.grace_ms, 0)?;
        within("phi_suspect", self.phi_suspect, 1.0..=20.0)?;
        within("phi_dead", self.phi_dead, self.phi_suspect..=20.0)?;
        time("suspicion_ms", self.suspicion_ms, 0)?;
        time("probe_every_ms", self.probe_every_ms, 1)?;
        within("probes_min", self.probes_min.into(), 1.0..=100.0)?;
        within("fleet_share", self.fleet_share, 0.0..=1.0)?;
        within("region_share", self.region_share, 0.0..=1.0)?;
        within("lost_min", self.lost_min as f64, 1.0..=65_536.0)?;
        time("lost_window_ms", self.lost_window_ms, 1)?;
        within("observers_min", self.observers_min as f64, 1.0..=64.0)?;
        time("opinion_ms", self.opinion_ms, 1)?;
        time("hold_ms", self.hold_ms, 0)?;
        time("hold_max_ms", self.hold_max_ms, self.hold_ms)?;
        time("forgive_ms", self.forgive_ms, 1)
    }
}

/// What the detector is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A member registered, or registered again.
    Joined {
        /// Who.
        member: MemberId,
        /// Where it is.
        region: Option<Label>,
        /// How often it promised a heartbeat, ms.
        interval_ms: u64,
        /// Which run of the member it is; grows with every start.
        incarnation: u64,
    },
    /// A member said goodbye, or was removed.
    Left(MemberId),
    /// A heartbeat arrived.
    Heartbeat {
        /// From whom.
        member: MemberId,
        /// Its run.
        incarnation: u64,
        /// Grows with every heartbeat of the run.
        sequence: u64,
    },
    /// A probe was answered, by whatever way it went.
    Answered {
        /// By whom.
        member: MemberId,
        /// Its run.
        incarnation: u64,
        /// The number in [`Command::Probe`].
        probe: u64,
    },
    /// Another observer says whether it reaches a region.
    Opinion {
        /// Where the observer is.
        place: Label,
        /// The region.
        region: Label,
        /// Whether it finds the region down.
        down: bool,
    },
    /// An operator confirms that those who are missing are gone.
    Confirmed {
        /// Who.
        by: String,
        /// Only those of this region; `None` = all.
        region: Option<Label>,
    },
    /// Time went by.
    Tick,
}

/// What the shell does.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Ask a suspect for a sign of life, directly and through others; answers carry the number.
    Probe {
        /// Whom.
        member: MemberId,
        /// The number.
        probe: u64,
    },
    /// A member is suspected: offer it no new work.
    Suspected {
        /// Who.
        member: MemberId,
        /// How long it has been silent, ms.
        silent_ms: u64,
    },
    /// A suspicion was wrong.
    Refuted(MemberId),
    /// A member is dead: start a failover.
    Dead {
        /// Who.
        member: MemberId,
        /// Which run of it; commands to a later one are not affected.
        incarnation: u64,
        /// How long it has been silent, ms.
        silent_ms: u64,
    },
    /// A member was restarted: whatever the run before it held in memory is gone.
    Reborn {
        /// Who.
        member: MemberId,
        /// The run before.
        from: u64,
        /// The run now.
        to: u64,
    },
    /// A member that was dead or restarted is there, but gets no work yet. Aborts what was not committed of a failover.
    Returned {
        /// Who.
        member: MemberId,
        /// How long it is held down, ms.
        hold_ms: u64,
    },
    /// A hold-down ended: the member counts as back.
    Back(MemberId),
    /// Somebody speaks for a run that is over: tell it to stop.
    Outdated {
        /// Who.
        member: MemberId,
        /// The run that spoke.
        incarnation: u64,
        /// The run in force.
        newest: u64,
    },
    /// Nobody of this name registered: ask it to.
    Unknown(MemberId),
    /// There are too many members to watch this one.
    Full(MemberId),
    /// Tell other observers what we think of a region.
    Tell {
        /// The region.
        region: Label,
        /// Whether we find it down.
        down: bool,
    },
    /// Observers in enough places find a region down, and none reaches it.
    RegionDead {
        /// The region.
        region: Label,
        /// Places that agree, we included.
        observers: usize,
    },
    /// Members of a dead region are heard again.
    RegionBack(Label),
    /// Too many vanished at once: from now on nobody is declared dead. Raise an alarm.
    BrakeOn {
        /// Where.
        scope: Scope,
        /// How many are missing.
        lost: usize,
        /// Of how many.
        of: usize,
    },
    /// The brake is off.
    BrakeOff {
        /// Where.
        scope: Scope,
        /// Why.
        why: Lifted,
    },
}

/// What a member counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// There.
    Alive,
    /// There again, but held down.
    Held,
    /// Silent and being probed.
    Suspect,
    /// Gone.
    Dead,
}
