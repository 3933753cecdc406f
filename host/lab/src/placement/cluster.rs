//! The cluster of a simulation: nodes, and the fleet snapshot that policies see of them.
//!
//! Invariant: snapshot and nodes agree after every placement; only the block of the changed node is written.

use std::sync::Arc;

use pilothouse_core::device::{DEVICE_MILLIS, Devices};
use pilothouse_core::eligible::{EligibleClass, Requirement};
use pilothouse_core::fleet::block::Block;
use pilothouse_core::fleet::column::{BIT_WORDS, BLOCK_ROWS, Column};
use pilothouse_core::fleet::facts::Names;
use pilothouse_core::fleet::geography::Geography;
use pilothouse_core::fleet::live::Live;
use pilothouse_core::fleet::{Fleet, split};

use super::Workload;

/// What is free on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    /// Thousandths of a core.
    pub cpu_millis: u32,
    /// MiB of memory.
    pub memory_mib: u32,
    /// Its devices.
    pub devices: Devices,
    /// The model of its devices, as the one bit in [`Workload::models`].
    pub model: u64,
}

impl Node {
    /// What is left of the node with the workload on it; `None` if it does not fit. Work without devices may go anywhere.
    #[must_use]
    pub fn with(&self, workload: &Workload) -> Option<Self> {
        let needs = &workload.needs;
        if needs.accelerator_millis > 0 && workload.models & self.model == 0 {
            return None;
        }
        Some(Self {
            cpu_millis: self.cpu_millis.checked_sub(needs.cpu_millis)?,
            memory_mib: self.memory_mib.checked_sub(needs.memory_mib)?,
            devices: self.devices.take(needs.accelerator_millis)?,
            model: self.model,
        })
    }

    /// Whether [`Node::with`] has an answer; cheaper.
    #[must_use]
    pub fn fits(&self, workload: &Workload) -> bool {
        let needs = &workload.needs;
        self.cpu_millis >= needs.cpu_millis
            && self.memory_mib >= needs.memory_mib
            && (needs.accelerator_millis == 0
                || workload.models & self.model != 0 && self.has_devices(needs.accelerator_millis))
    }

    fn has_devices(&self, millis: u32) -> bool {
        let whole = u32::from(DEVICE_MILLIS);
        if millis > whole && !millis.is_multiple_of(whole) {
            return self.devices.take(millis).is_some();
        }
        let part = millis.min(whole);
        let enough = self.devices.millis().iter().filter(|&&free| u32::from(free) >= part).count();
        enough >= (millis / whole).max(1) as usize
    }
}

/// Nodes and their snapshot.
#[derive(Debug, Clone)]
pub struct Cluster {
    nodes: Vec<Node>,
    fleet: Fleet,
    classes: u64,
}

impl Cluster {
    /// A cluster of empty nodes.
    #[must_use]
    pub fn new(nodes: Vec<Node>) -> Self {
        let mut blocks: Vec<Block> = nodes.chunks(BLOCK_ROWS).map(|_| Block::empty()).collect();
        for (row, node) in (0_u32..).zip(&nodes) {
            let (index, lane) = split(row);
            let Some(block) = blocks.get_mut(index) else { continue };
            block.epoch = 1;
            block.present |= 1 << lane;
            block.available |= 1 << lane;
            block.set_f32(Column::Weight, lane, 1.0);
            block.set_f32(Column::HealthScore, lane, 1.0);
            block.set_u32(Column::CpuMillisTotal, lane, node.cpu_millis);
            block.set_u32(Column::MemoryMibTotal, lane, node.memory_mib);
            block.set_u32(Column::AcceleratorMillisTotal, lane, node.devices.free_millis());
            block.set_bits(Column::Capabilities, lane, capability(node.model));
            write_free(block, lane, node);
        }
        let fleet = Fleet {
            measured: Arc::default(),
            epoch: 1,
            rows: u32::try_from(nodes.len()).unwrap_or(u32::MAX),
            blocks: blocks.into_iter().map(Arc::new).collect(),
            names: Arc::new(Names::default()),
            geography: Arc::new(Geography::default()),
            live: Arc::new(Live::default()),
        };
        Self { nodes, fleet, classes: 0 }
    }

    /// The nodes, by row.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The snapshot.
    #[must_use]
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// Free thousandths of all devices.
    #[must_use]
    pub fn free_millis(&self) -> u64 {
        self.nodes.iter().map(|node| u64::from(node.devices.free_millis())).sum()
    }

