//! Reloading over and over: memory stays flat.

use pilothouse_lab::plot::{Frame, Line, Look, lines, standalone};
use pilothouse_tests::is_soak;

use crate::{activate, memory_kib, server};

/// Growth after the first fifth that is still noise of the allocator, KiB.
const NOISE_KIB: u64 = 16 << 10;
/// Samples in a run.
const SAMPLES: u32 = 100;

#[tokio::test(flavor = "multi_thread")]
async fn reloading_leaves_the_memory_flat() {
    let reloads: u32 = if is_soak() { 10_000 } else { 500 };
    let (running, _dir) = server(100).await;
    let mut samples = Vec::new();
    for reload in 0..reloads {
        // Never the same revision twice in a row, so that each one is made anew.
        let settings = format!(r#"{{"choices":{},"scan-below":{}}}"#, 2 + reload % 9, reload % 65);
        activate(&running.control, "least-loaded", &settings).await;
        if reload % (reloads / SAMPLES) == 0 {
            samples.extend(memory_kib().map(|kib| (reload, kib)));
        }
    }
    running.stop().await;
    let (Some(&(_, start)), Some(&(_, end))) = (samples.get(samples.len() / 5), samples.last()) else {
        return;
    };
    println!("{reloads} reloads: {start} KiB after a fifth, {end} KiB at the end");
    if let Some(path) = std::env::var_os("PILOTHOUSE_MEMORY_PLOT") {
        let points = samples.iter().map(|&(reload, kib)| (f64::from(reload), kib as f64 / 1_024.0)).collect();
        let frame = Frame {
            title: "Memory of the process over reloads of one policy",
            x: "reloads",
            y: "in RAM, MiB",
        };
        let line = Line { name: "memory".to_owned(), points, look: Look::Series(0) };
        std::fs::write(path, standalone(&lines(frame, &[line]))).unwrap();
    }
    assert!(end < start + NOISE_KIB, "memory grew from {start} to {end} KiB");
}
