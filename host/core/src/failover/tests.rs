//! Failovers against a world of records, reservations and running workloads, checked at every command.
//!
//! Invariants checked by [`World::carry_out`]: I1 (one change of owner per epoch), I5 (capacity less headroom), I13
//! (nothing under the brake), journal before effect, reservations released once; at the end I2 (nobody is lost).

mod world;

use proptest::prelude::*;

use super::*;
use crate::room::tests::{memory, node};
use world::{World, agent, id, label, terms, workload};

/// A world of three survivors with ten slots each, and workloads `w0`, `w1`, … of the lost member `dead`.
fn world(count: usize) -> World {
    let workloads = (0..count).map(|index| workload(&format!("w{index}"), "dead")).collect();
    World::new(Rules { jitter_ms: 0, headroom_share: 0.0, ..Rules::default() }, workloads)
}

fn left(world: &World) -> Vec<(String, Reason)> {
    world.summary().left.iter().map(|(name, reason)| (name.to_string(), *reason)).collect()
}

#[test]
fn c9_the_workloads_of_a_dead_member_run_elsewhere() {
    let mut world = world(20);
    world.open(Origin::Detector);
    world.settle();
    assert_eq!((world.summary().outcome, world.summary().placed.len()), (Outcome::Done, 20));
    assert!(world.records.values().all(|record| record.epoch == 8 && record.owner.as_str() != "dead"));
}

#[test]
fn c34_without_room_for_all_the_most_important_go_first_and_the_rest_has_reasons() {
    let mut world = world(40);
    for (name, record) in &mut world.records {
        terms(record).priority = i32::from(name.as_str().len() == 3);
    }
    world.open(Origin::Detector);
    world.settle();
    assert_eq!((world.summary().outcome, world.summary().placed.len()), (Outcome::Partial, 30));
    assert!(left(&world).iter().all(|(name, why)| name.len() == 2 && *why == Reason::NoCapacity));
}

#[test]
fn c35_survivors_keep_their_headroom() {
    let mut world = world(30);
    world.rules.headroom_share = 0.15;
    world.survivors = ["a", "b", "c"].map(|name| (id(name), node(name, "eu", 10, 0, 0))).into();
    world.open(Origin::Detector);
    world.settle();
    assert_eq!(world.summary().placed.len(), 24, "eight of ten each");
    assert!(left(&world).iter().all(|(_, why)| *why == Reason::Headroom));
}

#[test]
fn replicas_of_a_group_come_up_one_of_each_group_first() {
    let mut world = world(6);
    world.rules.starts_per_member = 1;
    world.survivors = [(id("a"), node("a", "eu", 10, 0, 0))].into();
    for (name, record) in &mut world.records {
        terms(record).group = Some(label(if name.as_str() < "w3" { "x" } else { "y" }));
    }
    world.open(Origin::Detector);
    world.settle();
    let order: Vec<&str> = world.commits.iter().map(|plan| plan.workload.as_str()).collect();
    assert_eq!(order, ["w0", "w3", "w1", "w4", "w2", "w5"]);
}

#[test]
fn c33_a_survivor_takes_over_a_few_at_a_time() {
    let mut world = world(30);
    world.rules.starts_per_member = 2;
    world.open(Origin::Detector);
    world.until(|command| matches!(command, Command::Start { .. }));
    assert!(world.commits.len() <= 6, "{} at once", world.commits.len());
    world.settle();
    assert_eq!(world.summary().placed.len(), 30);
}

/// What becomes of one workload under a change of itself or of its world.
fn one(change: impl Fn(&mut World), origin: Origin) -> (Outcome, Option<Reason>) {
    let mut world = world(1);
    change(&mut world);
    world.open(origin);
    world.step(Event::Confirmed);
    world.settle();
    (world.summary().outcome, left(&world).first().map(|(_, reason)| *reason))
}

fn by_hand(to_regions: &[&str]) -> Origin {
    Origin::Operator { by: "ann".to_owned(), to_regions: to_regions.iter().map(|text| label(text)).collect() }
}

fn with(change: impl Fn(&mut Workload) + 'static) -> Box<dyn Fn(&mut World)> {
    Box::new(move |world| world.records.values_mut().for_each(&change))
}

