//! Migrations in the world in memory: what follows what, and a mishap at every point of the way.
//!
//! Invariant: after every single action all laws of [`crate::world`] are looked at; every run ends, and
//! nobody but the owner has anything of the workload then.

use proptest::prelude::*;

use super::*;
use crate::charter::Mode;
use crate::fixture::charter;
use crate::member::Role;
use crate::order::{Key, Report};
use crate::world::{Action, Budget, Host, Side, World};

/// Enough for whatever a test does by hand.
const ALL: Budget = Budget {
    losses: 9,
    duplicates: 9,
    corruptions: 9,
    host_crashes: 9,
    restarts: 9,
    deaths: 9,
    ticks: 9,
    writes: 9,
    cancels: 9,
    heartbeats: 9,
    failovers: 9,
    rivals: 9,
};

fn with(change: fn(&mut Charter)) -> Charter {
    let mut charter = charter();
    change(&mut charter);
    charter
}

fn graceful() -> Charter {
    charter()
}

fn forced() -> Charter {
    with(|charter| charter.options.mode = Mode::Forced)
}

fn stateless() -> Charter {
    with(|charter| charter.options.preserve_state = false)
}

/// How many actions a run without mishaps takes.
fn length(charter: Charter) -> usize {
    World::new(charter, ALL, None).run(1_000)
}

fn moved(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Moved { .. })
}

fn failure(world: &World) -> &Failure {
    match world.outcome() {
        Outcome::RolledBack { failure, .. } => failure,
        other => panic!("{other:?}"),
    }
}

/// The entries of the journal, by name.
fn journal(world: &World) -> String {
    let name = |entry: &Entry| match &entry.note {
        Note::Begin(_) => "begin",
        Note::Enter(step) => step.name(),
        Note::Undo(_) => "undo",
        Note::End(_) => "end",
    };
    world.journal.iter().map(name).collect::<Vec<_>>().join(" ")
}

const MISHAPS: [Action; 8] = [
    Action::Crash { persisted: false, sent: false },
    Action::Crash { persisted: false, sent: true },
    Action::Crash { persisted: true, sent: false },
    Action::Crash { persisted: true, sent: true },
    Action::Restart(Side::Source),
    Action::Restart(Side::Target),
    Action::Die(Side::Source),
    Action::Die(Side::Target),
];

/// Runs with mishaps, each so many actions after the one before, to the end.
#[track_caller]
fn run_with(charter: Charter, mishaps: &[(usize, Action)]) -> World {
    let mut world = World::new(charter, ALL, None);
    world.act(Action::Write(Side::Source));
    for (after, mishap) in mishaps {
        world.run(*after);
        let possible = !matches!(mishap, Action::Crash { .. }) || matches!(world.host, Host::Up(_));
        if possible {
            world.act_lawfully(mishap.clone());
        }
    }
    world.run(400);
    if matches!(world.host, Host::Up(_)) {
        // Only a committed migration to a dead target goes on without an end, until somebody else takes over.
        assert_eq!(world.owner, world.charter.committed(), "{mishaps:?}: {world:#?}");
        assert!(!world.target.is_alive(), "{mishaps:?}: {world:#?}");
        world.act_lawfully(Action::FailOver);
    }
    world.run_to_the_end();
    world
}

#[test]
fn without_mishaps_the_workload_moves_and_nothing_is_left() {
    for (charter, entries) in [
        (graceful(), "begin reserve pre-copy freeze stop-source release end"),
        (forced(), "begin reserve pre-copy freeze stop-source release end"),
        (stateless(), "begin reserve freeze stop-source release end"),
    ] {
        let world = run_with(charter, &[]);
        assert_eq!(journal(&world), entries);
        assert_eq!(*world.outcome(), Outcome::Moved { downtime_ms: Some(0), source_cleaned: true });
        assert_eq!(world.owner, world.charter.committed());
        assert!(world.target.serves(world.now));
    }
}

#[test]
fn c1_to_c8_a_host_that_crashes_at_any_point_rolls_back_before_the_commit_and_forward_after_it() {
    for charter in [graceful(), forced(), stateless()] {
        for after in 0..=length(charter.clone()) {
            for mishap in &MISHAPS[..4] {
                let mut before = World::new(charter.clone(), ALL, None);
                before.run(after);
                let committed = before.owner == charter.committed();
                let ended = matches!(before.host, Host::Idle(_));
                let world = run_with(charter.clone(), &[(after, mishap.clone())]);
                if let Host::Idle(Some(outcome)) = &world.host {
                    let late_commit = mishap == &MISHAPS[1] || mishap == &MISHAPS[3];
                    let may_move = committed || ended || late_commit;
                    assert_eq!(moved(outcome), world.owner == charter.committed(), "{after} {mishap:?}");
                    assert!(may_move || !moved(outcome), "{after} {mishap:?}");
                    assert!(!committed || moved(outcome), "{after} {mishap:?}");
                }
            }
        }
    }
}

