//! `demo`: a tour against a real server in this process, with a sample federation and simulated load.
//!
//! Invariant: every number that is shown was measured in this run. The tour fails (exit code 1) if a decision was lost.

mod federation;
mod tour;

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use pilothouse_node::Config;
use pilothouse_node::config::RegionConfig;

use super::serve::{runtime, stop_signal};
use crate::output::note;

pub(super) fn run(exit: bool, listen: SocketAddr, data_dir: &Path) -> anyhow::Result<ExitCode> {
    // Every tour starts from nothing: it shows what a newcomer would see.
    match std::fs::remove_dir_all(data_dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot empty {}", data_dir.display()));
        }
        _ => {}
    }
    let config = config(listen, data_dir);
    runtime(0)?.block_on(async move {
        note("starting a server (the first start compiles the default policies) ...");
        let running = pilothouse_node::start(&config, std::env::current_exe().ok()).await?;
        note(&format!("serving on http://{}", running.address));
        let control = running.control.clone();
        federation::register(&control).await?;
        let stop = Arc::new(AtomicBool::new(false));
        let load = federation::keep_reporting(control.clone(), Arc::clone(&stop))?;
        let held = tour::run(&control).await?;
        if !exit {
            tour::next_commands(running.address);
            stop_signal().await?;
        }
        stop.store(true, Ordering::Relaxed);
        let _ = load.join();
        running.stop().await;
        Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

fn config(listen: SocketAddr, data_dir: &Path) -> Config {
    let mut config = Config::default();
    config.server.listen = listen;
    config.server.data_dir = data_dir.to_owned();
    for site in &pilothouse_lab::world::SITES {
        let (latitude, longitude) = site.place;
        config.regions.insert(site.region.to_owned(), RegionConfig { latitude, longitude });
    }
    config
}
