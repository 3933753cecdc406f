//! Breaks on purpose: answers a hundred times, then does what its setting `fault` says.
//!
//! It passes every check before activation, so only the host's guard on live traffic can find it. For the tour and tests.

use std::hint::black_box;

use pilothouse_sdk::balancing::{Balancing, Request};
use pilothouse_sdk::{About, Choice, Class, Fleet, Refusal, Rng, Settings, export_balancing};

/// Answers of an instance before it breaks.
const ANSWERS: u32 = 100;
/// A text larger than what the host copies for one call.
const HUGE_BYTES: usize = 5 << 18;

/// Ways to break, the first being the default.
const FAULTS: [&str; 7] = ["trap", "spin", "recurse", "allocate", "ineligible", "not-a-number", "huge"];

/// The policy.
#[derive(Debug)]
pub struct LateFault {
    answers: u32,
    fault: usize,
}
export_balancing!(LateFault);

impl Balancing for LateFault {
    const ABOUT: About = About {
        settings_schema: r#"{"type":"object","additionalProperties":false,"properties":{
"fault":{"enum":["trap","spin","recurse","allocate","ineligible","not-a-number","huge"],"default":"trap"}}}"#,
        reasons: &["drawn at random"],
        ..About::new("late-fault", "1.0.0", "Breaks after a hundred answers.")
    };

    fn new(settings: &mut Settings) -> Self {
        Self { answers: 0, fault: settings.one_of("fault", &FAULTS) }
    }

    fn choose(&mut self, _fleet: &Fleet, class: &Class, request: &Request) -> Result<Choice, Refusal> {
        self.answers += 1;
        let good =
            Choice { row: class.nth(Rng::new(request.seed).below(class.count())), score: 0.0, reason: 0 };
        if self.answers <= ANSWERS { Ok(good) } else { self.break_down(good) }
    }
}

impl LateFault {
    #[expect(clippy::panic, reason = "breaking is its purpose")]
    fn break_down(&self, good: Choice) -> Result<Choice, Refusal> {
        match FAULTS.get(self.fault).copied() {
            Some("spin") => {
                let mut turns = 0_u64;
                while black_box(turns) < u64::MAX {
                    turns += 1;
                }
                Ok(good)
            }
            Some("recurse") => Ok(Choice { row: descend(u32::MAX), ..good }),
            Some("allocate") => {
                let mut hoard = Vec::new();
                loop {
                    hoard.push(black_box(Vec::<u8>::with_capacity(1 << 20)));
                }
            }
            Some("ineligible") => Ok(Choice { row: u32::MAX, ..good }),
            Some("not-a-number") => Ok(Choice { score: f32::NAN, ..good }),
            Some("huge") => Err(Refusal::Other("x".repeat(HUGE_BYTES))),
            _ => panic!("broken on purpose"),
        }
    }
}

/// Goes down without an end that the stack could reach, and does something after each return.
fn descend(depth: u32) -> u32 {
    let frame = black_box([depth; 32]);
    if depth == 0 {
        0
    } else {
        descend(black_box(depth - 1)).wrapping_add(frame.iter().fold(0, |sum, part| sum ^ part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::testing::{Member, World};

    #[test]
    #[should_panic(expected = "broken on purpose")]
    fn it_breaks_after_a_hundred_answers() {
        let mut world = World::<LateFault>::of().member(Member::default());
        (0..=u64::from(ANSWERS)).for_each(|seed| assert_eq!(world.row(seed), 0));
    }
}
