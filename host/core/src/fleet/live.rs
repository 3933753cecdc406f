//! What changes with every decision: work sent since the last report, and the breaker's gate.
//!
//! Shared by all snapshots; plain atomics, because a decision may not wait. Everything here is advice to the
//! next decision and is repaired by the next report.

use std::sync::atomic::{AtomicU32, Ordering};

/// Most members a host holds: four bytes of in-flight count and of gate each.
pub const MEMBERS_MAX: usize = 65_536;

/// Gate values above this mean "closed circuit, no limit".
const GATE_OPEN_TO_ALL: u32 = u32::MAX;

/// Live counts by row.
#[derive(Debug)]
pub struct Live {
    in_flight: Box<[AtomicU32]>,
    gates: Box<[AtomicU32]>,
}

impl Default for Live {
    fn default() -> Self {
        let fill = |value: u32| (0..MEMBERS_MAX).map(|_| AtomicU32::new(value)).collect();
        Self { in_flight: fill(0), gates: fill(GATE_OPEN_TO_ALL) }
    }
}

impl Live {
    /// Work sent to the row that its last report does not contain.
    #[must_use]
    pub fn in_flight(&self, row: u32) -> u32 {
        self.in_flight.get(row as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Counts one piece of work at decision time.
    pub fn start(&self, row: u32) {
        if let Some(count) = self.in_flight.get(row as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes `amount` pieces off, never below zero: finished, or contained in a newer report.
    pub fn finish(&self, row: u32, amount: u32) {
        if let Some(count) = self.in_flight.get(row as usize) {
            let _ = count
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| Some(now.saturating_sub(amount)));
        }
    }

    /// Takes over what another count says of a row.
    pub fn copy_from(&self, other: &Self, row: u32) {
        for (to, from) in [(&self.in_flight, &other.in_flight), (&self.gates, &other.gates)] {
            if let (Some(to), Some(from)) = (to.get(row as usize), from.get(row as usize)) {
                to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
            }
        }
    }

    /// Sets the breaker's gate: `None` = closed circuit (no limit), `Some(n)` = at most `n` more trials.
    pub fn set_gate(&self, row: u32, trials: Option<u32>) {
        if let Some(gate) = self.gates.get(row as usize) {
            gate.store(trials.unwrap_or(GATE_OPEN_TO_ALL), Ordering::Relaxed);
        }
    }

    /// Takes one passage through the gate; `false` if the circuit is open or its trials are used up.
    #[must_use]
    pub fn pass_gate(&self, row: u32) -> bool {
        let Some(gate) = self.gates.get(row as usize) else { return false };
        gate.load(Ordering::Relaxed) == GATE_OPEN_TO_ALL
            || gate
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| match left {
                    GATE_OPEN_TO_ALL => Some(left),
                    _ => left.checked_sub(1),
                })
                .is_ok()
    }
}
