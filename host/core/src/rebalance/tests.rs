//! Triggers, plans and executions as cases, and the laws of plans under arbitrary advice.

use proptest::prelude::*;

use super::*;
use crate::id::{AgentName, MemberId};
use crate::member::Resources;
use crate::room::Room;
use crate::room::tests::node;

const ID: PlanId = PlanId { boot: 1, sequence: 1 };

fn id(text: &str) -> MemberId {
    MemberId::parse(text).unwrap()
}

fn agent(text: &str) -> AgentName {
    AgentName::parse(text).unwrap()
}

/// Members `m0`, `m1`, … that can carry 100, each with the workloads whose loads are listed, named `a0`, `a1`, ….
fn fleet(loads: &[&[u64]]) -> Snapshot {
    let mut residents = Vec::new();
    for (row, loads) in loads.iter().enumerate() {
        for &load in *loads {
            residents.push(Resident {
                workload: agent(&format!("a{}", residents.len())),
                member: id(&format!("m{row}")),
                epoch: 7,
                load,
                needs: Resources::default(),
                priority: 0,
                age_ms: 1_000,
            });
        }
    }
    let member = |(row, loads): (u32, &&[u64])| MemberLoad {
        id: id(&format!("m{row}")),
        row,
        load: loads.iter().sum(),
        capacity: 100,
        room: Room::of(&node("m", "eu", 0, 0, 0), 0.0),
        takes_work: true,
    };
    let workloads = residents.len();
    Snapshot { epoch: 3, members: (0..).zip(loads).map(member).collect(), residents, workloads }
}

/// Advice as `(handle, row)`.
fn moves(advice: &[(u32, u32)]) -> Vec<request::Move> {
    advice.iter().map(|&(workload, to)| request::Move { workload, to, gain: 1.0 }).collect()
}

fn asked() -> Cause {
    Cause::Asked { by: "test".to_owned() }
}

fn generous() -> Rules {
    Rules { moved_share_max: 1.0, ..Rules::default() }
}

fn view(snapshot: &Snapshot, now_ms: u64) -> View<'_> {
    View { snapshot, eligible: &|_, _| true, now: Now(now_ms) }
}

fn planned(rules: Rules, snapshot: &Snapshot, advice: &[request::Move]) -> Plan {
    Rebalancer::new(rules).plan(ID, asked(), advice, view(snapshot, 0))
}

#[test]
fn a_cause_must_hold_for_three_windows_in_a_row() {
    let (even, uneven, full) =
        (fleet(&[&[50], &[50]]), fleet(&[&[60], &[30]]), fleet(&[&[95], &[90], &[90]]));
    let imbalance = Some(Cause::Imbalance { ratio: 0.6 / 0.45 });
    let fullness = Some(Cause::Full { member: id("m0"), utilisation: 0.95 });
    for (name, windows, expected) in [
        ("even", vec![&even; 9], None),
        ("two are not enough", vec![&uneven, &uneven], None),
        ("three are", vec![&uneven, &uneven, &uneven], imbalance),
        ("interrupted", vec![&uneven, &uneven, &even, &uneven, &uneven], None),
        ("counted anew after a cause", vec![&uneven, &uneven, &uneven, &uneven], None),
        ("full though even", vec![&full, &full, &full], fullness),
    ] {
        let mut rebalancer = Rebalancer::new(Rules::default());
        let last = windows.into_iter().map(|window| rebalancer.window(window)).last().unwrap();
        assert_eq!(last, expected, "{name}");
    }
}

#[test]
fn the_lower_bound_counts_moves_of_the_biggest_item() {
    for (loads, ratio, expected) in [
        (&[&[50_u64, 10][..], &[][..]][..], 1.0, 1),
        (&[&[10, 10, 10, 10], &[]], 1.0, 2),
        (&[&[10, 10, 10, 10], &[]], 1.2, 2),
        (&[&[10, 10], &[10, 10]], 1.0, 0),
        (&[&[], &[]], 1.0, 0),
    ] {
        assert_eq!(fleet(loads).moves_min(ratio), expected, "{loads:?}");
    }
}

