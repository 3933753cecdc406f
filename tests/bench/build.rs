//! Builds the Extism plug-in with a nested cargo, in a target folder of its own.

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if env::var_os("CARGO_FEATURE_PEERS").is_none() {
        return Ok(());
    }
    let plugin = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("extism-plugin");
    println!("cargo::rerun-if-changed={}", plugin.join("src").display());
    println!("cargo::rerun-if-changed={}", plugin.join("Cargo.toml").display());
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let target = out.join("plugin");
    let mut cargo = Command::new(env::var("CARGO")?);
    cargo.args(["build", "--release", "--target", "wasm32-unknown-unknown", "--target-dir"]).arg(&target);
    cargo.arg("--manifest-path").arg(plugin.join("Cargo.toml"));
    cargo.env_remove("CARGO_ENCODED_RUSTFLAGS").env_remove("RUSTFLAGS");
    if !cargo.status()?.success() {
        return Err("the Extism plug-in does not build".into());
    }
    fs::copy(
        target.join("wasm32-unknown-unknown/release/extism_plugin.wasm"),
        out.join("extism_plugin.wasm"),
    )?;
    Ok(())
}
