//! What runs on a member. Today: the probe that reads this machine's own load.
//!
//! operating system -> [`Probe::read`] -> `LoadReport` -> the registry, as from any other member
//!
//! Invariant: a reading that the system does not give is `None`, never zero. Drivers that run workloads are not
//! here yet.

use pilothouse_core::member::{LoadReport, Resources};
use sysinfo::{Disks, System};

/// Reads this machine's load. CPU utilisation is the mean since the last reading.
#[derive(Debug)]
pub struct Probe {
    system: System,
    disks: Disks,
}

impl Default for Probe {
    fn default() -> Self {
        Self { system: System::new(), disks: Disks::new_with_refreshed_list() }
    }
}

impl Probe {
    /// Reads once. The first reading has no CPU utilisation yet.
    pub fn read(&mut self) -> LoadReport {
        let first = self.system.cpus().is_empty();
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        self.disks.refresh(true);
        let disk_total: u64 = self.disks.iter().map(sysinfo::Disk::total_space).sum();
        let disk_free: u64 = self.disks.iter().map(sysinfo::Disk::available_space).sum();
        LoadReport {
            cpu: (!first).then(|| (self.system.global_cpu_usage() / 100.0).clamp(0.0, 1.0)),
            memory: share(self.system.used_memory(), self.system.total_memory()),
            disk: share(disk_total.saturating_sub(disk_free), disk_total),
            load_average: finite(System::load_average().one),
            ..LoadReport::default()
        }
    }

    /// What the machine has in all.
    pub fn resources(&mut self) -> Resources {
        self.system.refresh_memory();
        let mebibytes = |bytes: u64| u32::try_from(bytes >> 20).unwrap_or(u32::MAX);
        let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        Resources {
            cpu_millis: u32::try_from(cores.saturating_mul(1_000)).unwrap_or(u32::MAX),
            memory_mib: mebibytes(self.system.total_memory()),
            storage_mib: mebibytes(self.disks.iter().map(sysinfo::Disk::total_space).sum()),
            accelerator_millis: 0,
        }
    }
}

fn share(part: u64, whole: u64) -> Option<f32> {
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a share needs few digits")]
    (whole > 0).then(|| (part as f64 / whole as f64).clamp(0.0, 1.0) as f32)
}

fn finite(value: f64) -> Option<f32> {
    #[expect(clippy::cast_possible_truncation, reason = "a load average needs few digits")]
    (value.is_finite() && value >= 0.0).then_some(value as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_are_shares_or_absent() {
        let mut probe = Probe::default();
        for _ in 0..2 {
            let report = probe.read();
            for share in [report.cpu, report.memory, report.disk].into_iter().flatten() {
                assert!((0.0..=1.0).contains(&share), "{report:?}");
            }
        }
        assert!(probe.resources().cpu_millis >= 1_000);
    }

    #[test]
    fn a_share_of_nothing_is_unknown() {
        assert_eq!((share(1, 0), share(5, 4)), (None, Some(1.0)));
    }
}
