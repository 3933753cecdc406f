//! Compiles the protobuf files without `protoc`, and keeps their descriptors for reflection.

use std::error::Error;
use std::path::PathBuf;

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    for folder in ["federation", "pilothouse"] {
        println!("cargo::rerun-if-changed={folder}");
    }
    let files = protox::compile(
        ["federation/federation.proto", "pilothouse/v1/control.proto", "pilothouse/v1/member.proto"],
        ["."],
    )?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), files.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(files)?;
    Ok(())
}
