//! Embeds what `policy new` writes: templates, the contract and the sources of the SDK.
//!
//! folders -> `OUT_DIR/embedded.rs`, a list of (path, text) sorted by path
//!
//! The SDK's bindings are written out: the macro that makes them here is a minute of compiling, which an author need not spend.
//!
//! Invariant: a file added to one of the folders is in the binary without another change.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use wit_bindgen_rust::{Opts, WithOption};
use wit_parser::Resolve;

fn main() -> Result<(), Box<dyn Error>> {
    let own = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let root = own.join("../..").canonicalize()?;
    let mut list =
        String::from("/// Path and text of every file.\npub(super) static ALL: &[(&str, &str)] = &[\n");
    for (folder, name) in [
        (own.join("templates"), "templates"),
        (root.join("wit"), "wit"),
        (root.join("policies/sdk/src"), "sdk"),
    ] {
        println!("cargo::rerun-if-changed={}", folder.display());
        let mut found = Vec::new();
        files(&folder, &mut found)?;
        found.sort();
        for path in found {
            let relative = path.strip_prefix(&folder)?;
            if Path::new(name).join(relative) == Path::new("sdk/bindings.rs") {
                continue;
            }
            writeln!(list, "    ({:?}, include_str!({:?})),", Path::new(name).join(relative), path)?;
        }
    }
    let expanded = PathBuf::from(env::var("OUT_DIR")?).join("bindings.rs");
    fs::write(&expanded, bindings(&root.join("wit"))?)?;
    writeln!(list, "    (\"sdk/bindings.rs\", include_str!({expanded:?})),\n];")?;
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("embedded.rs"), list)?;
    Ok(())
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { files(&path, found)? } else { found.push(path) }
    }
    Ok(())
}

/// What the macros in `policies/sdk/src/bindings.rs` make.
fn bindings(wit: &Path) -> Result<String, Box<dyn Error>> {
    let options =
        Opts { format: true, pub_export_macro: true, generate_unused_types: true, ..Opts::default() };
    let mut text = String::from(
        "//! Made from `wit/` by wit-bindgen; authors use the modules beside this one.\n\
         #![allow(warnings, clippy::all, unsafe_code, reason = \"generated\")]\n",
    );
    let mut resolve = Resolve::default();
    let (host, _) = resolve.push_dir(wit.join("host"))?;
    let world = resolve.select_world(&[host], Some("base"))?;
    let lifecycle = Opts { export_macro_name: Some("export_lifecycle".to_owned()), ..options.clone() };
    module(&mut text, "base", lifecycle, resolve, world)?;
    for family in ["balancing", "placement", "routing", "scaling"] {
        let mut resolve = Resolve::default();
        resolve.push_dir(wit.join("host"))?;
        resolve.push_dir(wit.join(family))?;
        let inline = format!(
            "package pilothouse:sdk-{family}; world {family}-decision {{ export pilothouse:{family}/{family}@0.1.0; }}"
        );
        let package = resolve.push_str("inline.wit", &inline)?;
        let world = resolve.select_world(&[package], None)?;
        let types = WithOption::Path("crate::bindings::base::pilothouse::host::types".to_owned());
        let decision = Opts {
            export_macro_name: Some(format!("export_{family}_decision")),
            generate_unused_types: false,
            with: vec![("pilothouse:host/types@0.1.0".to_owned(), types)],
            ..options.clone()
        };
        module(&mut text, family, decision, resolve, world)?;
    }
    let mut resolve = Resolve::default();
    resolve.push_dir(wit.join("host"))?;
    let (agent, _) = resolve.push_dir(wit.join("agent"))?;
    let world = resolve.select_world(&[agent], Some("component"))?;
    let interface = Opts {
        export_macro_name: Some("export_agent_interface".to_owned()),
        generate_unused_types: false,
        generate_all: true,
        ..options
    };
    module(&mut text, "agent", interface, resolve, world)?;
    Ok(text)
}

fn module(
    text: &mut String,
    name: &str,
    options: Opts,
    mut resolve: Resolve,
    world: wit_parser::WorldId,
) -> Result<(), Box<dyn Error>> {
    let mut files = wit_bindgen_core::Files::default();
    let mut generator = options.build();
    wit_bindgen_core::WorldGenerator::generate(&mut generator, &mut resolve, world, &mut files)?;
    for (_, content) in files.iter() {
        writeln!(text, "\npub mod {name} {{\n{}\n}}", std::str::from_utf8(content)?)?;
    }
    Ok(())
}
