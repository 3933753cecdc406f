//! The ledger's machine, case by case and over every short sequence of events.

use super::*;
use crate::id::{MemberId, OrchestratorId, TaskId};
use crate::time::{Now, WallMs};

const TIMEOUT: u64 = 300_000;

fn orchestrator(id: &str) -> OrchestratorId {
    OrchestratorId::parse(id).unwrap()
}

fn ledger() -> Ledger {
    Ledger::new(LedgerSettings { own: orchestrator("own"), timeout_ms: TIMEOUT, tokens: 1_000 })
}

pub(super) fn delegation(origin: &str, task: &str) -> Delegation {
    let task = Task {
        id: TaskId::parse(task).unwrap(),
        kind: "code".to_owned(),
        description: "Implement feature".to_owned(),
        priority: Priority::High,
        status: "pending".to_owned(),
        created_at: WallMs(1),
        updated_at: WallMs(1),
        other: "{}".into(),
    };
    Delegation {
        from: orchestrator(origin),
        to: orchestrator("own"),
        task,
        priority: Priority::High,
        demands: Demands::default(),
        passed: Vec::new(),
        context: None,
        timeout_ms: None,
        callback_id: None,
    }
}

fn key(origin: &str, task: &str) -> Key {
    Key { origin: orchestrator(origin), task: TaskId::parse(task).unwrap() }
}

fn ask(delegation: Delegation) -> LedgerEvent {
    LedgerEvent::Ask { origin: delegation.from.clone(), delegation: Box::new(delegation) }
}

fn member() -> Executor {
    Executor::Member(MemberId::parse("m").unwrap())
}

fn peer(id: &str) -> Executor {
    Executor::Orchestrator(orchestrator(id))
}

fn assigned(key: Key, load: MemberLoad) -> LedgerEvent {
    LedgerEvent::Assigned { key, load, wall: WallMs(1_000_000) }
}

fn replied(by: &str, answer: Result<Grant, Refusal>) -> LedgerEvent {
    LedgerEvent::Replied(orchestrator(by), Reply { task: TaskId::parse("t").unwrap(), answer })
}

fn called(by: &str, progress: Progress) -> LedgerEvent {
    LedgerEvent::Called(orchestrator(by), Callback { task: TaskId::parse("t").unwrap(), progress })
}

const GRANT: Grant = Grant { estimated_completion: None, sessions: 1, tokens: 10 };

/// What the commands are, in a word each.
fn words(commands: &[LedgerCommand]) -> Vec<String> {
    let word = |command: &LedgerCommand| match command {
        LedgerCommand::Choose(_, _, excluded) => {
            let excluded: Vec<&str> = excluded.iter().map(OrchestratorId::as_str).collect();
            format!("choose not {}", excluded.join(","))
        }
        LedgerCommand::Assign(..) => "assign".to_owned(),
        LedgerCommand::Forward { to, .. } => format!("forward {to}"),
        LedgerCommand::Answer(_, Reply { answer: Ok(_), .. }) => "accept".to_owned(),
        LedgerCommand::Answer(_, Reply { answer: Err(refusal), .. }) => {
            format!("refuse {}", refusal.kind.name())
        }
        LedgerCommand::Call(_, callback) => match callback.progress {
            Progress::Running(_) => "running".to_owned(),
            Progress::Completed(_) => "completed".to_owned(),
            Progress::Failed(_) => "failed".to_owned(),
        },
        LedgerCommand::Release { success, .. } => format!("release {success:?}"),
        LedgerCommand::Judge(peer, success) => format!("judge {peer} {success}"),
        LedgerCommand::Unknown(..) => "unknown".to_owned(),
    };
    commands.iter().map(word).collect()
}

/// Feeds events at times; expects the words of each step.
#[track_caller]
fn walk(ledger: &mut Ledger, steps: Vec<(u64, LedgerEvent, &[&str])>) {
    for (index, (at, event, expected)) in steps.into_iter().enumerate() {
        let said = format!("{event:?}");
        assert_eq!(words(&ledger.step(event, Now(at))), expected, "step {index}: {said}");
    }
}

