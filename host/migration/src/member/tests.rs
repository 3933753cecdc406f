//! Orders to one member, one by one.
//!
//! Invariant: a case is a role, an order and an answer; what sequences of orders do is walked by the crate's
//! model.

use pilothouse_core::id::AgentName;

use super::*;
use crate::fixture::{charter, member};
use crate::order::StandbyFrom;
use crate::step::Step;
use crate::transfer::StateDigest;

const LEASE_UNTIL: Now = Now(100);

fn order(migration: u64, number: u32, epoch: u64, task: Task) -> Order {
    let attempt = Attempt { entry: 1, number };
    let key = Key { migration: MigrationId(migration), step: Step::Validate, attempt };
    Order { key, workload: AgentName::parse("w").unwrap(), epoch, task }
}

fn reserve() -> Task {
    Task::Reserve { resources: charter().resources, hold_ms: 50 }
}

fn send(last: bool) -> Task {
    Task::Send { to: member("b"), round: 1, last, compress: false }
}

const STANDBY: Task = Task::StartStandby(StandbyFrom::Nothing);
const VERIFY: Task = Task::Verify { lease_ms: 100 };

/// A copy placed in epoch 3, with a lease.
fn source() -> Guard {
    Guard::placed(member("a"), 3, charter().resources, LEASE_UNTIL)
}

/// Gives orders of migration 4 in epoch 3 and has them done; the last answer.
fn after(mut guard: Guard, tasks: &[Task]) -> Guard {
    for (number, task) in (0..).zip(tasks) {
        assert_eq!(obey(&mut guard, order(4, number, 3, task.clone()), Now(10)), Report::Done, "{task:?}");
    }
    guard
}

fn obey(guard: &mut Guard, order: Order, now: Now) -> Report {
    let mut commands = guard.step(Event::Order(order), now);
    if let Some(Command::Do(order)) = commands.first() {
        let key = order.key;
        commands = guard.step(Event::Done(key, Report::Done), now);
    }
    let replies = commands.into_iter().filter_map(|command| match command {
        Command::Reply(reply) => Some(reply.report),
        _ => None,
    });
    replies.last().unwrap()
}

fn recorded(owner: &str, epoch: u64, settled: bool, asked_at: u64) -> Event {
    let owner = crate::owner::Owner { member: member(owner), epoch, by: None };
    Event::Recorded(Recorded { owner, settled, asked_at: Now(asked_at), lease_ms: 100 })
}

#[test]
fn each_role_takes_the_orders_that_fit_it() {
    let empty = || Guard::new(member("b"));
    let refused = Report::Refused;
    let (missing, occupied) = (refused(Refusal::Missing), refused(Refusal::Occupied));
    for (guard, epoch, task, report) in [
        (empty(), 3, reserve(), Report::Done),
        (empty(), 3, Task::Abort, Report::Done),
        (empty(), 3, Task::Release, Report::Done),
        (empty(), 3, Task::Stop, Report::Done),
        (empty(), 3, Task::Freeze, missing.clone()),
        (empty(), 3, STANDBY, missing.clone()),
        (empty(), 4, Task::Activate, missing.clone()),
        (empty(), 4, Task::Resume, missing.clone()),
        (source(), 3, send(false), Report::Done),
        (source(), 3, send(true), missing.clone()),
        (source(), 3, reserve(), occupied.clone()),
        (source(), 4, reserve(), occupied.clone()),
        (source(), 3, Task::Abort, occupied.clone()),
        (source(), 2, Task::Freeze, refused(Refusal::StaleEpoch { known: 3 })),
        (after(source(), &[Task::Freeze]), 3, send(true), Report::Done),
        (after(source(), &[Task::Freeze]), 4, send(false), missing.clone()),
        (after(source(), &[Task::Freeze]), 4, Task::Resume, Report::Done),
        (after(source(), &[Task::Freeze]), 3, reserve(), occupied),
        (after(source(), &[Task::Freeze, Task::Stop]), 4, reserve(), Report::Done),
        (after(empty(), &[reserve()]), 4, Task::Activate, missing.clone()),
        (after(empty(), &[reserve()]), 3, Task::Stop, missing.clone()),
        (after(empty(), &[reserve(), STANDBY]), 4, Task::Activate, missing),
        (after(empty(), &[reserve(), STANDBY, VERIFY]), 4, Task::Activate, Report::Done),
        (after(empty(), &[reserve(), STANDBY, VERIFY]), 3, Task::Abort, Report::Done),
    ] {
        let mut tried = guard.clone();
        assert_eq!(
            obey(&mut tried, order(4, 9, epoch, task.clone()), Now(20)),
            report,
            "{task:?} to {guard:?}"
        );
    }
}

