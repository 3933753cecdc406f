//! Extreme and changing fleets.

use std::sync::Arc;

use pilothouse_core::eligible::Requirement;

use crate::ask;
use crate::trial::{Checked, Trial, Trouble, ensure};
use crate::world::{Extreme, World, samples};

fn ask_over(trial: &mut Trial<'_>, worlds: &[World]) -> Checked {
    let policy = trial.fresh()?;
    for world in worlds {
        let inputs = trial.inputs(trial.times(10, 100));
        trial.series(&*policy, world, &inputs)?;
        for input in inputs.iter().take(3) {
            trial.tried += 1;
            ask::rank(&*policy, world, input, 5)?;
        }
        ask::many(&*policy, world, &inputs)?;
    }
    Ok(())
}

fn extreme(trial: &mut Trial<'_>, extreme: Extreme) -> Checked {
    let worlds = [3, 70, 300].map(|members| trial.maker.extreme(extreme, members));
    ask_over(trial, &worlds)
}

pub(crate) fn zero(trial: &mut Trial<'_>) -> Checked {
    extreme(trial, Extreme::Zero)
}

pub(crate) fn nan(trial: &mut Trial<'_>) -> Checked {
    extreme(trial, Extreme::Nan)
}

pub(crate) fn infinite(trial: &mut Trial<'_>) -> Checked {
    extreme(trial, Extreme::Infinite)
}

pub(crate) fn huge(trial: &mut Trial<'_>) -> Checked {
    extreme(trial, Extreme::Huge)
}

pub(crate) fn tiny(trial: &mut Trial<'_>) -> Checked {
    extreme(trial, Extreme::Tiny)
}

pub(crate) fn duplicates(trial: &mut Trial<'_>) -> Checked {
    extreme(trial, Extreme::Duplicates)
}

pub(crate) fn single(trial: &mut Trial<'_>) -> Checked {
    let mut alone = trial.maker.ordinary(1);
    alone.samples = samples(1, 3);
    let mut last = trial.maker.ordinary(200);
    last.restrict(|row| row == 199);
    last.samples = samples(1, 0);
    last.name = "200 members of which the last one is eligible".to_owned();
    let last = trial.maker.settle(last);
    ask_over(trial, &[alone, last])
}

pub(crate) fn none(trial: &mut Trial<'_>) -> Checked {
    let mut nobody = trial.maker.ordinary(10);
    nobody.restrict(|_| false);
    nobody.samples = Vec::new();
    nobody.name = "10 members of which none is eligible, no sample".to_owned();
    let nobody = trial.maker.settle(nobody);
    let mut empty = trial.maker.ordinary(0);
    empty.samples = Vec::new();
    ask_over(trial, &[nobody, empty])
}

pub(crate) fn change(trial: &mut Trial<'_>) -> Checked {
    let policy = trial.fresh()?;
    let inputs = trial.inputs(trial.times(10, 60));
    for members in [200, 3, 65, 64, 130] {
        let world = trial.maker.ordinary(members);
        trial.series(&*policy, &world, &inputs)?;
        // The fleet stays, and other members of it are eligible: for the same epoch, as when a filter changes.
        let mut world = world;
        world.restrict(|row| row == members - 1);
        world.class.count = 1;
        world.class.version += 1_000_000;
        world.name = format!("the same {members} members of which the last one is eligible");
        trial.series(&*policy, &world, &inputs)?;
    }
    Ok(())
}

pub(crate) fn classes(trial: &mut Trial<'_>) -> Checked {
    const CLASSES: u32 = 80;
    let policy = trial.fresh()?;
    let world = trial.maker.ordinary(CLASSES);
    let of_class = |number: u32| {
        let mut world = world.clone();
        world.restrict(|row| row == number);
        world.class.id = 1_000 + number;
        world.class.count = 1;
        world.class.requirement =
            Arc::new(Requirement { health_min_percent: number, ..Requirement::default() });
        world.name = format!("{CLASSES} classes of one member each, class {number}");
        world
    };
    let worlds: Vec<World> = (0..CLASSES).map(of_class).collect();
    for round in 0..trial.times(2, 6) {
        let input = trial.input(round);
        for (world, row) in worlds.iter().zip(0_u32..) {
            let answer = trial.decide(&*policy, world, &input)?;
            ensure(answer.row().is_none_or(|chosen| chosen == row), || {
                (input.told(world), format!("row {row}"), answer.told())
            })?;
        }
    }
    Ok::<(), Trouble>(())
}
