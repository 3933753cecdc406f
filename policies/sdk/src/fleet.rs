//! The mirror of the fleet: what the host pushed, kept as it came.
//!
//! Invariant: reading never fails; a row that does not exist or a column that was not declared reads as 0 (NaN for the
//! readings that can be unknown). Natively an undeclared column panics, so that tests find the omission.

use crate::about::{Column, Layout};

/// Rows in a block.
pub const LANES: usize = 64;

/// Accelerator devices of a row that are told apart.
pub const DEVICES: usize = 16;

const UNDECLARED: u16 = u16::MAX;

/// All members, as columns.
#[derive(Debug)]
pub struct Fleet {
    offsets: [u16; Column::COUNT],
    blocks: Vec<Vec<u64>>,
    rows: u32,
    epoch: u64,
    /// Native stand-in for the host's live counts.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) in_flight: std::collections::BTreeMap<u32, u32>,
}

/// One run of 64 rows, for scans: each column is an array of 64 values.
#[derive(Debug, Clone, Copy)]
pub struct Block<'a> {
    fleet: &'a Fleet,
    words: &'a [u64],
}

impl Fleet {
    pub(crate) fn new(columns: &[Column]) -> Self {
        let mut offsets = [UNDECLARED; Column::COUNT];
        let mut at = 0;
        for &column in columns {
            if let Some(offset) = offsets.get_mut(column as usize) {
                *offset = at;
            }
            at += match column.layout() {
                Layout::Half => 32,
                Layout::Whole => 64,
                Layout::Bits => 256,
                Layout::Class => 0,
            };
        }
        Self {
            offsets,
            blocks: Vec::new(),
            rows: 0,
            epoch: 0,
            #[cfg(not(target_family = "wasm"))]
            in_flight: std::collections::BTreeMap::new(),
        }
    }

    pub(crate) fn sync(&mut self, epoch: u64, rows: u32, index: u32, words: Vec<u64>) {
        let index = index as usize;
        if self.blocks.len() <= index {
            self.blocks.resize_with(index + 1, Vec::new);
        }
        if let Some(block) = self.blocks.get_mut(index) {
            *block = words;
        }
        self.blocks.truncate((rows as usize).div_ceil(LANES));
        (self.rows, self.epoch) = (rows, epoch);
    }

