//! Keeps a session on its member.
//!
//! Rule: (1) a session that is pinned stays where it is; (2) a new one goes to the member that its key hashes to and is pinned; (3) a
//! member has room below `max(free-below, ceil(load-factor * (all work + 1) * w / all weights))` tasks: while it has none, a
//! request goes to the first member with room in the session's own order, and a session stays pinned where it was. So a session
//! hotter than any member can bear spreads over as few as needed, always the same ones, and the others stay whole.
//! Order: weighted rendezvous hashing, `-w / ln(hash(key, member))` (Thaler and Ravishankar 1998), beyond 256 members a ring
//! with 21 probes (Appleton and O'Reilly 2015). Bounded loads: Mirrokni, Thorup, Zadimoghaddam 2018; all work is estimated
//! from 32 members. Hashes are over the member's identity, never over its row or address: a lost member moves only its own
//! sessions, and a member that returns takes none away, because they are pinned. With `strict` a session never leaves its
//! member, because its state lives there: it waits while the member is full and is refused while it may not take work.
//! Requests without a session go to the less loaded of two.

use pilothouse_sdk::balancing::{Balancing, Request};
use pilothouse_sdk::state::Pins;
use pilothouse_sdk::{
    About, Choice, Class, Column, Fleet, Refusal, Rng, Settings, export_balancing, mix, unit,
};

/// Up to here every member is hashed; beyond, a ring is searched.
const RENDEZVOUS_MAX: u32 = 256;
/// Probes into the ring; 21 keep the largest share within 10 % of the mean.
const PROBES: u64 = 21;
/// Members asked for work in flight when the mean is estimated.
const SAMPLE_MAX: u32 = 32;
/// Members tried before the least loaded of them is taken.
const WALK_MAX: usize = 16;

const PINNED: u32 = 0;
const HASHED: u32 = 1;
const OVERFLOWED: u32 = 2;
const NO_SESSION: u32 = 3;
const MEMBER_AWAY: u32 = 4;

/// The policy.
#[derive(Debug)]
pub struct SessionAffinity {
    pins: Pins,
    load_factor: f32,
    free_below: u32,
    strict: bool,
    ring: Ring,
}
export_balancing!(SessionAffinity);

#[derive(Debug, Default)]
struct Ring {
    version: Option<u64>,
    points: Vec<(u64, u32)>,
}

