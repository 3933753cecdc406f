//! What observers think of regions.
//!
//! Invariants: a region is dead only if we and observers in enough other places find it down and nobody, inside of the
//! time that opinions count, reaches it; an observer in the region itself or at our own place adds nothing. At most
//! [`OPINIONS_MAX`] opinions are kept.

use std::collections::BTreeMap;

use pilothouse_core::id::Label;
use pilothouse_core::time::Now;

use super::Rules;

/// Most opinions remembered, of all regions together.
pub const OPINIONS_MAX: usize = 4_096;

/// Opinions of others, and the verdicts.
#[derive(Debug, Clone, Default)]
pub(super) struct Regions {
    opinions: BTreeMap<(Label, Label), (bool, Now)>,
    verdicts: BTreeMap<Label, Verdict>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Verdict {
    down: bool,
    dead: bool,
}

/// What changed about a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Our own opinion.
    Ours(bool),
    /// It is dead, by so many observers.
    Dead(usize),
    /// It is not dead any more.
    Back,
}

impl Regions {
    pub(super) fn is_dead(&self, region: &Label) -> bool {
        self.verdicts.get(region).is_some_and(|verdict| verdict.dead)
    }

    pub(super) fn is_down(&self, region: &Label) -> bool {
        self.verdicts.get(region).is_some_and(|verdict| verdict.down)
    }

    pub(super) fn any_down(&self) -> bool {
        self.verdicts.values().any(|verdict| verdict.down || verdict.dead)
    }

    /// Takes an opinion; beyond the bound, only of those who have one already.
    pub(super) fn hear(&mut self, region: Label, place: Label, down: bool, now: Now) {
        let key = (region, place);
        if self.opinions.len() < OPINIONS_MAX || self.opinions.contains_key(&key) {
            self.opinions.insert(key, (down, now));
        }
    }

    /// Forgets opinions that no longer count and regions without members.
    pub(super) fn tidy(&mut self, rules: &Rules, now: Now, has_members: impl Fn(&Label) -> bool) {
        self.opinions.retain(|_, (_, heard)| now.since_ms(*heard) < rules.opinion_ms);
        self.verdicts.retain(|region, _| has_members(region));
    }

    /// Judges one region, of which we find it `down` or not.
    pub(super) fn judge(
        &mut self,
        rules: &Rules,
        region: &Label,
        ours: Option<&Label>,
        down: bool,
    ) -> Vec<Turn> {
        let others = self
            .opinions
            .iter()
            .filter(|((about, place), _)| about == region && place != region && Some(place) != ours);
        let (agree, reach) = others.fold(
            (0, 0),
            |(agree, reach), (_, (down, _))| {
                if *down { (agree + 1, reach) } else { (agree, reach + 1) }
            },
        );
        let verdict = self.verdicts.entry(region.clone()).or_default();
        let mut turns = Vec::new();
        if verdict.down != down {
            verdict.down = down;
            turns.push(Turn::Ours(down));
        }
        let confirmed = down && reach == 0 && agree + 1 >= rules.observers_min;
        if confirmed && !verdict.dead {
            verdict.dead = true;
            turns.push(Turn::Dead(agree + 1));
        }
        // Once dead, silence of the others does not revive it; being heard does.
        if verdict.dead && (!down || reach > 0) {
            verdict.dead = false;
            turns.push(Turn::Back);
        }
        turns
    }
}