    /// The nodes that can take the workload, as a class; `None` if there are none.
    pub fn eligible(&mut self, workload: &Workload) -> Option<EligibleClass> {
        let word = |nodes: &[Node]| {
            let bit = |(lane, node): (usize, &Node)| u64::from(node.fits(workload)) << lane;
            nodes.iter().enumerate().map(bit).sum()
        };
        let eligible: Vec<u64> = self.nodes.chunks(BLOCK_ROWS).map(word).collect();
        let count = eligible.iter().map(|word| word.count_ones()).sum();
        self.classes += 1;
        (count > 0).then(|| EligibleClass {
            id: 1,
            version: self.classes,
            requirement: Arc::new(Requirement { needs: workload.needs, ..Requirement::default() }),
            eligible: eligible.into(),
            count,
            required_capabilities: if workload.models == !0 {
                [0; BIT_WORDS]
            } else {
                capability(workload.models)
            },
            preferred_capabilities: [0; BIT_WORDS],
            source_region: 0,
            source_zone: 0,
            rtt_ms: None,
        })
    }

    /// Places the workload; says whether it fitted.
    pub fn place(&mut self, row: u32, workload: &Workload) -> bool {
        let (index, lane) = split(row);
        let place = self.nodes.get_mut(row as usize).zip(self.fleet.blocks.get_mut(index));
        let Some((node, block)) = place else { return false };
        let Some(left) = node.with(workload) else { return false };
        *node = left;
        self.fleet.epoch += 1;
        let block = Arc::make_mut(block);
        block.epoch = self.fleet.epoch;
        let active = block.u32(Column::Active, lane);
        block.set_u32(Column::Active, lane, active + 1);
        write_free(block, lane, node);
        true
    }
}

fn capability(models: u64) -> [u64; BIT_WORDS] {
    [models, 0, 0, 0]
}

fn write_free(block: &mut Block, lane: usize, node: &Node) {
    block.set_u32(Column::CpuMillisFree, lane, node.cpu_millis);
    block.set_u32(Column::MemoryMibFree, lane, node.memory_mib);
    block.set_u32(Column::AcceleratorMillisFree, lane, node.devices.free_millis());
    block.set_bits(Column::AcceleratorDevices, lane, node.devices.words());
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_core::member::Resources;

    fn node(devices: &[u16], model: u64) -> Node {
        let devices = Devices::new(devices.iter().copied());
        Node { cpu_millis: 8_000, memory_mib: 4_096, devices, model }
    }

    fn workload(cpu_millis: u32, accelerator_millis: u32, models: u64) -> Workload {
        let needs = Resources { cpu_millis, memory_mib: 1, storage_mib: 0, accelerator_millis };
        Workload { needs, models }
    }

    #[test]
    fn who_fits_and_who_can_be_placed_are_the_same() {
        let nodes = [node(&[1_000, 1_000], 1), node(&[1_000, 400], 2), node(&[600, 600], 1), node(&[], 4)];
        for cpu_millis in [1, 8_000, 8_001] {
            for millis in [0, 1, 400, 401, 1_000, 1_400, 1_401, 2_000, 3_000] {
                for models in [!0, 1, 2, 8] {
                    let workload = workload(cpu_millis, millis, models);
                    for node in nodes {
                        assert_eq!(
                            node.fits(&workload),
                            node.with(&workload).is_some(),
                            "{workload:?} {node:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_placement_changes_one_block() {
        let mut cluster = Cluster::new(vec![node(&[1_000], 1); 130]);
        let before = cluster.fleet().clone();
        assert!(cluster.place(70, &workload(1_000, 600, !0)));
        assert!(!cluster.place(70, &workload(1_000, 600, !0)) && !cluster.place(999, &workload(0, 0, !0)));
        let same = |index: usize| Arc::ptr_eq(&before.blocks[index], &cluster.fleet().blocks[index]);
        assert_eq!([0, 1, 2].map(same), [true, false, true]);
        let (block, lane) = cluster.fleet().block(70).unwrap();
        assert_eq!(block.u32(Column::CpuMillisFree, lane), 7_000);
        assert_eq!(Devices::from_words(block.bits(Column::AcceleratorDevices, lane)), Devices::new([400]));
        assert_eq!(cluster.eligible(&workload(0, 1_000, !0)).unwrap().count, 129);
        assert_eq!(cluster.eligible(&workload(0, 1_000, 2)), None);
    }
}
