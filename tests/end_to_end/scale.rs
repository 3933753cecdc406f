//! Many members, many reports, many reloads: counts are bounded here, the long variants are `make soak`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pilothouse_tests::{Server, is_soak};
use serde_json::json;

/// Runs `work(index)` for every index below `count` on some threads; gives how many failed.
fn in_parallel(count: u64, threads: u64, work: impl Fn(u64) -> bool + Sync) -> u64 {
    let failed = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (work, failed) = (&work, &failed);
            scope.spawn(move || {
                for index in (thread..count).step_by(threads as usize) {
                    if !work(index) {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    failed.into_inner()
}

#[test]
fn thousands_of_members_report_while_decisions_go_on() {
    let members: u64 = if is_soak() { 10_000 } else { 1_000 };
    let server = Server::start().unwrap();
    let registered = in_parallel(members, 16, |index| {
        let body = json!({ "id": format!("c{index}"), "endpoint": format!("https://c{index}.example"), "max_agents": 0 });
        server.ok("POST", "/api/v1/clusters", Some(&body.to_string())).is_ok()
    });
    assert_eq!(registered, 0, "registrations that failed");
    let decide = |count: u64| {
        let started = now();
        let failed = in_parallel(count, 2, |_| server.ok("POST", "/api/v1/route", Some("{}")).is_ok());
        (failed, started.elapsed())
    };
    let (failed, quiet) = decide(2_000);
    assert_eq!(failed, 0);
    let reports = members * if is_soak() { 60 } else { 5 };
    let agent = ureq::Agent::new_with_defaults();
    let (lost, decided) = std::thread::scope(|scope| {
        let deciding = scope.spawn(|| decide(2_000));
        let lost = in_parallel(reports, 4, |index| {
            let body = json!({ "cpu": 0.3, "active_agents": index % 40 }).to_string();
            let url = format!("http://{}/api/v1/clusters/c{}/load", server.address, index % members);
            agent.post(url).content_type("application/json").send(body).is_ok()
        });
        (lost, deciding.join().unwrap())
    });
    let rate = |time: Duration| 2_000.0 / time.as_secs_f64();
    println!(
        "{members} members: {:.0} decisions/s alone, {:.0}/s beside {reports} reports, {} KiB in memory",
        rate(quiet),
        rate(decided.1),
        server.memory_kib().unwrap()
    );
    assert_eq!((lost, decided.0), (0, 0), "reports and decisions that failed");
}

#[test]
fn reloads_leave_no_memory_behind() {
    let reloads = if is_soak() { 10_000 } else { 600 };
    let server = Server::start().unwrap();
    for index in 0..8 {
        let body = json!({ "id": format!("c{index}"), "endpoint": format!("https://c{index}.example"), "max_agents": 0 });
        server.ok("POST", "/api/v1/clusters", Some(&body.to_string())).unwrap();
    }
    let reload = |index: usize| {
        let strategy = ["round_robin", "least_loaded", "session_affinity"][index % 3];
        server.ok("POST", &format!("/api/cluster/balance?strategy={strategy}"), None).unwrap();
        server.ok("POST", "/api/v1/route", Some(r#"{"session":"s"}"#)).unwrap();
    };
    // Until allocators and caches have settled.
    (0..reloads / 4).for_each(reload);
    let before = server.memory_kib().unwrap();
    for index in 0..reloads {
        reload(index);
        if index % (reloads / 20) == 0 {
            println!("{index},{}", server.memory_kib().unwrap());
        }
    }
    let after = server.memory_kib().unwrap();
    println!("{reloads} reloads: {before} KiB before, {after} KiB after");
    assert!(after < before + 16 * 1_024, "{before} KiB grew to {after} KiB over {reloads} reloads");
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "rates are printed, not asserted")]
    Instant::now()
}
