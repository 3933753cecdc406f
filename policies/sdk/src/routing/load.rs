//! How full rows are, for policies that spread load.

use crate::{Column, Fleet};

/// Size of a member of weight 1 that names no capacity, in units of work.
const SIZE_UNNAMED: f32 = 100.0;

/// Work on a row and how much it can take, in the same unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Running and in flight; at least what the CPU shows.
    pub work: f32,
    /// Its capacity; a hundred times its weight if it names none. Above 0.
    pub size: f32,
}

impl Load {
    /// The load of a row. Needs [`Column::Active`], [`Column::Capacity`], [`Column::Cpu`] and [`Column::Weight`].
    #[must_use]
    pub fn of(fleet: &Fleet, row: u32) -> Self {
        let capacity = fleet.u32(Column::Capacity, row) as f32;
        let named = if capacity > 0.0 { capacity } else { SIZE_UNNAMED * fleet.f32(Column::Weight, row) };
        let size = named.max(f32::MIN_POSITIVE);
        let work = fleet.u32(Column::Active, row).saturating_add(fleet.in_flight(row)) as f32;
        // `max` takes the other number if one is NaN: unknown utilisation does not count.
        Self { work: work.max(fleet.f32(Column::Cpu, row) * size), size }
    }

    /// Work over size; above 1 when overloaded.
    #[must_use]
    pub fn utilisation(self) -> f32 {
        self.work / self.size
    }
}
