//! Published figures of placement: means of ten seeds, devices allocated in percent when 130 % were asked for.
//!
//! Source: kubernetes-scheduler-simulator of Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with
//! Fragmentation Gradient Descent" (USENIX ATC 2023), `experiments/analysis/expected_results`, on the Alibaba trace
//! `cluster-trace-gpu-v2023`. Comparable only with runs on that trace by that protocol.
//!
//! Invariant: one row per published workload; nothing here was measured by us.

/// The six policies, in the order of the figures.
pub(super) const POLICIES: [&str; 6] = ["Random", "DotProd", "Clustering", "Packing", "BestFit", "FGD"];

/// Workload and its figures.
const ALLOCATION: [(&str, [f64; 6]); 17] = [
    ("cpu050", [91.24, 93.27, 93.79, 93.72, 93.79, 95.21]),
    ("cpu100", [89.11, 91.95, 92.64, 92.72, 93.44, 95.35]),
    ("cpu200", [83.77, 87.70, 89.92, 90.22, 92.40, 95.05]),
    ("cpu250", [80.41, 83.81, 87.99, 88.28, 91.45, 93.41]),
    ("default", [87.47, 90.85, 91.88, 92.00, 93.08, 95.39]),
    ("gpushare100", [79.44, 82.42, 82.65, 82.57, 85.01, 86.90]),
    ("gpushare40", [86.00, 89.56, 90.02, 90.03, 91.69, 94.15]),
    ("gpushare60", [83.65, 87.11, 87.20, 87.45, 89.36, 91.40]),
    ("gpushare80", [81.22, 84.49, 84.85, 85.00, 87.01, 89.31]),
    ("gpuspec10", [87.43, 90.39, 92.18, 92.46, 93.31, 94.95]),
    ("gpuspec20", [87.24, 89.97, 92.24, 92.94, 93.30, 94.84]),
    ("gpuspec25", [86.94, 89.63, 92.08, 92.98, 93.23, 94.74]),
    ("gpuspec33", [86.46, 89.14, 92.12, 93.22, 93.09, 94.55]),
    ("multigpu20", [88.69, 92.06, 93.56, 93.71, 93.93, 95.65]),
    ("multigpu30", [89.27, 93.28, 94.72, 94.87, 94.72, 96.46]),
    ("multigpu40", [90.09, 94.19, 95.50, 95.74, 95.23, 96.99]),
    ("multigpu50", [90.28, 94.85, 95.81, 96.18, 95.74, 97.18]),
];

/// The figures of a workload.
pub(super) fn allocation(workload: &str) -> Option<[f64; 6]> {
    ALLOCATION.iter().find(|(name, _)| *name == workload).map(|(_, figures)| *figures)
}

/// The names of the workloads.
pub(super) fn workloads() -> impl Iterator<Item = &'static str> {
    ALLOCATION.iter().map(|(name, _)| *name)
}
