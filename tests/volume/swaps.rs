//! A thousand swaps while a million decisions are made: none is lost, and none is of two revisions.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use pilothouse_core::slot::RevisionId;
use pilothouse_node::control::Control;
use pilothouse_transport::service::ControlPlane as _;

use crate::{activate, any_cluster, server};

const SWAPS: u32 = 1_000;
const DECISIONS: u64 = 1_000_000;
const THREADS: usize = 2;

/// What the deciding threads saw.
#[derive(Default)]
struct Seen {
    asked: AtomicU64,
    failed: AtomicU64,
    native: AtomicU64,
    /// Which revision answered as which generation of the slot.
    revisions: Mutex<BTreeMap<u64, RevisionId>>,
}

fn decide(control: &Control, seen: &Seen, stop: &AtomicBool) {
    let query = any_cluster();
    let mut own = BTreeMap::<u64, RevisionId>::new();
    while !stop.load(Ordering::Relaxed) {
        seen.asked.fetch_add(1, Ordering::Relaxed);
        let Ok(decided) = control.route(&query) else {
            seen.failed.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        control.outcome(&decided.member, true).unwrap();
        let Some(revision) = decided.revision else {
            seen.native.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        let first = *own.entry(decided.generation).or_insert(revision);
        assert_eq!(first, revision, "generation {} answered as two revisions", decided.generation);
    }
    let mut all = seen.revisions.lock().unwrap();
    for (generation, revision) in own {
        let first = *all.entry(generation).or_insert(revision);
        assert_eq!(first, revision, "generation {generation} answered as two revisions");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_swaps_lose_none_of_a_million_decisions() {
    let (running, _dir) = server(20).await;
    let control = &running.control;
    let (seen, stop) = (Seen::default(), AtomicBool::new(false));
    let handle = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| decide(control, &seen, &stop));
            }
            let mut swaps = 0;
            while swaps < SWAPS || seen.asked.load(Ordering::Relaxed) < DECISIONS {
                let policy = ["round-robin", "least-loaded", "random", "weighted"][swaps as usize % 4];
                handle.block_on(activate(control, policy, ""));
                swaps += 1;
            }
            stop.store(true, Ordering::Relaxed);
            println!("{swaps} swaps");
        });
    });
    let Seen { asked, failed, native, revisions } = seen;
    let generations = revisions.into_inner().unwrap().len();
    println!(
        "{asked:?} decisions by {generations} generations; {failed:?} failed, {native:?} by the host itself"
    );
    assert_eq!((failed.into_inner(), native.into_inner()), (0, 0));
    running.stop().await;
}
