//! The slot's invariants over all short event sequences, and the rules one line a case.

use super::*;
use crate::id::Digest;
use crate::policy::fault::FaultKind;

fn revision(name: char) -> Revision {
    let id = RevisionId { component: Digest([name as u8; 32]), settings: Digest([0; 32]) };
    Revision {
        id,
        name: name.to_string(),
        version: "1.0.0".into(),
        origin: Origin::Api,
        settings: "{}".into(),
    }
}

/// A slot with default `d`, driven by words: `+a` request, `!a` forced request, `ok` prepare and acknowledge the
/// candidate, `no` refuse it, `half` acknowledge by half, `xa` fault of a, `back` roll back, `tick` a minute, `hour`,
/// `?a` a request that is denied, `-a` a is no longer trusted.
struct Driver {
    machine: SlotMachine,
    now: Now,
    ticket: Ticket,
    answers: Vec<(Ticket, Outcome)>,
}

impl Driver {
    fn new() -> Self {
        let slot = SlotId::parse("balancing/default").unwrap();
        let machine = SlotMachine::new(slot, Some(revision('d')), None, None, History::default(), 0);
        Self { machine, now: Now(1), ticket: 0, answers: Vec::new() }
    }

    fn word(&mut self, word: &str) {
        let candidate = self.machine.candidate().map_or(0, |candidate| candidate.ticket);
        let name = word.chars().nth(1).unwrap_or('?');
        match word {
            "ok" => self.events([
                Event::Compiled(candidate),
                Event::Warmed(candidate, 2, 2),
                Event::Acknowledged(candidate, 2, 2),
            ]),
            "no" => self.events([Event::Refused(candidate, "bad".into())]),
            "half" => self.events([Event::Warmed(candidate, 2, 2), Event::Acknowledged(candidate, 1, 2)]),
            "back" => {
                self.ticket += 1;
                self.events([Event::RollbackRequested { ticket: self.ticket, by: "me".into() }]);
            }
            "tick" | "hour" => {
                self.now = self.now.plus_ms(if word == "tick" { 60_000 } else { 4_000_000 });
                self.events([Event::Tick]);
            }
            _ if word.starts_with('?') => {
                self.ticket += 1;
                let (ticket, revision) = (self.ticket, revision(name));
                self.events([Event::Denied { ticket, revision, by: "me".into(), reason: "no".into() }]);
            }
            _ if word.starts_with('-') => {
                self.events([Event::Distrusted(revision(name).id.component, "revoked".into())]);
            }
            _ if word.starts_with('x') => {
                self.events([Event::Faulted(revision(name).id, Fault::new(FaultKind::Trap, "boom"))]);
            }
            _ => {
                self.ticket += 1;
                let (ticket, force) = (self.ticket, word.starts_with('!'));
                self.events([Event::Requested { ticket, revision: revision(name), by: "me".into(), force }]);
            }
        }
    }

    fn events<const N: usize>(&mut self, events: [Event; N]) {
        for event in events {
            for command in self.machine.step(event, self.now, WallMs(0)) {
                if let Command::Answer(ticket, outcome) = command {
                    self.answers.push((ticket, outcome));
                }
            }
        }
    }

    /// The chain as text, for example `b a d`; `-` where nobody is.
    fn chain(&self) -> String {
        let RevisionChain { active, previous, default } = self.machine.chain(self.now);
        [active, previous, default]
            .map(|link| link.map_or("-".to_owned(), |revision| revision.name))
            .join(" ")
    }
}

fn drive(words: &str) -> Driver {
    let mut driver = Driver::new();
    words.split_whitespace().for_each(|word| driver.word(word));
    driver
}

#[test]
fn the_chain_after_each_story() {
    for (story, chain) in [
        ("", "- - d"),
        ("+a", "- - d"),
        ("+a ok", "a - d"),
        ("+a ok +b ok", "b a d"),
        ("+a ok +b no", "a - d"),
        ("+a ok +b half", "a - d"),
        ("+a ok +b +c ok", "c a d"),
        ("+a ok +b ok back", "a b d"),
        ("+a ok +b ok back back", "b a d"),
        ("+a ok +a", "a - d"),
        ("+d ok", "d - -"),
        ("+a ok +b ok xb xb", "b a d"),
        ("+a ok +b ok xb xb xb", "a - d"),
        ("+a ok +b ok xb xb tick xb", "b a d"),
        ("+a ok xa xa xa", "d - -"),
        ("+a ok xa xa xa xd xd xd", "- - -"),
        ("+a ok xa xa xa xd xd xd tick", "d - -"),
        ("+a ok +b ok xb xb xb +b ok", "a - d"),
        ("+a ok +b ok xb xb xb !b ok", "b a d"),
        ("+a ok +b ok xb xb xb tick +b ok", "b a d"),
        ("+a ok +b ok xa xa xa", "b - d"),
        ("+a ok ?b", "a - d"),
        ("+a ?b ok", "a - d"),
        ("+a ok +b ok -a", "b - d"),
        ("+a ok +b ok -b", "b a d"),
        ("+a ok +b ok -a back", "b - d"),
        ("+a ok +b ok -a xb xb xb", "d - -"),
    ] {
        assert_eq!(drive(story).chain(), chain, "after {story:?}");
    }
}

#[test]
fn quarantine_doubles_up_to_an_hour() {
    let mut quarantine = Quarantine::default();
    let (id, mut now) = (revision('a').id, Now(1));
    let mut times = Vec::new();
    for _ in 0..9 {
        let for_ms = (0..3).filter_map(|_| quarantine.strike(id, now)).next().unwrap();
        now = now.plus_ms(for_ms);
        quarantine.release(now);
        times.push(for_ms / 1_000);
    }
    assert_eq!(times, [30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
}

#[test]
fn history_counts_repeated_faults_and_is_bounded() {
    let mut driver = drive("+a ok xa xa");
    let last = driver.machine.history().entries().next_back().unwrap().what.clone();
    assert!(matches!(last, Happening::Faulted { count: 2, .. }), "{last:?}");
    for _ in 0..HISTORY_MAX {
        driver.word("+b");
        driver.word("no");
    }
    assert_eq!(driver.machine.history().entries().count(), HISTORY_MAX);
}

/// Every sequence of five words: every request is answered at most once, and is answered once nothing is on its way;
/// the active revision was acknowledged by all workers or is the default; generations never go back.
#[test]
fn in_every_short_story_requests_are_answered_once_and_active_means_acknowledged() {
    let words = ["+a", "+b", "ok", "no", "half", "xa", "back", "tick", "?a", "-b"];
    for code in 0..words.len().pow(5) {
        let mut driver = Driver::new();
        let mut acknowledged = vec!["d".to_owned()];
        let mut generation = 0;
        for place in 0..5 {
            let word = words[code / words.len().pow(place) % words.len()];
            if word == "ok"
                && let Some(candidate) = driver.machine.candidate()
            {
                acknowledged.push(candidate.revision.name.clone());
            }
            driver.word(word);
            assert!(driver.machine.generation() >= generation);
            generation = driver.machine.generation();
            if let Some(active) = driver.machine.chain(driver.now).active {
                assert!(acknowledged.contains(&active.name), "{active:?}");
            }
        }
        let mut tickets: Vec<Ticket> = driver.answers.iter().map(|(ticket, _)| *ticket).collect();
        let pending = driver.machine.candidate().map(|candidate| candidate.ticket);
        tickets.extend(pending);
        tickets.sort_unstable();
        assert_eq!(tickets, (1..=driver.ticket).collect::<Vec<_>>());
    }
}
