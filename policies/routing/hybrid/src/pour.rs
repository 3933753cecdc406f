//! Pours a flow over members in grains, each to where it costs least by then.
//!
//! Invariant: the cost of a member grows with what it gets (the load term is convex), so this greedy split is the
//! cheapest one in whole grains.

use pilothouse_sdk::routing::Part;

use crate::terms::crowding;

const GRAINS: u32 = 16;

/// A member that is being filled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vessel {
    pub(crate) row: u32,
    /// What it costs apart from its load.
    pub(crate) fixed: f32,
    pub(crate) utilisation: f32,
    pub(crate) size: f32,
}

/// The vessels' parts of the flow, also those with a share of 0. An earlier vessel wins a tie.
pub(crate) fn poured(mut vessels: Vec<Vessel>, flow_share: f32, load_weight: f32) -> Vec<Part> {
    let mean_size = vessels.iter().map(|vessel| vessel.size).sum::<f32>() / vessels.len().max(1) as f32;
    let grain = flow_share * mean_size / GRAINS as f32;
    let part_of = |vessel: &Vessel| Part { row: vessel.row, share: 0.0, path_cost: vessel.fixed };
    let mut parts: Vec<Part> = vessels.iter().map(part_of).collect();
    for _ in 0..GRAINS {
        let cost =
            |vessel: &Vessel| vessel.fixed + load_weight * crowding(vessel.utilisation + grain / vessel.size);
        let cheapest = vessels.iter_mut().zip(&mut parts).min_by(|a, b| cost(a.0).total_cmp(&cost(b.0)));
        if let Some((vessel, part)) = cheapest {
            vessel.utilisation += grain / vessel.size;
            part.share += 1.0 / GRAINS as f32;
        }
    }
    parts
}
