//! What accelerator requests look like: counts in the host's state.
//!
//! request -> `demand` (running counts) -> at times -> `mix` (settled counts) -> the tables of [`crate::stranded`]
//!
//! Invariant: tables are a function of the settled counts, so that every instance of the slot decides alike. The running
//! counts are halved when they are full: old demand fades away.

use pilothouse_sdk::mix;
use pilothouse_sdk::placement::Request;
use pilothouse_sdk::state::Cell;

use crate::stranded::Tables;

/// Bins of CPU: whole cores, the last one for more.
pub(crate) const CORES: usize = 128;
/// Bins of a share of one device: hundredths.
pub(crate) const SHARES: usize = 100;
/// Bins of whole devices.
pub(crate) const WHOLES: usize = 16;

const REQUESTS: usize = 0;
const DEVICES: usize = 1;
const CPU_MILLIS: usize = 2;
const BY_CORES: usize = 3;
const BY_SHARE: usize = BY_CORES + CORES + 1;
const BY_WHOLES: usize = BY_SHARE + SHARES + 1;
const NUMBERS: usize = BY_WHOLES + WHOLES + 1;
/// In the running counts only: at how many requests they are settled next.
const SETTLE_AT: usize = NUMBERS;

/// From here on one request in [`SAMPLE`] is counted, and counts so many times.
const SAMPLE_FROM: f64 = 512.0;
const SAMPLE: u64 = 8;
/// Counts are settled whenever they grew by this factor, and halved when they are full.
const GROWTH: f64 = 1.25;
const FULL: f64 = 8_192.0;

/// Counts of requests for accelerators.
#[derive(Debug, Clone, Default)]
pub(crate) struct Demand(Vec<f64>);

impl Demand {
    fn at(&self, place: usize) -> f64 {
        self.0.get(place).copied().unwrap_or_default()
    }

    fn add(&mut self, place: usize, count: f64) {
        if let Some(number) = self.0.get_mut(place) {
            *number += count;
        }
    }

    /// Counts a request as if it had come `times` times.
    pub(crate) fn count(&mut self, cpu_millis: u32, accelerator_millis: u32, times: f64) {
        self.0.resize(NUMBERS + 1, 0.0);
        let devices = f64::from(accelerator_millis) / 1_000.0;
        self.add(REQUESTS, times);
        self.add(DEVICES, times * devices);
        self.add(CPU_MILLIS, times * f64::from(cpu_millis));
        self.add(BY_CORES + (cpu_millis.div_ceil(1_000) as usize).min(CORES), times);
        if accelerator_millis <= 1_000 {
            self.add(BY_SHARE + accelerator_millis.div_ceil(10) as usize, times);
        } else {
            self.add(BY_WHOLES + (accelerator_millis.div_ceil(1_000) as usize).min(WHOLES), times);
        }
    }

    /// Requests counted.
    pub(crate) fn requests(&self) -> f64 {
        self.at(REQUESTS)
    }

    /// Devices asked for in all.
    pub(crate) fn devices(&self) -> f64 {
        self.at(DEVICES)
    }

    /// CPU asked for beside one device, thousandths of a core; `None` before the first request.
    pub(crate) fn cpu_millis_per_device(&self) -> Option<f64> {
        (self.devices() > 0.0).then(|| self.at(CPU_MILLIS) / self.devices())
    }

    /// Share of requests that take so many cores (rounded up; the last bin: or more).
    pub(crate) fn share_with_cores(&self, cores: usize) -> f64 {
        self.at(BY_CORES + cores) / self.at(REQUESTS).max(1.0)
    }

    /// Requests for so many hundredths of one device.
    pub(crate) fn with_share(&self, hundredths: usize) -> f64 {
        self.at(BY_SHARE + hundredths)
    }

    /// Share of all devices asked for that was asked for by this many at once.
    pub(crate) fn share_in_groups_of(&self, wholes: usize) -> f64 {
        if self.devices() > 0.0 { self.at(BY_WHOLES + wholes) * wholes as f64 / self.devices() } else { 0.0 }
    }
}

/// Learns the demand and keeps the tables made of it.
#[derive(Debug)]
pub(crate) struct Learner {
    running: Cell,
    settled: Cell,
    version: Option<u64>,
    tables: Tables,
}

impl Learner {
    /// Opens the host's state.
    pub(crate) fn open() -> Self {
        let tables = Tables::of(&Demand::default());
        Self { running: Cell::open("demand"), settled: Cell::open("mix"), version: None, tables }
    }

    /// Counts the request and gives the tables that are in force.
    pub(crate) fn learn(&mut self, request: &Request) -> &Tables {
        let (version, numbers) = self.settled.get();
        if self.version != Some(version) {
            self.version = Some(version);
            self.tables = Tables::of(&Demand(numbers));
        }
        let many = self.tables.requests() >= SAMPLE_FROM;
        let counted =
            request.needs.accelerator_millis > 0 && (!many || mix(request.seed).is_multiple_of(SAMPLE));
        if counted {
            self.count(request, if many { SAMPLE as f64 } else { 1.0 }, version);
        }
        &self.tables
    }

    /// If another instance writes at the same moment, one of the two requests is not counted; that does no harm.
    fn count(&self, request: &Request, times: f64, settled: u64) {
        let (version, numbers) = self.running.get();
        let mut demand = Demand(numbers);
        demand.count(request.needs.cpu_millis, request.needs.accelerator_millis, times);
        if demand.at(REQUESTS) >= demand.at(SETTLE_AT) {
            self.settled.compare_and_set(settled, demand.0.get(..NUMBERS).unwrap_or_default());
            if demand.at(REQUESTS) >= FULL {
                demand.0.iter_mut().for_each(|number| *number /= 2.0);
            }
            let next = demand.at(REQUESTS) * GROWTH;
            if let Some(place) = demand.0.get_mut(SETTLE_AT) {
                *place = next;
            }
        }
        self.running.compare_and_set(version, &demand.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::placement::Resources;

    fn learn(learner: &mut Learner, accelerator_millis: u32, times: u64) {
        for seed in 0..times {
            let needs = Resources { cpu_millis: 4_000, memory_mib: 1, storage_mib: 0, accelerator_millis };
            learner.learn(&Request { class: 1, seed: mix(seed), now_ms: 0, needs, priority: 0 });
        }
    }

    #[test]
    fn demand_is_learnt_and_old_demand_fades() {
        let mut learner = Learner::open();
        learn(&mut learner, 0, 100);
        assert_eq!(learner.tables.requests(), 0.0, "work without devices says nothing");
        learn(&mut learner, 600, 20_000);
        let lost = |learner: &Learner| learner.tables.in_remainder(400);
        assert!(lost(&learner) > 400.0, "nothing fits 400");
        assert!(learner.tables.requests() < 2.0 * FULL);
        learn(&mut learner, 400, 60_000);
        assert!(lost(&learner) < 10.0, "{}", lost(&learner));
    }

    #[test]
    fn requests_are_counted_by_kind_and_fit_a_cell() {
        let mut demand = Demand::default();
        demand.count(11_000, 470, 3.0);
        demand.count(64_000, 8_000, 1.0);
        assert_eq!((demand.requests(), demand.with_share(47)), (4.0, 3.0));
        assert!((demand.share_in_groups_of(8) - 8.0 / 9.41).abs() < 1e-9);
        assert!(demand.0.len() <= 1_024, "a cell holds it");
    }
}
