//! What a decision costs through Wasm, against the same algorithm in native Rust on the same fleet. Ratios of one run.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a measuring program"
)]

use std::collections::BTreeSet;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use pilothouse_core::eligible::{Classes, EligibleClass, Requirement};
use pilothouse_core::fleet::Fleet;
use pilothouse_core::fleet::column::Column;
use pilothouse_core::fleet::facts::mix;
use pilothouse_core::fleet::geography::Geography;
use pilothouse_core::id::MemberId;
use pilothouse_core::member::{LoadReport, MemberKind, Registration, Resources, Role};
use pilothouse_core::policy::request::{BalancingRequest, PlacementRequest};
use pilothouse_core::policy::state::SlotState;
use pilothouse_core::policy::{Decision, Policy};
use pilothouse_core::registry::{Registry, Rules};
use pilothouse_core::time::{Now, WallMs};
use pilothouse_engine::{Budget, Cache, Compiler, Pool, PoolConfig, Runtime};

fn registry(members: u32) -> Registry {
    let mut registry = Registry::new(Rules::default(), Geography::default());
    for index in 0..members {
        let id = MemberId::parse(&format!("m-{index}")).unwrap();
        let registration = Registration {
            id: id.clone(),
            kind: MemberKind::Cluster,
            endpoint: format!("m-{index}:1"),
            hostname: String::new(),
            region: None,
            zone: None,
            cluster: None,
            role: Role::Worker,
            capacity: 0,
            weight: 1.0,
            capabilities: BTreeSet::new(),
            services: BTreeSet::new(),
            cost_per_hour: 1.0 + f32::from(u8::try_from(index % 7).unwrap()),
            carbon_g_per_kwh: f32::NAN,
            resources: Resources { cpu_millis: 8_000, memory_mib: 32_768, ..Resources::default() },
        };
        registry.register(registration, Now(1_000), WallMs(0)).unwrap();
        let report = LoadReport { active: Some(index % 50), cpu: Some(0.3), ..LoadReport::default() };
        registry.report(&id, &report, Now(1_000), WallMs(0)).unwrap();
    }
    registry
}

fn pool(runtime: &Runtime, name: &str) -> Pool {
    let policy = pilothouse_policies::ALL.iter().find(|policy| policy.name == name).unwrap();
    let loaded = Arc::new(runtime.load(policy.bytes).unwrap());
    let budget = Budget { deadline_ms: 1_000, ..Budget::of(loaded.family()) };
    Pool::new(loaded, "", PoolConfig { seats: 2, budget, state: Arc::new(SlotState::default()), seed: 1 })
        .unwrap()
}

/// Nanoseconds per call: the best of five runs, because everything that disturbs only adds.
fn measure<T>(calls: u64, mut call: impl FnMut(u64) -> T) -> f64 {
    let mut repeat = |calls: u64| {
        for index in 0..calls {
            black_box(call(index));
        }
    };
    repeat(calls / 10);
    (0..5)
        .map(|_| {
            let started = now();
            repeat(calls);
            started.elapsed().as_nanos() as f64 / calls as f64
        })
        .fold(f64::INFINITY, f64::min)
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "a measuring program")]
    Instant::now()
}

/// Two random choices on the columns, as a native host would write it.
fn native_two_choice(fleet: &Fleet, rows: &[u32], seed: u64) -> u32 {
    let count = rows.len() as u64;
    let draw = |bits: u64| rows[((u128::from(bits) * u128::from(count)) >> 64) as usize];
    let (a, b) = (draw(mix(seed)), draw(mix(seed.wrapping_add(1))));
    let load = |row: u32| {
        let (block, lane) = fleet.block(row).unwrap();
        let work = block.u32(Column::Active, lane) + fleet.live.in_flight(row) + 1;
        work as f32 / block.f32(Column::Weight, lane)
    };
    if load(b) < load(a) { b } else { a }
}

