//! Answers on ordinary fleets.

use pilothouse_core::member::Resources;
use pilothouse_core::policy::request::{Candidate, Resident};

use crate::ask::{self, Answer, Input};
use crate::trial::{Checked, Trial, compare, ensure, failed};
use crate::world::World;

/// Sizes of ordinary fleets: few, and around the edges of a block.
const SIZES: [u32; 5] = [3, 10, 64, 65, 130];

/// Asks one instance over fleets of every size.
fn sweep(
    trial: &mut Trial<'_>,
    times: u64,
    mut check: impl FnMut(&World, &Input, &Answer) -> Checked,
) -> Checked {
    let policy = trial.fresh()?;
    for members in SIZES {
        let world = trial.maker.ordinary(members);
        for input in trial.inputs(times) {
            let answer = trial.decide(&*policy, &world, &input)?;
            check(&world, &input, &answer)?;
        }
    }
    Ok(())
}

pub(crate) fn no_trap(trial: &mut Trial<'_>) -> Checked {
    let times = trial.times(40, 400);
    sweep(trial, times, |_, _, _| Ok(()))
}

pub(crate) fn answer(trial: &mut Trial<'_>) -> Checked {
    sweep(trial, 10, |_, _, _| Ok(()))
}

pub(crate) fn no_failure(trial: &mut Trial<'_>) -> Checked {
    sweep(trial, 10, |_, _, _| Ok(()))
}

pub(crate) fn score(trial: &mut Trial<'_>) -> Checked {
    let policy = trial.fresh()?;
    let world = trial.maker.ordinary(40);
    for input in trial.inputs(trial.times(10, 100)) {
        trial.decide(&*policy, &world, &input)?;
        ask::rank(&*policy, &world, &input, 1)?;
    }
    Ok(())
}

pub(crate) fn eligible(trial: &mut Trial<'_>) -> Checked {
    let policy = trial.fresh()?;
    for members in [4, 30, 200] {
        let world = trial.maker.tempting(members);
        let inputs = trial.inputs(trial.times(20, 200));
        trial.series(&*policy, &world, &inputs)?;
        for input in inputs.iter().take(3) {
            trial.tried += 2;
            // With more room than one, a row that comes twice would be found here and not under its own name.
            ask::rank(&*policy, &world, input, 1)?;
        }
        ask::many(&*policy, &world, &inputs)?;
    }
    Ok(())
}

pub(crate) fn decides(trial: &mut Trial<'_>) -> Checked {
    let mut answered = 0;
    sweep(trial, 10, |_, _, answer| {
        answered += u64::from(!matches!(answer, Answer::Refused(_)));
        Ok(())
    })?;
    let tried = trial.tried;
    ensure(answered > 0, || {
        (format!("{tried} ordinary requests"), "an answer".to_owned(), "refusals only".to_owned())
    })
}

pub(crate) fn reason(trial: &mut Trial<'_>) -> Checked {
    let known = trial.facts().description.reasons.len();
    let times = trial.times(20, 200);
    sweep(trial, times, |world, input, answer| {
        let code = answer.reason().unwrap_or(0) as usize;
        ensure(answer.reason().is_none() || code < known, || {
            (input.told(world), format!("a reason below {known}"), format!("reason {code}"))
        })
    })
}

/// Rankings on one fleet, one limit after the other.
fn rankings(
    trial: &mut Trial<'_>,
    limits: &[u32],
    mut check: impl FnMut(&World, &Input, &[Candidate]) -> Checked,
) -> Checked {
    let policy = trial.fresh()?;
    for members in [10, 70] {
        let world = trial.maker.ordinary(members);
        for &limit in limits {
            for input in trial.inputs(trial.times(5, 50)) {
                trial.tried += 1;
                if let Some(ranked) = ask::rank(&*policy, &world, &input, limit)? {
                    check(&world, &input, &ranked)?;
                }
            }
        }
    }
    Ok(())
}

pub(crate) fn rank_limit(trial: &mut Trial<'_>) -> Checked {
    rankings(trial, &[1], |world, input, ranked| {
        ensure(ranked.len() == 1, || {
            (format!("{}; limit 1", input.told(world)), "one candidate".to_owned(), ranked.len().to_string())
        })
    })
}

pub(crate) fn rank_distinct(trial: &mut Trial<'_>) -> Checked {
    rankings(trial, &[2, 64], |world, input, ranked| {
        let mut rows: Vec<u32> = ranked.iter().map(|candidate| candidate.choice.row).collect();
        rows.sort_unstable();
        let twice =
            rows.windows(2).find_map(|pair| pair.first().filter(|&row| pair.get(1) == Some(row)).copied());
        match twice {
            Some(row) => failed(input.told(world), "every row once", format!("row {row} twice")),
            None => Ok(()),
        }
    })
}

pub(crate) fn rank_order(trial: &mut Trial<'_>) -> Checked {
    rankings(trial, &[5, 64], |world, input, ranked| {
        let scores: Vec<f32> = ranked.iter().map(|candidate| candidate.choice.score).collect();
        let descends = scores.is_sorted_by(|a, b| a >= b);
        ensure(descends, || {
            (
                input.told(world),
                "descending scores".to_owned(),
                format!("{:?}", scores.get(..8).unwrap_or(&scores)),
            )
        })
    })
}

pub(crate) fn rank_first(trial: &mut Trial<'_>) -> Checked {
    for (members, index) in [(10, 0), (10, 1), (10, 2), (70, 3), (70, 4), (130, 5), (130, 6)] {
        let world = trial.maker.ordinary(members);
        let input = trial.input(index);
        let chosen = trial.decide(&*trial.fresh()?, &world, &input)?;
        let ranked = ask::rank(&*trial.fresh()?, &world, &input, 4)?;
        let first = ranked.as_ref().and_then(|ranked| ranked.first()).map(|first| first.choice.row);
        ensure(chosen.row() == first, || {
            let got = first.map_or("a refusal".to_owned(), |row| format!("row {row} first"));
            (input.told(&world), format!("first what a decision takes: {}", chosen.told()), got)
        })?;
    }
    Ok(())
}

