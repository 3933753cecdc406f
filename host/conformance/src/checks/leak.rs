//! Memory over many calls.

use crate::trial::{Checked, Trial, ensure};

/// Growth that allocators need for themselves: one page of WebAssembly.
const SLACK_BYTES: u64 = 64 << 10;
/// Calls after which an instance has all that it keeps.
const WARM_MAX: u64 = 10_000;
/// Calls between two looks at its memory.
const LOOK_EVERY: u64 = 1_000;

pub(crate) fn memory(trial: &mut Trial<'_>) -> Checked {
    let policy = trial.fresh()?;
    let world = trial.maker.ordinary(10);
    let calls = trial.times(8_000, 1_000_000);
    let inputs = trial.inputs(1_000);
    let warm = (calls / 10).min(WARM_MAX);
    let mut after_warmup = 0;
    let mut grown = 0;
    for (call, input) in (0..calls).zip(inputs.iter().cycle()) {
        trial.decide(&*policy, &world, input)?;
        if call == warm {
            after_warmup = policy.usage().memory_bytes;
        }
        if call > warm && call % LOOK_EVERY == 0 || call + 1 == calls {
            grown = policy.usage().memory_bytes.saturating_sub(after_warmup);
            // At once, before it runs into the limit and ends for another reason.
            ensure(grown <= SLACK_BYTES, || {
                let expected = format!("{} KiB as after {warm} calls", after_warmup >> 10);
                (format!("{call} calls; {}", world.name), expected, format!("{} KiB more", grown >> 10))
            })?;
        }
    }
    trial.measured.push((format!("memory grown over {} calls", calls - warm), format!("{grown} bytes")));
    Ok(())
}
