//! Failback as cases: who goes home when, how fast, and when it stops.

use super::*;

fn id(text: &str) -> MemberId {
    MemberId::parse(text).unwrap()
}

fn agent(index: usize) -> AgentName {
    AgentName::parse(&format!("w{index:03}")).unwrap()
}

fn placed(count: usize) -> Vec<Placed> {
    let placed = |index| Placed { workload: agent(index), home: id("h"), member: id("b"), epoch: 8 };
    (0..count).map(placed).collect()
}

/// Failback of `count` workloads of home `h`, and how many migrations a script starts: `b` home back, `u` home unwell,
/// `a` approved, `f` forgotten, `h` a migration ended at home, `r` one was rolled back, `g` one was gone, `t` a second
/// went by, `m` a minute did.
fn walk(rules: Rules, count: usize, script: &str) -> (usize, usize, usize) {
    let mut failback = Failback::new(rules, []);
    let (mut started, mut cancelled, mut now) = (Vec::new(), 0, Now(1));
    let mut settled = 0;
    let mut carry_out = |commands: Vec<Command>, started: &mut Vec<AgentName>| {
        for command in commands {
            match command {
                Command::Migrate(placed) => {
                    assert_eq!((placed.home.as_str(), placed.epoch), ("h", 8));
                    started.push(placed.workload);
                }
                Command::Cancel(_) => cancelled += 1,
                Command::Persist => {}
            }
        }
    };
    carry_out(failback.step(Event::Displaced { placed: placed(count), by_hand: false }, now), &mut started);
    for symbol in script.chars() {
        let ended = |ending, settled: &mut usize| {
            *settled += 1;
            Event::Settled(started[*settled - 1].clone(), ending)
        };
        let event = match symbol {
            'b' => Event::HomeBack(id("h")),
            'u' => Event::HomeUnwell(id("h")),
            'a' => Event::Approved(id("h")),
            'f' => Event::Forgotten(id("h")),
            'h' => ended(Ending::Home, &mut settled),
            'r' => ended(Ending::RolledBack, &mut settled),
            'g' => ended(Ending::Gone, &mut settled),
            other => {
                now = now.plus_ms(if other == 'm' { 60_000 } else { 1_000 });
                Event::Tick
            }
        };
        carry_out(failback.step(event, now), &mut started);
    }
    (started.len(), failback.displaced().len(), cancelled)
}

#[test]
fn workloads_go_home_when_their_policy_says_so_and_never_faster_than_the_rate() {
    let rules = |mode, per_minute, parallel_max| Rules { mode, per_minute, parallel_max };
    let (off, manual) = (rules(Mode::Off, 9, 9), rules(Mode::Manual, 9, 9));
    let automatic = rules(Mode::Automatic, 3, 2);
    for (name, rules, script, expected) in [
        ("off: nothing is remembered", off, "batm", (0, 0, 0)),
        ("by hand: not before somebody says so", manual, "btm", (0, 5, 0)),
        ("by hand", manual, "ba", (5, 5, 0)),
        ("by hand: approved before it is back", manual, "atb", (5, 5, 0)),
        ("by hand: approved again after it failed again", manual, "aub", (0, 5, 0)),
        ("automatic: not before it is back", automatic, "tm", (0, 5, 0)),
        ("automatic: a few at a time", automatic, "bt", (2, 5, 0)),
        ("automatic: the rate of a minute", automatic, "bhhht", (3, 2, 0)),
        ("automatic: the next minute", automatic, "bhhhm", (5, 2, 0)),
        ("a home that is unwell again stops it", automatic, "bum", (2, 5, 2)),
        ("and goes on when it is back again", automatic, "burrmb", (4, 5, 2)),
        ("rolled back three times: it stays", rules(Mode::Automatic, 9, 1), "brrr", (4, 4, 0)),
        ("gone: somebody else moved it", automatic, "bg", (3, 4, 0)),
        ("forgotten: it stays", automatic, "fb", (0, 0, 0)),
    ] {
        assert_eq!(walk(rules, 5, script), expected, "{name}");
    }
}

#[test]
fn home_is_where_it_lived_before_the_first_of_two_failovers() {
    let mut failback = Failback::new(Rules::default(), []);
    let moved =
        |home, member, epoch| Placed { workload: agent(0), home: id(home), member: id(member), epoch };
    failback.step(Event::Displaced { placed: vec![moved("h", "b", 8)], by_hand: false }, Now(1));
    failback.step(Event::Displaced { placed: vec![moved("b", "c", 9)], by_hand: false }, Now(2));
    assert_eq!(failback.displaced().next().unwrap().placed, moved("h", "c", 9));
    let commands =
        failback.step(Event::Displaced { placed: vec![moved("c", "h", 10)], by_hand: false }, Now(3));
    assert_eq!((commands, failback.displaced().len()), (vec![Command::Persist], 0));
}

#[test]
fn what_is_displaced_is_bounded_and_survives_a_restart() {
    let mut failback = Failback::new(Rules::default(), []);
    let many = |index| Placed {
        workload: AgentName::parse(&format!("w{index}")).unwrap(),
        home: id("h"),
        member: id("b"),
        epoch: 8,
    };
    failback.step(
        Event::Displaced { placed: (0..DISPLACED_MAX + 5).map(many).collect(), by_hand: false },
        Now(1),
    );
    let stored: Vec<Displaced> = failback.displaced().cloned().collect();
    assert_eq!(stored.len(), DISPLACED_MAX);
    let mut restored = Failback::new(Rules { mode: Mode::Automatic, ..Rules::default() }, stored);
    assert_eq!(restored.step(Event::Tick, Now(1)), [], "no home counts as back after a restart");
    assert_eq!(restored.step(Event::HomeBack(id("h")), Now(2)).len(), 10);
}

#[test]
fn rules_out_of_range_are_refused_by_name() {
    Rules::default().check().unwrap();
    assert_eq!(Rules { per_minute: 0, ..Rules::default() }.check().unwrap_err().field, "per_minute");
}

#[test]
fn what_an_operator_sent_away_goes_home_only_when_one_says_so() {
    let rules = Rules { mode: Mode::Automatic, ..Rules::default() };
    let mut failback = Failback::new(rules, []);
    failback.step(Event::Displaced { placed: placed(1), by_hand: true }, Now(1));
    assert_eq!(failback.step(Event::HomeBack(id("h")), Now(2)), []);
    assert_eq!(failback.step(Event::Approved(id("h")), Now(3)).len(), 1);
}
