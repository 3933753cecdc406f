//! The detector as cases: a script of what arrives when, and what is commanded.

use super::*;
use pilothouse_core::time::Now;

fn id(text: &str) -> MemberId {
    MemberId::parse(text).unwrap()
}

fn label(text: &str) -> Label {
    Label::parse(text).unwrap()
}

/// A detector that runs on virtual time; members beat every 100 ms unless they are silent.
struct World {
    detection: Detection,
    now: u64,
    members: Vec<(MemberId, u64, u64)>,
    silent: std::collections::BTreeSet<MemberId>,
    answering: bool,
    seen: Vec<(u64, Command)>,
}

impl World {
    /// `members` as `region:name` texts.
    fn new(rules: Rules, members: &[&str]) -> Self {
        rules.check().unwrap();
        let mut world = Self {
            detection: Detection::new(rules, Some(label("here"))),
            now: 1_000,
            members: Vec::new(),
            silent: [].into(),
            answering: false,
            seen: Vec::new(),
        };
        for text in members {
            let (region, name) = text.split_once(':').unwrap();
            world.members.push((id(name), 1, 0));
            let region = Some(label(region));
            world.step(Event::Joined { member: id(name), region, interval_ms: 100, incarnation: 1 });
        }
        world.run(10_000);
        assert_eq!(world.take(), Vec::<String>::new(), "all is calm at first");
        world
    }

    fn step(&mut self, event: Event) {
        let commands = self.detection.step(event, Now(self.now));
        for command in commands {
            if let (Command::Probe { member, probe }, true) = (&command, self.answering) {
                let (member, probe) = (member.clone(), *probe);
                self.step(Event::Answered { member, incarnation: 1, probe });
            }
            self.seen.push((self.now, command));
        }
    }

    fn run(&mut self, duration_ms: u64) {
        for _ in 0..duration_ms / 20 {
            self.now += 20;
            if self.now.is_multiple_of(100) {
                for index in 0..self.members.len() {
                    let (member, incarnation, sequence) = &mut self.members[index];
                    *sequence += 1;
                    let (member, incarnation, sequence) = (member.clone(), *incarnation, *sequence);
                    if !self.silent.contains(&member) {
                        self.step(Event::Heartbeat { member, incarnation, sequence });
                    }
                }
            }
            self.step(Event::Tick);
        }
    }

    fn silence(&mut self, names: &[&str]) {
        self.silent = names.iter().map(|name| id(name)).collect();
    }

    /// Commands since the last call, without probes, as short texts.
    fn take(&mut self) -> Vec<String> {
        let seen = std::mem::take(&mut self.seen).into_iter();
        let said = seen.filter(|(_, command)| !matches!(command, Command::Probe { .. }));
        said.map(|(_, command)| short(&command)).collect()
    }
}

fn short(command: &Command) -> String {
    match command {
        Command::Probe { member, .. } => format!("probe {member}"),
        Command::Suspected { member, .. } => format!("suspect {member}"),
        Command::Refuted(member) => format!("refuted {member}"),
        Command::Dead { member, incarnation, .. } => format!("dead {member}@{incarnation}"),
        Command::Reborn { member, from, to } => format!("reborn {member} {from}>{to}"),
        Command::Returned { member, hold_ms } => format!("returned {member} {hold_ms}"),
        Command::Back(member) => format!("back {member}"),
        Command::Outdated { member, incarnation, newest } => {
            format!("outdated {member} {incarnation}<{newest}")
        }
        Command::Unknown(member) => format!("unknown {member}"),
        Command::Full(member) => format!("full {member}"),
        Command::Tell { region, down } => format!("tell {region} {down}"),
        Command::RegionDead { region, observers } => format!("region {region} dead by {observers}"),
        Command::RegionBack(region) => format!("region {region} back"),
        Command::BrakeOn { scope, lost, of } => format!("brake {scope:?} {lost}/{of}"),
        Command::BrakeOff { scope, why } => format!("free {scope:?} {why:?}"),
    }
}

