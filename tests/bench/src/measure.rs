//! Timing and the table. Everything that disturbs a measurement only adds, so the best of five runs counts.

use std::hint::black_box;
use std::time::Instant;

/// Nanoseconds per call.
pub fn nanoseconds<T>(calls: u64, mut call: impl FnMut(u64) -> T) -> f64 {
    let mut repeat = |calls: u64| {
        for index in 0..calls {
            black_box(call(index));
        }
    };
    repeat(calls / 10);
    let mut run = || {
        let started = Instant::now();
        repeat(calls);
        started.elapsed().as_nanos() as f64 / calls as f64
    };
    (0..5).map(|_| run()).fold(f64::INFINITY, f64::min)
}

/// Starts a table of the report, which goes to stdout; progress goes to stderr.
pub fn table(title: &str, columns: &[&str]) {
    eprintln!("measuring: {title}");
    println!("\n## {title}\n");
    println!("| {} |\n|{}", columns.join(" | "), "---|".repeat(columns.len()));
}

/// One line of a table.
pub fn row(cells: &[String]) {
    println!("| {} |", cells.join(" | "));
}
