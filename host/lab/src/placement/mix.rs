//! The demand mix and FGD's measure of fragmentation.
//!
//! Source: Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient Descent",
//! USENIX ATC 2023, section 4: a node's fragmentation is the free share of its devices that a workload drawn from the
//! mix cannot use, in the mean over the mix.
//!
//! Invariant: fragmentation lies between 0 and what is free.

use std::collections::BTreeMap;

use pilothouse_core::device::DEVICE_MILLIS;

use super::{Node, Workload};

/// Kinds of workloads that take devices, with their frequency; memory is not looked at.
#[derive(Debug, Clone)]
pub struct Mix {
    kinds: Vec<(Workload, f64)>,
}

impl Mix {
    /// The mix of these workloads, the most frequent kind first.
    #[must_use]
    pub fn of(workloads: &[Workload]) -> Self {
        let mut counts: BTreeMap<Workload, f64> = BTreeMap::new();
        let with_devices = workloads.iter().filter(|workload| workload.needs.accelerator_millis > 0);
        for workload in with_devices.clone() {
            let mut kind = *workload;
            kind.needs.memory_mib = 0;
            *counts.entry(kind).or_default() += 1.0;
        }
        let all = with_devices.count().max(1) as f64;
        let mut kinds: Vec<(Workload, f64)> =
            counts.into_iter().map(|(kind, count)| (kind, count / all)).collect();
        kinds.sort_by(|a, b| b.1.total_cmp(&a.1));
        Self { kinds }
    }

    /// Free thousandths of the node that the mix cannot use.
    #[must_use]
    pub fn fragmented_millis(&self, node: &Node) -> f64 {
        let free = node.devices.free_millis();
        if free == 0 {
            return 0.0;
        }
        let lost = |(kind, share): &(Workload, f64)| {
            let millis = if node.fits(kind) { too_small(node, kind) } else { free };
            share * f64::from(millis)
        };
        self.kinds.iter().map(lost).sum()
    }
}

/// Free thousandths on devices that are too small for the workload.
fn too_small(node: &Node, kind: &Workload) -> u32 {
    let part = kind.needs.accelerator_millis.min(u32::from(DEVICE_MILLIS));
    node.devices.millis().iter().copied().map(u32::from).filter(|&free| free < part).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_core::device::Devices;
    use pilothouse_core::member::Resources;

    #[test]
    fn fragmented_is_what_a_drawn_workload_cannot_use() {
        let workload = |cpu_millis, accelerator_millis, models| Workload {
            needs: Resources { cpu_millis, memory_mib: 7, storage_mib: 0, accelerator_millis },
            models,
        };
        let node = Node { cpu_millis: 4_000, memory_mib: 0, devices: Devices::new([1_000, 400]), model: 1 };
        for (name, kinds, lost) in [
            ("a share fits both", vec![workload(1, 400, !0)], 0.0),
            ("the smaller device is too small", vec![workload(1, 500, !0)], 400.0),
            ("too little CPU", vec![workload(4_001, 100, !0)], 1_400.0),
            ("another model", vec![workload(1, 100, 2)], 1_400.0),
            ("too few devices", vec![workload(1, 2_000, !0)], 1_400.0),
            ("the mean", vec![workload(1, 500, !0), workload(1, 400, !0), workload(1, 0, !0)], 200.0),
            ("nobody asks", vec![workload(1, 0, !0)], 0.0),
        ] {
            assert!((Mix::of(&kinds).fragmented_millis(&node) - lost).abs() < 1e-9, "{name}");
        }
    }
}
