//! Chaos: faults that members or regions are put under for a time, on purpose.
//!
//! operator -> [`Schedule::add`] -> what a member suffers now, by [`Schedule::on`] -> the shell suffers it for them
//!
//! Invariants: every fault ends by itself, at most [`DURATION_MS_MAX`] after it began; at most [`FAULTS_MAX`] at a time;
//! a schedule that was not enabled takes none. Nothing here is durable: a restart ends all faults. Dropping and delaying
//! messages is the shell's work, and so is the randomness that `loses` wants.

use std::collections::BTreeMap;
use std::fmt;

use crate::id::{Label, MemberId};
use crate::setting::{SettingError, within};
use crate::time::Now;

/// Most faults at a time.
pub const FAULTS_MAX: usize = 256;
/// Longest fault, ms: a day.
pub const DURATION_MS_MAX: u64 = 86_400_000;
/// Longest added latency, ms.
pub const LATENCY_MS_MAX: u64 = 60_000;

/// What a fault is put on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Victim {
    /// One member.
    Member(MemberId),
    /// All members of a region.
    Region(Label),
    /// Messages from one region to another.
    Path {
        /// From here.
        source: Label,
        /// To there.
        target: Label,
    },
}

/// What it suffers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// Nothing of it arrives.
    Down,
    /// Everything takes longer, ms.
    Slow {
        /// By how much, ms.
        latency_ms: u64,
    },
    /// A share of its heartbeats is lost, 0..1.
    Lossy {
        /// Which share.
        share: f64,
    },
}

/// Names a fault within a run of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FaultId(pub u64);

impl fmt::Display for FaultId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "x-{:x}", self.0)
    }
}

impl FaultId {
    /// Reads what `Display` writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        u64::from_str_radix(text.strip_prefix("x-")?, 16).ok().map(Self)
    }
}

/// A fault with its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// Put on whom.
    pub victim: Victim,
    /// What.
    pub fault: Fault,
    /// When it is over.
    pub until: Now,
    /// Who wanted it.
    pub by: String,
    /// Messages that it hit so far.
    pub fired: u64,
}

/// Everything a message suffers on its way.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Suffering {
    /// It does not arrive.
    pub down: bool,
    /// It takes so much longer, ms.
    pub latency_ms: u64,
    /// If it is a heartbeat, it is lost with this probability.
    pub lost_share: f64,
}

impl Suffering {
    /// Whether a heartbeat is lost, given a uniform number of 0..1.
    #[must_use]
    pub fn loses(&self, uniform: f64) -> bool {
        self.down || uniform < self.lost_share
    }

    fn add(&mut self, fault: Fault) {
        match fault {
            Fault::Down => self.down = true,
            Fault::Slow { latency_ms } => {
                self.latency_ms = self.latency_ms.saturating_add(latency_ms).min(LATENCY_MS_MAX);
            }
            // Two independent losses leave the product of what they let through.
            Fault::Lossy { share } => self.lost_share = 1.0 - (1.0 - self.lost_share) * (1.0 - share),
        }
    }
}

/// Why a fault was not taken.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ChaosError {
    /// Chaos is off.
    #[error("chaos is not enabled on this host")]
    Disabled,
    /// There are too many.
    #[error("{FAULTS_MAX} faults are active already; end some")]
    TooMany,
    /// A number is out of its range.
    #[error(transparent)]
    Setting(#[from] SettingError),
}

/// The faults of now.
#[derive(Debug, Clone, Default)]
pub struct Schedule {
    enabled: bool,
    faults: BTreeMap<FaultId, Planned>,
    last: u64,
}

impl Schedule {
    /// Without faults. Takes none unless the operator enabled it.
    #[must_use]
    pub fn new(enabled: bool) -> Self {
        Self { enabled, ..Self::default() }
    }

    /// Puts a victim under a fault for a time.
    ///
    /// # Errors
    /// [`ChaosError`]
    #[allow(clippy::cast_precision_loss, reason = "ranges end far below 2^53")]
    pub fn add(
        &mut self,
        victim: Victim,
        fault: Fault,
        duration_ms: u64,
        by: &str,
        now: Now,
    ) -> Result<FaultId, ChaosError> {
        if !self.enabled {
            return Err(ChaosError::Disabled);
        }
        within("duration_ms", duration_ms as f64, 1.0..=DURATION_MS_MAX as f64)?;
        match fault {
            Fault::Down => {}
            Fault::Slow { latency_ms } => {
                within("latency_ms", latency_ms as f64, 1.0..=LATENCY_MS_MAX as f64)?;
            }
            Fault::Lossy { share } => within("share", share, 0.0..=1.0)?,
        }
        self.expire(now);
        if self.faults.len() >= FAULTS_MAX {
            return Err(ChaosError::TooMany);
        }
        self.last += 1;
        let planned = Planned { victim, fault, until: now.plus_ms(duration_ms), by: by.to_owned(), fired: 0 };
        self.faults.insert(FaultId(self.last), planned);
        Ok(FaultId(self.last))
    }

    /// Ends a fault early.
    pub fn end(&mut self, id: FaultId) -> Option<Planned> {
        self.faults.remove(&id)
    }

