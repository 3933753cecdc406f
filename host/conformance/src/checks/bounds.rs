//! Fuel, memory, output, log and state in fleets of every size.

use std::sync::Arc;

use pilothouse_core::policy::Policy;
use pilothouse_core::policy::state::{CELLS_MAX, COUNTERS_MAX, PIN_TABLES_MAX, SlotState};
use pilothouse_core::time::Now;

use crate::ask;
use crate::trial::{Checked, Trial, Trouble, ensure};
use crate::world::{World, samples};

/// Members of small, large and very large fleets; samples of a group that goes with them.
const SIZES: [(u32, u32); 3] = [(10, 20), (1_000, 500), (10_000, 4_096)];

fn large(trial: &mut Trial<'_>, (members, count): (u32, u32)) -> World {
    let mut world = trial.maker.ordinary(members);
    world.samples = samples(count, 3);
    world
}

/// Asks one instance over fleets of every size; `each` sees it after every fleet.
fn sweep(
    trial: &mut Trial<'_>,
    times: u64,
    mut each: impl FnMut(&mut Trial<'_>, &World, &dyn Policy) -> Checked,
) -> Checked {
    let policy = trial.fresh()?;
    for size in SIZES {
        let world = large(trial, size);
        let inputs = trial.inputs(times);
        trial.series(&*policy, &world, &inputs)?;
        each(trial, &world, &*policy)?;
    }
    Ok(())
}

pub(crate) fn fuel(trial: &mut Trial<'_>) -> Checked {
    let times = trial.times(6, 100);
    sweep(trial, times, |trial, world, policy| {
        let inputs = trial.inputs(32);
        trial.tried += 33;
        ask::many(policy, world, &inputs)?;
        let Some(first) = inputs.first() else { return Ok(()) };
        ask::rank(policy, world, first, 64).map(drop)
    })
}

pub(crate) fn memory(trial: &mut Trial<'_>) -> Checked {
    let times = trial.times(3, 30);
    let most = trial.facts().memory_bytes_max;
    sweep(trial, times, |trial, world, policy| {
        let used = policy.usage().memory_bytes;
        trial.measured.push((format!("memory at {}", world.name), format!("{} KiB", used >> 10)));
        ensure(used <= most, || (world.name.clone(), format!("at most {most} bytes"), used.to_string()))
    })
}

pub(crate) fn output(trial: &mut Trial<'_>) -> Checked {
    let times = trial.times(3, 30);
    sweep(trial, times, |_, _, _| Ok(()))
}

pub(crate) fn headroom(trial: &mut Trial<'_>) -> Checked {
    let most = trial.facts().fuel_max / 2;
    for size in SIZES {
        let world = large(trial, size);
        let policy = trial.fresh()?;
        let mut before = 0;
        let mut worst = 0;
        for input in trial.inputs(trial.times(6, 60)) {
            trial.decide(&*policy, &world, &input)?;
            let now = policy.usage().fuel;
            worst = worst.max(now - before);
            before = now;
        }
        trial.measured.push((format!("most fuel of a decision at {}", world.name), worst.to_string()));
        ensure(worst <= most, || {
            (world.name.clone(), format!("at most {most} units"), format!("{worst} units"))
        })?;
    }
    Ok(())
}

pub(crate) fn log(trial: &mut Trial<'_>) -> Checked {
    sweep(trial, 3, |_, world, policy| {
        let dropped = policy.usage().log_lines_dropped;
        ensure(dropped == 0, || {
            (world.name.clone(), "no line dropped".to_owned(), format!("{dropped} lines were dropped"))
        })
    })
}

pub(crate) fn state(trial: &mut Trial<'_>) -> Checked {
    let state: Arc<SlotState> = Arc::default();
    let policy = trial.on(&state)?;
    let opened = names(&state);
    let world = trial.maker.ordinary(10);
    let inputs = trial.inputs(trial.times(100, 1_000));
    trial.series(&*policy, &world, &inputs)?;
    let after = names(&state);
    // Kinds are compared apart, because each has a quota of its own.
    for ((kind, before, most), (_, after, _)) in opened.into_iter().zip(after) {
        ensure(after == before, || {
            (world.name.clone(), format!("{before} {kind} as after `configure`"), format!("{after} {kind}"))
        })?;
        ensure(after < most, || {
            ("`configure`".to_owned(), format!("fewer than {most} {kind}"), after.to_string())
        })?;
    }
    Ok::<(), Trouble>(())
}

fn names(state: &SlotState) -> [(&'static str, usize, usize); 3] {
    let image = state.image(Now(0));
    [
        ("counters", image.counters.len(), COUNTERS_MAX),
        ("pin tables", image.pins.len(), PIN_TABLES_MAX),
        ("cells", image.cells.len(), CELLS_MAX),
    ]
}
