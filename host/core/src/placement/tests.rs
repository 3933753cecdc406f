//! Commitments that fail change nothing, and those that succeed keep the books.

use std::sync::Arc;

use super::ledger::Ledger;
use super::{Terms, commit};
use crate::eligible::Requirement;
use crate::fleet::geography::Geography;
use crate::id::{AgentName, MemberId};
use crate::member::Resources;
use crate::registry::{Registry, Rules};
use crate::room::tests::node;
use crate::time::{Now, WallMs};

const WALL: WallMs = WallMs(7);

fn id(text: &str) -> MemberId {
    MemberId::parse(text).unwrap()
}

fn agent(text: &str) -> AgentName {
    AgentName::parse(text).unwrap()
}

fn terms(cores: u32, priority: i32) -> Arc<Terms> {
    let needs = Resources { cpu_millis: cores * 1_000, ..Resources::default() };
    let requirement = Requirement { needs, ..Requirement::default() };
    Arc::new(Terms { requirement, priority, ..Terms::default() })
}

struct Books {
    registry: Registry,
    ledger: Ledger,
}

impl Books {
    /// Two members of four cores each.
    fn new() -> Self {
        let mut registry = Registry::new(Rules::default(), Geography::default());
        for name in ["a", "b"] {
            let mut registration = node(name, "eu", 0, 0, 0).registration;
            registration.resources = Resources { cpu_millis: 4_000, ..Resources::default() };
            registry.register(registration, Now(1_000), WALL).unwrap();
        }
        Self { registry, ledger: Ledger::default() }
    }

    fn assign(&mut self, name: &str, on: &str, cores: u32, priority: i32) -> Result<u64, String> {
        let terms = terms(cores, priority);
        commit::assign(&mut self.registry, &mut self.ledger, &agent(name), &id(on), &terms, WALL)
            .map(|assignment| assignment.epoch)
            .map_err(|error| error.to_string())
    }

    fn used(&self) -> [u32; 2] {
        ["a", "b"].map(|name| self.registry.member(&id(name)).unwrap().used.cpu_millis / 1_000)
    }
}

#[test]
fn an_assignment_that_does_not_fit_or_exists_changes_nothing() {
    let mut books = Books::new();
    assert_eq!(books.assign("w", "a", 3, 0), Ok(1));
    for (name, on, cores, told) in
        [("x", "a", 2, "Resources"), ("w", "b", 1, "already"), ("x", "c", 1, "gone")]
    {
        let refused = books.assign(name, on, cores, 0).unwrap_err();
        assert!(refused.contains(told), "{refused}");
        assert_eq!((books.used(), books.ledger.iter().len()), ([3, 0], 1));
    }
}

#[test]
fn a_move_is_a_compare_and_swap_on_the_epoch_and_keeps_the_room_if_it_fails() {
    let mut books = Books::new();
    books.assign("w", "a", 3, 0).unwrap();
    books.assign("full", "b", 2, 0).unwrap();
    let relocate = |books: &mut Books, epoch, to| {
        commit::relocate(&mut books.registry, &mut books.ledger, &agent("w"), epoch, &id(to), WALL)
            .map(|assignment| assignment.epoch)
    };
    assert!(relocate(&mut books, 9, "b").is_err(), "another epoch");
    assert!(relocate(&mut books, 1, "b").is_err(), "no room");
    assert_eq!(books.used(), [3, 2]);
    commit::unassign(&mut books.registry, &mut books.ledger, &agent("full")).unwrap();
    assert_eq!(relocate(&mut books, 1, "b"), Ok(2));
    assert!(relocate(&mut books, 1, "a").is_err(), "the old epoch is over");
    assert_eq!(books.used(), [0, 3]);
}

#[test]
fn a_workload_that_is_made_anew_goes_on_with_newer_epochs_also_after_a_restart() {
    let mut books = Books::new();
    books.assign("w", "a", 1, 0).unwrap();
    commit::relocate(&mut books.registry, &mut books.ledger, &agent("w"), 1, &id("b"), WALL).unwrap();
    let gone = commit::unassign(&mut books.registry, &mut books.ledger, &agent("w")).unwrap();
    assert_eq!((gone.epoch, books.ledger.ended_epoch()), (2, 2));
    let mut again = Ledger::restore([]);
    again.begin_after(books.ledger.ended_epoch());
    books.ledger = again;
    assert_eq!(books.assign("w", "a", 1, 0), Ok(3));
}

#[test]
fn a_preemption_that_does_not_succeed_puts_every_victim_back() {
    let mut books = Books::new();
    books.assign("low", "a", 2, 0).unwrap();
    books.assign("mid", "a", 2, 1).unwrap();
    let preempt = |books: &mut Books, cores, victims: &[&str]| {
        let victims: Vec<AgentName> = victims.iter().map(|name| agent(name)).collect();
        let (new, terms) = (agent("new"), terms(cores, 1));
        commit::preempt(&mut books.registry, &mut books.ledger, &new, &id("a"), &terms, &victims, WALL)
            .map(|(_, evicted)| evicted.len())
    };
    assert!(preempt(&mut books, 4, &["low"]).is_err(), "not enough");
    assert!(preempt(&mut books, 4, &["low", "mid"]).is_err(), "an equal never yields");
    assert!(preempt(&mut books, 2, &["gone"]).is_err());
    assert_eq!((books.used(), books.ledger.iter().len()), ([4, 0], 2));
    assert_eq!(preempt(&mut books, 2, &["low"]), Ok(1));
    assert_eq!((books.used(), books.ledger.iter().len()), ([4, 0], 2));
}

#[test]
fn a_reservation_is_confirmed_in_time_or_not_at_all() {
    let mut books = Books::new();
    let held =
        commit::reserve(&mut books.registry, &mut books.ledger, &id("a"), &terms(4, 0), Now(2_000)).unwrap();
    assert!(books.assign("w", "a", 1, 0).is_err(), "its room is taken");
    let confirm = |books: &mut Books, now| {
        commit::confirm(&mut books.ledger, held.id, &agent("w"), Now(now), WALL).is_ok()
    };
    assert!(!confirm(&mut books, 2_000), "its time is over");
    assert!(confirm(&mut books, 1_999));
    assert!(!confirm(&mut books, 1_999), "only once");
    assert_eq!((books.used(), books.ledger.reservations().len()), ([4, 0], 0));
    assert_eq!(books.ledger.over(Now(9_000)), []);
}