const FIVE: [&str; 5] = ["eu:a", "us:b", "us:c", "ap:d", "ap:e"];

#[test]
fn l3_a_silent_member_is_suspected_probed_and_dead_within_a_second() {
    let mut world = World::new(Rules::default(), &FIVE);
    world.silence(&["a"]);
    let silent_at = world.now;
    world.run(2_000);
    let dead = world.seen.iter().find(|(_, command)| matches!(command, Command::Dead { .. })).unwrap();
    assert!(dead.0 - silent_at <= 1_000, "after {} ms", dead.0 - silent_at);
    let probes = world.seen.iter().filter(|(_, command)| matches!(command, Command::Probe { .. })).count();
    assert!((9..=14).contains(&probes), "{probes} probes, then no more");
    assert_eq!(world.take(), ["suspect a", "tell eu true", "dead a@1"]);
    assert_eq!(world.detection.presence(&id("a")), Some(Presence::Dead));
}

#[test]
fn c40_an_answered_probe_or_a_fresh_heartbeat_refutes_a_suspicion() {
    let mut world = World::new(Rules::default(), &FIVE);
    world.silence(&["a"]);
    world.answering = true;
    world.run(10_000);
    let said = world.take();
    assert!(said.contains(&"refuted a".to_owned()) && said.iter().all(|text| !text.starts_with("dead")));
    let mut world = World::new(Rules::default(), &FIVE);
    world.silence(&["a"]);
    world.run(300);
    world.silence(&[]);
    world.run(300);
    assert_eq!(world.take(), ["suspect a", "refuted a"]);
}

#[test]
fn c21_duplicates_replays_and_answers_to_old_probes_prove_nothing() {
    let mut world = World::new(Rules::default(), &FIVE);
    world.silence(&["a"]);
    for _ in 0..100 {
        let member = id("a");
        world.step(Event::Heartbeat { member: member.clone(), incarnation: 1, sequence: 3 });
        for probe in [0, 1_000_000] {
            world.step(Event::Answered { member: member.clone(), incarnation: 1, probe });
        }
        world.run(20);
    }
    assert_eq!(world.take(), ["suspect a", "tell eu true", "dead a@1"]);
}

#[test]
fn c22_a_new_boot_is_another_run_and_the_old_one_is_told_to_stop() {
    let mut world = World::new(Rules::default(), &FIVE);
    (world.members[0].1, world.members[0].2) = (2, 0);
    world.run(1_000);
    assert_eq!(world.take(), ["reborn a 1>2", "returned a 10000"]);
    assert_eq!(world.detection.presence(&id("a")), Some(Presence::Held));
    world.step(Event::Heartbeat { member: id("a"), incarnation: 1, sequence: 9_999 });
    world.step(Event::Heartbeat { member: id("z"), incarnation: 1, sequence: 1 });
    assert_eq!(world.take(), ["outdated a 1<2", "unknown z"]);
    world.run(10_000);
    assert_eq!(world.take(), ["back a"]);
}

#[test]
fn c24_our_own_pause_accuses_nobody() {
    for pause_ms in [500, 5_000, 600_000] {
        let mut world = World::new(Rules::default(), &FIVE);
        world.now += pause_ms;
        world.step(Event::Tick);
        world.run(3_000);
        assert_eq!(world.take(), Vec::<String>::new(), "{pause_ms} ms");
    }
}

#[test]
fn c27_after_a_restart_members_have_their_full_time() {
    let mut world = World::new(Rules::default(), &[]);
    for index in 0..10 {
        let (member, region) = (id(&format!("m{index}")), Some(label("eu")));
        world.step(Event::Joined { member, region, interval_ms: 1_000, incarnation: 4 });
    }
    world.run(3_900);
    assert_eq!(world.take(), Vec::<String>::new());
}