#[test]
fn c9_c10_c11_any_two_mishaps_at_any_two_points_break_no_law() {
    for charter in [graceful(), forced()] {
        let points = length(charter.clone());
        for first in 0..=points {
            for second in 0..=points {
                for one in &MISHAPS {
                    for other in &MISHAPS {
                        run_with(charter.clone(), &[(first, one.clone()), (second, other.clone())]);
                    }
                }
            }
        }
    }
}

#[test]
fn c11_three_crashes_in_a_row_are_like_one() {
    let points = length(graceful());
    for first in 0..points {
        for (second, third) in (0..9).flat_map(|second| (0..9).map(move |third| (second, third))) {
            let crash = |after: usize| (after, MISHAPS[3].clone());
            run_with(graceful(), &[crash(first), crash(second), crash(third)]);
        }
    }
}

#[test]
fn a_cancellation_is_refused_once_the_commit_was_asked_for_and_otherwise_undone() {
    for after in 0..length(graceful()) {
        let mut world = World::new(graceful(), ALL, None);
        world.run(after);
        let Host::Up(saga) = &mut world.host else { panic!("{after}") };
        let asked = saga.marks.commit_asked;
        let refused = saga.clone().cancel(world.now).err();
        assert_eq!(
            refused,
            asked.then_some(CancelRefused::Committed).filter(|_| saga.end.is_none()).or(refused)
        );
        world.act_lawfully(Action::Cancel);
        world.run_to_the_end();
        assert_eq!(moved(world.outcome()), asked, "{after}");
        assert!(asked || *failure(&world) == Failure::Cancelled, "{after}");
        assert!(asked || world.source.serves(world.now), "{after}");
    }
}

#[test]
fn the_freeze_waits_until_the_pause_fits_or_never_comes() {
    // 1 MB/s as measured, 5 s allowed: 5 MB may be left.
    let mega = |parts: &[u64]| parts.iter().map(|part| part * 1_000_000).collect::<Vec<_>>();
    for (charter, dirty_bytes, rounds, failed) in [
        (graceful(), mega(&[5]), 2, false),
        (graceful(), mega(&[6, 5]), 3, false),
        (graceful(), mega(&[90, 60, 30, 6, 5]), 6, false),
        (graceful(), mega(&[90, 60, 30, 20, 10]), 5, true),
        (graceful(), mega(&[90, 85]), 2, true),
        (forced(), mega(&[90, 85]), 3, false),
    ] {
        let mut world = World::new(charter, ALL, None);
        world.dirty_bytes.clone_from(&dirty_bytes);
        let mut round = 0;
        while let Some(action) = world.next_ordinary() {
            world.act_lawfully(action);
            if let Host::Up(saga) = &world.host {
                round = saga.status().progress.round;
            }
        }
        assert_eq!((round, !moved(world.outcome())), (rounds, failed), "{dirty_bytes:?}");
        if failed {
            assert!(matches!(failure(&world), Failure::NotConverging { allowed_ms: 5_000, .. }));
            assert_eq!((world.owner.epoch, world.source.guard.role()), (1, Role::Serving), "never frozen");
        }
    }
}

#[test]
fn a_frozen_source_is_back_when_the_bound_on_downtime_is_reached() {
    let charter = with(|charter| {
        charter.options.max_downtime_ms = 1_500;
        charter.patience.step_timeout_ms = 2_000;
    });
    let mut world = World::new(charter, ALL, None);
    while world.source.guard.role() != Role::Frozen {
        let action = world.next_ordinary().unwrap();
        world.act_lawfully(action);
    }
    let frozen_at = world.now;
    world.act_lawfully(Action::Die(Side::Target));
    world.run(400);
    assert_eq!(*failure(&world), Failure::DowntimeExceeded);
    assert_eq!((world.owner.member.as_str(), world.owner.epoch), ("a", 2), "under a new epoch");
    assert!(world.source.serves(frozen_at.plus_ms(1_501)), "while the target is still asked to clean up");
}

#[test]
fn c9_a_forced_migration_of_a_dead_source_waits_for_the_end_of_its_lease_a_graceful_one_is_refused() {
    let run = |charter: Charter| {
        let mut world = World::new(charter, ALL, None);
        world.act_lawfully(Action::Die(Side::Source));
        let began = world.now;
        world.run_to_the_end();
        (world.outcome().clone(), world.now.since_ms(began), journal(&world))
    };
    let lost = Outcome::Moved { downtime_ms: None, source_cleaned: false };
    // The standby's own lease ends at the same time, so the first order to serve is refused and given again
    // after 50 ms.
    assert_eq!(run(forced()), (lost, 10_050, "begin reserve start-standby end".to_owned()));
    let (outcome, _, _) = run(graceful());
    let failure = Failure::SourceUnreachable;
    assert_eq!(outcome, Outcome::RolledBack { failure, source_resumed: true, target_cleaned: true });
}

