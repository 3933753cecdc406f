//! Ten thousand members and their heartbeats: every one is taken, and every decision is answered meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pilothouse_core::member::LoadReport;
use pilothouse_node::control::Control;
use pilothouse_tests::is_soak;
use pilothouse_transport::service::ControlPlane as _;

use crate::{any_cluster, cluster_id, memory_kib, server};

const MEMBERS: u32 = 10_000;
/// Heartbeats in a burst; a hundred bursts a second are the rate that must be ordinary.
const BURST: u32 = 100;

/// Decides until told to stop; gives the times in ns, sorted.
fn decide(control: &Control, stop: &AtomicBool) -> Vec<u64> {
    let query = any_cluster();
    let mut times_ns = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let decided = control.route(&query).unwrap();
        control.outcome(&decided.member, true).unwrap();
        assert_ne!(decided.link, "native", "{:?}", decided.faults);
        times_ns.push(decided.took_ns);
    }
    times_ns.sort_unstable();
    times_ns
}

/// Decides on a thread of its own while `work` runs; gives the times.
fn deciding(control: &Control, work: impl FnOnce()) -> Vec<u64> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let deciding = scope.spawn(|| decide(control, &stop));
        let at_end = StopAtEnd(&stop);
        work();
        drop(at_end);
        deciding.join().unwrap()
    })
}

/// Ends the decisions when the work ends, by a panic too.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn figures(times_ns: &[u64]) -> String {
    let share = |percent: usize| times_ns.get(times_ns.len() * percent / 100).copied().unwrap_or_default();
    format!("{} decisions, median {} ns, p99 {} ns", times_ns.len(), share(50), share(99))
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_members_report_while_decisions_go_on() {
    let (running, _dir) = server(MEMBERS).await;
    let control = &running.control;
    // A minute at full rate, or ten rounds of everybody as fast as they go.
    let bursts = if is_soak() { 6_000 } else { 10 * MEMBERS / BURST };
    let mut clock = tokio::time::interval(Duration::from_millis(if is_soak() { 10 } else { 1 }));
    let handle = tokio::runtime::Handle::current();
    let (quiet, busy) = tokio::task::block_in_place(|| {
        let quiet = deciding(control, || {
            for _ in 0..bursts / 4 {
                handle.block_on(clock.tick());
            }
        });
        let busy = deciding(control, || {
            for burst in 0..bursts {
                handle.block_on(clock.tick());
                for index in 0..BURST {
                    let member = (burst * BURST + index) % MEMBERS;
                    let load =
                        LoadReport { active: Some(burst % 50), cpu: Some(0.3), ..LoadReport::default() };
                    control.report(&cluster_id(member), &load).unwrap();
                }
            }
        });
        (quiet, busy)
    });
    println!("{MEMBERS} members, no heartbeats: {}", figures(&quiet));
    println!("{MEMBERS} members, {} heartbeats: {}; {:?} KiB", bursts * BURST, figures(&busy), memory_kib());
    assert!(quiet.len() > 1_000 && busy.len() > 1_000);
    running.stop().await;
}
