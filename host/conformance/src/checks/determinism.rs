//! The same question, asked elsewhere.

use std::sync::Arc;

use pilothouse_core::fleet::column::Column;
use pilothouse_core::policy::state::SlotState;

use crate::ask::Input;
use crate::trial::{Checked, Trial, compare, failed};
use crate::world::World;

/// Two fleets one after the other, each with a series of inputs.
fn stages(trial: &mut Trial<'_>) -> Vec<(World, Vec<Input>)> {
    let times = trial.times(30, 300);
    let inputs = trial.inputs(2 * times);
    let (first, second) = inputs.split_at(usize::try_from(times).unwrap_or(inputs.len()).min(inputs.len()));
    vec![(trial.maker.ordinary(24), first.to_vec()), (trial.maker.ordinary(70), second.to_vec())]
}

pub(crate) fn repeat(trial: &mut Trial<'_>) -> Checked {
    let (a, b) = (trial.fresh()?, trial.fresh()?);
    for (world, inputs) in stages(trial) {
        let expected = trial.series(&*a, &world, &inputs)?;
        let got = trial.series(&*b, &world, &inputs)?;
        compare(&world, &inputs, &expected, &got, "what another fresh instance answered")?;
    }
    Ok(())
}

pub(crate) fn instances(trial: &mut Trial<'_>) -> Checked {
    let alone = trial.fresh()?;
    let shared: Arc<SlotState> = Arc::default();
    let pair = [trial.on(&shared)?, trial.on(&shared)?];
    for (world, inputs) in stages(trial) {
        let expected = trial.series(&*alone, &world, &inputs)?;
        let mut got = Vec::with_capacity(inputs.len());
        for (input, policy) in inputs.iter().zip(pair.iter().cycle()) {
            got.push(trial.decide(&**policy, &world, input)?);
        }
        compare(&world, &inputs, &expected, &got, "what one instance alone answered")?;
    }
    Ok(())
}

pub(crate) fn reload(trial: &mut Trial<'_>) -> Checked {
    let again = match trial.subject.load_again() {
        Ok(again) => again,
        Err(problem) => return failed("the same bytes", "loaded again", problem),
    };
    let a = trial.fresh()?;
    let b = again.make("", Arc::default()).map_err(crate::trial::Trouble::NotMade)?;
    for (world, inputs) in stages(trial) {
        let expected = trial.series(&*a, &world, &inputs)?;
        let got = trial.series(&*b, &world, &inputs)?;
        compare(&world, &inputs, &expected, &got, "what it answered before it was loaded again")?;
    }
    Ok(())
}

pub(crate) fn nan(trial: &mut Trial<'_>) -> Checked {
    let unknown = |trial: &mut Trial<'_>, bits: u32| {
        let nan = f32::from_bits(bits);
        let mut world = trial.maker.ordinary(24);
        world.each(|block, lane, row| {
            for column in [Column::Cpu, Column::LatencyMs, Column::LoadAverage, Column::CostPerHour] {
                if row % 2 == 0 {
                    block.set_f32(column, lane, nan);
                }
            }
        });
        world.set_rtt(|row| if row % 2 == 0 { nan } else { 20.0 });
        for sample in world.samples.iter_mut().step_by(2) {
            (sample.arrivals_per_s, sample.utilisation) = (nan, nan);
        }
        world.name = "24 members, half of the readings NaN".to_owned();
        trial.maker.settle(world)
    };
    let inputs = trial.inputs(trial.times(20, 200));
    let usual = unknown(trial, f32::NAN.to_bits());
    let expected = trial.series(&*trial.fresh()?, &usual, &inputs)?;
    for bits in [0xffc0_0000, 0x7fc1_2345, 0xffff_ffff] {
        let other = unknown(trial, bits);
        let got = trial.series(&*trial.fresh()?, &other, &inputs)?;
        compare(
            &other,
            &inputs,
            &expected,
            &got,
            &format!("what it answers to the usual NaN, not {bits:#x}"),
        )?;
    }
    Ok(())
}
