//! Workloads and the order in which they arrive.

use pilothouse_core::device::DEVICE_MILLIS;
use pilothouse_core::fleet::facts::mix;
use pilothouse_core::member::Resources;

/// Devices that the arrivals ask for, against those of the cluster.
pub const INFLATION: f64 = 1.3;

/// One workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Workload {
    /// What it takes.
    pub needs: Resources,
    /// The device models that serve it, one bit each; all bits if any does.
    pub models: u64,
}

impl Workload {
    /// Whether it takes a part of one device.
    #[must_use]
    pub fn is_share(&self) -> bool {
        (1..u32::from(DEVICE_MILLIS)).contains(&self.needs.accelerator_millis)
    }
}

/// Draws with a seed, as many as wanted.
#[derive(Debug, Clone)]
pub(super) struct Draws(u64);

impl Draws {
    pub(super) fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Uniform below `limit`; 0 if the limit is 0.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.bits()) * limit as u128) >> 64) as usize
    }

    /// One of the items.
    pub(super) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }
}

/// The workloads in the order of their arrival: all of them with random ones doubled or left out until they ask for
/// [`INFLATION`] times the devices of the cluster, shuffled.
#[must_use]
pub fn arrivals(workloads: &[Workload], cluster_millis: u64, seed: u64) -> Vec<Workload> {
    let mut draws = Draws::new(seed);
    let wanted = (cluster_millis as f64 * INFLATION) as u64;
    let millis = |workload: &Workload| u64::from(workload.needs.accelerator_millis);
    let mut list = workloads.to_vec();
    let mut asked: u64 = list.iter().map(millis).sum();
    if asked == 0 {
        return list;
    }
    while asked > wanted {
        let left_out = list.swap_remove(draws.below(list.len()));
        asked -= millis(&left_out);
    }
    while asked < wanted {
        let Some(&doubled) = draws.pick(workloads) else { break };
        asked += millis(&doubled);
        list.push(doubled);
    }
    for last in (1..list.len()).rev() {
        list.swap(last, draws.below(last + 1));
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(accelerator_millis: u32) -> Workload {
        Workload { needs: Resources { accelerator_millis, ..Resources::default() }, models: !0 }
    }

    #[test]
    fn arrivals_ask_for_130_percent_whatever_the_list_is_long() {
        let list: Vec<Workload> = (0..500).map(|index| workload(index % 1_000)).collect();
        for cluster_millis in [10_000, 95_000, 1_000_000] {
            let order = arrivals(&list, cluster_millis, 3);
            let asked: u32 = order.iter().map(|workload| workload.needs.accelerator_millis).sum();
            assert!((f64::from(asked) / cluster_millis as f64 - 1.3).abs() < 0.1);
            assert_eq!(order, arrivals(&list, cluster_millis, 3));
            assert_ne!(order, arrivals(&list, cluster_millis, 4));
        }
        assert_eq!(arrivals(&[workload(0)], 1_000, 1).len(), 1, "nothing to inflate");
    }
}