    /// Forgets what is over; answers with it.
    pub fn expire(&mut self, now: Now) -> Vec<(FaultId, Planned)> {
        self.faults.extract_if(.., |_, planned| planned.until <= now).collect()
    }

    /// The faults that are not over.
    pub fn active(&self, now: Now) -> impl Iterator<Item = (&FaultId, &Planned)> {
        self.faults.iter().filter(move |(_, planned)| planned.until > now)
    }

    /// What a message of or to a member suffers, on its way from a region to another (`None` = not known). Every fault
    /// that has a part in it counts it.
    pub fn on(
        &mut self,
        member: &MemberId,
        source: Option<&Label>,
        target: Option<&Label>,
        now: Now,
    ) -> Suffering {
        let mut suffering = Suffering::default();
        for planned in self.faults.values_mut().filter(|planned| planned.until > now) {
            let hit = match &planned.victim {
                Victim::Member(victim) => victim == member,
                Victim::Region(victim) => Some(victim) == source || Some(victim) == target,
                Victim::Path { source: from, target: to } => Some(from) == source && Some(to) == target,
            };
            if hit {
                planned.fired += 1;
                suffering.add(planned.fault);
            }
        }
        suffering
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> MemberId {
        MemberId::parse(text).unwrap()
    }

    fn label(text: &str) -> Label {
        Label::parse(text).unwrap()
    }

    #[test]
    fn a_fault_hits_its_victim_for_its_time_and_no_other() {
        let slow = Fault::Slow { latency_ms: 500 };
        let path = Victim::Path { source: label("us"), target: label("eu") };
        let down = Suffering { down: true, ..Suffering::default() };
        let slowed = Suffering { latency_ms: 500, ..Suffering::default() };
        let calm = Suffering::default();
        for (name, victim, fault, (member, source, target), at_ms, expected) in [
            ("a member", Victim::Member(id("a")), Fault::Down, ("a", "us", "eu"), 1, down),
            ("another member", Victim::Member(id("a")), Fault::Down, ("b", "us", "eu"), 1, calm),
            ("from a region", Victim::Region(label("us")), Fault::Down, ("b", "us", "eu"), 1, down),
            ("to a region", Victim::Region(label("us")), Fault::Down, ("b", "eu", "us"), 1, down),
            ("a path", path.clone(), slow, ("b", "us", "eu"), 1, slowed),
            ("the way back", path, slow, ("b", "eu", "us"), 1, calm),
            ("over", Victim::Member(id("a")), Fault::Down, ("a", "us", "eu"), 1_000, calm),
        ] {
            let mut schedule = Schedule::new(true);
            schedule.add(victim, fault, 1_000, "ann", Now(0)).unwrap();
            let suffered = schedule.on(&id(member), Some(&label(source)), Some(&label(target)), Now(at_ms));
            assert_eq!(suffered, expected, "{name}");
        }
    }

    #[test]
    fn faults_add_up_and_can_be_ended_early() {
        let mut schedule = Schedule::new(true);
        let mut add = |fault| schedule.add(Victim::Member(id("a")), fault, 1_000, "ann", Now(0)).unwrap();
        let half = Fault::Lossy { share: 0.5 };
        let ids = [
            add(half),
            add(half),
            add(Fault::Slow { latency_ms: 40_000 }),
            add(Fault::Slow { latency_ms: 40_000 }),
        ];
        let suffered = schedule.on(&id("a"), None, None, Now(1));
        assert_eq!(suffered, Suffering { down: false, latency_ms: LATENCY_MS_MAX, lost_share: 0.75 });
        assert!(suffered.loses(0.74) && !suffered.loses(0.75));
        assert_eq!(schedule.end(ids[0]).map(|ended| ended.fired), Some(1), "every firing is counted");
        assert!(schedule.end(ids[0]).is_none());
        assert_eq!(schedule.expire(Now(1_000)).len(), 3);
        assert_eq!(schedule.active(Now(0)).count(), 0);
    }

    #[test]
    fn chaos_is_off_unless_enabled_and_bounded() {
        let victim = || Victim::Member(id("a"));
        let off = Schedule::default().add(victim(), Fault::Down, 1, "ann", Now(0));
        assert_eq!(off, Err(ChaosError::Disabled));
        let mut schedule = Schedule::new(true);
        for (fault, duration_ms) in [
            (Fault::Down, 0),
            (Fault::Down, DURATION_MS_MAX + 1),
            (Fault::Slow { latency_ms: LATENCY_MS_MAX + 1 }, 1),
            (Fault::Lossy { share: f64::NAN }, 1),
        ] {
            let refused = schedule.add(victim(), fault, duration_ms, "ann", Now(0));
            assert!(matches!(refused, Err(ChaosError::Setting(_))), "{fault:?} for {duration_ms} ms");
        }
        for _ in 0..FAULTS_MAX {
            schedule.add(victim(), Fault::Down, 1_000, "ann", Now(0)).unwrap();
        }
        assert_eq!(schedule.add(victim(), Fault::Down, 1, "ann", Now(1)), Err(ChaosError::TooMany));
        schedule.add(victim(), Fault::Down, 1, "ann", Now(1_000)).unwrap();
    }
}
