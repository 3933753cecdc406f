//! Durable commits per second, alone and with many writers.
//!
//! Run: `cargo bench -p pilothouse-store`. The folder is the system's for temporary files, or `PILOTHOUSE_BENCH_DIR`: on a
//! file system in memory the figures mean nothing.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints and may fail")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pilothouse_store::{Embedded, Store, Txn};

/// Time of one measurement.
const MEASURED: Duration = Duration::from_secs(3);
/// About a stored member.
const VALUE_BYTES: usize = 512;

#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

fn measure(writers: u64) {
    let parent = std::env::var_os("PILOTHOUSE_BENCH_DIR").map_or_else(std::env::temp_dir, Into::into);
    let dir = tempfile::tempdir_in(parent).unwrap();
    let store: Arc<dyn Store> = Arc::new(Embedded::open(dir.path()).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let done = Arc::new(AtomicU64::new(0));
    let start = now();
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for writer in 0..writers {
            let (store, done) = (Arc::clone(&store), Arc::clone(&done));
            tasks.spawn(async move {
                let mut round = 0_u64;
                while start.elapsed() < MEASURED {
                    let key = format!("members/{:05}", (writer * 157 + round) % 10_000);
                    store.txn(Txn::put(key, vec![7; VALUE_BYTES])).await.unwrap();
                    done.fetch_add(1, Ordering::Relaxed);
                    round += 1;
                }
            });
        }
        tasks.join_all().await;
    });
    let seconds = start.elapsed().as_secs_f64();
    let commits = done.load(Ordering::Relaxed);
    println!(
        "{writers:>4} writers: {:>8.0} durable commits/s, {:>6.0} us each",
        commits as f64 / seconds,
        seconds * 1e6 * writers as f64 / commits as f64
    );
}

fn main() {
    // Cargo passes `--bench`; a test run of the target passes `--test`.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    for writers in [1, 8, 64, 512] {
        measure(writers);
    }
}
