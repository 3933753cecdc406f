//! Every path of small worlds, walked by a model checker: the saga and both members with crashes, loss,
//! repetition and delay.
//!
//! Invariant: the laws hold in every state that can be reached within the budgets, and each seeded bug breaks
//! one of them. The budgets are small because mishaps multiply; what each combination is for stands beside
//! it.

mod pair;

use stateright::{Checker, HasDiscoveries, Model, Property};

use crate::bug::Bug;
use crate::charter::{Charter, Mode, Patience};
use crate::fixture::charter;
use crate::saga::Outcome;
use crate::world::{Action, Budget, Host, LAWS, World};

/// More states than a search for a bug may take.
const STATES_MAX: usize = 3_000_000;

const NONE: Budget = Budget {
    losses: 0,
    duplicates: 0,
    corruptions: 0,
    host_crashes: 0,
    restarts: 0,
    deaths: 0,
    ticks: 0,
    writes: 0,
    cancels: 0,
    heartbeats: 0,
    failovers: 0,
    rivals: 0,
};

struct Walk {
    charter: Charter,
    budget: Budget,
    bug: Option<Bug>,
}

impl Model for Walk {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self.charter.clone(), self.budget, self.bug)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        actions.extend(world.actions());
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        next.act(action);
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let always =
            LAWS.iter().zip(CONDITIONS).map(|((name, _), holds)| Property::<Self>::always(name, holds));
        let reached = [
            Property::<Self>::sometimes("it moves", |_, world| {
                matches!(world.host, Host::Idle(Some(Outcome::Moved { .. })))
            }),
            Property::<Self>::sometimes("it stays", |_, world| {
                matches!(world.host, Host::Idle(Some(Outcome::RolledBack { .. })))
            }),
        ];
        always.chain(reached).collect()
    }
}

type Condition = fn(&Walk, &World) -> bool;

/// The checker wants functions that capture nothing.
const CONDITIONS: [Condition; LAWS.len()] = {
    macro_rules! at {
        ($($index:literal)*) => { [$(|_, world| LAWS[$index].1(world)),*] };
    }
    at!(0 1 2 3 4 5 6)
};

/// Deadlines differ from each other, so that any of them can be the first.
fn short() -> Charter {
    let patience = Patience {
        step_timeout_ms: 10,
        retries_max: 1,
        backoff_ms: 1,
        backoff_max_ms: 1,
        rounds_max: 1,
        reservation_ms: 35,
        lease_ms: 25,
        ..Patience::default()
    };
    let mut charter = charter();
    charter.options.max_downtime_ms = 15;
    Charter { patience, ..charter }
}

fn forced() -> Charter {
    let mut charter = short();
    charter.options.mode = Mode::Forced;
    charter.patience.retries_max = 0;
    charter
}

fn stateless() -> Charter {
    let mut charter = short();
    charter.options.preserve_state = false;
    charter
}

/// Walks everything within the budgets.
#[track_caller]
fn no_law_breaks(charter: &Charter, budgets: &[Budget]) {
    for budget in budgets {
        let walk = Walk { charter: charter.clone(), budget: *budget, bug: None };
        walk.checker().threads(2).spawn_bfs().join().assert_properties();
    }
}

#[test]
fn a_graceful_migration_keeps_every_law_under_any_combination_of_mishaps() {
    no_law_breaks(
        &short(),
        &[
            // The host alone: with time-outs and clients, twice in a row, with a network that loses or
            // repeats.
            Budget { host_crashes: 1, ticks: 2, writes: 1, heartbeats: 1, ..NONE },
            Budget { host_crashes: 2, ticks: 1, writes: 1, ..NONE },
            Budget { host_crashes: 1, losses: 1, ticks: 2, ..NONE },
            Budget { host_crashes: 1, duplicates: 1, ticks: 1, ..NONE },
            // The network alone.
            Budget { losses: 2, duplicates: 1, ticks: 2, ..NONE },
            Budget { corruptions: 1, losses: 1, ticks: 2, writes: 1, ..NONE },
            // Members, alone and with the host.
            Budget { restarts: 1, ticks: 2, writes: 1, heartbeats: 2, ..NONE },
            Budget { restarts: 2, host_crashes: 1, ticks: 1, ..NONE },
            Budget { deaths: 1, host_crashes: 1, ticks: 2, failovers: 1, ..NONE },
            Budget { deaths: 2, ticks: 3, failovers: 1, ..NONE },
            // People.
            Budget { cancels: 1, losses: 1, ticks: 2, writes: 1, ..NONE },
            Budget { cancels: 1, host_crashes: 1, duplicates: 1, ..NONE },
        ],
    );
}

