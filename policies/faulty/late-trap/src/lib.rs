//! Breaks on purpose: answers a hundred times, then traps.
//!
//! It passes every check before activation, so only the host's guard on live traffic can find it. For the tour and tests.

use pilothouse_sdk::balancing::{Balancing, Request};
use pilothouse_sdk::{About, Choice, Class, Fleet, Refusal, Rng, Settings, export_balancing};

/// Answers of an instance before it breaks.
const ANSWERS: u32 = 100;

/// The policy.
#[derive(Debug)]
pub struct LateTrap {
    answers: u32,
}
export_balancing!(LateTrap);

impl Balancing for LateTrap {
    const ABOUT: About = About {
        reasons: &["drawn at random"],
        ..About::new("late-trap", "1.0.0", "Breaks after a hundred answers.")
    };

    fn new(_settings: &mut Settings) -> Self {
        Self { answers: 0 }
    }

    #[expect(clippy::panic, reason = "breaking is its purpose")]
    fn choose(&mut self, _fleet: &Fleet, class: &Class, request: &Request) -> Result<Choice, Refusal> {
        self.answers += 1;
        if self.answers > ANSWERS {
            panic!("broken on purpose");
        }
        Ok(Choice { row: class.nth(Rng::new(request.seed).below(class.count())), score: 0.0, reason: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::testing::{Member, World};

    #[test]
    #[should_panic(expected = "broken on purpose")]
    fn it_breaks_after_a_hundred_answers() {
        let mut world = World::<LateTrap>::of().member(Member::default());
        (0..=u64::from(ANSWERS)).for_each(|seed| assert_eq!(world.row(seed), 0));
    }
}
