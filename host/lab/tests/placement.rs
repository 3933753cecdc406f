//! The default placement policies, as the components that are shipped, in the placement simulator.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::sync::Arc;

use pilothouse_core::policy::state::SlotState;
use pilothouse_core::policy::{Decision, Policy as _};
use pilothouse_engine::{Budget, Cache, Compiler, Pool, PoolConfig, Runtime};
use pilothouse_lab::placement::{BestFit, Cluster, Placer, Policy, Random, Report, simulate, synthetic};

const SEEDS: u64 = 3;
const NODES: usize = 150;

fn pool(name: &str) -> Pool {
    let runtime = Runtime::start(Compiler::here(), Cache::none()).unwrap();
    let found =
        pilothouse_policies::ALL.iter().find(|policy| (policy.family, policy.name) == ("placement", name));
    let loaded = Arc::new(runtime.load(found.unwrap().bytes).unwrap());
    let budget = Budget { deadline_ms: 1_000, ..Budget::of(loaded.family()) };
    let state = Arc::new(SlotState::default());
    Pool::new(loaded, "", PoolConfig { seats: 1, budget, state, seed: 1 }).unwrap()
}

fn run(seed: u64, placer: &mut dyn Placer) -> Report {
    let (nodes, workloads) = synthetic::scenario(seed, NODES);
    simulate(&nodes, &workloads, seed, placer).unwrap()
}

fn policy(name: &str, seed: u64) -> Report {
    let pool = pool(name);
    let Decision::Placement(port) = pool.decision() else { panic!("{name} places nothing") };
    run(seed, &mut Policy(port))
}

fn mean(of: impl Fn(u64) -> Report) -> f64 {
    (0..SEEDS).map(|seed| of(seed).allocation).sum::<f64>() / SEEDS as f64
}

#[test]
fn every_policy_places_whatever_fits() {
    for name in ["bin-pack", "spread", "cost-aware", "gpu-packing", "multi-factor"] {
        let report = policy(name, 1);
        assert_eq!(report.declined, 0, "{name}");
        assert!(report.allocation > 60.0, "{name}: {}", report.allocation);
    }
}

#[test]
fn packing_policies_beat_their_references() {
    let best_fit = mean(|seed| {
        let (nodes, _) = synthetic::scenario(seed, NODES);
        run(seed, &mut BestFit::of(&Cluster::new(nodes)))
    });
    let random = mean(|seed| run(seed, &mut Random));
    let (gpu_packing, bin_pack) =
        (mean(|seed| policy("gpu-packing", seed)), mean(|seed| policy("bin-pack", seed)));
    assert!(gpu_packing > best_fit + 1.0, "gpu-packing {gpu_packing}, best fit {best_fit}");
    assert!(bin_pack > random + 1.0, "bin-pack {bin_pack}, random {random}");
}

#[test]
fn what_a_component_decides_follows_from_the_seed() {
    assert_eq!(policy("gpu-packing", 2), policy("gpu-packing", 2));
}