#[test]
fn a_workload_that_cannot_be_placed_has_a_reason() {
    let stale = Reason::StaleState { age_ms: 9, age_max_ms: 5 };
    let copied = |age_ms| StateCopy::Copied { age_ms, age_max_ms: 5 };
    let region = |allowed: &'static str| {
        with(move |record| terms(record).requirement.allowed_regions = [label(allowed)].into())
    };
    for (name, change, origin, expected) in [
        ("stateless", with(|_| ()), Origin::Detector, None),
        ("a fresh copy", with(move |record| record.state = copied(5)), Origin::Detector, None),
        ("a stale copy", with(move |record| record.state = copied(9)), Origin::Detector, Some(stale)),
        (
            "no copy",
            with(|record| record.state = StateCopy::Missing),
            Origin::Detector,
            Some(Reason::NoState),
        ),
        ("its region", region("eu"), Origin::Detector, None),
        ("no survivor in its region", region("ap"), Origin::Detector, Some(Reason::Sovereignty)),
        ("too big", with(|record| terms(record).requirement.needs = memory(99)), Origin::Detector, None),
        (
            "no accelerator",
            with(|record| terms(record).requirement.needs.accelerator_millis = 1),
            Origin::Detector,
            Some(Reason::NoCapacity),
        ),
        ("by hand to a region", with(|_| ()), by_hand(&["us"]), None),
        ("by hand to where it may not go", region("eu"), by_hand(&["us"]), Some(Reason::Sovereignty)),
        ("by hand to nowhere", with(|_| ()), by_hand(&["ap"]), Some(Reason::Sovereignty)),
        (
            "no survivor",
            Box::new(|world| world.survivors.clear()),
            Origin::Detector,
            Some(Reason::NoCapacity),
        ),
        (
            "no target takes it",
            Box::new(|world| world.targets_refuse = true),
            Origin::Detector,
            Some(Reason::TargetsFailed(3)),
        ),
        ("every start fails", Box::new(|world| world.starts_fail = true), Origin::Detector, {
            Some(Reason::TargetsFailed(3))
        }),
        ("bad advice", Box::new(|world| world.bad_advice = true), Origin::Detector, Some(Reason::NoAdvice)),
    ] {
        let outcome = if expected.is_some() { Outcome::Partial } else { Outcome::Done };
        assert_eq!(one(change, origin), (outcome, expected), "{name}");
    }
}

#[test]
fn by_hand_nothing_happens_before_the_operator_confirms_and_a_live_member_does_not_stop_it() {
    let mut world = world(4);
    world.open(by_hand(&["us"]));
    world.run(60_000);
    assert_eq!((world.failover().phase(), world.commits.len()), (Phase::Detected, 0));
    world.step(Event::Confirmed);
    world.step(Event::Returned(id("dead")));
    world.settle();
    assert_eq!(world.summary().outcome, Outcome::Done);
    assert!(world.records.values().all(|record| record.owner == id("c")), "the only one in us");
}

#[test]
fn a_member_that_returns_keeps_what_was_not_committed() {
    let mut world = world(20);
    world.rules.starts_per_member = 1;
    world.open(Origin::Detector);
    world.until(|command| matches!(command, Command::Start { .. }));
    let committed = world.records.values().filter(|record| record.epoch == 8).count();
    world.step(Event::Returned(id("dead")));
    world.settle();
    let kept = left(&world).into_iter().filter(|(_, why)| *why == Reason::Returned).count();
    assert_eq!((world.summary().outcome, kept + world.summary().placed.len()), (Outcome::Done, 20));
    assert!((1..=3).contains(&committed) && world.summary().placed.len() <= 3, "no further commit");
    let mut world = self::world(3);
    world.rules.confirm_ms = 1_000;
    world.open(Origin::Detector);
    world.run(900);
    world.step(Event::Returned(id("dead")));
    assert_eq!((world.summary().outcome, world.commits.len()), (Outcome::Aborted, 0));
}

#[test]
fn i13_nothing_is_committed_while_the_brake_is_on() {
    let mut world = world(20);
    world.rules.starts_per_member = 1;
    world.open(Origin::Detector);
    world.until(|command| matches!(command, Command::Start { .. }));
    world.step(Event::Braked(true));
    world.run(60_000);
    // What was under way is finished: one at each survivor.
    assert_eq!((world.commits.len(), world.failover().phase()), (3, Phase::Executing));
    world.step(Event::Braked(false));
    world.settle();
    assert_eq!(world.summary().outcome, Outcome::Done);
}