#[test]
fn a_task_for_a_member_is_assigned_answered_called_back_and_released() {
    let t = || key("a", "t");
    walk(
        &mut ledger(),
        vec![
            (1, ask(delegation("a", "t")), &["choose not a"]),
            (1, LedgerEvent::Chosen(t(), member()), &["assign"]),
            (1, assigned(t(), MemberLoad::default()), &["accept"]),
            (2, LedgerEvent::Reported(t(), Progress::Running(Some(50.0))), &["running"]),
            (3, LedgerEvent::Reported(t(), Progress::Completed(None)), &["completed", "release Some(true)"]),
            (4, LedgerEvent::Reported(t(), Progress::Completed(None)), &[]),
        ],
    );
}

#[test]
fn a_task_for_a_peer_is_forwarded_and_its_news_are_passed_on() {
    let t = || key("a", "t");
    let mut ledger = ledger();
    walk(
        &mut ledger,
        vec![
            (1, ask(delegation("a", "t")), &["choose not a"]),
            (1, LedgerEvent::Chosen(t(), peer("b")), &["forward b"]),
            (2, replied("c", Ok(GRANT)), &["unknown"]),
            (2, replied("b", Ok(GRANT)), &["accept"]),
            (3, called("b", Progress::Running(None)), &["running"]),
            (4, called("b", Progress::Failed("no".to_owned())), &["failed", "judge b false"]),
            (5, called("b", Progress::Running(None)), &[]),
        ],
    );
    assert_eq!((ledger.live(), ledger.outcomes()[1]), (0, ("failed", 1)));
}

#[test]
fn after_certain_refusals_others_are_asked_and_silence_is_no_refusal() {
    let t = || key("own", "t");
    let no = || Refusal::new(RefusalKind::Overloaded, "full");
    let own =
        || LedgerEvent::Ask { origin: orchestrator("own"), delegation: Box::new(delegation("own", "t")) };
    walk(
        &mut ledger(),
        vec![
            (1, own(), &["choose not own"]),
            (1, LedgerEvent::Chosen(t(), peer("b")), &["forward b"]),
            (2, replied("b", Err(no())), &["choose not b,own"]),
            (2, LedgerEvent::Chosen(t(), peer("c")), &["forward c"]),
            (2, LedgerEvent::NotSent(t(), no()), &["choose not b,c,own"]),
            (2, LedgerEvent::Chosen(t(), peer("d")), &["forward d"]),
            (3, replied("d", Err(no())), &["refuse overloaded"]),
        ],
    );
    walk(
        &mut ledger(),
        vec![
            (1, own(), &["choose not own"]),
            (1, LedgerEvent::Chosen(t(), peer("b")), &["forward b"]),
            (TIMEOUT, LedgerEvent::Tick, &[]),
            (TIMEOUT + 1, LedgerEvent::Tick, &["refuse timeout"]),
            (TIMEOUT + 2, replied("b", Ok(GRANT)), &[]),
        ],
    );
}

#[test]
fn a_task_for_one_peer_goes_to_no_other_and_the_last_refusal_is_told() {
    let t = || key("own", "t");
    let no = || Refusal::new(RefusalKind::Overloaded, "full");
    let asked = |to: &str| {
        let delegation = Box::new(Delegation { to: orchestrator(to), ..delegation("own", "t") });
        LedgerEvent::Ask { origin: orchestrator("own"), delegation }
    };
    walk(
        &mut ledger(),
        vec![
            (1, asked("b"), &["choose not own"]),
            (1, LedgerEvent::Chosen(t(), peer("b")), &["forward b"]),
            (2, replied("b", Err(no())), &["refuse overloaded"]),
        ],
    );
    let nobody = || Refusal::new(RefusalKind::CapabilityMismatch, "nobody is left");
    walk(
        &mut ledger(),
        vec![
            (1, asked("own"), &["choose not own"]),
            (1, LedgerEvent::Chosen(t(), member()), &["assign"]),
            (1, LedgerEvent::NotAssigned(t(), no()), &["choose not own"]),
            (2, LedgerEvent::NotChosen(t(), nobody()), &["refuse overloaded"]),
        ],
    );
}

#[test]
fn a_task_that_takes_too_long_fails_and_frees_what_it_held() {
    let t = || key("a", "t");
    let mut ledger = ledger();
    walk(
        &mut ledger,
        vec![
            (1, ask(Delegation { timeout_ms: Some(100), ..delegation("a", "t") }), &["choose not a"]),
            (1, LedgerEvent::Chosen(t(), member()), &["assign"]),
            (1, assigned(t(), MemberLoad::default()), &["accept"]),
            (101, LedgerEvent::Tick, &["failed", "release Some(false)"]),
        ],
    );
    assert_eq!(ledger.live(), 0);
}