#[test]
fn c28_a_host_that_pauses_and_does_not_know_that_another_has_taken_over_breaks_no_law() {
    no_law_breaks(
        &short(),
        &[
            Budget { rivals: 1, losses: 1, ticks: 1, writes: 1, ..NONE },
            Budget { rivals: 1, duplicates: 1, heartbeats: 1, ..NONE },
            Budget { rivals: 1, ticks: 2, ..NONE },
            Budget { rivals: 1, host_crashes: 1, ..NONE },
        ],
    );
}

#[test]
fn a_forced_migration_keeps_every_law_under_any_combination_of_mishaps() {
    no_law_breaks(
        &forced(),
        &[
            Budget { host_crashes: 2, ticks: 1, ..NONE },
            // The source does not hear, so its lease has to be waited for.
            Budget { losses: 1, ticks: 3, ..NONE },
            Budget { losses: 1, ticks: 2, writes: 1, cancels: 1, ..NONE },
            Budget { deaths: 1, host_crashes: 1, ticks: 1, failovers: 1, ..NONE },
            Budget { restarts: 1, ticks: 2, writes: 1, ..NONE },
        ],
    );
}

#[test]
fn a_migration_without_state_keeps_every_law_under_any_combination_of_mishaps() {
    no_law_breaks(
        &stateless(),
        &[
            Budget { host_crashes: 2, ticks: 1, ..NONE },
            Budget { losses: 1, duplicates: 1, ticks: 1, cancels: 1, ..NONE },
            Budget { deaths: 1, host_crashes: 1, ticks: 1, failovers: 1, ..NONE },
        ],
    );
}

/// Which law the bug breaks, if any.
fn breaks(charter: Charter, budget: Budget, bug: Bug) -> Option<&'static str> {
    let walk = Walk { charter, budget, bug: Some(bug) };
    let failures = HasDiscoveries::AnyFailures;
    let checker =
        walk.checker().threads(2).finish_when(failures).target_state_count(STATES_MAX).spawn_bfs().join();
    let broken = checker.discoveries();
    LAWS.iter().map(|(name, _)| *name).find(|name| broken.contains_key(name))
}

#[test]
fn each_seeded_bug_breaks_a_law() {
    let mut missed = Vec::new();
    for (bug, charter, budget) in [
        (Bug::NoFencing, short(), Budget { host_crashes: 1, ..NONE }),
        (Bug::NoEpochCheck, short(), Budget { duplicates: 1, cancels: 1, ..NONE }),
        (Bug::JournalAfterEffect, short(), Budget { host_crashes: 1, ..NONE }),
        (Bug::DoubleRelease, short(), Budget { losses: 1, ticks: 2, cancels: 1, ..NONE }),
        (Bug::CommitGuessed, short(), Budget { ticks: 1, ..NONE }),
        (Bug::ResumeAfterCommit, short(), Budget { host_crashes: 1, ..NONE }),
        (Bug::StandbyServesEarly, short(), Budget { cancels: 1, ..NONE }),
        (Bug::NoLeaseWait, forced(), Budget { losses: 1, ticks: 2, ..NONE }),
        (Bug::NoSelfFencing, forced(), Budget { losses: 1, ticks: 3, ..NONE }),
        (Bug::NoDigestCheck, short(), Budget { corruptions: 1, ..NONE }),
        (Bug::NoFreeze, short(), Budget { writes: 1, ..NONE }),
    ] {
        let broken = breaks(charter, budget, bug);
        missed.extend(broken.is_none().then_some(bug));
    }
    assert_eq!(missed, []);
}