#[test]
fn c21_an_order_given_twice_is_done_once_and_an_older_one_is_refused() {
    let mut guard = source();
    let freeze = order(4, 2, 3, Task::Freeze);
    assert_eq!(guard.step(Event::Order(freeze.clone()), Now(1)), [Command::Do(freeze.clone())]);
    assert_eq!(guard.step(Event::Order(freeze.clone()), Now(1)), [], "the driver is at it");
    let done = guard.step(Event::Done(freeze.key, Report::Done), Now(2));
    assert_eq!(guard.step(Event::Order(freeze.clone()), Now(3)), done, "the same reply");
    assert_eq!(guard.step(Event::Done(freeze.key, Report::Done), Now(3)), [], "nobody asked");
    let stale = Report::Refused(Refusal::StaleAttempt);
    assert_eq!(obey(&mut guard, order(4, 1, 3, send(false)), Now(3)), stale);
    assert_eq!(obey(&mut guard, order(0, 9, 3, send(false)), Now(3)), stale, "of an older migration");
}

#[test]
fn c19_a_copy_serves_until_its_lease_ends_and_again_when_the_record_renews_it() {
    let mut guard = source();
    assert_eq!([99, 100].map(|now| guard.serves(Now(now))), [true, false]);
    assert_eq!(guard.next_deadline(Now(0)), Some(LEASE_UNTIL));
    guard.step(recorded("a", 3, true, 120), Now(130));
    assert_eq!([219, 220].map(|now| guard.serves(Now(now))), [true, false], "it counts from the asking");
    assert!(!guard.restarted().serves(Now(150)), "a restarted member asks first");
}

#[test]
fn c20_a_copy_whose_resumption_was_lost_in_a_restart_resumes_by_its_record() {
    let mut guard = after(source(), &[Task::Freeze]);
    let resume = order(4, 2, 4, Task::Resume);
    assert_eq!(guard.step(Event::Order(resume.clone()), Now(20)), [Command::Do(resume)]);
    let mut guard = guard.restarted();
    assert_eq!(guard.role(), Role::Frozen);
    guard.step(recorded("a", 3, true, 30), Now(30));
    assert_eq!(guard.role(), Role::Frozen, "the epoch in which it was frozen is used up");
    guard.step(recorded("a", 4, true, 40), Now(40));
    assert_eq!((guard.role(), guard.epoch(), guard.serves(Now(40))), (Role::Serving, 4, true));
}

#[test]
fn c20_a_copy_whose_record_names_another_stops_and_goes_once_that_is_settled() {
    let mut guard = source();
    assert_eq!(guard.step(recorded("b", 4, false, 10), Now(10)), []);
    assert_eq!((guard.role(), guard.serves(Now(10))), (Role::Frozen, false));
    let gone = [Command::Discard, Command::GiveBack(charter().resources)];
    assert_eq!(guard.step(recorded("b", 4, true, 11), Now(11)), gone);
    assert_eq!(guard.step(recorded("b", 4, true, 12), Now(12)), [], "once");
}

#[test]
fn c12_what_a_dead_migration_left_on_its_target_goes_but_not_what_a_newer_one_has_begun() {
    let mut guard = after(Guard::new(member("b")), &[reserve(), STANDBY]);
    assert_eq!(guard.step(recorded("a", 3, false, 11), Now(11)), [], "it is under way");
    assert_eq!(guard.step(recorded("a", 3, true, 10), Now(11)), [], "it was not when the member asked");
    let gone = [Command::Discard, Command::GiveBack(charter().resources)];
    assert_eq!(guard.step(recorded("a", 3, true, 11), Now(11)), gone);
}

#[test]
fn a_frozen_copy_serves_again_only_under_a_newer_epoch_that_names_it() {
    let frozen = after(source(), &[Task::Freeze]);
    for (event, role) in [
        (recorded("a", 3, true, 11), Role::Frozen),
        (recorded("a", 2, true, 11), Role::Frozen),
        (recorded("a", 4, true, 9), Role::Serving),
        (recorded("a", 4, true, 11), Role::Serving),
        (recorded("b", 4, false, 11), Role::Frozen),
    ] {
        let mut guard = frozen.clone();
        guard.step(event.clone(), Now(20));
        assert_eq!(guard.role(), role, "{event:?}");
    }
}

#[test]
fn c17_a_reservation_lapses_unless_its_migration_gives_a_sign_and_a_standby_does_not() {
    let mut guard = after(Guard::new(member("b")), &[reserve()]);
    guard.step(Event::Sign(MigrationId(8)), Now(40));
    assert_eq!(guard.next_deadline(Now(40)), Some(Now(60)), "another migration's sign does not count");
    guard.step(Event::Sign(MigrationId(4)), Now(40));
    assert_eq!(guard.step(Event::Tick, Now(89)), []);
    let gone = [Command::Discard, Command::GiveBack(charter().resources)];
    assert_eq!(guard.step(Event::Tick, Now(90)), gone);
    assert_eq!(guard.step(Event::Tick, Now(91)), []);
    let mut standby = after(Guard::new(member("b")), &[reserve(), STANDBY]);
    assert_eq!((standby.next_deadline(Now(10)), standby.step(Event::Tick, Now(900))), (None, vec![]));
}

