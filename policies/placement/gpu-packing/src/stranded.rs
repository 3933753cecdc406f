//! How much of a member's free accelerators is stranded: free, but of no use to the requests that come.
//!
//! [`Demand`] -> [`Tables`] -> [`Tables::strands`] of a member before and after
//!
//! Invariant: everything is in thousandths of a device, and a member without free devices strands nothing.

use crate::demand::{CORES, Demand, SHARES, WHOLES};

/// Weights of the parts, tuned on seven workloads of the FGD paper and on mixtures of them.
const POOR: f32 = 1.0;
const SHORT: f32 = 2.0;
const REMAINDER: f32 = 1.8;
const GROUP: f32 = 0.05;
/// A device is poor in CPU below about this multiple of what requests take beside a device.
const POOR_BELOW: f32 = 0.7;
/// How long a remainder waits for a request that fits: arrivals per device, in multiples of those seen.
const PATIENCE: f64 = 45.0;
/// CPU beside a device before anything is known, thousandths of a core.
const PRIOR_CPU_MILLIS: f64 = 8_000.0;

/// What is free on a member.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Free {
    /// Thousandths of a core.
    pub cpu_millis: f32,
    /// Thousandths of devices in all.
    pub device_millis: f32,
    /// Devices that are wholly free.
    pub wholes: usize,
}

/// Tables made of the demand, so that a member costs a few look-ups.
#[derive(Debug)]
pub(crate) struct Tables {
    requests: f64,
    /// An eighth of what it takes to make a device poor, inverted: thousandths of a device per thousandth of a core.
    poor_scale: f32,
    /// Share of requests that need more than so many cores.
    short: [f32; CORES + 1],
    /// Stranded of a remainder of so many hundredths.
    remainder: [f32; SHARES + 1],
    /// Stranded of so many whole devices together.
    group: [f32; WHOLES + 1],
}

impl Tables {
    /// Tables for this demand.
    pub(crate) fn of(demand: &Demand) -> Self {
        let beside = demand.cpu_millis_per_device().unwrap_or(PRIOR_CPU_MILLIS).max(1.0) as f32;
        Self {
            requests: demand.requests(),
            poor_scale: 1_000.0 / (8.0 * POOR_BELOW * beside),
            short: short(demand).map(|share| SHORT * share as f32),
            remainder: remainder(demand).map(|millis| REMAINDER * millis as f32),
            group: group(demand).map(|millis| GROUP * millis as f32),
        }
    }

    /// Requests behind the tables.
    pub(crate) fn requests(&self) -> f64 {
        self.requests
    }

    /// Free devices without the CPU to use them: in the mean (smoothly, more and more as CPU runs out), and for
    /// requests that take more than is left.
    #[inline]
    pub(crate) fn for_lack_of_cpu(&self, free: Free) -> f32 {
        let cores = (free.cpu_millis * 0.001) as usize;
        let short = self.short.get(cores.min(CORES)).copied().unwrap_or_default();
        // (1 - x/8)^8 is nearly e^-x, without the library call.
        let beside = free.cpu_millis * self.poor_scale / larger(free.device_millis, 1.0);
        let poor = larger(1.0 - beside, 0.0);
        let squared = poor * poor;
        let fourth = squared * squared;
        free.device_millis * (POOR * fourth * fourth + short)
    }

    /// A device with so much left, thousandths.
    #[inline]
    pub(crate) fn in_remainder(&self, millis: u16) -> f32 {
        self.remainder.get(usize::from(millis / 10).min(SHARES)).copied().unwrap_or_default()
    }

    /// Whole devices that are fewer than requests take at once.
    #[inline]
    pub(crate) fn in_small_groups(&self, wholes: usize) -> f32 {
        self.group.get(wholes.min(WHOLES)).copied().unwrap_or_default()
    }
}

/// As `f32::max`, which is a library call in Wasm because of NaN.
#[inline]
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

