//! Sends tasks to members that fit them closely, and keeps rare members free for rare work.
//!
//! Rule: what a task must have is the host's filter already. Among the eligible, score is the share of wished capabilities that
//! a member has, minus `rarity-penalty` times the rarity of the capabilities that it has and nobody asked for, rarity being
//! `-ln(share of members that have it)`. The less loaded of two members within `band` of the best score takes the task.
//! A task that asks for nothing thus avoids GPU members while others can take it.
#![expect(
    clippy::indexing_slicing,
    reason = "ranks index vectors that were built together; a slip would trap, and the host's fallback would answer"
)]

use pilothouse_sdk::balancing::{Balancing, Request};
use pilothouse_sdk::{About, Choice, Class, Column, Fleet, Refusal, Rng, Settings, export_balancing};

/// The policy.
#[derive(Debug)]
pub struct CapabilityMatch {
    rarity_penalty: f32,
    band: f32,
    checked_at: Option<(u32, u64, u64)>,
    best: Vec<u32>,
    rarity: Vec<f32>,
}
export_balancing!(CapabilityMatch);

impl Balancing for CapabilityMatch {
    const ABOUT: About = About {
        columns: &[Column::Capabilities, Column::Active, Column::Weight],
        settings_schema: r#"{"type":"object","additionalProperties":false,"properties":{
"rarity-penalty":{"type":"number","minimum":0,"maximum":10,"default":0.1,"description":"How much an unasked rare capability counts against a member."},
"band":{"type":"number","minimum":0,"maximum":1,"default":0.05,"description":"Members this close to the best score share the work."}}}"#,
        reasons: &["closest fit, less loaded of two"],
        factors: &["fit", "load"],
        ..About::new("capability-match", "1.0.0", "Closest fit of capabilities; rare ones stay free.")
    };

    fn new(settings: &mut Settings) -> Self {
        Self {
            rarity_penalty: settings.number("rarity-penalty", 0.1, 0.0..=10.0) as f32,
            band: settings.number("band", 0.05, 0.0..=1.0) as f32,
            checked_at: None,
            best: Vec::new(),
            rarity: Vec::new(),
        }
    }

    fn choose(&mut self, fleet: &Fleet, class: &Class, request: &Request) -> Result<Choice, Refusal> {
        self.refresh(fleet, class);
        let (first, second) = Rng::new(request.seed).two_below(self.best.len() as u32);
        let row_of = |rank: u32| self.best.get(rank as usize).copied().unwrap_or_else(|| class.nth(0));
        let (a, b) = (row_of(first), row_of(second));
        let row = if load(fleet, b) < load(fleet, a) { b } else { a };
        Ok(Choice { row, score: self.fit(fleet, class, row), reason: 0 })
    }

    fn score(&mut self, fleet: &Fleet, class: &Class, _request: &Request, row: u32) -> f32 {
        self.fit(fleet, class, row)
    }

    fn factors(&mut self, fleet: &Fleet, class: &Class, _request: &Request, row: u32) -> Vec<f32> {
        vec![self.fit(fleet, class, row), load(fleet, row)]
    }
}

impl CapabilityMatch {
    /// Works the band out again if the fleet or the class changed.
    fn refresh(&mut self, fleet: &Fleet, class: &Class) {
        let now = Some((class.id(), class.version(), fleet.epoch()));
        if self.checked_at == now {
            return;
        }
        self.checked_at = now;
        let mut have = [0_u32; 256];
        let mut members = 0_u32;
        for row in 0..fleet.rows() {
            let words = fleet.bits(Column::Capabilities, row);
            members += 1;
            each_bit(&words, |bit| have[bit] += 1);
        }
        self.rarity =
            have.iter().map(|&count| -((count.max(1) as f32) / members.max(1) as f32).ln()).collect();
        let scored: Vec<(f32, u32)> =
            class.rows().iter().map(|&row| (self.fit(fleet, class, row), row)).collect();
        let top = scored.iter().map(|&(fit, _)| fit).fold(f32::NEG_INFINITY, f32::max);
        self.best =
            scored.into_iter().filter(|&(fit, _)| fit >= top - self.band).map(|(_, row)| row).collect();
    }

    fn fit(&self, fleet: &Fleet, class: &Class, row: u32) -> f32 {
        let have = fleet.bits(Column::Capabilities, row);
        let (required, preferred) = (class.required_capabilities(), class.preferred_capabilities());
        let (mut wished, mut met) = (0, 0);
        let mut unasked = [0; 4];
        for word in 0..4 {
            wished += preferred[word].count_ones();
            met += (preferred[word] & have[word]).count_ones();
            unasked[word] = have[word] & !preferred[word] & !required[word];
        }
        let mut penalty = 0.0;
        each_bit(&unasked, |bit| penalty += self.rarity.get(bit).copied().unwrap_or_default());
        met as f32 / wished.max(1) as f32 - self.rarity_penalty * penalty
    }
}

fn each_bit(words: &[u64; 4], mut visit: impl FnMut(usize)) {
    for (index, &word) in words.iter().enumerate() {
        let mut left = word;
        while left != 0 {
            visit(index * 64 + left.trailing_zeros() as usize);
            left &= left - 1;
        }
    }
}

fn load(fleet: &Fleet, row: u32) -> f32 {
    let work = fleet.u32(Column::Active, row).saturating_add(fleet.in_flight(row)).saturating_add(1) as f32;
    work / fleet.f32(Column::Weight, row).max(f32::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::testing::{Member, World};

    const GPU: u64 = 1;
    const SSD: u64 = 2;

    fn having(bits: u64) -> Member {
        Member::default().bits(Column::Capabilities, bits).with(Column::Weight, 1.0)
    }

    #[test]
    fn wishes_are_met_where_they_can_be() {
        let mut world = World::<CapabilityMatch>::of().prefers(SSD).members([
            having(0),
            having(SSD),
            having(SSD),
            having(0),
        ]);
        let counts = world.counts(400);
        assert_eq!((counts[0], counts[3]), (0, 0));
        assert!(counts[1] > 100 && counts[2] > 100);
    }

    #[test]
    fn plain_work_stays_off_rare_members() {
        let mut world =
            World::<CapabilityMatch>::of().members([having(GPU), having(0), having(0), having(0), having(0)]);
        assert_eq!(world.counts(400)[0], 0);
        world.update(|members| members[1..].iter_mut().for_each(|member| *member = having(0).ineligible()));
        assert_eq!(world.row(1), 0, "unless nobody else is there");
    }

    #[test]
    fn within_the_band_the_less_loaded_takes_it() {
        let busy = having(0).with(Column::Active, 100.0);
        let mut world = World::<CapabilityMatch>::of().members([busy, having(0)]);
        assert_eq!(world.counts(100), [0, 100]);
    }
}
