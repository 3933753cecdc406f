//! The queue at its bounds, and its law under any sequence of events.
//!
//! Invariant: a request is written as `(id, workload, source, target, priority)`; nothing here runs a saga.

use proptest::prelude::*;

use super::Priority::{Drain, Failover, Rebalance, Requested};
use super::*;
use crate::fixture::member;

fn request(id: u64, workload: u8, source: &str, target: &str, priority: Priority) -> Request {
    Request {
        migration: MigrationId(id),
        workload: AgentName::parse(&format!("w{workload}")).unwrap(),
        source: member(source),
        target: member(target),
        priority,
    }
}

fn limits(parallel: usize, waiting: usize, per_source: usize, per_target: usize) -> Limits {
    Limits::new(parallel, waiting, per_source, per_target).unwrap()
}

fn ids<'a>(requests: impl IntoIterator<Item = &'a Request>) -> Vec<u64> {
    requests.into_iter().map(|request| request.migration.0).collect()
}

#[test]
fn urgent_ones_start_first_and_equals_in_the_order_of_their_coming() {
    let mut queue = Queue::new(limits(1, 9, 1, 1));
    for (id, priority) in
        [(1, Rebalance), (2, Rebalance), (3, Requested), (4, Drain), (5, Failover), (6, Drain)]
    {
        queue.submit(request(id, id as u8, "a", "b", priority)).unwrap();
    }
    assert_eq!(ids(queue.waiting()), [5, 4, 6, 3, 2]);
    assert_eq!(ids(&queue.finished(MigrationId(1))), [5]);
    assert_eq!(ids(queue.running()), [5]);
}

#[test]
fn c16_a_second_migration_of_one_workload_is_a_conflict_while_the_first_waits_and_runs() {
    let mut queue = Queue::new(limits(1, 9, 9, 9));
    queue.submit(request(1, 1, "a", "b", Requested)).unwrap();
    queue.submit(request(2, 2, "a", "b", Requested)).unwrap();
    for (workload, by) in [(1, 1), (2, 2)] {
        let conflict = SubmitRefused::Conflict { by: MigrationId(by) };
        assert_eq!(queue.submit(request(9, workload, "a", "c", Failover)), Err(conflict.clone()));
        assert_eq!(queue.adopt(request(9, workload, "a", "c", Failover)), Err(conflict));
    }
    assert_eq!(queue.submit(request(2, 3, "a", "c", Failover)), Err(SubmitRefused::SameName(MigrationId(2))));
    queue.finished(MigrationId(1));
    assert_eq!(ids(queue.running()), [2]);
    assert!(queue.submit(request(9, 1, "a", "c", Failover)).is_ok());
}

#[test]
fn a_full_queue_refuses_and_has_room_after_a_cancellation() {
    let mut queue = Queue::new(limits(1, 2, 9, 9));
    for id in 1..=3 {
        queue.submit(request(id, id as u8, "a", "b", Requested)).unwrap();
    }
    assert_eq!(queue.submit(request(4, 4, "a", "b", Failover)), Err(SubmitRefused::Full { waiting: 2 }));
    assert_eq!(queue.cancel(MigrationId(1)), Cancelled::Running);
    assert_eq!(queue.cancel(MigrationId(7)), Cancelled::Unknown);
    assert_eq!(queue.cancel(MigrationId(2)), Cancelled::Removed(request(2, 2, "a", "b", Requested)));
    assert_eq!(queue.cancel(MigrationId(2)), Cancelled::Unknown);
    assert!(queue.submit(request(4, 2, "a", "b", Failover)).is_ok());
}

#[test]
fn a_busy_member_does_not_hold_up_others() {
    let mut queue = Queue::new(limits(9, 9, 1, 2));
    for (id, source, target, starts) in [
        (1, "a", "x", vec![1]),
        (2, "a", "y", vec![]),
        (3, "b", "x", vec![3]),
        (4, "c", "x", vec![]),
        (5, "c", "y", vec![5]),
    ] {
        let started = queue.submit(request(id, id as u8, source, target, Requested)).unwrap();
        assert_eq!(ids(&started), starts, "{id}");
    }
    assert_eq!(ids(&queue.finished(MigrationId(1))), [2], "`a` is free; 4 still waits for `c`");
    assert_eq!(ids(&queue.finished(MigrationId(5))), [4]);
}

