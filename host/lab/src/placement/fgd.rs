//! Fragmentation gradient descent: the workload goes where it makes the least fragmentation.
//!
//! Source: Weng et al., USENIX ATC 2023, algorithm 1, over every kind of the mix. Which device serves a share is the
//! host's choice here (best fit), not the gradient's. Ties are settled by best fit, which the measure does not see.
//!
//! Invariant: known fragmentations are those of nodes as they are; equal nodes are measured once.

use std::collections::BTreeMap;

use super::{BestFit, Cluster, Mix, Node, Placer, Unplaced, View};

/// Nodes remembered at most.
const KNOWN_MAX: usize = 65_536;
/// Weight of best fit against a thousandth of a device: 5 % of a device for a whole node.
const BEST_FIT: f64 = 5.0;

/// Fragmentation gradient descent.
#[derive(Debug, Clone)]
pub struct Fgd {
    mix: Mix,
    best_fit: BestFit,
    known: BTreeMap<Node, f64>,
}

impl Fgd {
    /// FGD for a demand mix on this cluster, as long as it is empty.
    #[must_use]
    pub fn new(mix: Mix, cluster: &Cluster) -> Self {
        Self { mix, best_fit: BestFit::of(cluster), known: BTreeMap::new() }
    }
}

impl Placer for Fgd {
    fn place(&mut self, view: View<'_>) -> Result<u32, Unplaced> {
        let Self { mix, best_fit, known } = self;
        if known.len() > KNOWN_MAX {
            known.clear();
        }
        let mut fragmented = |node: &Node| {
            let key = Node { memory_mib: u32::MAX, ..*node };
            *known.entry(key).or_insert_with(|| mix.fragmented_millis(node))
        };
        view.least(|node, left| fragmented(left) - fragmented(node) + BEST_FIT * best_fit.left(left))
    }
}
