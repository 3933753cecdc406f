//! What decisions cost, in one run: Wasm against native, the whole server against an empty one, and what people embed today.
//!
//! The report goes to stdout as Markdown (`host/docs/bench.md` is one), progress to stderr. Nothing here is asserted but
//! that everybody gives the right answer: a busy machine makes a bench slow, never wrong.

mod measure;
mod native;
mod nodes;
#[cfg(feature = "peers")]
mod peers;
mod policies;
#[cfg(feature = "server")]
mod server;
mod world;

/// What can be measured, in the order of the report.
const SECTIONS: &[(&str, fn() -> anyhow::Result<()>)] = &[
    ("policies", policies::run),
    ("nodes", nodes::run),
    #[cfg(feature = "peers")]
    ("peers", peers::run),
    #[cfg(feature = "server")]
    ("server", server::run),
];

/// Measures everything, or the one section that is named.
fn main() -> anyhow::Result<()> {
    let only = std::env::args().nth(1);
    if let Some(only) = only.as_deref().filter(|only| SECTIONS.iter().all(|(name, _)| name != only)) {
        let built: Vec<&str> = SECTIONS.iter().map(|(name, _)| *name).collect();
        anyhow::bail!("there is no section `{only}` in this build; there are {}", built.join(", "));
    }
    if only.is_none() {
        println!("# Bench\n");
        println!(
            "Command: `make bench` (release profile, one run). Ratios hold across machines, absolute figures do not."
        );
    }
    for (name, section) in SECTIONS {
        if only.as_deref().is_none_or(|only| only == *name) {
            section()?;
        }
    }
    Ok(())
}