#[test]
fn c10_when_a_target_dies_as_well_its_share_goes_on_to_the_next() {
    let mut world = world(9);
    world.open(Origin::Detector);
    world.until(|command| matches!(command, Command::Start { .. }));
    world.records.insert(agent("own"), workload("own", "a"));
    world.die("a");
    world.settle();
    assert_eq!((world.summary().outcome, world.summary().placed.len()), (Outcome::Done, 10));
    assert!(world.records.values().all(|record| record.owner != id("a") && record.owner != id("dead")));
    let homes = world.summary().placed.iter().filter(|placed| placed.home == id("dead")).count();
    assert_eq!(homes, 9, "home is where it lived before the failover, not the target that died");
}

#[test]
fn c16_somebody_elses_commit_is_respected() {
    let mut world = world(2);
    world.open(Origin::Detector);
    world.until(|command| matches!(command, Command::Commit(_)));
    let record = world.records.get_mut(&agent("w1")).unwrap();
    (record.owner, record.epoch) = (id("b"), 12);
    world.settle();
    assert_eq!(world.summary().outcome, Outcome::Done);
    assert_eq!(left(&world), [("w1".to_owned(), Reason::Elsewhere(12))]);
}

#[test]
fn an_operator_can_stop_it_and_what_was_committed_is_finished() {
    let mut world = world(20);
    world.rules.starts_per_member = 1;
    world.open(Origin::Detector);
    world.until(|command| matches!(command, Command::Start { .. }));
    world.step(Event::Cancelled);
    world.settle();
    let placed = world.summary().placed.len();
    assert!(world.summary().outcome == Outcome::Partial && (1..=3).contains(&placed));
    assert!(left(&world).iter().all(|(_, why)| *why == Reason::Cancelled));
}

#[test]
fn c27_after_a_crash_a_member_that_returns_in_time_keeps_its_workloads() {
    let mut world = world(6);
    world.open(Origin::Detector);
    world.until(|command| matches!(command, Command::Commit(_)));
    world.crash();
    world.step(Event::Returned(id("dead")));
    world.settle();
    // One had been answered, one was committed while the host died, and both roll forward.
    assert_eq!((world.summary().outcome, world.summary().placed.len()), (Outcome::Done, 2));
    assert_eq!(left(&world).len(), 4);
}

#[test]
fn what_is_beyond_the_bound_is_left_for_the_next_one() {
    let workloads = (0..WORKLOADS_MAX + 2).map(|index| workload(&format!("w{index}"), "dead")).collect();
    let mut world = World::new(Rules { automatic: false, ..Rules::default() }, workloads);
    world.open(Origin::Detector);
    let progress = world.failover().progress();
    assert_eq!((progress.waiting, progress.left), (WORKLOADS_MAX, 2));
}

#[test]
fn rules_out_of_range_are_refused_by_name() {
    for (rules, field) in [
        (Rules { asks_max: 0, ..Rules::default() }, "asks_max"),
        (Rules { headroom_share: 2.0, ..Rules::default() }, "headroom_share"),
        (Rules { targets_max: 0, ..Rules::default() }, "targets_max"),
    ] {
        assert_eq!(rules.check().unwrap_err().field, field);
    }
    Rules::default().check().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn whatever_dies_crashes_or_returns_whenever_nobody_is_lost_and_nothing_happens_twice(
        count in 1_usize..30,
        seed in any::<u64>(),
        troubles in prop::collection::vec((0_usize..60, 0_u8..9), 0..6),
        starts_per_member in 1_usize..8,
    ) {
        let mut world = world(count);
        world.rules.starts_per_member = starts_per_member;
        world.shuffle = Some(seed);
        world.open(Origin::Detector);
        for (steps, trouble) in troubles {
            for _ in 0..steps {
                world.one_step();
            }
            match trouble {
                // Whatever happens after the end is the next failover's.
                _ if world.has_ended() => {}
                0 => world.die("a"),
                1 => world.die("b"),
                2 | 3 => world.crash(),
                4 => world.step(Event::Returned(id("dead"))),
                5 => world.starts_fail = !world.starts_fail,
                8 => world.targets_refuse = !world.targets_refuse,
                6 => world.step(Event::Braked(true)),
                _ => world.step(Event::Cancelled),
            }
        }
        world.step(Event::Braked(false));
        (world.starts_fail, world.targets_refuse) = (false, false);
        world.settle();
        world.check_the_end();
    }
}
