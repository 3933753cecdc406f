//! Least-loaded over 100 members in what people embed today: LuaJIT and Rego, as ratios to native Rust in one run.
//!
//! The rule is the one of `policies/balancing/least-loaded` with a scan: the smallest `(active + 1) / weight`. Each engine
//! gets the fleet in the form that suits it best, once, before the clock starts (LuaJIT: two arrays that stay in its heap;
//! Rego: its data document); LuaJIT is also measured with the fleet as arguments of every call, as it is mostly embedded.
//! A Wasm policy's ratio is printed by the engine's bench.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

const MEMBERS: usize = 100;

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

struct Fleet {
    active: Vec<u32>,
    weight: Vec<f32>,
}

fn fleet() -> Fleet {
    // The least loaded member stands in the middle, so that nobody can stop early.
    let active = (0..MEMBERS).map(|i| if i == MEMBERS / 2 { 1 } else { 10 + (i as u32 * 7) % 50 }).collect();
    Fleet { active, weight: vec![1.0; MEMBERS] }
}

fn native(fleet: &Fleet) -> usize {
    let mut best = (f32::INFINITY, 0);
    for (row, (&active, &weight)) in fleet.active.iter().zip(&fleet.weight).enumerate() {
        let load = (active + 1) as f32 / weight;
        if load < best.0 {
            best = (load, row);
        }
    }
    best.1
}

/// Nanoseconds per call: the best of five runs, because everything that disturbs only adds.
fn measure(calls: u32, mut call: impl FnMut() -> usize) -> f64 {
    assert_eq!(call(), MEMBERS / 2, "every engine must give the same answer");
    (0..calls / 10).for_each(|_| {
        black_box(call());
    });
    let run = |call: &mut dyn FnMut() -> usize| {
        let started = Instant::now();
        (0..calls).for_each(|_| {
            black_box(call());
        });
        started.elapsed().as_nanos() as f64 / f64::from(calls)
    };
    (0..5).map(|_| run(&mut call)).fold(f64::INFINITY, f64::min)
}

/// With the fleet in its heap, and with the fleet as arguments.
fn lua(fleet: &Fleet) -> mlua::Result<(f64, f64)> {
    let lua = mlua::Lua::new();
    lua.globals().set("resident_active", fleet.active.clone())?;
    lua.globals().set("resident_weight", fleet.weight.clone())?;
    let choose: mlua::Function = lua.load(LUA).eval()?;
    let resident = measure(100_000, || choose.call(()).unwrap_or(usize::MAX));
    let passed = measure(20_000, || {
        choose.call((fleet.active.as_slice(), fleet.weight.as_slice())).unwrap_or(usize::MAX)
    });
    Ok((resident, passed))
}

fn rego(fleet: &Fleet) -> Result<f64, Box<dyn std::error::Error>> {
    let mut members = String::new();
    for (active, weight) in fleet.active.iter().zip(&fleet.weight) {
        let comma = if members.is_empty() { "" } else { "," };
        write!(members, r#"{comma}{{"active":{active},"weight":{weight}}}"#)?;
    }
    let mut engine = regorus::Engine::new();
    engine.add_policy("balancing.rego".to_owned(), REGO.to_owned())?;
    engine.add_data(regorus::Value::from_json_str(&format!(r#"{{"members":[{members}]}}"#))?)?;
    let mut task = 0_u64;
    Ok(measure(500, || {
        // A decision has its own input; without one the engine would answer from its cache.
        task += 1;
        engine.set_input(regorus::Value::from(task));
        let choice = engine.eval_rule("data.balancing.choice".to_owned());
        choice.ok().and_then(|value| value.as_u64().ok()).map_or(usize::MAX, |row| row as usize)
    }))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let fleet = fleet();
    let native_ns = measure(1_000_000, || native(black_box(&fleet)));
    let (resident_ns, passed_ns) = lua(&fleet)?;
    let rows = [
        ("native Rust", native_ns),
        ("LuaJIT (mlua), fleet in its heap", resident_ns),
        ("LuaJIT (mlua), fleet passed with each call", passed_ns),
        ("Rego (regorus), fleet as its data", rego(&fleet)?),
    ];
    println!("| least-loaded over {MEMBERS} members | ns per decision | ratio to native |\n|---|---|---|");
    for (name, ns) in rows {
        println!("| {name} | {ns:.0} | {:.1} |", ns / native_ns);
    }
    Ok(())
}
