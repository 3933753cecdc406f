//! Two workloads that move to a target with room for one, at the same time, under one host.
//!
//! Invariant: the laws hold for each, and together they never have more room than there is. The two share the
//! host, which goes down for both at once, and the target's room; everything else is walked for one workload
//! alone.

use stateright::{Checker, Model, Property};

use super::{NONE, short};
use crate::id::MigrationId;
use crate::world::{Action, Budget, Host, World};

struct Two(Budget);

type Pair = [World; 2];

fn share_room(pair: &mut Pair) {
    let [first, second] = pair;
    first.target.is_full = second.target.has_room;
    second.target.is_full = first.target.has_room;
}

fn moved(world: &World) -> bool {
    matches!(world.host, Host::Idle(_)) && world.owner.member == world.charter.target
}

fn stayed(world: &World) -> bool {
    matches!(world.host, Host::Idle(_)) && world.owner.member == world.charter.source
}

impl Model for Two {
    type State = Pair;
    type Action = (usize, Action);

    fn init_states(&self) -> Vec<Pair> {
        let other = crate::charter::Charter { migration: MigrationId(8), ..short() };
        vec![[short(), other].map(|charter| World::new(charter, self.0, None))]
    }

    fn actions(&self, pair: &Pair, actions: &mut Vec<(usize, Action)>) {
        for (index, world) in pair.iter().enumerate() {
            actions.extend(world.actions().into_iter().map(|action| (index, action)));
        }
    }

    fn next_state(&self, pair: &Pair, (index, action): (usize, Action)) -> Option<Pair> {
        let mut next = pair.clone();
        if matches!(action, Action::Crash { .. }) {
            let other = &mut next[1 - index];
            if matches!(other.host, Host::Up(_)) {
                other.act(action.clone());
            }
        }
        next[index].act(action);
        share_room(&mut next);
        (next != *pair).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::<Self>::always("every law holds for both", |_, pair| {
                pair.iter().all(|world| world.broken_law().is_none())
            }),
            Property::<Self>::always("room for one is given to one", |_, pair| {
                !pair.iter().all(|world| world.target.has_room)
            }),
            Property::<Self>::sometimes("one moves and the other stays", |_, [first, second]| {
                (moved(first) && stayed(second)) || (stayed(first) && moved(second))
            }),
        ]
    }
}

#[test]
fn c17_two_workloads_that_want_the_last_room_end_with_one_moved_and_one_where_it_was() {
    for budget in [Budget { cancels: 1, ..NONE }, Budget { host_crashes: 1, ..NONE }] {
        Two(budget).checker().threads(2).spawn_bfs().join().assert_properties();
    }
}
