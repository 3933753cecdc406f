//! What a policy declares of itself.

use pilothouse_core::fleet::block::Block;
use pilothouse_core::fleet::column::Column;
use pilothouse_core::member::Resources;

use super::contract::requires;
use crate::ask::{Answer, Input};
use crate::trial::{Checked, Trial, ensure};
use crate::world::{Extreme, World, write_even};

/// Members that are the same but for their identity.
fn even(trial: &mut Trial<'_>, members: u32) -> World {
    let mut world = trial.maker.ordinary(members);
    world.each(|block, lane, _| {
        write_even(block, lane);
    });
    world.set_rtt(|_| 20.0);
    world.name = format!("{members} members that are the same");
    trial.maker.settle(world)
}

/// How often each row was chosen.
fn counts(trial: &mut Trial<'_>, world: &World, turns: u64) -> Result<Vec<u64>, crate::trial::Trouble> {
    let policy = trial.fresh()?;
    let mut counts = vec![0_u64; world.fleet.rows as usize];
    for index in 0..turns {
        let input = Input { session: None, ..trial.input(index) };
        let chosen = trial.decide(&*policy, world, &input)?.row();
        if let Some(count) = chosen.and_then(|row| counts.get_mut(row as usize)) {
            *count += 1;
        }
    }
    Ok(counts)
}

pub(crate) fn fair(trial: &mut Trial<'_>) -> Checked {
    requires(trial, "fair")?;
    for members in [2, 7, 65] {
        let world = even(trial, members);
        let turns = 20 * u64::from(members) + 3;
        let counts = counts(trial, &world, turns)?;
        let (least, most) = (counts.iter().min().copied(), counts.iter().max().copied());
        ensure(most <= least.map(|least| least + 1), || {
            let got = format!("{} to {}", least.unwrap_or(0), most.unwrap_or(0));
            (format!("{turns} requests; {}", world.name), "counts that differ by one at most".to_owned(), got)
        })?;
    }
    Ok(())
}

pub(crate) fn proportional(trial: &mut Trial<'_>) -> Checked {
    requires(trial, "proportional")?;
    const WEIGHTS: [f32; 4] = [5.0, 3.0, 1.5, 0.5];
    let mut world = even(trial, 4);
    world.each(|block, lane, row| {
        block.set_f32(Column::Weight, lane, WEIGHTS.get(row as usize).copied().unwrap_or(1.0));
    });
    let world = trial.maker.settle(world);
    let turns = trial.times(4_000, 40_000);
    let counts = counts(trial, &world, turns)?;
    let off = counts.iter().zip(WEIGHTS).any(|(&count, weight)| {
        let share = f64::from(weight) / 10.0;
        (count as f64 / turns as f64 - share).abs() > 0.05
    });
    ensure(!off, || {
        let expected = "shares of 50, 30, 15 and 5 %, give or take 5".to_owned();
        (format!("{turns} requests; weights 5, 3, 1.5, 0.5"), expected, format!("{counts:?}"))
    })
}

pub(crate) fn sticky(trial: &mut Trial<'_>) -> Checked {
    requires(trial, "sticky")?;
    for members in [8, 300] {
        let policy = trial.fresh()?;
        let whole = even(trial, members);
        let inputs: Vec<Input> = (0..trial.times(200, 2_000))
            .map(|index| Input { session: Some(trial.input(index).seed), ..trial.input(index) })
            .collect();
        let owners =
            |trial: &mut Trial<'_>, world: &World| -> Result<Vec<Option<u32>>, crate::trial::Trouble> {
                let answers = trial.series(&*policy, world, &inputs)?;
                Ok(answers.iter().map(Answer::row).collect())
            };
        let first = owners(trial, &whole)?;
        let lost = first.first().copied().flatten();
        let mut smaller = whole.clone();
        smaller.restrict(|row| Some(row) != lost);
        smaller.name = format!("{members} members of which one was lost");
        let smaller = trial.maker.settle(smaller);
        for (world, may_move) in [(&whole, None), (&smaller, lost)] {
            let now = owners(trial, world)?;
            let moved =
                first.iter().zip(&now).find(|(before, after)| before != after && **before != may_move);
            let input = || format!("{} sessions; {}", inputs.len(), world.name);
            ensure(moved.is_none(), || {
                let (before, after) = moved.map_or((None, None), |(before, after)| (*before, *after));
                (input(), format!("a session of row {before:?} stays"), format!("it went to {after:?}"))
            })?;
        }
    }
    Ok(())
}

