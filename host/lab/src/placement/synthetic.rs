//! A cluster and workloads from a seed, for when no trace is at hand.
//!
//! The shapes are made up after what is published of accelerator clusters: a few kinds of nodes with more or less CPU beside
//! a device; work without devices, work on a part of a device in a few favourite sizes, on one whole device, and on several.
//!
//! Invariant: the same seed gives the same scenario, and the workloads together ask for about as many devices as there are.

use pilothouse_core::device::{DEVICE_MILLIS, Devices};
use pilothouse_core::member::Resources;
use serde::Deserialize;

use super::workload::Draws;
use super::{Node, Workload};

/// Kinds of nodes: weight, cores, GiB of memory, devices.
const NODES: [(u32, u32, u32, usize); 5] =
    [(45, 96, 384, 8), (5, 128, 768, 8), (30, 96, 512, 2), (12, 16, 120, 2), (8, 40, 160, 4)];

/// Favourite parts of a device, thousandths.
const SHARES: [u32; 10] = [110, 160, 230, 320, 370, 460, 470, 590, 650, 810];

type Make = fn(&mut Draws) -> Workload;

/// How often each kind of work arrives, by relative weight, and how picky it is.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Demand {
    /// Work without devices.
    pub without: u32,
    /// Work on a part of a device.
    pub part: u32,
    /// Work on one device.
    pub whole: u32,
    /// Work on several devices.
    pub several: u32,
    /// Share of the work with devices that runs on two of the five models only, 0..1.
    pub picky: f64,
}

impl Default for Demand {
    fn default() -> Self {
        Self { without: 14, part: 34, whole: 48, several: 4, picky: 0.0 }
    }
}

impl Demand {
    /// Whether nothing in it takes devices, so that no cluster is ever full.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.part == 0 && self.whole == 0 && self.several == 0
    }

    fn draw(&self, draws: &mut Draws) -> Workload {
        let kinds: [(u32, Make); 4] =
            [(self.without, without), (self.part, part), (self.whole, whole), (self.several, several)];
        let kind = weighted(draws, &kinds.map(|(weight, _)| weight));
        let (_, make) = kinds.get(kind).copied().unwrap_or((1, whole));
        let mut workload = make(draws);
        if self.picky > 0.0 && workload.needs.accelerator_millis > 0 {
            let picky = (draws.below(1_000_000) as f64) < self.picky * 1e6;
            let first = draws.below(NODES.len());
            if picky {
                workload.models = 1 << first | 1 << ((first + 1) % NODES.len());
            }
        }
        workload
    }
}

/// Nodes, and workloads of the usual kind.
#[must_use]
pub fn scenario(seed: u64, nodes: usize) -> (Vec<Node>, Vec<Workload>) {
    scenario_of(seed, nodes, &Demand::default())
}

/// Nodes and workloads. There are none if nothing asks for devices.
#[must_use]
pub fn scenario_of(seed: u64, nodes: usize, demand: &Demand) -> (Vec<Node>, Vec<Workload>) {
    let mut draws = Draws::new(seed);
    let nodes: Vec<Node> = (0..nodes).map(|_| node(&mut draws)).collect();
    let wanted: u64 = nodes.iter().map(|node| u64::from(node.devices.free_millis())).sum();
    let mut asked = 0;
    let mut workloads = Vec::new();
    while asked < wanted && !demand.is_empty() {
        let workload = demand.draw(&mut draws);
        asked += u64::from(workload.needs.accelerator_millis);
        workloads.push(workload);
    }
    (nodes, workloads)
}

/// A place, drawn by weight.
fn weighted(draws: &mut Draws, weights: &[u32]) -> usize {
    let mut left = draws.below(weights.iter().sum::<u32>() as usize);
    let mut place = 0;
    for &weight in weights {
        match left.checked_sub(weight as usize) {
            Some(less) => left = less,
            None => break,
        }
        place += 1;
    }
    place
}

fn node(draws: &mut Draws) -> Node {
    let kind = weighted(draws, &NODES.map(|(weight, ..)| weight));
    let (_, cores, gib, devices) = NODES.get(kind).copied().unwrap_or((0, 96, 384, 8));
    Node {
        cpu_millis: cores * 1_000,
        memory_mib: gib * 1_024,
        devices: Devices::new(std::iter::repeat_n(DEVICE_MILLIS, devices)),
        model: 1 << kind,
    }
}

fn workload(cores: u32, accelerator_millis: u32) -> Workload {
    let needs = Resources {
        cpu_millis: cores * 1_000,
        memory_mib: cores * 3_072,
        storage_mib: 0,
        accelerator_millis,
    };
    Workload { needs, models: !0 }
}

fn without(draws: &mut Draws) -> Workload {
    workload(draws.pick(&[8, 12, 12, 16, 32]).copied().unwrap_or(8), 0)
}

fn part(draws: &mut Draws) -> Workload {
    let share = draws.pick(&SHARES).copied().unwrap_or(500);
    workload(draws.pick(&[3, 4, 4, 6, 8, 11]).copied().unwrap_or(4), share)
}

fn whole(draws: &mut Draws) -> Workload {
    workload(draws.pick(&[3, 4, 8, 9, 11, 11, 11, 12, 15, 18]).copied().unwrap_or(11), 1_000)
}

fn several(draws: &mut Draws) -> Workload {
    let devices = draws.pick(&[2, 2, 4, 8]).copied().unwrap_or(2);
    workload(devices * draws.pick(&[8, 10, 11]).copied().unwrap_or(8), devices * 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demand_shapes_the_workloads() {
        let of = |demand| scenario_of(1, 100, &demand).1;
        let shares = of(Demand { without: 0, part: 1, whole: 0, several: 0, picky: 0.5 });
        assert!(shares.iter().all(Workload::is_share));
        let picky = shares.iter().filter(|workload| workload.models.count_ones() == 2).count();
        assert!((0.4..0.6).contains(&(picky as f64 / shares.len() as f64)), "{picky}");
        assert!(of(Demand { part: 0, whole: 0, several: 0, ..Demand::default() }).is_empty());
    }

    #[test]
    fn scenarios_follow_their_seed_and_have_every_kind() {
        let (nodes, workloads) = scenario(1, 200);
        assert_eq!((nodes.clone(), workloads.clone()), scenario(1, 200));
        assert_ne!((nodes, workloads.clone()), scenario(2, 200));
        let count = |of: fn(&Workload) -> bool| workloads.iter().filter(|workload| of(workload)).count();
        for (name, kind) in [
            ("none", count(|workload| workload.needs.accelerator_millis == 0)),
            ("a part", count(Workload::is_share)),
            ("one", count(|workload| workload.needs.accelerator_millis == 1_000)),
            ("several", count(|workload| workload.needs.accelerator_millis > 1_000)),
        ] {
            assert!(kind * 50 > workloads.len(), "{name}: {kind} of {}", workloads.len());
        }
    }
}
