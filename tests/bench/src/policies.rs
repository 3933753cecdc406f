//! Policies through Wasm against the same source natively, and what pushes and faults cost.

use std::sync::Arc;
use std::time::Instant;

use balancing_least_loaded::LeastLoaded;
use pilothouse_core::eligible::{Classes, Requirement};
use pilothouse_core::id::MemberId;
use pilothouse_core::member::{LoadReport, Resources};
use pilothouse_core::policy::request::{BalancingRequest, PlacementRequest};
use pilothouse_core::policy::state::SlotState;
use pilothouse_core::policy::{
    Balancing as BalancingPort, Decision, Placement as PlacementPort, Policy as _,
};
use pilothouse_core::time::{Now, WallMs};
use pilothouse_engine::{Budget, Cache, Compiler, Pool, PoolConfig, Runtime};
use pilothouse_sdk::balancing::{Balancing, Request};
use pilothouse_sdk::placement::{self, Placement};
use placement_multi_factor::MultiFactor;

use crate::measure::{nanoseconds, row, table};
use crate::native;
use crate::world::World;

const BATCH: usize = 64;

fn pool(runtime: &Runtime, bytes: &[u8], settings: &str, deadline_ms: Option<u64>) -> anyhow::Result<Pool> {
    let loaded = Arc::new(runtime.load(bytes)?);
    let budget = Budget::of(loaded.family());
    let budget = Budget { deadline_ms: deadline_ms.unwrap_or(budget.deadline_ms), ..budget };
    let config = PoolConfig { seats: 1, budget, state: Arc::new(SlotState::default()), seed: 1 };
    Ok(Pool::new(loaded, settings, config)?)
}

/// A default policy, with all the time that a busy machine takes.
pub fn default_policy(runtime: &Runtime, family: &str, name: &str) -> anyhow::Result<Pool> {
    let policy = pilothouse_policies::find(family, name).ok_or_else(|| anyhow::anyhow!("no {name}"))?;
    pool(runtime, policy.bytes, "", Some(1_000))
}

fn balancing(pool: &Pool) -> &dyn BalancingPort {
    let Decision::Balancing(port) = pool.decision() else { panic!("not balancing") };
    port
}

/// The port of a placement policy.
pub fn placing(pool: &Pool) -> &dyn PlacementPort {
    let Decision::Placement(port) = pool.decision() else { panic!("not placement") };
    port
}

fn request(seed: u64) -> BalancingRequest {
    BalancingRequest { seed, now_ms: 1, session: None }
}

/// Measures everything; gives nanoseconds of two choices and of a scan at 100 members.
pub fn run() -> anyhow::Result<()> {
    let runtime = Runtime::start(Compiler::here(), Cache::none())?;
    table("Wasm against the same source natively", &["work", "members", "native ns", "Wasm ns", "ratio"]);
    for members in [10, 100, 1_000, 10_000] {
        let mut world = World::of(members)?;
        let line = |work: &str, native: f64, wasm: f64| {
            let ratio = format!("{:.2}", wasm / native);
            row(&[work.to_owned(), members.to_string(), format!("{native:.0}"), format!("{wasm:.0}"), ratio]);
        };
        two_choices(&runtime, &world, &line)?;
        scan(&runtime, &world, &line)?;
        pushes(&runtime, &mut world, members)?;
    }
    faults(&runtime)
}

fn two_choices(runtime: &Runtime, world: &World, line: &impl Fn(&str, f64, f64)) -> anyhow::Result<()> {
    let World { fleet, class, .. } = world;
    let mut instance = native::instance(&LeastLoaded::ABOUT, LeastLoaded::new, world);
    let here = |seed| Request { class: class.id, seed, now_ms: 1, session: None };
    let native = nanoseconds(200_000, |seed| {
        instance.decide(class.id, |policy, fleet, class| policy.choose(fleet, class, &here(seed)))
    });
    let pool = default_policy(runtime, "balancing", "least-loaded")?;
    let port = balancing(&pool);
    line("two choices", native, nanoseconds(200_000, |seed| port.choose(fleet, class, &request(seed))));
    let batch: Vec<_> = (0..BATCH as u64).map(request).collect();
    let each = nanoseconds(5_000, |_| port.choose_many(fleet, class, &batch)) / BATCH as f64;
    line("two choices, batch of 64", native, each);
    Ok(())
}