#[test]
fn a_proposed_move_passes_or_says_why_not() {
    let snapshot = fleet(&[&[20, 20, 40], &[10], &[70]]);
    let mut cramped = snapshot.clone();
    cramped.members[1].room = Room::of(&node("m1", "eu", 1, 1, 0), 0.0);
    let mut standby = snapshot.clone();
    standby.members[1].takes_work = false;
    let mut unknown = snapshot.clone();
    unknown.members[1].capacity = 0;
    let worthless = [request::Move { workload: 0, to: 1, gain: f32::NAN }];
    let good = moves(&[(0, 1)]);
    for (name, snapshot, advice, expected) in [
        ("good", &snapshot, good.clone(), None),
        ("unknown workload", &snapshot, moves(&[(9, 1)]), Some("no workload")),
        ("unknown row", &snapshot, moves(&[(0, 9)]), Some("no member")),
        ("nowhere", &snapshot, moves(&[(0, 0)]), Some("already")),
        ("twice", &snapshot, moves(&[(0, 1), (0, 2)]), Some("already")),
        ("no gain", &snapshot, worthless.to_vec(), Some("gains NaN")),
        ("to a fuller one", &snapshot, moves(&[(0, 2)]), Some("end at 0.900")),
        ("not by the margin", &fleet(&[&[50, 2], &[48]]), moves(&[(1, 1)]), Some("too close")),
        ("no room", &cramped, good.clone(), Some("no room")),
        ("takes no work", &standby, good.clone(), Some("takes no work")),
        ("unknown capacity", &unknown, good, Some("takes no work")),
    ] {
        let plan = planned(generous(), snapshot, &advice);
        let why = plan.refused.last().map(|refused| refused.why.to_string());
        match expected {
            None => assert!(why.is_none() && plan.moves.len() == 1, "{name}: {why:?}"),
            Some(part) => assert!(why.as_ref().is_some_and(|why| why.contains(part)), "{name}: {why:?}"),
        }
    }
}

#[test]
fn a_move_into_a_forbidden_region_does_not_pass() {
    let snapshot = fleet(&[&[40, 40], &[]]);
    let forbidden = View { snapshot: &snapshot, eligible: &|_, to| to.as_str() != "m1", now: Now(0) };
    let plan = Rebalancer::new(generous()).plan(ID, asked(), &moves(&[(0, 1)]), forbidden);
    assert_eq!((plan.moves.len(), plan.refused[0].why), (0, Why::Ineligible));
}

#[test]
fn one_per_cent_moves_in_a_window_but_at_least_one_and_none_twice_in_its_cooldown() {
    let loads: Vec<u64> = vec![1; 80];
    let snapshot = fleet(&[&loads, &[]]);
    let all: Vec<(u32, u32)> = (0..80).map(|handle| (handle, 1)).collect();
    for (share, expected) in [(0.01, 1), (0.05, 4), (1.0, 39)] {
        let rules = Rules { moved_share_max: share, ..Rules::default() };
        assert_eq!(planned(rules, &snapshot, &moves(&all)).moves.len(), expected, "{share}");
    }
    let rules = Rules::default();
    let mut recent = Recent::default();
    recent.note(&rules, &agent("a0"), Now(0));
    for (now_ms, budget, cools_down) in [(0, 0, true), (60_000, 1, true), (600_000, 1, false)] {
        assert_eq!(recent.budget(&rules, 80, Now(now_ms)), budget, "at {now_ms}");
        assert_eq!(recent.cools_down(&rules, &agent("a0"), Now(now_ms)), cools_down, "at {now_ms}");
    }
}

