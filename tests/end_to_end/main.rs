//! The real binary, asked as its users ask it.

mod cluster_api;
mod command_line;
mod crash;
mod federation;
mod hot_reload;