#[test]
fn c29_a_flapping_member_is_held_down_twice_as_long_each_time_up_to_a_bound() {
    let mut world = World::new(Rules::default(), &FIVE);
    for hold_ms in [10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 600_000, 600_000] {
        world.silence(&["a"]);
        world.run(2_000);
        world.silence(&[]);
        world.run(1_000);
        let said = world.take();
        assert!(said.contains(&format!("returned a {hold_ms}")), "{said:?}");
        assert_eq!(world.detection.presence(&id("a")), Some(Presence::Held));
    }
    world.run(600_000);
    assert_eq!(world.take(), ["back a"]);
    world.run(16 * 1_800_000);
    world.silence(&["a"]);
    world.run(2_000);
    world.silence(&[]);
    world.run(100);
    assert!(world.take().contains(&"returned a 10000".to_owned()), "flaps are forgiven");
}

#[test]
fn c26_when_too_many_vanish_nobody_is_dead_until_they_return() {
    let mut world = World::new(Rules::default(), &FIVE);
    world.silence(&["a", "b", "d"]);
    world.run(600_000);
    let said = world.take();
    assert!(said.contains(&"brake Fleet 3/5".to_owned()), "{said:?}");
    assert!(said.iter().all(|text| !text.starts_with("dead")), "{said:?}");
    world.silence(&["a"]);
    world.run(200);
    let said = world.take();
    assert!(said.contains(&"free Fleet Returned".to_owned()), "{said:?}");
    assert!(said.contains(&"dead a@1".to_owned()), "the one that stayed away is judged again: {said:?}");
}

#[test]
fn c26_an_operator_lifts_the_brake_for_those_who_are_missing_now() {
    let mut world = World::new(Rules::default(), &FIVE);
    world.silence(&["a", "b", "d"]);
    world.run(5_000);
    world.take();
    world.step(Event::Confirmed { by: "ann".to_owned(), region: None });
    let said = world.take();
    let dead: Vec<&String> = said.iter().filter(|text| text.starts_with("dead")).collect();
    assert_eq!(dead, ["dead a@1", "dead b@1", "dead d@1"], "{said:?}");
    assert!(said.contains(&"free Fleet Confirmed { by: \"ann\" }".to_owned()), "{said:?}");
}

#[test]
fn c26_most_of_a_region_is_a_mass_failure_even_if_the_fleet_is_big() {
    let members: Vec<String> =
        (0..20).map(|index| format!("{}:m{index}", ["eu", "us", "ap", "sa"][index % 4])).collect();
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    let mut world = World::new(Rules::default(), &members);
    world.silence(&["m0", "m4", "m8"]);
    world.run(60_000);
    let said = world.take();
    assert!(said.iter().any(|text| text.starts_with("brake Region(\"eu\") 3/5")), "{said:?}");
    assert!(said.iter().all(|text| !text.starts_with("dead")), "{said:?}");
    world.silence(&["m0", "m1"]);
    world.run(2_000);
    let said = world.take();
    assert!(said.contains(&"dead m0@1".to_owned()) && said.contains(&"dead m1@1".to_owned()), "{said:?}");
}

/// Ten members in two regions; `eu` goes down while other places hold opinions.
fn region_down(opinions: &[(&str, bool)]) -> Vec<String> {
    let mut world = World::new(
        Rules { fleet_share: 0.9, ..Rules::default() },
        &["eu:a", "eu:b", "eu:c", "eu:d", "us:e", "us:f", "us:g", "us:h"],
    );
    world.silence(&["a", "b", "c", "d"]);
    for _ in 0..4 {
        for &(place, down) in opinions {
            world.step(Event::Opinion { place: label(place), region: label("eu"), down });
        }
        world.run(1_000);
    }
    world.take()
}

