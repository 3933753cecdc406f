//! What one call and one instance may use.
//!
//! Invariant: the memory limit is a total over all memories of an instance (wasmtime's own is per memory), and a refusal is
//! remembered, so that the trap which follows is reported as what it is.

use pilothouse_core::policy::Family;
use wasmtime::{ResourceLimiter, Result};

/// Bytes that may cross from guest to host in one call: returned lists and strings. More burns host time that no deadline
/// can interrupt (faults.md, finding 5).
pub(crate) const HOSTCALL_BYTES_MAX: usize = 1 << 20;
/// Resource handles an instance may hold.
pub(crate) const HANDLES_MAX: usize = 1_000;
/// Elements of one table.
const TABLE_ELEMENTS_MAX: usize = 10_000;
/// Core instances in a component, tables and memories among them.
const INSTANCES_MAX: usize = 128;
const TABLES_MAX: usize = 8;
const MEMORIES_MAX: usize = 8;
/// Log lines and bytes per call; the rest is dropped and counted.
pub(crate) const LOG_LINES_MAX: u32 = 32;
/// See [`LOG_LINES_MAX`].
pub(crate) const LOG_BYTES_MAX: usize = 8 << 10;

/// What one call may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Fuel of one decision; the deterministic bound.
    pub fuel: u64,
    /// Wall clock of one decision, ms; the backstop.
    pub deadline_ms: u64,
    /// Linear memory of an instance, bytes.
    pub memory_bytes: usize,
    /// Calls of host functions during one decision.
    pub host_calls: u32,
}

impl Budget {
    /// The default of a family.
    #[must_use]
    pub const fn of(family: Family) -> Self {
        let (fuel, deadline_ms, host_calls) = match family {
            Family::Balancing => (2_000_000, 2, 1_000),
            Family::Placement => (50_000_000, 50, 100_000),
            Family::Routing | Family::Scaling => (20_000_000, 20, 10_000),
        };
        Self { fuel, deadline_ms, memory_bytes: 16 << 20, host_calls }
    }

    /// What several decisions in one call, or one with alternatives, may use.
    pub(crate) const fn times(self, decisions: u64) -> Self {
        let calls = (self.host_calls as u64).saturating_mul(decisions);
        Self {
            fuel: self.fuel.saturating_mul(decisions),
            deadline_ms: self.deadline_ms.saturating_mul(if decisions > 16 { 16 } else { decisions }),
            host_calls: if calls > u32::MAX as u64 { u32::MAX } else { calls as u32 },
            ..self
        }
    }

    /// What bringing an instance up to date or to life may use: not a decision, hence more, and the same for every family.
    pub(crate) const fn upkeep(self) -> Self {
        // Whoever gives a decision more time than this does not want time to count at all, as the lab.
        let deadline_ms = if self.deadline_ms > 50 { self.deadline_ms } else { 50 };
        Self { fuel: 50_000_000, deadline_ms, host_calls: 10_000, ..self }
    }
}

/// Counts what an instance holds.
#[derive(Debug)]
pub(crate) struct Limiter {
    memory_bytes_max: usize,
    memory_bytes: usize,
    /// Whether anything was refused since the flag was cleared.
    pub(crate) refused: bool,
}

impl Limiter {
    pub(crate) fn new(budget: &Budget) -> Self {
        Self { memory_bytes_max: budget.memory_bytes, memory_bytes: 0, refused: false }
    }

    /// Linear memory in use, bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    fn decide(&mut self, fits: bool) -> bool {
        self.refused |= !fits;
        fits
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        let total = self.memory_bytes.saturating_sub(current).saturating_add(desired);
        let fits = self.decide(total <= self.memory_bytes_max);
        if fits {
            self.memory_bytes = total;
        }
        Ok(fits)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        Ok(self.decide(desired <= TABLE_ELEMENTS_MAX))
    }

    fn instances(&self) -> usize {
        INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}
