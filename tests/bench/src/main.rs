//! What decisions cost, in one run: Wasm against native, the whole server against an empty one, and what people embed today.
//!
//! The report goes to stdout as Markdown (`host/docs/bench.md` is one), progress to stderr. Nothing here is asserted but
//! that everybody gives the right answer: a busy machine makes a bench slow, never wrong.

mod measure;
mod native;
mod peers;
mod policies;
mod server;
mod world;

fn main() -> anyhow::Result<()> {
    println!("# Bench\n");
    println!(
        "Command: `make bench` (release profile, one run). Ratios hold across machines, absolute figures do not."
    );
    policies::run()?;
    peers::run()?;
    server::run()
}
