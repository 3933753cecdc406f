//! Composition: builds a server from the other crates and runs it.

pub mod config;
pub use config::Config;
