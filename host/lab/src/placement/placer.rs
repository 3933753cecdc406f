//! Who places: a policy behind core's port, or a reference written here.
//!
//! Invariant: a placer sees the nodes that fit and picks one of them; the simulation checks it.

use std::fmt::Debug;

use pilothouse_core::eligible::EligibleClass;
use pilothouse_core::fleet::facts::mix;
use pilothouse_core::policy::Placement;
use pilothouse_core::policy::fault::{PolicyError, Refusal};
use pilothouse_core::policy::request::{Choice, PlacementRequest};

use super::{Cluster, Node, Workload};

/// What a placer sees of one arrival.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// Nodes and snapshot.
    pub cluster: &'a Cluster,
    /// The nodes that fit.
    pub class: &'a EligibleClass,
    /// The workload.
    pub workload: &'a Workload,
    /// Randomness of this decision.
    pub seed: u64,
    /// The simulation's clock, ms.
    pub now_ms: u64,
}

impl View<'_> {
    /// The fitting node with the least `cost`, a function of the node before and after; ties by the seed.
    pub(super) fn least(&self, mut cost: impl FnMut(&Node, &Node) -> f64) -> Result<u32, Unplaced> {
        let mut best: Option<(f64, u64, u32)> = None;
        for row in self.class.rows() {
            let Some(node) = self.cluster.nodes().get(row as usize) else { continue };
            let Some(left) = node.with(self.workload) else { continue };
            let candidate = (cost(node, &left), mix(self.seed ^ u64::from(row)), row);
            let better = |(cost, tie, _): &(f64, u64, u32)| {
                candidate.0.total_cmp(cost).then(candidate.1.cmp(tie)).is_lt()
            };
            if best.as_ref().is_none_or(better) {
                best = Some(candidate);
            }
        }
        best.map(|(.., row)| row).ok_or(Unplaced::Declined)
    }
}

/// Why a placer named no node.
#[derive(Debug, Clone, PartialEq)]
pub enum Unplaced {
    /// It declined, although there are nodes that fit.
    Declined,
    /// It broke.
    Broken(String),
}

/// Places one arrival after the other.
pub trait Placer: Debug {
    /// The row of one of the nodes that fit.
    ///
    /// # Errors
    /// [`Unplaced`].
    fn place(&mut self, view: View<'_>) -> Result<u32, Unplaced>;
}

/// A policy behind core's port.
#[derive(Debug)]
pub struct Policy<'a>(pub &'a dyn Placement);

impl Policy<'_> {
    /// What the policy answers.
    pub(crate) fn ask(&self, view: View<'_>) -> Result<Choice, PolicyError> {
        let View { cluster, class, workload, seed, now_ms } = view;
        let request = PlacementRequest { seed, now_ms, needs: workload.needs, priority: 0 };
        self.0.place(cluster.fleet(), class, &request)
    }
}

impl Placer for Policy<'_> {
    fn place(&mut self, view: View<'_>) -> Result<u32, Unplaced> {
        match self.ask(view) {
            Ok(choice) => Ok(choice.row),
            Err(PolicyError::Refused(Refusal::NothingSuits(_))) => Err(Unplaced::Declined),
            Err(error) => Err(Unplaced::Broken(format!("{error:?}"))),
        }
    }
}

/// Any node that fits, all equally likely.
#[derive(Debug, Clone, Copy)]
pub struct Random;

impl Placer for Random {
    fn place(&mut self, view: View<'_>) -> Result<u32, Unplaced> {
        view.least(|_, _| 0.0)
    }
}

/// The node with the least left of everything, against the largest node: best fit in three dimensions.
#[derive(Debug, Clone)]
pub struct BestFit {
    largest: [f64; 3],
}

impl BestFit {
    /// Best fit for this cluster, as long as it is empty.
    #[must_use]
    pub fn of(cluster: &Cluster) -> Self {
        let largest = cluster.nodes().iter().map(amounts).fold([1.0; 3], |largest, amounts| {
            let [a, b, c] = amounts;
            let [x, y, z] = largest;
            [f64::max(a, x), f64::max(b, y), f64::max(c, z)]
        });
        Self { largest }
    }

    /// What is left on a node, 0..3.
    pub(super) fn left(&self, node: &Node) -> f64 {
        amounts(node).iter().zip(self.largest).map(|(left, largest)| left / largest).sum()
    }
}

fn amounts(node: &Node) -> [f64; 3] {
    [node.cpu_millis, node.memory_mib, node.devices.free_millis()].map(f64::from)
}

impl Placer for BestFit {
    fn place(&mut self, view: View<'_>) -> Result<u32, Unplaced> {
        view.least(|_, left| self.left(left))
    }
}
