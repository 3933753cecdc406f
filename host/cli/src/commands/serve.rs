//! `serve`: runs a server until it is told to stop.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use pilothouse_node::config::{self, Config};

use crate::args::ServeArgs;

pub(super) fn run(args: ServeArgs) -> anyhow::Result<()> {
    logs(args.log_json);
    let ready_file = args.ready_file.clone();
    let config = merge(args)?;
    runtime(config.server.workers)?.block_on(async move {
        let running = pilothouse_node::start(&config, std::env::current_exe().ok()).await?;
        tracing::info!(
            address = %format!("http://{}", running.address),
            node = config.server.node_id,
            data = %config.server.data_dir.display(),
            "listening"
        );
        if let Some(path) = ready_file {
            std::fs::write(&path, running.address.to_string())
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        stop_signal().await?;
        tracing::info!("stopping");
        running.stop().await;
        Ok(())
    })
}

/// A runtime with so many workers; 0 = one per core.
pub(super) fn runtime(workers: usize) -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if workers > 0 {
        builder.worker_threads(workers);
    }
    Ok(builder.enable_all().build()?)
}

fn logs(json: bool) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("PILOTHOUSE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if json {
        builder.json().init();
    } else {
        builder.with_ansi(std::io::stderr().is_terminal()).init();
    }
}

/// The file, and the flags over it.
fn merge(args: ServeArgs) -> anyhow::Result<Config> {
    let mut config = config::load(args.config.as_deref())?;
    let server = &mut config.server;
    server.listen = args.listen.unwrap_or(server.listen);
    if let Some(data_dir) = args.data_dir {
        server.data_dir = data_dir;
    }
    if let Some(node_id) = args.node_id {
        server.node_id = node_id;
    }
    server.time_factor = args.time_factor.unwrap_or(server.time_factor);
    server.token_file = args.token_file.or(server.token_file.take());
    config.policies.policy_dir = args.policy_dir.or(config.policies.policy_dir.take());
    config::check(&config)?;
    Ok(config)
}

/// Ctrl-C, or the signal of a service manager.
pub(super) async fn stop_signal() -> anyhow::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