#[test]
fn at_its_bound_the_memory_of_moves_leaves_no_budget() {
    let rules = generous();
    let mut recent = Recent::default();
    let started = (0..RECENT_MAX).map(|index| (agent(&format!("a{index}")), Now(0)));
    recent.started = started.collect();
    assert_eq!(recent.budget(&rules, 1_000_000, Now(1)), 0);
    recent.note(&rules, &agent("late"), Now(1));
    assert_eq!(recent.started.len(), RECENT_MAX);
    recent.note(&rules, &agent("later"), Now(600_000));
    assert_eq!(recent.started.len(), 1);
}

#[test]
fn a_plan_is_stale_when_the_fleet_moved_under_it() {
    let snapshot = fleet(&[&[40, 40], &[]]);
    let changed = |change: fn(&mut Snapshot)| {
        let mut snapshot = snapshot.clone();
        change(&mut snapshot);
        snapshot
    };
    let moved = Some(ExecuteError::Stale(Stale::Moved(agent("a0"))));
    for (name, now_ms, snapshot, expected) in [
        ("as it was", 1, snapshot.clone(), None),
        ("another epoch of the fleet alone", 1, changed(|fleet| fleet.epoch += 1), None),
        ("too old", 300_001, snapshot.clone(), Some(ExecuteError::Stale(Stale::Expired))),
        ("another owner", 1, changed(|fleet| fleet.residents[0].epoch += 1), moved.clone()),
        ("gone", 1, changed(|fleet| fleet.residents.clear()), moved),
        (
            "the target filled up",
            1,
            changed(|fleet| fleet.members[1].load = 60),
            Some(ExecuteError::Stale(Stale::NoLongerPasses {
                workload: agent("a0"),
                why: Why::Margin { before: 0.8, after: 1.0 },
            })),
        ),
    ] {
        let mut rebalancer = Rebalancer::new(generous());
        rebalancer.plan(ID, asked(), &moves(&[(0, 1)]), view(&fleet(&[&[40, 40], &[]]), 0));
        assert_eq!(rebalancer.execute(ID, view(&snapshot, now_ms)).err(), expected, "{name}");
        let again = rebalancer.execute(ID, view(&snapshot, now_ms)).unwrap_err();
        let busy = matches!(again, ExecuteError::Busy(_) | ExecuteError::Unknown(_));
        assert!(busy, "{name}: never twice: {again:?}");
    }
}

/// Walks an execution of ten moves: `+` the oldest running migration succeeded, `-` it failed, `s` somebody stops.
fn walk(script: &str) -> (Vec<String>, Option<Summary>) {
    let (snapshot, now) = (fleet(&[&[1; 20], &[]]), Now(1));
    let advice: Vec<(u32, u32)> = (0..9).map(|handle| (handle, 1)).collect();
    let mut rebalancer = Rebalancer::new(generous());
    rebalancer.plan(ID, asked(), &moves(&advice), view(&snapshot, 0));
    let mut commands = rebalancer.execute(ID, view(&snapshot, 1)).unwrap();
    let (mut started, mut settled) = (Vec::new(), 0);
    let mut summary = None;
    for symbol in script.chars().map(Some).chain([None]) {
        for command in commands {
            match command {
                Command::Migrate(planned) => started.push(planned.workload),
                Command::Finished(how) => summary = Some(how),
            }
        }
        let oldest = started.get(settled).cloned().unwrap_or_else(|| agent("none"));
        settled += usize::from(matches!(symbol, Some('+' | '-')));
        commands = match symbol {
            Some('+') => rebalancer.settled(&oldest, Ok(()), now),
            Some('-') => rebalancer.settled(&oldest, Err(Failure::Fenced { found: 9 }), now),
            Some(_) => rebalancer.stop(now),
            None => Vec::new(),
        };
    }
    (started.into_iter().map(|name| name.to_string()).collect(), summary)
}

