//! How full members would be with one more workload.
//!
//! free and total columns of a block, needs -> [`Room`]
//!
//! Invariant: a resource whose total is unknown (0) neither fills nor forbids. Agents count as a resource of which a
//! workload takes one.

use crate::Column;
use crate::fleet::{Block, LANES};
use crate::placement::Resources;
use crate::scan::Scores;

/// The columns that [`Room::after`] reads.
pub const ROOM_COLUMNS: [Column; 10] = [
    Column::CpuMillisFree,
    Column::CpuMillisTotal,
    Column::MemoryMibFree,
    Column::MemoryMibTotal,
    Column::StorageMibFree,
    Column::StorageMibTotal,
    Column::AcceleratorMillisFree,
    Column::AcceleratorMillisTotal,
    Column::Active,
    Column::Capacity,
];

/// Used shares of 64 rows after a workload was placed on each, 0..1.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Mean over all resources whose total is known; 0 if none is.
    pub mean_used: Scores,
    /// The scarcest of the resources that the workload takes; infinite where it does not fit.
    pub most_used: Scores,
}

impl Room {
    /// The room of a block's rows with `needs` placed on each.
    #[inline]
    #[must_use]
    pub fn after(block: Block<'_>, needs: &Resources) -> Self {
        let mut filling = Filling { sum: [0.0; LANES], known: [0.0; LANES], most: [0.0; LANES] };
        for (free, total, need) in [
            (Column::CpuMillisFree, Column::CpuMillisTotal, needs.cpu_millis),
            (Column::MemoryMibFree, Column::MemoryMibTotal, needs.memory_mib),
            (Column::StorageMibFree, Column::StorageMibTotal, needs.storage_mib),
            (Column::AcceleratorMillisFree, Column::AcceleratorMillisTotal, needs.accelerator_millis),
        ] {
            filling.add(block.u32(free), block.u32(total), need);
        }
        let capacity = block.u32(Column::Capacity);
        let mut idle = *capacity;
        for (idle, active) in idle.iter_mut().zip(block.u32(Column::Active)) {
            *idle = idle.saturating_sub(*active);
        }
        filling.add(&idle, capacity, 1);
        for (sum, known) in filling.sum.iter_mut().zip(&filling.known) {
            *sum /= if *known > 1.0 { *known } else { 1.0 };
        }
        Self { mean_used: filling.sum, most_used: filling.most }
    }
}

struct Filling {
    sum: Scores,
    known: Scores,
    most: Scores,
}

impl Filling {
    /// Without branches, for SIMD.
    #[inline]
    fn add(&mut self, free: &[u32; LANES], total: &[u32; LANES], need: u32) {
        let takes = need > 0;
        let lanes = self.sum.iter_mut().zip(&mut self.known).zip(&mut self.most);
        for (((sum, known), most), (&free, &total)) in lanes.zip(free.iter().zip(total)) {
            let is_known = if total > 0 { 1.0 } else { 0.0 };
            let (free_f, total_f) = (free as f32, total as f32);
            let used = (total_f - free_f + need as f32) / if total > 0 { total_f } else { 1.0 };
            let taken = if free < need { f32::INFINITY } else { used };
            let taken = if takes & (total > 0) { taken } else { 0.0 };
            *sum += used * is_known;
            *known += is_known;
            *most = if taken > *most { taken } else { *most };
        }
    }
}
