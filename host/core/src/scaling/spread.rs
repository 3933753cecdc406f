//! Spreads a group's replicas over members: where there is room, the wished region first.

use std::collections::BTreeMap;

use crate::id::{Label, MemberId};

/// A member that could run replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Who.
    pub member: MemberId,
    /// Its region.
    pub region: Option<Label>,
    /// How many more it can take.
    pub free: u32,
    /// How many of the group it has.
    pub running: u32,
}

/// How many replicas of a group a member should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Who.
    pub member: MemberId,
    /// How many.
    pub replicas: u32,
}

/// The one member for a group that must not be spread: where most of it runs, else in the wished region, else with the
/// most room. Ties go by id.
#[must_use]
pub fn home<'a>(rooms: &'a [Room], region: Option<&Label>) -> Option<&'a Room> {
    let is_wished = |room: &Room| region.is_none() || room.region.as_ref() == region;
    rooms.iter().max_by(|a, b| {
        let rank = |room: &Room| (room.running, is_wished(room), room.free);
        rank(a).cmp(&rank(b)).then_with(|| b.member.cmp(&a.member))
    })
}

/// Moves from what runs to `wanted` replicas, one by one: a new one goes to the member with the most room left (in the
/// wished region while there is any), one too many leaves the member with the most of the group (outside of the
/// wished region first). Ties go by id. What finds no room is not placed; the sum says how many were.
#[must_use]
pub fn spread(rooms: &[Room], wanted: u32, region: Option<&Label>) -> Vec<Place> {
    let running: u32 = rooms.iter().fold(0, |sum, room| sum.saturating_add(room.running));
    let mut counts: BTreeMap<&MemberId, (u32, u32, bool)> = rooms
        .iter()
        .map(|room| {
            (&room.member, (room.running, room.free, region.is_none() || room.region.as_ref() == region))
        })
        .collect();
    for _ in running..wanted {
        // The first of equals by id, because a later one must be better to replace it.
        let roomiest = counts
            .values_mut()
            .filter(|(_, free, _)| *free > 0)
            .reduce(|best, next| if (next.2, next.1) > (best.2, best.1) { next } else { best });
        let Some((count, free, _)) = roomiest else { break };
        (*count, *free) = (*count + 1, *free - 1);
    }
    for _ in wanted..running {
        let fullest = counts
            .values_mut()
            .filter(|(count, ..)| *count > 0)
            .reduce(|best, next| if (!next.2, next.0) > (!best.2, best.0) { next } else { best });
        let Some((count, ..)) = fullest else { break };
        *count -= 1;
    }
    counts.into_iter().map(|(member, (replicas, ..))| Place { member: member.clone(), replicas }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(member: &str, region: &str, free: u32, running: u32) -> Room {
        Room { member: MemberId::parse(member).unwrap(), region: Label::parse(region).ok(), free, running }
    }

    fn counts(rooms: &[Room], wanted: u32, region: Option<&str>) -> Vec<u32> {
        let region = region.and_then(|region| Label::parse(region).ok());
        spread(rooms, wanted, region.as_ref()).into_iter().map(|place| place.replicas).collect()
    }

    #[test]
    fn new_replicas_go_where_the_most_room_is() {
        let rooms = [room("a", "eu", 2, 0), room("b", "eu", 5, 0), room("c", "us", 4, 0)];
        assert_eq!(counts(&rooms, 3, None), [0, 2, 1]);
        assert_eq!(counts(&rooms, 8, None), [1, 4, 3]);
    }

    #[test]
    fn the_wished_region_is_filled_first_and_then_the_others() {
        let rooms = [room("a", "eu", 2, 0), room("b", "us", 9, 0)];
        assert_eq!(counts(&rooms, 2, Some("eu")), [2, 0]);
        assert_eq!(counts(&rooms, 5, Some("eu")), [2, 3]);
    }

    #[test]
    fn a_group_at_one_home_stays_where_most_of_it_runs_and_begins_where_it_is_wished() {
        let home_of = |rooms: &[Room], region: Option<&str>| {
            let region = region.and_then(|region| Label::parse(region).ok());
            home(rooms, region.as_ref()).map(|home| home.member.to_string())
        };
        let empty = [room("a", "eu", 2, 0), room("b", "us", 9, 0), room("c", "us", 9, 0)];
        assert_eq!(home_of(&empty, None).as_deref(), Some("b"), "most room, then by id");
        assert_eq!(home_of(&empty, Some("eu")).as_deref(), Some("a"));
        let running = [room("a", "eu", 9, 1), room("b", "us", 0, 3)];
        assert_eq!(home_of(&running, Some("eu")).as_deref(), Some("b"), "it never wanders");
        assert_eq!(home_of(&[], None), None);
    }

    #[test]
    fn no_member_gets_more_than_it_has_room_for() {
        let rooms = [room("a", "eu", 1, 0), room("b", "us", 1, 0)];
        assert_eq!(counts(&rooms, 10, None), [1, 1]);
    }

    #[test]
    fn shrinking_leaves_other_regions_first_and_then_the_fullest() {
        let rooms = [room("a", "eu", 0, 4), room("b", "us", 0, 2), room("c", "eu", 0, 1)];
        assert_eq!(counts(&rooms, 5, Some("eu")), [4, 0, 1]);
        assert_eq!(counts(&rooms, 3, Some("eu")), [2, 0, 1]);
        assert_eq!(counts(&rooms, 0, None), [0, 0, 0]);
    }
}
