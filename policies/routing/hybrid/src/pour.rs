//! Pours a flow over members in parts, each to where it costs least by then.
//!
//! Invariant: the cost of a member grows with what it gets (the load term is convex), so this greedy split is the
//! cheapest one of its grain.

use crate::terms::crowding;

const PARTS: u32 = 16;

/// A member that is being filled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vessel {
    pub(crate) row: u32,
    /// What it costs apart from its load.
    pub(crate) fixed: f32,
    pub(crate) utilisation: f32,
    pub(crate) size: f32,
}

/// Rows with their shares of the flow, those of 0 left out. An earlier vessel wins a tie.
pub(crate) fn poured(mut vessels: Vec<Vessel>, flow_share: f32, load_weight: f32) -> Vec<(u32, f32)> {
    let mean_size = vessels.iter().map(|vessel| vessel.size).sum::<f32>() / vessels.len().max(1) as f32;
    let part = flow_share * mean_size / PARTS as f32;
    let mut shares: Vec<(u32, f32)> = vessels.iter().map(|vessel| (vessel.row, 0.0)).collect();
    for _ in 0..PARTS {
        let cost =
            |vessel: &Vessel| vessel.fixed + load_weight * crowding(vessel.utilisation + part / vessel.size);
        let cheapest = vessels.iter_mut().zip(&mut shares).min_by(|a, b| cost(a.0).total_cmp(&cost(b.0)));
        if let Some((vessel, (_, share))) = cheapest {
            vessel.utilisation += part / vessel.size;
            *share += 1.0 / PARTS as f32;
        }
    }
    shares.retain(|&(_, share)| share > 0.0);
    shares
}
