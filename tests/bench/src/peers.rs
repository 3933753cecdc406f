//! Least-loaded over 100 members in what people embed today: Extism with JSON, LuaJIT, Rego.
//!
//! The rule is a scan for the smallest `(active + 1) / weight`. Each engine gets the fleet in the form that suits it best
//! (LuaJIT: arrays that stay in its heap; Rego: its data document) and as it is mostly embedded (arguments of every call).
//! Ours is `least-loaded` told to scan, through the engine, with fuel, deadline and memory limit on.

use std::fmt::Write as _;
use std::sync::Arc;

use pilothouse_core::policy::request::BalancingRequest;
use pilothouse_core::policy::state::SlotState;
use pilothouse_core::policy::{Decision, Policy as _};
use pilothouse_engine::{Budget, Cache, Compiler, Pool, PoolConfig, Runtime};

use crate::measure::{nanoseconds, row, table};
use crate::world::World;

const MEMBERS: u32 = 100;

const LUA: &str = "
return function(active, weight)
    active, weight = active or resident_active, weight or resident_weight
    local best, at = math.huge, 0
    for i = 1, #active do
        local load = (active[i] + 1) / weight[i]
        if load < best then best, at = load, i end
    end
    return at - 1
end";

const REGO: &str = "
package balancing
import rego.v1
loads := [load | some m in data.members; load := (m.active + 1) / m.weight]
best := min(loads)
choice := min([i | some i, load in loads; load == best])";

struct Members {
    active: Vec<u32>,
    weight: Vec<f32>,
}

impl Members {
    fn least(&self) -> usize {
        let mut best = (f32::INFINITY, 0);
        for (row, (&active, &weight)) in self.active.iter().zip(&self.weight).enumerate() {
            let load = (active + 1) as f32 / weight;
            if load < best.0 {
                best = (load, row);
            }
        }
        best.1
    }

    fn json(&self) -> anyhow::Result<String> {
        let mut members = String::from("[");
        for (active, weight) in self.active.iter().zip(&self.weight) {
            let comma = if members.len() == 1 { "" } else { "," };
            write!(members, r#"{comma}{{"active":{active},"weight":{weight}}}"#)?;
        }
        Ok(members + "]")
    }
}

pub fn run() -> anyhow::Result<()> {
    let active = (0..MEMBERS).map(|index| index % 50).collect();
    let members = Members { active, weight: vec![1.0; MEMBERS as usize] };
    let native = nanoseconds(1_000_000, |_| std::hint::black_box(&members).least());
    table(
        "The same strategy in what people embed today, 100 members, a full scan",
        &["engine", "ns", "ratio to native", "fuel, deadline and memory limit per call"],
    );
    let line = |engine: &str, ns: f64, limits: &str| {
        row(&[engine.to_owned(), format!("{ns:.0}"), format!("{:.1}", ns / native), limits.to_owned()]);
    };
    line("native Rust", native, "no");
    line("Pilothouse, scan of all", ours(r#"{"scan-below":1024}"#)?, "yes");
    line("Pilothouse, as it ships (two choices)", ours("")?, "yes");
    let (resident, passed) = lua(&members).map_err(|error| anyhow::anyhow!("{error}"))?;
    line("LuaJIT (mlua), fleet in its heap, nobody keeps it up to date", resident, "no");
    line("LuaJIT (mlua), fleet passed with each call", passed, "no");
    line("Extism, fleet passed as JSON", extism(&members)?, "deadline and memory");
    line("Rego (regorus), fleet as its data", rego(&members)?, "no");
    Ok(())
}

/// Through the engine.
fn ours(settings: &str) -> anyhow::Result<f64> {
    let runtime = Runtime::start(Compiler::here(), Cache::none())?;
    let policy =
        pilothouse_policies::find("balancing", "least-loaded").ok_or_else(|| anyhow::anyhow!("gone"))?;
    let loaded = Arc::new(runtime.load(policy.bytes)?);
    let budget = Budget { deadline_ms: 1_000, ..Budget::of(loaded.family()) };
    let pool = Pool::new(
        loaded,
        settings,
        PoolConfig { seats: 1, budget, state: Arc::new(SlotState::default()), seed: 1 },
    )?;
    let World { fleet, class, .. } = World::of(MEMBERS)?;
    let Decision::Balancing(port) = pool.decision() else { anyhow::bail!("not balancing") };
    Ok(nanoseconds(100_000, |seed| {
        port.choose(&fleet, &class, &BalancingRequest { seed, now_ms: 1, session: None })
    }))
}

/// With the fleet in its heap, and with the fleet as arguments.
fn lua(members: &Members) -> mlua::Result<(f64, f64)> {
    let lua = mlua::Lua::new();
    lua.globals().set("resident_active", members.active.clone())?;
    lua.globals().set("resident_weight", members.weight.clone())?;
    let choose: mlua::Function = lua.load(LUA).eval()?;
    assert_eq!(choose.call::<usize>(())?, members.least());
    let resident = nanoseconds(100_000, |_| choose.call::<usize>(()).unwrap_or(usize::MAX));
    let passed = nanoseconds(20_000, |_| {
        choose.call((members.active.as_slice(), members.weight.as_slice())).unwrap_or(usize::MAX)
    });
    Ok((resident, passed))
}

fn extism(members: &Members) -> anyhow::Result<f64> {
    let wasm = extism::Wasm::data(include_bytes!(concat!(env!("OUT_DIR"), "/extism_plugin.wasm")));
    let manifest = extism::Manifest::new([wasm])
        .with_timeout(std::time::Duration::from_millis(100))
        .with_memory_max(256);
    let mut plugin = extism::Plugin::new(manifest, [], true)?;
    let mut choose = || -> anyhow::Result<usize> {
        let input = members.json()?;
        Ok(serde_json::from_slice(plugin.call::<_, &[u8]>("choose", input)?)?)
    };
    assert_eq!(choose()?, members.least());
    Ok(nanoseconds(2_000, |_| choose().unwrap_or(usize::MAX)))
}

fn rego(members: &Members) -> anyhow::Result<f64> {
    let mut engine = regorus::Engine::new();
    engine.add_policy("balancing.rego".to_owned(), REGO.to_owned())?;
    engine.add_data(regorus::Value::from_json_str(&format!(r#"{{"members":{}}}"#, members.json()?))?)?;
    let mut choose = |task: u64| {
        // A decision has its own input; without one the engine would answer from its cache.
        engine.set_input(regorus::Value::from(task));
        let choice = engine.eval_rule("data.balancing.choice".to_owned());
        choice.ok().and_then(|value| value.as_u64().ok()).map_or(usize::MAX, |row| row as usize)
    };
    assert_eq!(choose(0), members.least());
    Ok(nanoseconds(500, &mut choose))
}