#[test]
fn executions_run_a_few_at_a_time_and_end_once() {
    for (script, started, ended) in [
        ("", 4, None),
        ("+", 5, None),
        ("+++++++++", 9, Some((9, 0, 0))),
        ("--", 6, None),
        ("---", 6, None),
        ("---+++", 6, Some((3, 3, 3))),
        ("s", 4, None),
        ("+s++++", 5, Some((5, 0, 4))),
    ] {
        let (names, summary) = walk(script);
        assert_eq!(names.len(), started, "{script}");
        let counts = |how: Summary| (how.moved.len(), how.failed.len(), how.not_started.len());
        assert_eq!(summary.map(counts), ended, "{script}");
    }
}

#[test]
fn the_oldest_plan_is_forgotten_at_the_bound_and_an_empty_one_ends_at_once() {
    let snapshot = fleet(&[&[1], &[]]);
    let mut rebalancer = Rebalancer::new(Rules::default());
    for sequence in 0..=PLANS_MAX as u64 {
        rebalancer.plan(PlanId { boot: 1, sequence }, asked(), &[], view(&snapshot, 0));
    }
    let (first, last) = (PlanId { boot: 1, sequence: 0 }, PlanId { boot: 1, sequence: PLANS_MAX as u64 });
    assert_eq!(rebalancer.execute(first, view(&snapshot, 0)), Err(ExecuteError::Unknown(first)));
    let ended = rebalancer.execute(last, view(&snapshot, 0)).unwrap();
    assert!(matches!(&ended[..], [Command::Finished(_)]) && rebalancer.running().is_none());
    assert_eq!(PlanId::parse(&last.to_string()), Some(last));
}

#[test]
fn rules_out_of_range_are_refused_by_name() {
    Rules::default().check().unwrap();
    for (rules, field) in [
        (Rules { margin: 0.0, ..Rules::default() }, "margin"),
        (Rules { imbalance_max: f64::NAN, ..Rules::default() }, "imbalance_max"),
        (Rules { parallel_max: 0, ..Rules::default() }, "parallel_max"),
    ] {
        assert_eq!(rules.check().unwrap_err().field, field);
    }
}

prop_compose! {
    fn any_fleet()(loads in prop::collection::vec(prop::collection::vec(1_u64..30, 0..8), 2..6)) -> Snapshot {
        fleet(&loads.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }
}

/// Carries a plan out, as the migrations would.
fn apply(snapshot: &mut Snapshot, plan: &Plan) {
    for planned in &plan.moves {
        for resident in snapshot.residents.iter_mut().filter(|one| one.workload == planned.workload) {
            (resident.member, resident.epoch) = (planned.to.clone(), resident.epoch + 1);
        }
        for member in &mut snapshot.members {
            member.load += if member.id == planned.to { planned.load } else { 0 };
            member.load -= if member.id == planned.from { planned.load } else { 0 };
        }
    }
}

proptest! {
    #[test]
    fn no_plan_raises_the_maximum_and_every_prediction_comes_true(
        mut snapshot in any_fleet(),
        advice in prop::collection::vec((0_u32..50, 0_u32..8), 0..40),
    ) {
        let plan = planned(generous(), &snapshot, &moves(&advice));
        apply(&mut snapshot, &plan);
        prop_assert!(plan.after.max <= plan.before.max);
        prop_assert_eq!(Imbalance::of(&snapshot.members), plan.after);
        prop_assert_eq!(plan.moves.len() + plan.refused.len(), advice.len());
    }

    #[test]
    fn plan_after_plan_comes_to_rest_however_eager_the_policy(mut snapshot in any_fleet(), seed in 0_u32..1_000) {
        let mut all: Vec<(u32, u32)> =
            (0..40).flat_map(|handle| (0..6).map(move |row| (handle, (row + seed) % 6))).collect();
        all.rotate_left(seed as usize % 240);
        let mut rounds = 0;
        loop {
            let plan = planned(generous(), &snapshot, &moves(&all));
            if plan.moves.is_empty() {
                break;
            }
            apply(&mut snapshot, &plan);
            rounds += 1;
            prop_assert!(rounds < 200, "goes in circles");
        }
    }
}
