//! What runs on a member: the probe that reads this machine's own load, and what runs and keeps workloads.
//!
//! operating system -> [`Probe::read`] -> `LoadReport` -> the registry, as from any other member
//! specification -> [`driver`] ([`process`], [`component`]) -> state directory -> [`state`]: images, deltas, second copies
//!
//! Invariant: a reading that the system does not give is `None`, never zero. Ownership, leases and the way of state between
//! members are not here.

pub mod component;
pub mod driver;
pub mod process;
pub mod state;

use std::path::PathBuf;

use pilothouse_core::member::{LoadReport, Resources};
use sysinfo::System;

/// Reads this machine's load. CPU utilisation is the mean since the last reading.
#[derive(Debug)]
pub struct Probe {
    system: Option<System>,
    data_dir: PathBuf,
}

impl Probe {
    /// A probe; disk figures are those of the file system that holds `data_dir`.
    #[must_use]
    pub fn new(data_dir: PathBuf) -> Self {
        Self { system: System::new().ok(), data_dir }
    }

    /// Reads once. The first reading has no CPU utilisation yet.
    pub fn read(&mut self) -> LoadReport {
        let mut report = LoadReport {
            disk: self.disk_bytes().and_then(|(free, total)| share(total.saturating_sub(free), total)),
            load_average: System::load_average().ok().and_then(|average| finite(average.one)),
            ..LoadReport::default()
        };
        if let Some(system) = &mut self.system {
            let first = system.cpus().is_empty();
            system.refresh_cpu_usage();
            system.refresh_memory();
            report.cpu = (!first).then(|| (system.global_cpu_usage() / 100.0).clamp(0.0, 1.0));
            report.memory = share(system.used_memory(), system.total_memory());
        }
        report
    }

    /// What the machine has in all; zero where unknown.
    pub fn resources(&mut self) -> Resources {
        let mebibytes = |bytes: u64| u32::try_from(bytes >> 20).unwrap_or(u32::MAX);
        let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        let memory = self.system.as_mut().map_or(0, |system| {
            system.refresh_memory();
            system.total_memory()
        });
        Resources {
            cpu_millis: u32::try_from(cores.saturating_mul(1_000)).unwrap_or(u32::MAX),
            memory_mib: mebibytes(memory),
            storage_mib: mebibytes(self.disk_bytes().map_or(0, |(_, total)| total)),
            accelerator_millis: 0,
        }
    }

    /// Free and total bytes.
    fn disk_bytes(&self) -> Option<(u64, u64)> {
        let stat = rustix::fs::statvfs(&self.data_dir).ok()?;
        Some((stat.f_bavail.saturating_mul(stat.f_frsize), stat.f_blocks.saturating_mul(stat.f_frsize)))
    }
}

/// The name of this machine; empty if the system does not say.
#[must_use]
pub fn hostname() -> String {
    System::host_name().unwrap_or_default()
}

fn share(part: u64, whole: u64) -> Option<f32> {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "a share needs few digits"
    )]
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
        let mut probe = Probe::new(std::env::temp_dir());
        for _ in 0..2 {
            let report = probe.read();
            for share in [report.cpu, report.memory, report.disk].into_iter().flatten() {
                assert!((0.0..=1.0).contains(&share), "{report:?}");
            }
        }
        assert!(probe.resources().cpu_millis >= 1_000);
    }

    #[test]
    fn a_share_of_nothing_and_a_missing_folder_are_unknown() {
        assert_eq!((share(1, 0), share(5, 4)), (None, Some(1.0)));
        assert_eq!(Probe::new("/nowhere/at/all".into()).read().disk, None);
    }
}