    /// Grows whenever a block changed; for caches.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Rows, gaps included.
    #[must_use]
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Blocks of 64 rows, in order.
    pub fn blocks(&self) -> impl ExactSizeIterator<Item = Block<'_>> {
        self.blocks.iter().map(|words| Block { fleet: self, words })
    }

    #[inline]
    fn offset(&self, column: Column) -> usize {
        let offset = self.offsets.get(column as usize).copied().unwrap_or(UNDECLARED);
        #[cfg(not(target_family = "wasm"))]
        assert!(offset != UNDECLARED, "add Column::{column:?} to `About::columns` to read it");
        offset as usize
    }

    #[inline]
    fn half(&self, column: Column, row: u32) -> u32 {
        let (block, lane) = (row as usize / LANES, row as usize % LANES);
        let word = self.blocks.get(block).and_then(|words| words.get(self.offset(column) + lane / 2));
        (word.copied().unwrap_or_default() >> (32 * (lane % 2))) as u32
    }

    /// A value of an `f32` column.
    #[inline]
    #[must_use]
    pub fn f32(&self, column: Column, row: u32) -> f32 {
        f32::from_bits(self.half(column, row))
    }

    /// A value of a `u32` column.
    #[inline]
    #[must_use]
    pub fn u32(&self, column: Column, row: u32) -> u32 {
        self.half(column, row)
    }

    /// A value of a `u64` column.
    #[inline]
    #[must_use]
    pub fn u64(&self, column: Column, row: u32) -> u64 {
        let (block, lane) = (row as usize / LANES, row as usize % LANES);
        let word = self.blocks.get(block).and_then(|words| words.get(self.offset(column) + lane));
        word.copied().unwrap_or_default()
    }

    /// The bits of a row in `capabilities` or `services`.
    #[inline]
    #[must_use]
    pub fn bits(&self, column: Column, row: u32) -> [u64; 4] {
        let (block, lane) = (row as usize / LANES, row as usize % LANES);
        let Some(words) = self.blocks.get(block) else { return [0; 4] };
        let start = self.offset(column) + lane;
        std::array::from_fn(|word| words.get(start + word * LANES).copied().unwrap_or_default())
    }

    /// Free thousandths of each accelerator device of a row; 0 where there is none or nothing is free.
    #[inline]
    #[must_use]
    pub fn devices(&self, row: u32) -> [u16; DEVICES] {
        let words = self.bits(Column::AcceleratorDevices, row);
        std::array::from_fn(|device| {
            let word = words.get(device / 4).copied().unwrap_or_default();
            (word >> (16 * (device % 4))) as u16
        })
    }

    /// Work sent to the row that its last report does not contain; asked of the host.
    #[inline]
    #[must_use]
    pub fn in_flight(&self, row: u32) -> u32 {
        #[cfg(target_family = "wasm")]
        return crate::bindings::base::pilothouse::host::fleet::in_flight(row);
        #[cfg(not(target_family = "wasm"))]
        self.in_flight.get(&row).copied().unwrap_or(0)
    }

    /// [`Fleet::in_flight`] of many rows, in order, in one crossing; for scans and batches.
    #[must_use]
    pub fn in_flight_many(&self, rows: &[u32]) -> Vec<u32> {
        #[cfg(target_family = "wasm")]
        return crate::bindings::base::pilothouse::host::fleet::in_flight_many(rows);
        #[cfg(not(target_family = "wasm"))]
        rows.iter().map(|&row| self.in_flight(row)).collect()
    }

    /// [`Fleet::in_flight`] of two rows, in one crossing.
    #[inline]
    #[must_use]
    pub fn in_flight_pair(&self, a: u32, b: u32) -> (u32, u32) {
        #[cfg(target_family = "wasm")]
        {
            let pair = crate::bindings::base::pilothouse::host::fleet::in_flight_pair(a, b);
            (pair as u32, (pair >> 32) as u32)
        }
        #[cfg(not(target_family = "wasm"))]
        (self.in_flight(a), self.in_flight(b))
    }
}

impl<'a> Block<'a> {
    /// The values of an `f32` column.
    #[inline]
    #[must_use]
    pub fn f32(&self, column: Column) -> &'a [f32; LANES] {
        bytemuck::cast_ref(self.words::<{ LANES / 2 }>(column))
    }

    /// The values of a `u32` column.
    #[inline]
    #[must_use]
    pub fn u32(&self, column: Column) -> &'a [u32; LANES] {
        bytemuck::cast_ref(self.words::<{ LANES / 2 }>(column))
    }

    /// The words of `accelerator-devices`: four arrays of 64; 16 bits a device, the lowest first.
    #[inline]
    #[must_use]
    pub fn devices(&self) -> [&'a [u64; LANES]; 4] {
        let words: &'a [u64; 4 * LANES] = self.words(Column::AcceleratorDevices);
        let (groups, _) = words.as_chunks::<LANES>();
        std::array::from_fn(|group| groups.get(group).unwrap_or(&[0; LANES]))
    }

    /// The words of a column; zeros if it was not declared.
    #[inline]
    fn words<const WORDS: usize>(&self, column: Column) -> &'a [u64; WORDS] {
        let start = self.fleet.offset(column);
        let found = self.words.get(start..).and_then(<[u64]>::first_chunk);
        found.unwrap_or(const { &[0; WORDS] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_the_host_writes_them() {
        let mut fleet = Fleet::new(&[Column::Zone, Column::AcceleratorDevices]);
        let mut words = vec![0; 32 + 256];
        words[32 + 3] = 1 | 2 << 16 | 3 << 32 | 4 << 48;
        words[32 + 64 + 3] = 5;
        fleet.sync(1, 64, 0, words);
        assert_eq!(fleet.devices(3), [1, 2, 3, 4, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(
            (fleet.devices(2), fleet.devices(64)),
            ([0; DEVICES], [0; DEVICES]),
            "others and missing rows"
        );
        let block = fleet.blocks().next().unwrap();
        assert_eq!(
            block.devices().map(|words| words[3]),
            [1 | 2 << 16 | 3 << 32 | 4 << 48, 5, 0, 0],
            "the same in scans"
        );
    }
}