#[test]
fn an_order_to_serve_that_comes_after_the_lease_is_refused_until_the_record_renews_it() {
    let mut standby = after(Guard::new(member("b")), &[reserve(), STANDBY, VERIFY]);
    let activate = |number| order(4, number, 4, Task::Activate);
    assert_eq!(obey(&mut standby, activate(7), Now(110)), Report::Refused(Refusal::LeaseOver));
    standby.step(recorded("b", 4, false, 111), Now(111));
    assert_eq!(standby.role(), Role::Standby { verified: true }, "the record starts no standby");
    assert_eq!(obey(&mut standby, activate(8), Now(112)), Report::Done);
    assert!(standby.serves(Now(112)));
    assert_eq!(standby.epoch(), 4);
}

#[test]
fn what_the_driver_refuses_changes_no_role_but_a_freeze_holds_from_the_order_on() {
    let refuse = |guard: &mut Guard, task: Task| {
        let order = order(4, 1, 3, task);
        guard.step(Event::Order(order.clone()), Now(1));
        let failed = Report::Refused(Refusal::failed("disk\nfull"));
        guard.step(Event::Done(order.key, failed), Now(1))
    };
    let mut empty = Guard::new(member("b"));
    refuse(&mut empty, reserve());
    assert_eq!((empty.role(), empty.step(Event::Tick, Now(900))), (Role::Absent, vec![]));
    let mut guard = source();
    let commands = refuse(&mut guard, Task::Freeze);
    assert_eq!(guard.role(), Role::Frozen);
    let Some(Command::Reply(Reply { report: Report::Refused(why), .. })) = commands.first() else { panic!() };
    assert_eq!(why.to_string(), "disk\\nfull");
}

#[test]
fn a_reservation_is_not_aborted_before_the_driver_has_made_it() {
    let mut guard = Guard::new(member("b"));
    let (made, abort) = (order(4, 1, 3, reserve()), |number| order(4, number, 3, Task::Abort));
    guard.step(Event::Order(made.clone()), Now(1));
    assert_eq!(guard.step(Event::Order(abort(2)), Now(2)), [], "it is asked again");
    guard.step(Event::Done(made.key, Report::Done), Now(3));
    guard.step(Event::Order(abort(3)), Now(4));
    let gone = guard.step(Event::Done(abort(3).key, Report::Done), Now(5));
    assert_eq!(gone.first(), Some(&Command::GiveBack(charter().resources)));
}

#[test]
fn a_digest_is_passed_on_as_the_driver_found_it() {
    let mut guard = after(Guard::new(member("b")), &[reserve(), STANDBY]);
    let verify = order(4, 9, 3, VERIFY);
    guard.step(Event::Order(verify.clone()), Now(10));
    let verified = Report::Verified(StateDigest([7; 32]));
    let commands = guard.step(Event::Done(verify.key, verified.clone()), Now(11));
    assert!(matches!(commands.as_slice(), [Command::Reply(reply)] if reply.report == verified));
}

#[test]
fn what_was_durable_comes_back_without_a_lease() {
    let guards =
        [source(), after(source(), &[Task::Freeze]), after(Guard::new(member("b")), &[reserve(), STANDBY])];
    for guard in guards {
        let recalled = Guard::recalled(guard.me.clone(), guard.kept(), Now(500));
        assert_eq!(recalled, guard.clone().restarted());
        assert!(!recalled.serves(Now(500)));
    }
    let reserved = after(Guard::new(member("b")), &[reserve()]);
    let recalled = Guard::recalled(member("b"), reserved.kept(), Now(5_000));
    assert_eq!(recalled.next_deadline(Now(5_000)), Some(Now(5_050)), "the reservation counts anew");
}

#[test]
fn a_halted_copy_stays_as_state_unless_it_is_to_be_erased() {
    let mut guard = source();
    assert_eq!((guard.halt(2, true), guard.role()), (Vec::new(), Role::Serving), "an older epoch");
    assert_eq!((guard.halt(3, false), guard.role()), (Vec::new(), Role::Stopped));
    assert_eq!(guard.halt(3, true), [Command::Discard, Command::GiveBack(charter().resources)]);
    assert_eq!(guard.role(), Role::Absent);
    let mut reserved = after(Guard::new(member("b")), &[reserve()]);
    assert_eq!(reserved.halt(9, true), [], "that is the migration's");
}