/// Two members that differ as `write(better)` says; the better one must win from either place.
fn prefers(
    trial: &mut Trial<'_>,
    property: &str,
    difference: &str,
    write: impl Fn(&mut Block, usize, bool),
    rtt: impl Fn(bool) -> f32,
) -> Checked {
    requires(trial, property)?;
    let needs = Resources { cpu_millis: 1_000, memory_mib: 1_024, ..Resources::default() };
    for better in [0, 1] {
        let mut world = even(trial, 2);
        world.each(|block, lane, row| write(block, lane, row == better));
        world.set_rtt(|row| rtt(row == better));
        world.name = format!("two members, row {better} {difference}");
        let world = trial.maker.settle(world);
        let policy = trial.fresh()?;
        for index in 0..trial.times(20, 200) {
            let input = Input { session: None, needs, latency_goal_ms: 0.0, ..trial.input(index) };
            let answer = trial.decide(&*policy, &world, &input)?;
            ensure(answer.row() == Some(better), || {
                (input.told(&world), format!("row {better}"), answer.told())
            })?;
        }
    }
    Ok(())
}

pub(crate) fn prefers_less_loaded(trial: &mut Trial<'_>) -> Checked {
    let write = |block: &mut Block, lane, better| {
        block.set_u32(Column::Capacity, lane, 100);
        block.set_u32(Column::Active, lane, if better { 5 } else { 80 });
        block.set_f32(Column::Cpu, lane, if better { 0.05 } else { 0.8 });
    };
    prefers(trial, "prefers-less-loaded", "less loaded", write, |_| 20.0)
}

pub(crate) fn prefers_cheaper(trial: &mut Trial<'_>) -> Checked {
    let write = |block: &mut Block, lane, better| {
        block.set_f32(Column::CostPerHour, lane, if better { 1.0 } else { 4.0 });
    };
    prefers(trial, "prefers-cheaper", "cheaper", write, |_| 20.0)
}

pub(crate) fn prefers_nearer(trial: &mut Trial<'_>) -> Checked {
    prefers(trial, "prefers-nearer", "nearer", |_, _, _| (), |better| if better { 10.0 } else { 150.0 })
}

fn room(block: &mut Block, lane: usize, is_fuller: bool) {
    let free = if is_fuller { 8 } else { 56 };
    block.set_u32(Column::CpuMillisFree, lane, 1_000 * free);
    block.set_u32(Column::MemoryMibFree, lane, 1_024 * free);
}

pub(crate) fn prefers_fuller(trial: &mut Trial<'_>) -> Checked {
    prefers(trial, "prefers-fuller", "fuller", room, |_| 20.0)
}

pub(crate) fn prefers_emptier(trial: &mut Trial<'_>) -> Checked {
    prefers(trial, "prefers-emptier", "emptier", |block, lane, better| room(block, lane, !better), |_| 20.0)
}

/// Groups in every state: calm, silent, absurd.
fn groups(trial: &mut Trial<'_>) -> Vec<World> {
    let mut silent = trial.maker.ordinary(1);
    silent.samples = Vec::new();
    silent.name = "no sample".to_owned();
    let mut busy = trial.maker.ordinary(1);
    busy.samples.iter_mut().for_each(|sample| (sample.queue_depth, sample.arrivals_per_s) = (900.0, 400.0));
    busy.name = "900 waiting".to_owned();
    let mut idle = trial.maker.ordinary(1);
    idle.samples.iter_mut().for_each(|sample| {
        (sample.queue_depth, sample.arrivals_per_s, sample.completions_per_s) = (0.0, 0.0, 0.0);
    });
    idle.name = "nothing to do".to_owned();
    let absurd = [Extreme::Zero, Extreme::Nan, Extreme::Infinite, Extreme::Huge, Extreme::Duplicates];
    let absurd = absurd.map(|extreme| trial.maker.extreme(extreme, 1));
    [silent, busy, idle, trial.maker.ordinary(1)].into_iter().chain(absurd).collect()
}

pub(crate) fn limits(trial: &mut Trial<'_>) -> Checked {
    requires(trial, "limits")?;
    let policy = trial.fresh()?;
    for world in groups(trial) {
        for (limits, replicas) in
            [((1, 50), 1), ((1, 50), 50), ((7, 9), 3), ((7, 9), 40), ((0, 3), 0), ((30, 30), 30)]
        {
            let input = Input { limits, replicas, last_change_ms: 0, ..trial.input(1) };
            let answer = trial.decide(&*policy, &world, &input)?;
            let Answer::Target(target) = &answer else { continue };
            ensure((limits.0..=limits.1).contains(&target.replicas), || {
                let told =
                    format!("{}; {replicas} replicas, limits {} to {}", world.name, limits.0, limits.1);
                (told, "a count within the limits".to_owned(), answer.told())
            })?;
        }
    }
    Ok(())
}

pub(crate) fn cooldown(trial: &mut Trial<'_>) -> Checked {
    requires(trial, "cooldown")?;
    let policy = trial.fresh()?;
    for world in groups(trial) {
        let input = Input { limits: (1, 50), replicas: 10, last_change_ms: 999_990, ..trial.input(0) };
        let answer = trial.decide(&*policy, &world, &input)?;
        let Answer::Target(target) = &answer else { continue };
        ensure(target.replicas == 10, || {
            let told = format!("{}; 10 replicas, changed 10 ms ago", world.name);
            (told, "10 replicas".to_owned(), answer.told())
        })?;
    }
    Ok(())
}