#[test]
fn the_same_question_gets_the_same_answer_and_one_assignment() {
    let t = || key("a", "t");
    let other = || {
        let mut other = delegation("a", "t");
        other.task.description = "Something else".to_owned();
        ask(other)
    };
    walk(
        &mut ledger(),
        vec![
            (1, ask(delegation("a", "t")), &["choose not a"]),
            (1, ask(delegation("a", "t")), &[]),
            (1, LedgerEvent::Chosen(t(), member()), &["assign"]),
            (1, assigned(t(), MemberLoad::default()), &["accept"]),
            (2, ask(delegation("a", "t")), &["accept"]),
            (2, other(), &["refuse rejected"]),
            (3, LedgerEvent::Reported(t(), Progress::Completed(None)), &["completed", "release Some(true)"]),
            (4, ask(delegation("a", "t")), &["accept"]),
        ],
    );
}

#[test]
fn tasks_do_not_go_in_circles() {
    let mut once_here = delegation("a", "t");
    once_here.passed = vec![orchestrator("own")];
    let mut travelled = delegation("a", "t");
    travelled.passed = (0..PASSED_MAX).map(|index| orchestrator(&format!("o{index}"))).collect();
    for delegation in [once_here, travelled] {
        walk(&mut ledger(), vec![(1, ask(delegation), &["refuse rejected"])]);
    }
    let mut ledger = ledger();
    ledger.step(ask(delegation("a", "t")), Now(1));
    let commands = ledger.step(LedgerEvent::Chosen(key("a", "t"), peer("b")), Now(101));
    let [LedgerCommand::Forward { delegation, .. }] = commands.as_slice() else { panic!("{commands:?}") };
    assert_eq!((delegation.from.as_str(), delegation.to.as_str()), ("own", "b"));
    assert_eq!(delegation.passed, [orchestrator("a"), orchestrator("own")]);
    assert_eq!(delegation.timeout_ms, Some(TIMEOUT - 100), "what is left of it");
}

#[test]
fn tasks_of_the_same_name_never_meet_at_one_peer() {
    walk(
        &mut ledger(),
        vec![
            (1, ask(delegation("a", "t")), &["choose not a"]),
            (1, LedgerEvent::Chosen(key("a", "t"), peer("b")), &["forward b"]),
            (1, ask(delegation("c", "t")), &["choose not c"]),
            (1, LedgerEvent::Chosen(key("c", "t"), peer("b")), &["choose not b,c"]),
            (2, replied("b", Ok(GRANT)), &["accept"]),
        ],
    );
}

#[test]
fn beyond_the_bound_tasks_are_refused_and_room_comes_back() {
    let mut ledger = ledger();
    for index in 0..LIVE_MAX {
        let commands = ledger.step(ask(delegation("a", &format!("t{index}"))), Now(1));
        assert_eq!(words(&commands), ["choose not a"]);
    }
    walk(
        &mut ledger,
        vec![
            (1, ask(delegation("a", "t")), &["refuse overloaded"]),
            (
                2,
                LedgerEvent::NotChosen(key("a", "t0"), Refusal::new(RefusalKind::Overloaded, "")),
                &["refuse overloaded"],
            ),
            (3, ask(delegation("a", "t")), &["choose not a"]),
        ],
    );
    assert_eq!(ledger.live(), LIVE_MAX);
    ledger.step(LedgerEvent::Tick, Now(TIMEOUT + 3));
    assert_eq!(ledger.live(), 0);
    assert!(ledger.records().count() <= 1_000, "finished ones are forgotten, the oldest first");
}

#[test]
fn tokens_are_given_from_a_budget_and_come_back() {
    let wants = |task: &str, tokens| {
        let mut wants = delegation("a", task);
        wants.demands.tokens = tokens;
        wants
    };
    let mut ledger = ledger();
    let mut take = |task: &str, tokens, load| {
        ledger.step(ask(wants(task, tokens)), Now(1));
        ledger.step(LedgerEvent::Chosen(key("a", task), member()), Now(1));
        let answer = ledger.step(assigned(key("a", task), load), Now(1));
        match answer.as_slice() {
            [LedgerCommand::Answer(_, Reply { answer: Ok(grant), .. })] => Some(grant.tokens),
            _ => None,
        }
    };
    let load = MemberLoad { capacity: 10, active: 7, ..MemberLoad::default() };
    assert_eq!(take("asks", Some(600), load), Some(600));
    assert_eq!(take("asks-too-much", Some(401), load), None);
    assert_eq!(take("does-not-say", None, load), Some(100), "400 are free, and four sessions");
    ledger.step(LedgerEvent::Reported(key("a", "asks"), Progress::Completed(None)), Now(2));
    ledger.step(LedgerEvent::Reported(key("a", "does-not-say"), Progress::Failed(String::new())), Now(2));
    assert_eq!(words(&ledger.step(ask(wants("all", Some(1_000))), Now(3))), ["choose not a"]);
    assert_eq!(words(&ledger.step(LedgerEvent::Chosen(key("a", "all"), member()), Now(3))), ["assign"]);
}

