//! What decisions cost, in one run: Wasm against native, the whole server against an empty one, and what people embed today.
//!
//! The report goes to stdout as Markdown (`host/docs/bench.md` is one), progress to stderr. Nothing here is asserted but
//! that everybody gives the right answer: a busy machine makes a bench slow, never wrong.

mod measure;
mod native;
mod nodes;
mod peers;
mod policies;
mod server;
mod world;

/// What can be measured, in the order of the report.
const SECTIONS: [(&str, fn() -> anyhow::Result<()>); 4] =
    [("policies", policies::run), ("nodes", nodes::run), ("peers", peers::run), ("server", server::run)];

/// Measures everything, or the one section that is named.
fn main() -> anyhow::Result<()> {
    let only = std::env::args().nth(1);
    println!("# Bench\n");
    println!(
        "Command: `make bench` (release profile, one run). Ratios hold across machines, absolute figures do not."
    );
    for (name, section) in SECTIONS {
        if only.as_deref().is_none_or(|only| only == name) {
            section()?;
        }
    }
    Ok(())
}
