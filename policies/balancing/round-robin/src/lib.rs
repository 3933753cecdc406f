//! Sends tasks to the eligible members in turn.
//!
//! Rule: the n-th task goes to the eligible member with rank `n mod count`, in order of rows. The position is one counter in
//! the host, shared by all instances, kept over reloads and restarts, and starting at random, so that several hosts do not
//! walk in step. A member that is not eligible is not in the list, so its neighbour does not get its share.
//! With members of unequal size use `weighted`.

use pilothouse_sdk::balancing::{Balancing, Request};
use pilothouse_sdk::state::Counter;
use pilothouse_sdk::{About, Choice, Class, Fleet, Refusal, Settings, export_balancing};

/// The policy.
#[derive(Debug)]
pub struct RoundRobin {
    position: Counter,
}
export_balancing!(RoundRobin);

impl Balancing for RoundRobin {
    const ABOUT: About = About {
        reasons: &["its turn"],
        properties: &["fair"],
        ..About::new("round-robin", "1.0.0", "Every eligible member in turn.")
    };

    fn new(_settings: &mut Settings) -> Self {
        Self { position: Counter::open("position") }
    }

    fn choose(&mut self, _fleet: &Fleet, class: &Class, _request: &Request) -> Result<Choice, Refusal> {
        let turn = self.position.fetch_add(1) % u64::from(class.count());
        Ok(Choice { row: class.nth(turn as u32), score: 0.0, reason: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::testing::{Member, World};

    #[test]
    fn everyone_has_a_turn_in_order() {
        let mut world = World::<RoundRobin>::of().members((0..3).map(|_| Member::default()));
        let rows: Vec<u32> = (0..7).map(|seed| world.row(seed)).collect();
        assert_eq!(rows, [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn the_neighbour_of_a_lost_member_does_not_get_its_share() {
        let mut world = World::<RoundRobin>::of().members((0..5).map(|_| Member::default()));
        world.update(|members| members[2] = Member::default().ineligible());
        assert_eq!(world.counts(4_000), [1_000, 1_000, 0, 1_000, 1_000]);
    }

    #[test]
    fn a_change_of_membership_does_not_start_over() {
        let mut world = World::<RoundRobin>::of().members((0..4).map(|_| Member::default()));
        assert_eq!((0..6).map(|seed| world.row(seed)).last(), Some(1));
        world.update(|members| members.push(Member::default()));
        assert_eq!(world.row(0), 1, "position 6 of 5 members");
    }
}