fn scan(runtime: &Runtime, world: &World, line: &impl Fn(&str, f64, f64)) -> anyhow::Result<()> {
    let World { fleet, class, .. } = world;
    let calls = u64::from(4_000_000 / fleet.rows).min(50_000);
    let mut instance = native::instance(&MultiFactor::ABOUT, MultiFactor::new, world);
    let needs = placement::Resources { cpu_millis: 0, memory_mib: 0, storage_mib: 0, accelerator_millis: 0 };
    let here = placement::Request { class: class.id, seed: 1, now_ms: 1, needs, priority: 0 };
    let native = nanoseconds(calls, |_| {
        instance.decide(class.id, |policy, fleet, class| policy.place(fleet, class, &here))
    });
    let pool = default_policy(runtime, "placement", "multi-factor")?;
    let request = PlacementRequest { seed: 1, now_ms: 1, needs: Resources::default(), priority: 0 };
    line("multi-factor scan", native, nanoseconds(calls, |_| placing(&pool).place(fleet, class, &request)));
    Ok(())
}

/// Bringing an instance up to date after one report, the decision included.
fn pushes(runtime: &Runtime, world: &mut World, members: u32) -> anyhow::Result<()> {
    let pool = default_policy(runtime, "balancing", "least-loaded")?;
    let classes = Classes::default();
    let mut seen = Vec::new();
    for step in 0..64 {
        let id = MemberId::parse(&format!("m-{}", step % members))?;
        let report = LoadReport { active: Some(step), ..LoadReport::default() };
        world.registry.report(&id, &report, Now(2_000), WallMs(0))?;
        let fleet = world.registry.publish().ok_or_else(|| anyhow::anyhow!("nothing was published"))?;
        let class =
            classes.resolve(&fleet, &Requirement::default()).map_err(|none| anyhow::anyhow!("{none:?}"))?;
        seen.push((fleet, class));
    }
    let each = nanoseconds(64 * 50, |step| {
        let (fleet, class) = &seen[(step % 64) as usize];
        balancing(&pool).choose(fleet, class, &request(step))
    });
    let nothing = String::new();
    row(&[
        "one block pushed and a decision".to_owned(),
        members.to_string(),
        nothing.clone(),
        format!("{each:.0}"),
        nothing,
    ]);
    Ok(())
}

/// How long the host waits for a policy that breaks, against the budget of 2 ms.
fn faults(runtime: &Runtime) -> anyhow::Result<()> {
    table(
        "A policy that breaks: from the question to the typed fault, worst of 20",
        &["fault", "us", "of the budget of 2 ms"],
    );
    let World { fleet, class, .. } = World::of(100)?;
    let [late_fault] = pilothouse_policies::FAULTY else { anyhow::bail!("which one?") };
    for fault in ["trap", "spin", "recurse", "allocate", "ineligible", "not-a-number", "huge"] {
        let settings = format!(r#"{{"fault":"{fault}"}}"#);
        let pool = pool(runtime, late_fault.bytes, &settings, None)?;
        let mut worst: f64 = 0.0;
        let mut found = 0;
        while found < 20 {
            let started = Instant::now();
            let answer = balancing(&pool).choose(&fleet, &class, &request(1));
            if answer.is_err() {
                worst = worst.max(started.elapsed().as_secs_f64() * 1e6);
                found += 1;
            }
        }
        row(&[fault.to_owned(), format!("{worst:.0}"), format!("{:.2}", worst / 2_000.0)]);
    }
    Ok(())
}