#[test]
fn recovered_ones_run_beyond_the_limit_and_count() {
    let mut queue = Queue::new(limits(1, 9, 9, 9));
    queue.adopt(request(1, 1, "a", "b", Requested)).unwrap();
    queue.adopt(request(2, 2, "a", "b", Requested)).unwrap();
    assert_eq!(ids(&queue.submit(request(3, 3, "a", "b", Requested)).unwrap()), Vec::<u64>::new());
    assert_eq!(ids(&queue.finished(MigrationId(1))), Vec::<u64>::new());
    assert_eq!(ids(&queue.finished(MigrationId(2))), [3]);
}

#[test]
fn higher_limits_start_what_waits_and_limits_are_checked() {
    let mut queue = Queue::new(limits(1, 9, 9, 9));
    for id in 1..=4 {
        queue.submit(request(id, id as u8, "a", "b", Requested)).unwrap();
    }
    assert_eq!(ids(&queue.limit(limits(3, 9, 9, 9))), [2, 3]);
    assert_eq!(Limits::default().parallel(), 10);
    assert!(Limits::new(PARALLEL_MAX, WAITING_MAX, PARALLEL_MAX, PARALLEL_MAX).is_ok());
    for (given, what) in [
        ((0, 1, 1, 1), "parallel migrations"),
        ((1_001, 1, 1, 1), "parallel migrations"),
        ((1, 100_001, 1, 1), "waiting migrations"),
        ((1, 1, 0, 1), "migrations per source"),
        ((1, 1, 1, 1_001), "migrations per target"),
    ] {
        let (parallel, waiting, per_source, per_target) = given;
        let error = Limits::new(parallel, waiting, per_source, per_target).unwrap_err();
        assert_eq!(error.what, what);
    }
}

#[derive(Debug, Clone)]
enum Happening {
    Submit { workload: u8, source: u8, target: u8, priority: Priority },
    Finish(prop::sample::Index),
    Cancel(prop::sample::Index),
}

fn happening() -> impl Strategy<Value = Happening> {
    let priority = prop::sample::select(vec![Rebalance, Requested, Drain, Failover]);
    let submit = (0u8..12, 0u8..4, 0u8..4, priority).prop_map(|(workload, source, target, priority)| {
        Happening::Submit { workload, source, target, priority }
    });
    prop_oneof![
        3 => submit,
        2 => any::<prop::sample::Index>().prop_map(Happening::Finish),
        1 => any::<prop::sample::Index>().prop_map(Happening::Cancel),
    ]
}

/// Whether the limits are kept, no workload is there twice, and nothing waits that could run.
fn is_lawful(queue: &Queue, limits: Limits) -> bool {
    let running: Vec<&Request> = queue.running().collect();
    let of_source = |source: &MemberId| running.iter().filter(|request| request.source == *source).count();
    let of_target = |target: &MemberId| running.iter().filter(|request| request.target == *target).count();
    let mut workloads: Vec<_> =
        queue.running().chain(queue.waiting()).map(|request| &request.workload).collect();
    let all = workloads.len();
    workloads.sort_unstable();
    workloads.dedup();
    let could_run = |request: &Request| {
        running.len() < limits.parallel()
            && of_source(&request.source) < limits.per_source()
            && of_target(&request.target) < limits.per_target()
    };
    running.len() <= limits.parallel()
        && running.iter().all(|request| of_source(&request.source) <= limits.per_source())
        && running.iter().all(|request| of_target(&request.target) <= limits.per_target())
        && workloads.len() == all
        && !queue.waiting().any(could_run)
}

proptest! {
    #[test]
    fn limits_hold_no_workload_is_there_twice_and_nothing_waits_that_could_run(
        happenings in prop::collection::vec(happening(), 1..80),
        parallel in 1usize..6, waiting in 1usize..8, per_source in 1usize..4, per_target in 1usize..4,
    ) {
        let limits = limits(parallel, waiting, per_source, per_target);
        let mut queue = Queue::new(limits);
        for (id, happening) in (0u64..).zip(happenings) {
            match happening {
                Happening::Submit { workload, source, target, priority } => {
                    let (source, target) = (format!("s{source}"), format!("t{target}"));
                    let _refused_or_started = queue.submit(request(id, workload, &source, &target, priority));
                }
                Happening::Finish(which) => {
                    let running = ids(queue.running());
                    if !running.is_empty() {
                        queue.finished(MigrationId(*which.get(&running)));
                    }
                }
                Happening::Cancel(which) => {
                    let waiting = ids(queue.waiting());
                    if !waiting.is_empty() {
                        let cancelled = queue.cancel(MigrationId(*which.get(&waiting)));
                        prop_assert!(matches!(cancelled, Cancelled::Removed(_)));
                    }
                }
            }
            prop_assert!(is_lawful(&queue, limits));
        }
    }
}
