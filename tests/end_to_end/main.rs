//! The real binary, asked as its users ask it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking, and figures are printed"
)]

mod access;
mod cluster_api;
mod command_line;
mod control;
mod crash;
mod curl;
mod failover;
mod federation;
mod hot_reload;
mod lab;
mod openapi;
mod orchestrator;
mod orchestrator_hostile;
mod place;
mod port;
mod raw;
mod regions;
mod registry;
mod rehearsal;
mod scale;
mod scaling_replay;
mod settings;
mod strategies;
mod tls;
mod trust;
mod workshop;
