//! State of the slot, handed over and foreign.

use std::sync::Arc;

use pilothouse_core::policy::state::{CELL_NUMBERS_MAX, SlotState, SlotStateImage};
use pilothouse_core::time::Now;

use crate::trial::{Checked, Trial, compare};

/// When the state is copied, on the clock of the inputs.
const COPIED_AT: Now = Now(1_000_000);

pub(crate) fn hand_over(trial: &mut Trial<'_>) -> Checked {
    let times = trial.times(40, 400);
    let inputs = trial.inputs(2 * times);
    let (before, after) = inputs.split_at(usize::try_from(times).unwrap_or(0).min(inputs.len()));
    let world = trial.maker.ordinary(24);
    let state: Arc<SlotState> = Arc::default();
    let old = trial.on(&state)?;
    trial.series(&*old, &world, before)?;
    let copy = Arc::new(SlotState::restore(&state.image(COPIED_AT), COPIED_AT));
    let next = trial.on(&copy)?;
    let expected = trial.series(&*old, &world, after)?;
    let got = trial.series(&*next, &world, after)?;
    compare(&world, after, &expected, &got, "what the instance before would have answered")
}

pub(crate) fn foreign(trial: &mut Trial<'_>) -> Checked {
    let world = trial.maker.ordinary(24);
    let inputs = trial.inputs(trial.times(10, 60));
    let state: Arc<SlotState> = Arc::default();
    trial.series(&*trial.on(&state)?, &world, &inputs)?;
    let image = state.image(COPIED_AT);
    for (values, counter) in [
        (vec![], 0),
        (vec![f64::NAN; 3], u64::MAX),
        (vec![f64::INFINITY; 64], 1 << 63),
        (vec![-1e300; CELL_NUMBERS_MAX], u64::MAX - 5),
        ((0..100).map(f64::from).collect(), 12_345),
    ] {
        let strange = strange(&image, &values, counter);
        let state = Arc::new(SlotState::restore(&strange, COPIED_AT));
        trial.series(&*trial.on(&state)?, &world, &inputs)?;
    }
    Ok(())
}

/// The same names with other values; pins point to rows that exist and to rows that do not.
fn strange(image: &SlotStateImage, values: &[f64], counter: u64) -> SlotStateImage {
    let SlotStateImage { counters, pins, cells } = image.clone();
    let pins = pins.into_iter().map(|mut table| {
        for (place, entry) in table.entries.iter_mut().enumerate() {
            entry.1 = if place % 2 == 0 { u32::MAX } else { 0 };
        }
        table
    });
    SlotStateImage {
        counters: counters.into_iter().map(|(name, _)| (name, counter)).collect(),
        pins: pins.collect(),
        cells: cells.into_iter().map(|(name, version, _)| (name, version, values.to_vec())).collect(),
    }
}
