//! How much of a member's free accelerators is stranded: free, but of no use to the requests that come.
//!
//! [`Demand`] -> [`Tables`] -> [`Tables::strands`] of a member before and after
//!
//! Invariant: everything is in thousandths of a device, and a member without free devices strands nothing.

use crate::demand::{CORES, Demand, SHARES, WHOLES};

/// Weights of the parts, tuned on seven workloads of the FGD paper and on mixtures of them.
const POOR: f32 = 1.0;
const SHORT: f32 = 3.3;
const REMAINDER: f32 = 1.6;
const GROUP: f32 = 0.033;
/// A device is poor in CPU below about this multiple of what requests take beside a device.
const POOR_BELOW: f32 = 0.7;
/// How long a remainder waits for a request that fits: arrivals per device, in multiples of those seen.
const PATIENCE: f64 = 40.0;
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
    /// 1 / (CPU beside a device at which it is poor), per thousandth.
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
            poor_scale: 1_000.0 / (POOR_BELOW * beside),
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
        let short = self.short.get(cores).copied().unwrap_or_default();
        // (1 - x/8)^8 is e^-x without the library call.
        let ratio = free.cpu_millis * self.poor_scale / (1_000.0 * free.device_millis.max(1.0));
        let poor = (1.0 - ratio * (1_000.0 / 8.0)).max(0.0);
        let squared = poor * poor;
        let fourth = squared * squared;
        free.device_millis * (POOR * fourth * fourth + short)
    }

    /// A device with so much left, thousandths.
    #[inline]
    pub(crate) fn in_remainder(&self, millis: u16) -> f32 {
        self.remainder.get(usize::from(millis / 10)).copied().unwrap_or_default()
    }

    /// Whole devices that are fewer than requests take at once.
    #[inline]
    pub(crate) fn in_small_groups(&self, wholes: usize) -> f32 {
        self.group.get(wholes).copied().unwrap_or_default()
    }
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
