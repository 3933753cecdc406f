//! One block: 64 rows of every column, immutable once published.
//!
//! Invariant: words outside present rows are zero, so equal fleets have equal blocks.

use std::fmt;
use std::sync::Arc;

use super::column::{BIT_WORDS, BLOCK_ROWS, BLOCK_WORDS, Column, ColumnType};
use super::facts::MemberFacts;

/// Identities of a block's rows; rebuilt only when membership changes.
pub type RowFacts = Arc<[Option<Arc<MemberFacts>>; BLOCK_ROWS]>;

/// 64 rows of every column.
#[derive(Clone)]
pub struct Block {
    words: Box<[u64; BLOCK_WORDS]>,
    /// Epoch at which it last changed.
    pub epoch: u64,
    /// Rows that hold a member.
    pub present: u64,
    /// Rows that may be offered new work: there, not draining, not unhealthy, not standby, weight above 0.
    pub available: u64,
    /// Rows whose circuit breaker is open.
    pub breaker_open: u64,
    /// Rows that run as much as they can.
    pub full: u64,
    /// Rows that are clusters.
    pub clusters: u64,
    /// Rows that are peer orchestrators (present rows that are neither are nodes).
    pub orchestrators: u64,
    /// Who is in which row.
    pub facts: RowFacts,
}

impl Block {
    /// A block without members.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            words: Box::new([0; BLOCK_WORDS]),
            epoch: 0,
            present: 0,
            available: 0,
            breaker_open: 0,
            full: 0,
            clusters: 0,
            orchestrators: 0,
            facts: Arc::new([const { None }; BLOCK_ROWS]),
        }
    }

    /// The words of one column.
    #[must_use]
    pub fn column(&self, column: Column) -> &[u64] {
        self.words.get(column.range()).unwrap_or_default()
    }

    /// A value of an `f32` column; 0 for another type or a lane above 63.
    #[must_use]
    pub fn f32(&self, column: Column, lane: usize) -> f32 {
        f32::from_bits(self.half(column, lane))
    }

    /// A value of a `u32` column; 0 for another type or a lane above 63.
    #[must_use]
    pub fn u32(&self, column: Column, lane: usize) -> u32 {
        self.half(column, lane)
    }

    /// A value of a `u64` column; 0 for another type or a lane above 63.
    #[must_use]
    pub fn u64(&self, column: Column, lane: usize) -> u64 {
        match column.kind() {
            ColumnType::U64 => self.column(column).get(lane).copied().unwrap_or_default(),
            _ => 0,
        }
    }

    /// The bits of a row in a `Bits` column.
    #[must_use]
    pub fn bits(&self, column: Column, lane: usize) -> [u64; BIT_WORDS] {
        let words = self.column(column);
        std::array::from_fn(|word| words.get(word * BLOCK_ROWS + lane).copied().unwrap_or_default())
    }

    fn half(&self, column: Column, lane: usize) -> u32 {
        if lane >= BLOCK_ROWS {
            return 0;
        }
        let word = self.column(column).get(lane / 2).copied().unwrap_or_default();
        #[expect(clippy::cast_possible_truncation, reason = "takes the lower half on purpose")]
        let half = (word >> (32 * (lane % 2))) as u32;
        half
    }

    /// Writes a value of an `f32` column.
    pub fn set_f32(&mut self, column: Column, lane: usize, value: f32) {
        self.set_half(column, lane, value.to_bits());
    }

    /// Writes a value of a `u32` column.
    pub fn set_u32(&mut self, column: Column, lane: usize, value: u32) {
        self.set_half(column, lane, value);
    }

    /// Writes a value of a `u64` column.
    pub fn set_u64(&mut self, column: Column, lane: usize, value: u64) {
        if let (ColumnType::U64, Some(word)) =
            (column.kind(), self.words.get_mut(column.range()).and_then(|words| words.get_mut(lane)))
        {
            *word = value;
        }
    }

    /// Writes the bits of a row in a `Bits` column.
    pub fn set_bits(&mut self, column: Column, lane: usize, bits: [u64; BIT_WORDS]) {
        let Some(words) = self.words.get_mut(column.range()) else { return };
        for (index, value) in bits.into_iter().enumerate() {
            if let Some(word) = words.get_mut(index * BLOCK_ROWS + lane) {
                *word = value;
            }
        }
    }

    /// Zeroes a row in every column.
    pub fn clear_row(&mut self, lane: usize) {
        for &column in Column::ALL {
            match column.kind() {
                ColumnType::F32 | ColumnType::U32 => self.set_u32(column, lane, 0),
                ColumnType::U64 => self.set_u64(column, lane, 0),
                ColumnType::Bits => self.set_bits(column, lane, [0; BIT_WORDS]),
            }
        }
    }

    fn set_half(&mut self, column: Column, lane: usize, value: u32) {
        if lane >= BLOCK_ROWS || !matches!(column.kind(), ColumnType::F32 | ColumnType::U32) {
            return;
        }
        let shift = 32 * (lane % 2);
        if let Some(word) = self.words.get_mut(column.range()).and_then(|words| words.get_mut(lane / 2)) {
            *word = (*word & !(u64::from(u32::MAX) << shift)) | (u64::from(value) << shift);
        }
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block")
            .field("epoch", &self.epoch)
            .field("present", &format_args!("{:#x}", self.present))
            .field("available", &format_args!("{:#x}", self.available))
            .finish_non_exhaustive()
    }
}