impl Balancing for SessionAffinity {
    const ABOUT: About = About {
        columns: &[Column::Identity, Column::Active, Column::Weight],
        settings_schema: r#"{"type":"object","additionalProperties":false,"properties":{
"ttl-ms":{"type":"integer","minimum":1000,"maximum":86400000,"default":1800000,"description":"How long an idle session stays pinned."},
"capacity":{"type":"integer","minimum":1,"maximum":65536,"default":65536,"description":"Most sessions pinned at once."},
"load-factor":{"type":"number","minimum":1.05,"maximum":10,"default":1.25,"description":"Most load of a member, in fair shares."},
"free-below":{"type":"integer","minimum":1,"maximum":1000000,"default":4,"description":"A member with less work than this always has room."},
"strict":{"type":"boolean","default":false,"description":"Never leave the session's member: refuse while it is away, queue while it is full."}}}"#,
        reasons: &[
            "the session is pinned there",
            "the session's key hashes there",
            "the session's member is overloaded",
            "no session; less loaded of two",
            "the session's member takes no work now",
        ],
        factors: &["load"],
        properties: &["sticky"],
        ..About::new(
            "session-affinity",
            "1.0.0",
            "A session stays on its member; new ones by bounded rendezvous hashing.",
        )
    };

    fn new(settings: &mut Settings) -> Self {
        let ttl_ms = settings.integer("ttl-ms", 1_800_000, 1_000..=86_400_000);
        let capacity = settings.integer("capacity", 65_536, 1..=65_536);
        Self {
            pins: Pins::open("sessions", capacity, u64::from(ttl_ms)),
            load_factor: settings.number("load-factor", 1.25, 1.05..=10.0) as f32,
            free_below: settings.integer("free-below", 4, 1..=1_000_000),
            strict: settings.flag("strict", false),
            ring: Ring::default(),
        }
    }

    fn choose(&mut self, fleet: &Fleet, class: &Class, request: &Request) -> Result<Choice, Refusal> {
        let Some(session) = request.session else { return Ok(less_loaded(fleet, class, request.seed)) };
        let pinned = self.pins.get(session);
        let home = pinned.filter(|&row| class.contains(row));
        if self.strict {
            match (home, pinned) {
                (Some(row), _) => return Ok(Choice { row, score: 0.0, reason: PINNED }),
                (None, Some(_)) => return Err(Refusal::NothingSuits(MEMBER_AWAY)),
                (None, None) => {}
            }
        }
        let bound = self.bound(fleet, class);
        if let Some(row) = home.filter(|&row| bound.has_room(fleet, row)) {
            return Ok(Choice { row, score: -load(fleet, row), reason: PINNED });
        }
        let choice = self.hashed(fleet, class, session, bound);
        if home.is_none() {
            self.pins.set(session, choice.row);
        }
        Ok(choice)
    }

    fn score(&mut self, fleet: &Fleet, _class: &Class, _request: &Request, row: u32) -> f32 {
        -load(fleet, row)
    }

    fn factors(&mut self, fleet: &Fleet, _class: &Class, _request: &Request, row: u32) -> Vec<f32> {
        vec![load(fleet, row)]
    }
}

impl SessionAffinity {
    /// The first member in the session's order that is below its bound, else the least loaded of those tried.
    fn hashed(&mut self, fleet: &Fleet, class: &Class, session: u64, bound: Bound) -> Choice {
        let order = if class.count() <= RENDEZVOUS_MAX {
            rendezvous(fleet, class, session)
        } else {
            self.ring.walk(fleet, class, session)
        };
        let mut best: Option<(f32, u32)> = None;
        for (tried, &row) in order.iter().enumerate() {
            let load = load(fleet, row);
            if bound.has_room(fleet, row) {
                return Choice { row, score: -load, reason: if tried == 0 { HASHED } else { OVERFLOWED } };
            }
            if best.is_none_or(|(least, _)| load < least) {
                best = Some((load, row));
            }
        }
        let (load, row) = best.unwrap_or((0.0, class.nth(0)));
        Choice { row, score: -load, reason: OVERFLOWED }
    }

    fn bound(&self, fleet: &Fleet, class: &Class) -> Bound {
        let count = class.count();
        let sample = count.min(SAMPLE_MAX);
        let place = |index: u32| (u64::from(index) * u64::from(count) / u64::from(sample.max(1))) as u32;
        let rows: Vec<u32> = (0..sample).map(|index| class.nth(place(index))).collect();
        let active: f32 = rows.iter().map(|&row| fleet.u32(Column::Active, row) as f32).sum();
        let in_flight: f32 = fleet.in_flight_many(&rows).into_iter().map(|count| count as f32).sum();
        let weight: f32 = rows.iter().map(|&row| fleet.f32(Column::Weight, row)).sum();
        let scale = count as f32 / sample.max(1) as f32;
        let mean = ((active + in_flight) * scale + 1.0) / (weight * scale).max(f32::MIN_POSITIVE);
        Bound { per_weight: self.load_factor * mean, free_below: self.free_below }
    }
}

/// How much work a member may have before sessions overflow from it.
#[derive(Debug, Clone, Copy)]
struct Bound {
    /// Load factor times the mean work per weight with the new task counted.
    per_weight: f32,
    free_below: u32,
}

