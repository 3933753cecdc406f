//! kill -9 under load: after each restart everything that was acknowledged is there.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use pilothouse_tests::{Server, is_soak};
use serde_json::json;

/// What the server has acknowledged.
#[derive(Default)]
struct Acknowledged {
    nodes: Vec<String>,
    agents: Vec<String>,
    strategy: Option<String>,
}

/// A small generator: where to kill must differ from round to round, and be the same in every run.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 33
}

#[test]
fn nothing_acknowledged_is_lost_when_the_server_is_killed() {
    let rounds: u64 = if is_soak() { 100 } else { 12 };
    let mut server = Server::start().unwrap();
    let known = Mutex::new(Acknowledged::default());
    for round in 0..rounds {
        load_until_killed(&mut server, &known, round);
        server.restart().unwrap();
        let known = known.lock().unwrap();
        let nodes = server.ok("GET", "/api/cluster/nodes", None).unwrap().to_string();
        let agents = server.ok("GET", "/api/cluster/assignments", None).unwrap().to_string();
        for name in &known.nodes {
            assert!(nodes.contains(&format!("\"{name}\"")), "round {round}: node {name} is lost");
        }
        for name in &known.agents {
            assert!(agents.contains(&format!("\"{name}\"")), "round {round}: agent {name} is lost");
        }
        let stats = server.ok("GET", "/api/cluster/stats", None).unwrap();
        if let Some(strategy) = &known.strategy {
            assert_eq!(stats["balancer"]["strategy"], strategy.as_str(), "round {round}");
        }
    }
    let known = known.into_inner().unwrap();
    println!(
        "{rounds} kills, {} nodes and {} agents acknowledged, none lost",
        known.nodes.len(),
        known.agents.len()
    );
    assert!(
        known.nodes.len() > rounds as usize && known.agents.len() > rounds as usize,
        "the load did nothing"
    );
}

/// Four writers until the server is killed after a number of acknowledgements that differs by round.
fn load_until_killed(server: &mut Server, known: &Mutex<Acknowledged>, round: u64) {
    let (acknowledged, stop) = (AtomicU32::new(0), AtomicBool::new(false));
    let kill_after = 5 + u32::try_from(mix(round) % 60).unwrap();
    let address = server.address.clone();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (known, acknowledged, stop, address) = (known, &acknowledged, &stop, &address);
            scope.spawn(move || {
                for step in 0.. {
                    if stop.load(Ordering::Relaxed)
                        || !write(address, known, &format!("{round}-{writer}-{step}"), step, writer)
                    {
                        break;
                    }
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        while acknowledged.load(Ordering::Relaxed) < kill_after {
            std::thread::yield_now();
        }
        server.kill();
        stop.store(true, Ordering::Relaxed);
    });
}

/// One write; `false` if it was not acknowledged.
fn write(address: &str, known: &Mutex<Acknowledged>, name: &str, step: u32, writer: u32) -> bool {
    let post = |path: &str, body: String| {
        let answer =
            ureq::post(format!("http://{address}{path}")).content_type("application/json").send(body);
        answer.is_ok_and(|answer| answer.status() == 200)
    };
    match step % 3 {
        // One writer owns the strategy, so that the newest acknowledged one is known.
        0 if writer == 0 => {
            let strategy = ["round_robin", "random", "weighted"][step as usize / 3 % 3];
            let mut known = known.lock().unwrap();
            // Between the request and its answer either strategy may be the stored one.
            known.strategy = None;
            let done = post(&format!("/api/cluster/balance?strategy={strategy}"), String::new());
            known.strategy = done.then(|| strategy.to_owned());
            done
        }
        0 | 1 => {
            let body = json!({ "id": format!("n-{name}"), "ip_address": format!("host-{name}"), "max_agents": 1000 });
            let done = post("/api/cluster/nodes", body.to_string());
            if done {
                known.lock().unwrap().nodes.push(format!("n-{name}"));
            }
            done
        }
        _ => {
            let done =
                post("/api/cluster/assignments", json!({ "agent_name": format!("a-{name}") }).to_string());
            if done {
                known.lock().unwrap().agents.push(format!("a-{name}"));
            }
            done
        }
    }
}