fn short(demand: &Demand) -> [f64; CORES + 1] {
    let mut above = 0.0;
    let mut short = [0.0; CORES + 1];
    for (cores, place) in short.iter_mut().enumerate().rev() {
        *place = above;
        above += demand.share_with_cores(cores);
    }
    short
}

/// What a remainder loses in the mean if it is filled by the requests that come and fit: with `q` of them a device,
/// nothing comes with probability `e^(-patience q)`, and else each fitting share is as likely as it is frequent.
fn remainder(demand: &Demand) -> [f64; SHARES + 1] {
    let mut lost = [0.0; SHARES + 1];
    for left in 0..=SHARES {
        let (mut fitting, mut after) = (0.0, 0.0);
        for share in 1..=left {
            let count = demand.with_share(share);
            fitting += count;
            after += count * lost.get(left - share).copied().unwrap_or_default();
        }
        let nobody = if fitting > 0.0 { (-PATIENCE * fitting / demand.devices()).exp() } else { 1.0 };
        let filled = if fitting > 0.0 { after / fitting } else { 0.0 };
        if let Some(place) = lost.get_mut(left) {
            *place = nobody * (10 * left) as f64 + (1.0 - nobody) * filled;
        }
    }
    lost
}

fn group(demand: &Demand) -> [f64; WHOLES + 1] {
    let mut larger = 0.0;
    let mut group = [0.0; WHOLES + 1];
    for (wholes, place) in group.iter_mut().enumerate().rev() {
        *place = larger * wholes as f64 * 1_000.0;
        larger += demand.share_in_groups_of(wholes);
    }
    group
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(requests: &[(u32, u32)]) -> Tables {
        let mut demand = Demand::default();
        requests.iter().for_each(|&(cpu, accelerator)| demand.count(cpu, accelerator, 100.0));
        Tables::of(&demand)
    }

    fn free(cpu_millis: f32, wholes: usize) -> Free {
        Free { cpu_millis, device_millis: 1_000.0 * wholes as f32, wholes }
    }

    #[test]
    fn less_cpu_strands_more_and_no_device_strands_nothing() {
        let tables = tables(&[(10_000, 1_000), (4_000, 1_000)]);
        assert_eq!(tables.for_lack_of_cpu(free(5_000.0, 0)), 0.0);
        let stranded: Vec<f32> =
            (0_u8..12).map(|step| tables.for_lack_of_cpu(free(8_000.0 * f32::from(step), 8))).collect();
        assert!(stranded.windows(2).all(|pair| pair[1] <= pair[0]), "{stranded:?}");
        let lost =
            |cpu| tables.for_lack_of_cpu(free(cpu, 1)) - tables.for_lack_of_cpu(free(cpu + 1_000.0, 1));
        assert!(lost(9_500.0) > 3.0 * lost(7_500.0), "below what half of the requests take");
    }

    #[test]
    fn a_remainder_is_lost_unless_something_fits_it() {
        let tables = tables(&[(1, 700), (1, 300), (1, 200)]);
        assert_eq!(tables.in_remainder(190), REMAINDER * 190.0);
        assert!(tables.in_remainder(200) < 1.0, "200 fills it");
        assert!((tables.in_remainder(300) - REMAINDER * 50.0).abs() < 1.0, "200 leaves 100, 300 leaves none");
    }

    #[test]
    fn a_group_is_stranded_for_those_who_want_more() {
        let tables = tables(&[(1, 8_000), (1, 1_000)]);
        assert!(tables.in_small_groups(7) > tables.in_small_groups(3));
        assert_eq!((tables.in_small_groups(0), tables.in_small_groups(8)), (0.0, 0.0));
    }

    #[test]
    fn before_the_first_request_tables_are_finite() {
        let tables = Tables::of(&Demand::default());
        let values =
            [tables.for_lack_of_cpu(free(1.0, 1)), tables.in_remainder(1_000), tables.in_small_groups(9)];
        assert!(values.iter().all(|value| value.is_finite()), "{values:?}");
    }
}
