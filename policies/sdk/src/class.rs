//! Who is eligible for a class of requests.
//!
//! Invariant: at least one row is eligible whenever a decision is asked.

use std::cell::OnceCell;

use crate::fleet::LANES;

/// One class of requests.
#[derive(Debug)]
pub struct Class {
    id: u32,
    version: u64,
    eligible: Vec<u64>,
    count: u32,
    rows: OnceCell<Vec<u32>>,
    required: [u64; 4],
    preferred: [u64; 4],
    source_region: u32,
    source_zone: u32,
    rtt_ms: Vec<f32>,
}

/// What the host says of a class.
#[derive(Debug, Clone, Default)]
#[doc(hidden)]
pub struct Parts {
    pub id: u32,
    pub eligible: Vec<u64>,
    pub required: Vec<u64>,
    pub preferred: Vec<u64>,
    pub source_region: u32,
    pub source_zone: u32,
    pub rtt_ms: Vec<f32>,
}

impl Class {
    pub(crate) fn new(version: u64, parts: Parts) -> Self {
        let Parts { id, eligible, required, preferred, source_region, source_zone, mut rtt_ms } = parts;
        // Whole blocks, so that scans find arrays.
        rtt_ms.resize(rtt_ms.len().next_multiple_of(LANES), f32::NAN);
        let four =
            |words: Vec<u64>| std::array::from_fn(|index| words.get(index).copied().unwrap_or_default());
        Self {
            id,
            version,
            count: eligible.iter().map(|word| word.count_ones()).sum(),
            eligible,
            rows: OnceCell::new(),
            required: four(required),
            preferred: four(preferred),
            source_region,
            source_zone,
            rtt_ms,
        }
    }

    /// Its number; unique among the classes alive.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Grows whenever any class of this instance changed; for caches.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How many rows are eligible.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// One bit per row, lowest first; word `i` belongs to block `i`.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.eligible
    }

    /// Eligible rows in ascending order. Made at the first call after a change.
    #[inline]
    #[must_use]
    pub fn rows(&self) -> &[u32] {
        self.rows.get_or_init(|| {
            let mut rows = Vec::with_capacity(self.count as usize);
            for (index, &word) in self.eligible.iter().enumerate() {
                let mut left = word;
                while left != 0 {
                    rows.push((index * 64) as u32 + left.trailing_zeros());
                    left &= left - 1;
                }
            }
            rows
        })
    }

    /// The eligible row with this rank, wrapping around; for draws and counters.
    #[inline]
    #[must_use]
    pub fn nth(&self, rank: u32) -> u32 {
        let rows = self.rows();
        let place =
            if (rank as usize) < rows.len() { rank as usize } else { rank as usize % rows.len().max(1) };
        rows.get(place).copied().unwrap_or_default()
    }

    /// Whether a row is eligible.
    #[inline]
    #[must_use]
    pub fn contains(&self, row: u32) -> bool {
        self.eligible.get(row as usize / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// Capabilities that requests must have; every eligible row has them.
    #[must_use]
    pub fn required_capabilities(&self) -> &[u64; 4] {
        &self.required
    }

    /// Capabilities that requests would like to have.
    #[must_use]
    pub fn preferred_capabilities(&self) -> &[u64; 4] {
        &self.preferred
    }

    /// Symbol of the region the requests come from, 0 if unknown.
    #[must_use]
    pub fn source_region(&self) -> u32 {
        self.source_region
    }

    /// Symbol of the zone the requests come from, 0 if unknown.
    #[must_use]
    pub fn source_zone(&self) -> u32 {
        self.source_zone
    }

    /// Round-trip times to the 64 rows of a block, ms; NaN if unknown.
    #[inline]
    #[must_use]
    pub fn rtt_ms_of_block(&self, block: usize) -> &[f32; LANES] {
        self.rtt_ms.get(block * LANES..).and_then(<[f32]>::first_chunk).unwrap_or(&[f32::NAN; LANES])
    }

    /// Round-trip time from the source to a row, ms; NaN if unknown.
    #[inline]
    #[must_use]
    pub fn rtt_ms(&self, row: u32) -> f32 {
        self.rtt_ms.get(row as usize).copied().unwrap_or(f32::NAN)
    }
}