/// The scan of `multi-factor` on the columns, natively.
fn native_scan(fleet: &Fleet, class: &EligibleClass) -> u32 {
    let value = |row: u32, column| fleet.block(row).map_or(0.0, |(block, lane)| block.f32(column, lane));
    let count = |row: u32, column| fleet.block(row).map_or(0, |(block, lane)| block.u32(column, lane));
    let cheapest = class.rows().map(|row| value(row, Column::CostPerHour)).fold(f32::INFINITY, f32::min);
    let mut best = (f32::NEG_INFINITY, 0);
    for row in class.rows() {
        let cpu = count(row, Column::CpuMillisFree) as f32 / count(row, Column::CpuMillisTotal).max(1) as f32;
        let memory =
            count(row, Column::MemoryMibFree) as f32 / count(row, Column::MemoryMibTotal).max(1) as f32;
        let score = cheapest / value(row, Column::CostPerHour)
            + (cpu + memory) / 2.0
            + value(row, Column::HealthScore);
        if score > best.0 {
            best = (score, row);
        }
    }
    best.1
}

fn main() {
    let runtime = Runtime::start(Compiler::here(), Cache::none()).unwrap();
    println!("| work | members | native ns | Wasm ns | ratio |\n|---|---|---|---|---|");
    for members in [10, 100, 1_000, 10_000] {
        let mut registry = registry(members);
        let fleet = registry.publish().unwrap();
        let class = Classes::default().resolve(&fleet, &Requirement::default()).unwrap();
        let row = |work: &str, native: f64, wasm: f64| {
            println!("| {work} | {members} | {native:.0} | {wasm:.0} | {:.2} |", wasm / native);
        };
        let least_loaded = pool(&runtime, "least-loaded");
        let Decision::Balancing(port) = least_loaded.decision() else { panic!("not balancing") };
        let rows: Vec<u32> = class.rows().collect();
        let native = measure(200_000, |seed| native_two_choice(&fleet, &rows, seed));
        let request = |seed| BalancingRequest { seed, now_ms: 1, session: None };
        let wasm = measure(200_000, |seed| port.choose(&fleet, &class, &request(seed)).unwrap());
        row("two choices", native, wasm);
        let batch: Vec<_> = (0..64).map(request).collect();
        let wasm = measure(5_000, |_| port.choose_many(&fleet, &class, &batch).unwrap()) / 64.0;
        row("two choices, batch of 64", native, wasm);
        let multi_factor = pool(&runtime, "multi-factor");
        let Decision::Placement(port) = multi_factor.decision() else { panic!("not placement") };
        let request = PlacementRequest { seed: 1, now_ms: 1, needs: Resources::default(), priority: 0 };
        let calls = u64::from((2_000_000 / members).min(50_000));
        let native = measure(calls, |_| native_scan(&fleet, &class));
        let wasm = measure(calls, |_| port.place(&fleet, &class, &request).unwrap());
        row("multi-factor scan", native, wasm);
        sync(&mut registry, members, &least_loaded);
    }
}

/// Bringing an instance up to date after one report, the decision included.
fn sync(registry: &mut Registry, members: u32, pool: &Pool) {
    let Decision::Balancing(port) = pool.decision() else { panic!("not balancing") };
    let classes = Classes::default();
    let mut fleets = Vec::new();
    for step in 0..64 {
        let id = MemberId::parse(&format!("m-{}", step % members)).unwrap();
        let report = LoadReport { active: Some(step), ..LoadReport::default() };
        registry.report(&id, &report, Now(2_000), WallMs(0)).unwrap();
        let fleet = registry.publish().unwrap();
        let class = classes.resolve(&fleet, &Requirement::default()).unwrap();
        fleets.push((fleet, class));
    }
    let request = BalancingRequest { seed: 1, now_ms: 1, session: None };
    let each = measure(64 * 50, |step| {
        let (fleet, class) = &fleets[(step % 64) as usize];
        port.choose(fleet, class, &request).unwrap()
    });
    println!("| one block pushed and a decision | {members} | | {each:.0} | |");
}
