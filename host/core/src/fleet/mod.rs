//! The fleet snapshot: what every decision looks at.
//!
//! registry changes -> builder -> [`Fleet`] (immutable, one epoch) -> eligible set, policies, guardrails
//!
//! Invariant: a published `Fleet` never changes, except for [`live`], which says so in its name. Blocks that did
//! not change between two epochs are the same allocation. No ranking happens here.

pub mod block;
pub mod builder;
pub mod column;
pub mod facts;
pub mod geography;
pub mod live;
pub mod measured;

use std::sync::Arc;

use block::Block;
use column::BLOCK_ROWS;
use facts::{MemberFacts, Names};
use geography::Geography;
use live::Live;
use measured::Measured;

/// One version of the fleet.
#[derive(Debug, Clone)]
pub struct Fleet {
    /// Grows by one with every publication in which something changed.
    pub epoch: u64,
    /// Rows in use, gaps included: `0 ..< rows`.
    pub rows: u32,
    /// Blocks of 64 rows.
    pub blocks: Vec<Arc<Block>>,
    /// Texts behind symbols and bits.
    pub names: Arc<Names>,
    /// Where regions are.
    pub geography: Arc<Geography>,
    /// How far members were measured to be.
    pub measured: Arc<Measured>,
    /// Counts that change with every decision.
    pub live: Arc<Live>,
}

impl Fleet {
    /// Who is in a row.
    #[must_use]
    pub fn facts(&self, row: u32) -> Option<&Arc<MemberFacts>> {
        let (block, lane) = split(row);
        self.blocks.get(block)?.facts.get(lane)?.as_ref()
    }

    /// The block of a row and the lane in it.
    #[must_use]
    pub fn block(&self, row: u32) -> Option<(&Arc<Block>, usize)> {
        let (block, lane) = split(row);
        self.blocks.get(block).map(|found| (found, lane))
    }

    /// How many members there are.
    #[must_use]
    pub fn members(&self) -> u32 {
        self.blocks.iter().map(|block| block.present.count_ones()).sum()
    }
}

/// Block index and lane of a row.
#[must_use]
pub fn split(row: u32) -> (usize, usize) {
    (row as usize / BLOCK_ROWS, row as usize % BLOCK_ROWS)
}
