//! Many migrations at once: in which order, and how long all of them take.
//!
//! plans -> longest first onto the lane that is free first (Graham 1969: at most 4/3 of the best possible
//! time)
//!
//! Invariant: every plan is in the order once. That the migrations share links is not foreseen here; the
//! queue's limits per member keep that in bounds.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Plan;

/// A forecast of many migrations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bulk {
    /// Places of the plans in what was given, in the order in which to submit them.
    pub order: Vec<usize>,
    /// From the first begin to the last end, µs.
    pub duration_us: u64,
    /// Bytes over the wire, together.
    pub transfer_bytes: u64,
    /// The longest pause of any of them, µs.
    pub downtime_us_max: u64,
}

/// Forecasts migrations of which so many run at once; none counts as one.
#[must_use]
pub fn forecast_bulk(plans: &[Plan], parallel: usize) -> Bulk {
    let mut longest_first: Vec<(usize, &Plan)> = plans.iter().enumerate().collect();
    longest_first.sort_by_key(|(_, plan)| Reverse(plan.duration_us));
    let lanes = parallel.clamp(1, plans.len().max(1));
    let mut free_at_us: BinaryHeap<Reverse<u64>> = std::iter::repeat_n(Reverse(0), lanes).collect();
    let mut duration_us = 0;
    for (_, plan) in &longest_first {
        let Reverse(begin_us) = free_at_us.pop().unwrap_or_default();
        let end_us = begin_us.saturating_add(plan.duration_us);
        duration_us = duration_us.max(end_us);
        free_at_us.push(Reverse(end_us));
    }
    Bulk {
        order: longest_first.into_iter().map(|(index, _)| index).collect(),
        duration_us,
        transfer_bytes: plans.iter().fold(0, |sum: u64, plan| sum.saturating_add(plan.transfer_bytes)),
        downtime_us_max: plans.iter().map(|plan| plan.downtime_us).max().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(duration_us: u64) -> Plan {
        Plan {
            downtime_us: duration_us / 10,
            duration_us,
            transfer_bytes: 1,
            steps: Vec::new(),
            network: Vec::new(),
            storage: Vec::new(),
            risks: Vec::new(),
        }
    }

    #[test]
    fn the_longest_go_first_each_to_the_lane_that_is_free_first() {
        for (durations, parallel, order, duration_us) in [
            (&[][..], 4, &[][..], 0),
            (&[5], 0, &[0], 5),
            (&[1, 9, 4, 4], 2, &[1, 2, 3, 0], 9),
            (&[2, 2, 2], 10, &[0, 1, 2], 2),
            (&[2, 2, 3], 1, &[2, 0, 1], 7),
            (&[u64::MAX, 1], 1, &[0, 1], u64::MAX),
        ] {
            let plans: Vec<Plan> = durations.iter().copied().map(plan).collect();
            let bulk = forecast_bulk(&plans, parallel);
            assert_eq!((bulk.order.as_slice(), bulk.duration_us), (order, duration_us), "{durations:?}");
            assert_eq!(bulk.transfer_bytes, durations.len() as u64);
            assert_eq!(bulk.downtime_us_max, durations.iter().max().map_or(0, |longest| longest / 10));
        }
    }
}