impl Bound {
    fn has_room(self, fleet: &Fleet, row: u32) -> bool {
        let work = fleet.u32(Column::Active, row).saturating_add(fleet.in_flight(row));
        let weight = fleet.f32(Column::Weight, row);
        work < self.free_below || (work as f32) < (self.per_weight * weight).ceil()
    }
}

/// Work per weight.
fn load(fleet: &Fleet, row: u32) -> f32 {
    let work = fleet.u32(Column::Active, row).saturating_add(fleet.in_flight(row)) as f32;
    work / fleet.f32(Column::Weight, row).max(f32::MIN_POSITIVE)
}

/// The best [`WALK_MAX`] members by `-w / ln(h)`, best first.
fn rendezvous(fleet: &Fleet, class: &Class, session: u64) -> Vec<u32> {
    let mut scored: Vec<(f64, u32)> = class
        .rows()
        .iter()
        .map(|&row| {
            let hash = unit(mix(session ^ mix(fleet.u64(Column::Identity, row)))).max(f64::MIN_POSITIVE);
            (-f64::from(fleet.f32(Column::Weight, row)) / hash.ln(), row)
        })
        .collect();
    let better = |a: &(f64, u32), b: &(f64, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    if scored.len() > WALK_MAX {
        scored.select_nth_unstable_by(WALK_MAX - 1, better);
        scored.truncate(WALK_MAX);
    }
    scored.sort_unstable_by(better);
    scored.into_iter().map(|(_, row)| row).collect()
}

impl Ring {
    /// Of 21 places of the key the one closest to its next point, and the points after it.
    fn walk(&mut self, fleet: &Fleet, class: &Class, session: u64) -> Vec<u32> {
        if self.version != Some(class.version()) {
            self.version = Some(class.version());
            self.points =
                class.rows().iter().map(|&row| (mix(fleet.u64(Column::Identity, row)), row)).collect();
            self.points.sort_unstable();
        }
        let count = self.points.len();
        let next = |key: u64| self.points.partition_point(|&(point, _)| point < key) % count.max(1);
        let probes = (0..PROBES).map(|probe| mix(session ^ mix(probe + 1)));
        let closest = probes.map(|key| {
            let place = next(key);
            (self.points.get(place).map_or(0, |&(point, _)| point.wrapping_sub(key)), place)
        });
        let start = closest.min().map_or(0, |(_, place)| place);
        (0..WALK_MAX.min(count))
            .filter_map(|step| self.points.get((start + step) % count).map(|&(_, row)| row))
            .collect()
    }
}

fn less_loaded(fleet: &Fleet, class: &Class, seed: u64) -> Choice {
    let (first, second) = Rng::new(seed).two_below(class.count());
    let (a, b) = (class.nth(first), class.nth(second));
    let (load_a, load_b) = (load(fleet, a), load(fleet, b));
    let (row, load) = if load_b < load_a { (b, load_b) } else { (a, load_a) };
    Choice { row, score: -load, reason: NO_SESSION }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::Value;
    use pilothouse_sdk::testing::{Member, World, request};

    fn member(identity: u32) -> Member {
        // A count above 2^53 would not survive the builder's f64; a mixed 32-bit number is random enough.
        let identity = (mix(u64::from(identity)) >> 32) as f64;
        Member::default()
            .with(Column::Identity, identity)
            .with(Column::Weight, 1.0)
            .with(Column::Active, 1_000.0)
    }

    fn world(count: u32) -> World<SessionAffinity> {
        World::of().members((0..count).map(member))
    }

    fn ask(world: &mut World<SessionAffinity>, session: u64) -> Choice {
        world.choose(Request { session: Some(session), ..request(session) }).unwrap()
    }

    fn owners(world: &mut World<SessionAffinity>, sessions: u64) -> Vec<u32> {
        (0..sessions).map(|session| ask(world, mix(session)).row).collect()
    }

    #[test]
    fn a_session_stays_and_a_lost_member_moves_only_its_own() {
        for count in [10, 600] {
            let mut world = world(count);
            let before = owners(&mut world, 1_000);
            assert_eq!(owners(&mut world, 1_000), before);
            let lost = before[0];
            world.update(|members| members[lost as usize] = member(lost).ineligible());
            let after = owners(&mut world, 1_000);
            assert!(before.iter().zip(&after).all(|(b, a)| b == a || *b == lost), "{count}");
            assert!(!after.contains(&lost));
            world.update(|members| members[lost as usize] = member(lost));
            assert_eq!(owners(&mut world, 1_000), after, "its return steals none");
        }
    }

    #[test]
    fn new_sessions_spread_evenly() {
        for count in [10, 600] {
            let mut counts = vec![0_u32; count as usize];
            owners(&mut world(count), 100 * u64::from(count))
                .into_iter()
                .for_each(|row| counts[row as usize] += 1);
            let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
            // The ring bounds the largest share; a member with a short arc may have few.
            let bound = if count <= RENDEZVOUS_MAX { 40 } else { 0 };
            assert!(*least > bound && *most < 180, "{count}: {least}..{most}");
        }
    }

    #[test]
    fn a_member_above_its_bound_passes_new_sessions_on() {
        let mut world = world(4);
        let first = ask(&mut world, 7).row;
        let mut fresh = self::world(4);
        fresh.update(|members| members[first as usize] = member(first).with(Column::Active, 5_000.0));
        let choice = ask(&mut fresh, 7);
        assert!(choice.row != first && choice.reason == OVERFLOWED);
    }

    #[test]
    fn a_hot_session_overflows_to_the_same_next_member_and_comes_home() {
        let mut world = world(4);
        let home = ask(&mut world, 7).row;
        let set_load = |world: &mut World<SessionAffinity>, load: f64| {
            world.update(|members| members[home as usize] = member(home).with(Column::Active, load));
        };
        set_load(&mut world, 5_000.0);
        let next = ask(&mut world, 7);
        assert!(next.row != home && next.reason == OVERFLOWED);
        assert_eq!(ask(&mut world, 7).row, next.row, "always the same one");
        set_load(&mut world, 1_000.0);
        assert_eq!((ask(&mut world, 7).row, ask(&mut world, 7).reason), (home, PINNED));
    }

    #[test]
    fn a_member_with_little_work_always_has_room() {
        let idle = |identity| member(identity).with(Column::Active, 0.0);
        let mut world = World::<SessionAffinity>::of().members((0..50).map(idle));
        let home = ask(&mut world, 7).row;
        world.update(|members| members[home as usize] = idle(home).in_flight(3));
        assert_eq!(ask(&mut world, 7).row, home, "though its share of all work is far above the mean");
        world.update(|members| members[home as usize] = idle(home).in_flight(4));
        assert_ne!(ask(&mut world, 7).row, home);
    }

    #[test]
    fn strict_sessions_wait_at_their_member_however_full_it_is() {
        let settings = [("strict", Value::Flag(true))];
        let mut world = World::<SessionAffinity>::configured(&settings).unwrap().members((0..4).map(member));
        let row = ask(&mut world, 7).row;
        world.update(|members| {
            members[row as usize] = member(row).with(Column::Active, 9_000.0);
        });
        assert_eq!((ask(&mut world, 7).row, ask(&mut world, 7).reason), (row, PINNED));
    }

    #[test]
    fn strict_sessions_are_refused_while_their_member_is_away() {
        let settings = [("strict", Value::Flag(true))];
        let mut world = World::<SessionAffinity>::configured(&settings).unwrap().members((0..4).map(member));
        let row = ask(&mut world, 7).row;
        world.update(|members| members[row as usize] = member(row).ineligible());
        let refusal = world.choose(Request { session: Some(7), ..request(1) }).unwrap_err();
        assert!(matches!(refusal, Refusal::NothingSuits(MEMBER_AWAY)));
    }
}