#[test]
fn a_deadline_ends_a_migration_that_is_not_committed() {
    let charter = with(|charter| charter.options.deadline_ms = Some(100));
    let mut world = World::new(charter, ALL, None);
    world.run(4);
    world.act_lawfully(Action::Die(Side::Target));
    world.run(400);
    assert_eq!(*failure(&world), Failure::DeadlineExceeded);
}

#[test]
fn a_migration_whose_journal_fails_halts_and_is_recovered() {
    let mut world = World::new(graceful(), ALL, None);
    world.run(3);
    let Host::Up(saga) = &mut world.host else { panic!() };
    assert_eq!(saga.step(Event::JournalFailed, world.now), []);
    assert_eq!(saga.status().phase, Phase::Halted);
    assert_eq!(saga.cancel(world.now), Err(CancelRefused::Over));
    world.act_lawfully(MISHAPS[0].clone());
    world.run_to_the_end();
    assert_eq!(*failure(&world), Failure::Interrupted);
}

#[test]
fn a_journal_that_is_not_whole_is_not_recovered() {
    let mut world = World::new(graceful(), ALL, None);
    world.run_to_the_end();
    let entries = &world.journal;
    let foreign = |entry: &Entry| Entry { migration: crate::id::MigrationId(8), ..entry.clone() };
    for (entries, error) in [
        (vec![], RecoverError::Empty),
        (entries[1..].to_vec(), RecoverError::NoBegin),
        ([&entries[..1], &entries[2..]].concat(), RecoverError::Gap { expected: 2 }),
        ([&entries[..2], &entries[1..]].concat(), RecoverError::Gap { expected: 3 }),
        (vec![entries[0].clone(), foreign(&entries[1])], RecoverError::Gap { expected: 2 }),
    ] {
        assert_eq!(recover(&entries, Some(&world.owner), world.now).err(), Some(error));
    }
    let (saga, commands) = recover(entries, Some(&world.owner), world.now).unwrap();
    assert_eq!((saga.status().phase, commands), (Phase::Completed, vec![]));
}

#[test]
fn late_repeated_and_foreign_events_are_counted_and_change_nothing() {
    let mut world = World::new(graceful(), ALL, None);
    world.run(3);
    let Host::Up(saga) = &world.host else { panic!() };
    let attempt = Attempt { entry: 1, number: 1 };
    for event in [
        Event::Journaled(1),
        Event::Validated(attempt, Err("late".into())),
        Event::Swapped(attempt, SwapAnswer::Applied),
        Event::OwnerRead(attempt, None),
    ] {
        let mut told = saga.clone();
        assert_eq!(told.step(event.clone(), world.now), [], "{event:?}");
        assert_eq!(told.status().stale_events, saga.status().stale_events + 1, "{event:?}");
        told.forget_stale();
        let mut before = saga.clone();
        before.forget_stale();
        assert_eq!(told, before, "{event:?}");
    }
}

#[test]
fn a_step_that_reports_progress_without_making_any_times_out() {
    for (bytes, patient) in [([1, 2, 3], true), ([1, 1, 1], false)] {
        let mut world = World::new(graceful(), ALL, None);
        while !world.attempts_under_way().any(|attempt| attempt.entry == 3) {
            let action = world.next_ordinary().unwrap();
            world.act_lawfully(action);
        }
        let Host::Up(saga) = &mut world.host else { panic!() };
        let key = Key { migration: saga.charter.migration, step: saga.step, attempt: saga.attempt() };
        let mut now = world.now;
        for bytes in bytes {
            now = now.plus_ms(1_900);
            let (workload, from) = (saga.charter.workload.clone(), saga.charter.source.clone());
            let reply = Reply { key, workload, from, epoch: 1, report: Report::Progress { bytes } };
            saga.step(Event::Reply(reply), now);
            saga.step(Event::Tick, now);
        }
        assert_eq!(saga.status().tries == 0, patient, "{bytes:?}");
    }
}

proptest! {
    #[test]
    fn any_schedule_with_any_mishaps_keeps_every_law_and_ends(
        choices in prop::collection::vec(any::<prop::sample::Index>(), 0..80),
        which in 0usize..3,
    ) {
        let charter = [graceful, forced, stateless][which]();
        let budget = Budget { deaths: 1, failovers: 0, rivals: 1, ..ALL };
        let mut world = World::new(charter, budget, None);
        for choice in choices {
            let actions = world.actions();
            if actions.is_empty() {
                break;
            }
            world.act_lawfully(choice.get(&actions).clone());
        }
        world.run(400);
        if matches!(world.host, Host::Up(_)) {
            prop_assert!(!world.target.is_alive());
        } else {
            world.run_to_the_end();
        }
    }
}