pub(crate) fn batch_count(trial: &mut Trial<'_>) -> Checked {
    let policy = trial.fresh()?;
    let world = trial.maker.ordinary(20);
    for count in [1, 2, 64, 1_024] {
        let inputs = trial.inputs(count);
        trial.tried += count;
        ask::many(&*policy, &world, &inputs)?;
    }
    Ok(())
}

pub(crate) fn batch_same(trial: &mut Trial<'_>) -> Checked {
    for members in [5, 70] {
        let world = trial.maker.ordinary(members);
        // One call has one clock, so a batch that is compared with single calls has it, too.
        let mut inputs = trial.inputs(trial.times(32, 256));
        inputs.iter_mut().for_each(|input| input.now_ms = 1_000_000);
        let one_by_one = trial.series(&*trial.fresh()?, &world, &inputs)?;
        if let Some(batch) = ask::many(&*trial.fresh()?, &world, &inputs)? {
            compare(&world, &inputs, &one_by_one, &batch, "what single decisions give")?;
        }
    }
    Ok(())
}

pub(crate) fn factors(trial: &mut Trial<'_>) -> Checked {
    let named = trial.facts().description.factors.len();
    rankings(trial, &[8], |world, input, ranked| {
        let odd = ranked.iter().find(|candidate| candidate.factors.len() != named);
        ensure(odd.is_none(), || {
            let got = odd.map_or(0, |candidate| candidate.factors.len());
            (input.told(world), format!("{named} factors"), got.to_string())
        })?;
        let nan = ranked.iter().find(|candidate| candidate.factors.iter().any(|factor| factor.is_nan()));
        ensure(nan.is_none(), || {
            let row = nan.map_or(0, |candidate| candidate.choice.row);
            (input.told(world), "numbers".to_owned(), format!("NaN among the factors of row {row}"))
        })
    })
}

pub(crate) fn route_shape(trial: &mut Trial<'_>) -> Checked {
    let times = trial.times(20, 200);
    sweep(trial, times, |world, input, answer| {
        let Answer::Route(route) = answer else { return Ok(()) };
        let weighs = route.targets.iter().any(|&(_, weight)| weight > 0);
        ensure((1..=16).contains(&route.targets.len()) && route.fallbacks.len() <= 8 && weighs, || {
            (input.told(world), "1 to 16 targets, at most 8 fallbacks, a weight".to_owned(), answer.told())
        })
    })
}

pub(crate) fn route_distinct(trial: &mut Trial<'_>) -> Checked {
    let times = trial.times(20, 200);
    sweep(trial, times, |world, input, answer| {
        let Answer::Route(route) = answer else { return Ok(()) };
        let mut rows: Vec<u32> =
            route.targets.iter().map(|&(row, _)| row).chain(route.fallbacks.iter().copied()).collect();
        let all = rows.len();
        rows.sort_unstable();
        rows.dedup();
        ensure(rows.len() == all, || (input.told(world), "every row once".to_owned(), answer.told()))
    })
}

/// Twenty residents over the first rows, of different priority.
fn residents(members: u32) -> Vec<Resident> {
    let needs = Resources { cpu_millis: 1_000, memory_mib: 1_024, ..Resources::default() };
    (0..20_u32)
        .map(|index| Resident {
            workload: 100 + index,
            row: index % members,
            needs,
            priority: i32::try_from(index % 9).unwrap_or(0),
            age_ms: 60_000 * u64::from(index),
        })
        .collect()
}

pub(crate) fn moves(trial: &mut Trial<'_>) -> Checked {
    const LIMIT: u32 = 3;
    let policy = trial.fresh()?;
    let world = trial.maker.ordinary(10);
    let residents = residents(10);
    for input in trial.inputs(10) {
        trial.tried += 1;
        let Some(moves) = ask::moves(&*policy, &world, &input, &residents, LIMIT)? else { continue };
        let known = |workload| residents.iter().any(|resident| resident.workload == workload);
        let fits = moves.len() <= LIMIT as usize && moves.iter().all(|wanted| known(wanted.workload));
        let eligible = moves.iter().all(|wanted| world.class.contains(wanted.to));
        ensure(fits && eligible, || {
            let expected = format!("at most {LIMIT} moves of the 20 residents to eligible rows");
            (input.told(&world), expected, format!("{moves:?}").chars().take(160).collect())
        })?;
    }
    Ok(())
}

pub(crate) fn victims(trial: &mut Trial<'_>) -> Checked {
    let policy = trial.fresh()?;
    let world = trial.maker.ordinary(10);
    let residents = residents(10);
    for input in trial.inputs(10) {
        trial.tried += 1;
        let row = u32::try_from(input.seed % 10).unwrap_or(0);
        let Some(victims) = ask::victims(&*policy, &world, &input, row, &residents)? else { continue };
        let may_yield = |workload: &u32| {
            let of_row = |resident: &&Resident| resident.workload == *workload && resident.row == row;
            residents
                .iter()
                .find(of_row)
                .is_some_and(|resident| resident.priority < input.placement().priority)
        };
        let mut distinct = victims.clone();
        distinct.sort_unstable();
        distinct.dedup();
        ensure(victims.iter().all(may_yield) && distinct.len() == victims.len(), || {
            let expected = format!("residents of row {row} below priority 5, each once");
            (input.told(&world), expected, format!("{victims:?}"))
        })?;
    }
    Ok(())
}
