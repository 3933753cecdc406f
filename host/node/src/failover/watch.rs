//! Feeds the failure detector: what members say, what probes bring back, what time brings.
//!
//! registrations, reports, answers, opinions, ticks -> [`Detection`] -> probes (sent at once) and findings (kept for the turn)
//!
//! Invariant: only the moment at which a message arrives here counts. Reports carry no number of their own, so each is newer
//! than the one before; the host itself is not watched, because it cannot miss itself.

use std::collections::VecDeque;

use pilothouse_core::id::{Label, MemberId};
use pilothouse_core::time::Now;
use pilothouse_state::detection::{Command, Detection, Event, Presence, Rules};

/// Most heartbeats that are late on purpose; beyond it they are lost.
const LATE_MAX: usize = 4_096;
/// Members do not tell their runs apart.
const INCARNATION: u64 = 1;

/// The detector, and what it found since the last turn.
#[derive(Debug)]
pub(super) struct Watch {
    detection: Detection,
    own: MemberId,
    interval_ms: u64,
    arrivals: u64,
    found: Vec<Command>,
    late: VecDeque<(Now, MemberId)>,
}

impl Watch {
    /// With checked rules; members promise a heartbeat every so often.
    pub(super) fn new(rules: Rules, place: Option<Label>, own: MemberId, interval_ms: u64) -> Self {
        let detection = Detection::new(rules, place);
        Self { detection, own, interval_ms, arrivals: 0, found: Vec::new(), late: VecDeque::new() }
    }

    /// A member is to be watched.
    pub(super) fn joined(&mut self, member: &MemberId, region: Option<Label>, now: Now) {
        if *member == self.own {
            return;
        }
        let (member, interval_ms) = (member.clone(), self.interval_ms);
        self.step(Event::Joined { member, region, interval_ms, incarnation: INCARNATION }, now);
    }

    /// A member is not to be watched any more.
    pub(super) fn left(&mut self, member: &MemberId, now: Now) {
        self.step(Event::Left(member.clone()), now);
    }

    /// A member was heard.
    pub(super) fn heard(&mut self, member: &MemberId, now: Now) {
        if *member == self.own {
            return;
        }
        self.arrivals += 1;
        let (member, sequence) = (member.clone(), self.arrivals);
        self.step(Event::Heartbeat { member, incarnation: INCARNATION, sequence }, now);
    }

    /// A member will be heard only after some time.
    pub(super) fn heard_late(&mut self, member: &MemberId, at: Now) {
        if self.late.len() < LATE_MAX {
            let after = self.late.partition_point(|(due, _)| *due <= at);
            self.late.insert(after, (at, member.clone()));
        }
    }

    /// A member answered a probe.
    pub(super) fn answered(&mut self, member: MemberId, probe: u64, now: Now) {
        self.step(Event::Answered { member, incarnation: INCARNATION, probe }, now);
    }

    /// Another observer has an opinion of a region.
    pub(super) fn opinion(&mut self, place: Label, region: Label, down: bool, now: Now) {
        self.step(Event::Opinion { place, region, down }, now);
    }

    /// An operator says that the missing are gone.
    pub(super) fn confirmed(&mut self, by: String, region: Option<Label>, now: Now) {
        self.step(Event::Confirmed { by, region }, now);
    }

    /// Lets time pass; answers with the probes to send.
    pub(super) fn tick(&mut self, now: Now) -> Vec<(MemberId, u64)> {
        while self.late.front().is_some_and(|(due, _)| *due <= now)
            && let Some((_, member)) = self.late.pop_front()
        {
            self.heard(&member, now);
        }
        let mut probes = Vec::new();
        for command in self.detection.step(Event::Tick, now) {
            match command {
                Command::Probe { member, probe } => probes.push((member, probe)),
                finding => self.found.push(finding),
            }
        }
        probes
    }

    /// What was found since it was last asked.
    pub(super) fn take(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.found)
    }

    /// What a member counts as.
    pub(super) fn presence(&self, member: &MemberId) -> Option<Presence> {
        self.detection.presence(member)
    }

    fn step(&mut self, event: Event, now: Now) {
        let found = self.detection.step(event, now);
        // Probes are asked for by time alone.
        self.found.extend(found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> MemberId {
        MemberId::parse(text).unwrap()
    }

    fn watch() -> Watch {
        Watch::new(Rules { grace_ms: 0, ..Rules::default() }, None, id("own"), 100)
    }

    /// Runs for some time; members in `beating` are heard every 100 ms. Answers with what was found, shortly.
    fn run(watch: &mut Watch, from_ms: u64, to_ms: u64, beating: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        for now in (from_ms..to_ms).step_by(20) {
            if now % 100 == 0 {
                beating.iter().for_each(|member| watch.heard(&id(member), Now(now)));
            }
            watch.tick(Now(now));
            found.extend(watch.take().into_iter().filter_map(|command| match command {
                Command::Suspected { member, .. } => Some(format!("suspected {member}")),
                Command::Dead { member, .. } => Some(format!("dead {member}")),
                Command::Returned { member, .. } => Some(format!("returned {member}")),
                _ => None,
            }));
        }
        found
    }

    #[test]
    fn who_stops_reporting_is_suspected_then_dead_and_held_when_heard_again() {
        let mut watch = watch();
        ["own", "a", "b", "c", "d"].iter().for_each(|member| watch.joined(&id(member), None, Now(0)));
        assert_eq!(
            run(&mut watch, 0, 2_000, &["a", "b", "c", "d"]),
            [""; 0],
            "the host itself is not watched"
        );
        assert_eq!(run(&mut watch, 2_000, 4_000, &["a", "b", "c"]), ["suspected d", "dead d"]);
        assert_eq!(run(&mut watch, 4_000, 5_000, &["a", "b", "c", "d"]), ["returned d"]);
        assert_eq!(watch.presence(&id("d")), Some(Presence::Held));
        watch.left(&id("c"), Now(5_000));
        assert_eq!(run(&mut watch, 5_000, 7_000, &["a", "b", "d"]), [""; 0], "who left is not missed");
    }

    #[test]
    fn late_heartbeats_arrive_in_their_order_and_are_bounded() {
        let mut watch = watch();
        watch.joined(&id("a"), None, Now(0));
        for at in (0..LATE_MAX as u64 + 10).rev() {
            watch.heard_late(&id("a"), Now(at));
        }
        assert_eq!(watch.late.len(), LATE_MAX);
        watch.tick(Now(20));
        assert!(watch.late.front().is_some_and(|(due, _)| *due > Now(20)));
    }
}
