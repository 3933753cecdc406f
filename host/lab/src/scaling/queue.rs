//! The group's queue, as a fluid: within a second work arrives and is served at constant rates.

/// First come, first served by all ready replicas together.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Queue {
    /// Work that waits.
    pub waiting: f64,
}

/// What happened in one second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Second {
    /// Work served.
    pub served: f64,
    /// Arrivals that have to wait longer than promised.
    pub late: f64,
}

impl Queue {
    /// Lets a second pass. Work that finds `w` waiting waits `w / capacity`.
    pub fn pass(&mut self, arrivals: f64, capacity: f64, wait_max_s: f64) -> Second {
        let before = self.waiting;
        let served = capacity.min(before + arrivals);
        self.waiting = (before + arrivals - capacity).max(0.0);
        let late = if capacity > 0.0 {
            arrivals * share_above(before, arrivals - capacity, wait_max_s * capacity)
        } else {
            arrivals
        };
        Second { served, late }
    }
}

/// Share of a second in which `start + growth * time` lies above a limit.
fn share_above(start: f64, growth: f64, limit: f64) -> f64 {
    let excess = start - limit;
    if growth == 0.0 {
        return if excess > 0.0 { 1.0 } else { 0.0 };
    }
    let crossing = (-excess / growth).clamp(0.0, 1.0);
    if growth > 0.0 { 1.0 - crossing } else { crossing }
}