#[test]
fn the_estimate_comes_from_what_was_measured_and_what_is_before_the_task() {
    let mut ledger = ledger();
    let mut estimate = |task: &str, load: MemberLoad, took_ms: u64| {
        ledger.step(ask(delegation("a", task)), Now(1));
        ledger.step(LedgerEvent::Chosen(key("a", task), member()), Now(1));
        let answer = ledger.step(assigned(key("a", task), load), Now(1));
        ledger.step(LedgerEvent::Reported(key("a", task), Progress::Completed(None)), Now(1 + took_ms));
        let [LedgerCommand::Answer(_, Reply { answer: Ok(grant), .. })] = answer.as_slice() else { panic!() };
        grant.estimated_completion.map(|at| at.0 - 1_000_000)
    };
    let idle = MemberLoad { capacity: 4, active: 1, ..MemberLoad::default() };
    assert_eq!(estimate("t1", idle, 10_000), None, "nothing is known yet");
    assert_eq!(estimate("t2", idle, 10_000), Some(10_000));
    let busy = MemberLoad { waiting: 8, ..idle };
    assert_eq!(estimate("t3", busy, 20_000), Some(30_000), "two rounds are before it");
    assert_eq!(estimate("t4", idle, 1), Some(13_000), "the mean follows");
    let mut fresh = self::ledger();
    fresh.step(ask(delegation("a", "t")), Now(1));
    fresh.step(LedgerEvent::Chosen(key("a", "t"), member()), Now(1));
    let answer = fresh.step(assigned(key("a", "t"), MemberLoad { service_ms: Some(500.0), ..idle }), Now(1));
    let [LedgerCommand::Answer(_, Reply { answer: Ok(grant), .. })] = answer.as_slice() else { panic!() };
    assert_eq!(grant.estimated_completion, Some(WallMs(1_000_500)), "what the member says of itself");
}

/// Every sequence of up to six events of one task: one answer, news only after it, releases match assignments.
#[test]
fn in_every_sequence_a_task_is_answered_once_and_everything_is_freed() {
    const EVENTS: u32 = 10;
    let no = || Refusal::new(RefusalKind::Overloaded, "full");
    for code in 0..EVENTS.pow(6) {
        let (mut ledger, t) = (ledger(), || key("a", "t"));
        let (mut answers, mut ends, mut now) = (0, 0, Now(2));
        ledger.step(ask(delegation("a", "t")), Now(1));
        for place in 0..6 {
            now = now.plus_ms(1);
            let event = match code / EVENTS.pow(place) % EVENTS {
                0 => LedgerEvent::Chosen(t(), member()),
                1 => LedgerEvent::Chosen(t(), peer("b")),
                2 => LedgerEvent::NotChosen(t(), no()),
                3 => assigned(t(), MemberLoad::default()),
                4 => LedgerEvent::NotSent(t(), no()),
                5 => replied("b", Ok(GRANT)),
                6 => replied("b", Err(no())),
                7 => called("b", Progress::Completed(None)),
                8 => LedgerEvent::Reported(t(), Progress::Failed(String::new())),
                _ => {
                    now = now.plus_ms(TIMEOUT);
                    LedgerEvent::Tick
                }
            };
            for command in ledger.step(event, now) {
                match command {
                    LedgerCommand::Answer(..) => answers += 1,
                    LedgerCommand::Call(_, callback) if callback.progress.is_final() => ends += 1,
                    _ => {}
                }
                assert!(answers <= 1 && ends <= 1, "{code}");
            }
        }
        ledger.step(LedgerEvent::Tick, now.plus_ms(2 * TIMEOUT));
        let end = ledger.record(&t()).unwrap();
        assert!(end.stage.is_final() && ledger.live() == 0, "{code}: {end:?}");
    }
}