#[test]
fn i14_c32_a_region_is_dead_by_two_places_and_never_against_one_that_reaches_it() {
    for (name, opinions, dead_by) in [
        ("we alone", &[][..], None),
        ("another agrees", &[("us", true)][..], Some(2)),
        ("two others agree", &[("us", true), ("ap", true)], Some(3)),
        ("our own place is no second opinion", &[("here", true)], None),
        ("nor is the region itself", &[("eu", true)], None),
        ("one reaches it", &[("us", true), ("ap", false)], None),
    ] {
        let said = region_down(opinions);
        let deaths = said.iter().filter(|text| text.starts_with("dead")).count();
        let verdict = said.iter().find(|text| text.starts_with("region"));
        assert!(said.contains(&"tell eu true".to_owned()), "{name}: {said:?}");
        assert_eq!(verdict, dead_by.map(|count| format!("region eu dead by {count}")).as_ref(), "{name}");
        assert_eq!(deaths, if dead_by.is_some() { 4 } else { 0 }, "{name}: {said:?}");
    }
}

#[test]
fn a_region_that_is_heard_again_is_back_and_opinions_expire() {
    let mut world = World::new(Rules { fleet_share: 1.0, ..Rules::default() }, &["eu:a", "us:b"]);
    world.silence(&["a"]);
    world.step(Event::Opinion { place: label("us"), region: label("eu"), down: true });
    world.run(2_000);
    assert_eq!(world.take(), ["suspect a", "tell eu true", "region eu dead by 2", "dead a@1"]);
    assert_eq!(world.detection.opinions(), [(label("eu"), true), (label("us"), false)].into());
    world.silence(&[]);
    world.run(200);
    assert_eq!(world.take(), ["returned a 10000", "tell eu false", "region eu back"]);
    world.step(Event::Opinion { place: label("us"), region: label("eu"), down: true });
    world.run(11_000);
    world.silence(&["a"]);
    world.run(2_000);
    assert!(world.take().iter().all(|text| !text.starts_with("region")), "an old opinion does not count");
}

#[test]
fn who_left_is_not_dead_and_phi_grows_with_silence() {
    let mut world = World::new(Rules::default(), &FIVE);
    world.silence(&["a", "b"]);
    world.step(Event::Left(id("a")));
    world.run(100);
    let early = world.detection.phi(&id("b")).unwrap();
    world.run(100);
    assert!(world.detection.phi(&id("b")).unwrap() > early);
    assert_eq!((world.detection.presence(&id("a")), world.detection.phi(&id("a"))), (None, None));
}

#[test]
fn members_and_opinions_are_bounded() {
    let mut detection = Detection::new(Rules::default(), None);
    let joined = |name: String, region: &str| Event::Joined {
        member: id(&name),
        region: Some(label(region)),
        interval_ms: 100,
        incarnation: 1,
    };
    for index in 0..pilothouse_core::fleet::live::MEMBERS_MAX {
        assert!(detection.step(joined(format!("m{index}"), "eu"), Now(1)).is_empty());
    }
    assert_eq!(detection.step(joined("late".to_owned(), "eu"), Now(1)), [Command::Full(id("late"))]);
    let mut regions = region::Regions::default();
    for index in 0..OPINIONS_MAX + 10 {
        regions.hear(label("eu"), label(&format!("p{index}")), true, Now(1));
    }
    let agreed = regions.judge(&Rules::default(), &label("eu"), None, true);
    assert!(agreed.contains(&region::Turn::Dead(OPINIONS_MAX + 1)));
}

#[test]
fn rules_out_of_range_are_refused_by_name() {
    for (rules, field) in [
        (Rules { lag_max_ms: 20, ..Rules::default() }, "lag_max_ms"),
        (Rules { phi_dead: 4.0, ..Rules::default() }, "phi_dead"),
        (Rules { probes_min: 0, ..Rules::default() }, "probes_min"),
        (Rules { hold_max_ms: 1, ..Rules::default() }, "hold_max_ms"),
        (Rules { fleet_share: f64::NAN, ..Rules::default() }, "fleet_share"),
    ] {
        assert_eq!(rules.check().unwrap_err().field, field);
    }
}
