//! Compiles every default policy to a component.
//!
//! A nested cargo with a target folder of its own (sharing one with the outer cargo would wait for its lock for ever) builds
//! all policy crates for wasm32-unknown-unknown; wit-component turns each module into a component.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const TARGET: &str = "wasm32-unknown-unknown";
/// Set to keep the build from adding the target by itself.
const NO_INSTALL: &str = "PILOTHOUSE_NO_TARGET_INSTALL";

/// What would leak from the outer build into the nested one.
const CLEARED: [&str; 9] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "CLIPPY_ARGS",
    "CARGO_BUILD_TARGET",
    "LLVM_PROFILE_FILE",
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_TARGET_DIR",
];

fn main() -> Result<(), Box<dyn Error>> {
    let policies = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("..").canonicalize()?;
    let root = policies.join("..").canonicalize()?;
    for input in ["sdk", "balancing", "placement", "routing", "scaling", "faulty"] {
        println!("cargo::rerun-if-changed={}", policies.join(input).display());
    }
    println!("cargo::rerun-if-changed={}", root.join("wit").display());
    println!("cargo::rerun-if-changed={}", root.join("Cargo.lock").display());
    println!("cargo::rerun-if-env-changed={NO_INSTALL}");
    let found = find_policies(&policies)?;
    require_target()?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let target_dir = out.join("wasm");
    compile(&root, &target_dir, &found)?;
    let mut list = String::new();
    for (name, wanted, what) in [
        ("ALL", Kind::Default, "Every default policy, sorted by family and name."),
        ("FAULTY", Kind::Faulty, "Policies that break on purpose, for the tour and tests."),
        (
            "ZOO",
            Kind::Zoo,
            "One of each family with a mark by which tests choose a fault; a program that does not name it does not contain it.",
        ),
    ] {
        writeln!(list, "/// {what}\npub static {name}: &[DefaultPolicy] = &[")?;
        for (family, name) in found.iter().filter(|(family, name)| Kind::of(family, name) == wanted) {
            let module = target_dir
                .join(TARGET)
                .join("policy")
                .join(format!("{family}_{}.wasm", name.replace('-', "_")));
            let component = out.join(format!("{family}-{name}.wasm"));
            fs::write(&component, componentize(&module)?)?;
            let path = component.display().to_string();
            writeln!(
                list,
                "    DefaultPolicy {{ family: {family:?}, name: {name:?}, bytes: include_bytes!({path:?}) }},"
            )?;
        }
        list.push_str("];\n");
    }
    fs::write(out.join("policies.rs"), list)?;
    Ok(())
}

/// What a component is for.
#[derive(PartialEq, Eq)]
enum Kind {
    Default,
    Faulty,
    Zoo,
}

impl Kind {
    fn of(family: &str, name: &str) -> Self {
        match (family, name.starts_with("zoo-")) {
            ("faulty", true) => Self::Zoo,
            ("faulty", false) => Self::Faulty,
            _ => Self::Default,
        }
    }
}

/// `policies/FAMILY/NAME` with a manifest.
fn find_policies(policies: &Path) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let mut found = Vec::new();
    for family in ["balancing", "placement", "routing", "scaling", "faulty"] {
        let Ok(entries) = fs::read_dir(policies.join(family)) else { continue };
        for entry in entries {
            let entry = entry?;
            if entry.path().join("Cargo.toml").exists() {
                found.push((family.to_owned(), entry.file_name().to_string_lossy().into_owned()));
            }
        }
    }
    found.sort();
    Ok(found)
}

fn require_target() -> Result<(), Box<dyn Error>> {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let printed = Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]).output()?;
    if Path::new(String::from_utf8_lossy(&printed.stdout).trim()).exists() {
        return Ok(());
    }
    let added = env::var_os(NO_INSTALL).is_none()
        && Command::new("rustup")
            .args(["target", "add", TARGET])
            .status()
            .is_ok_and(|status| status.success());
    if added {
        return Ok(());
    }
    Err(format!("the Rust target {TARGET} is missing; run `rustup target add {TARGET}`").into())
}

fn compile(root: &Path, target_dir: &Path, found: &[(String, String)]) -> Result<(), Box<dyn Error>> {
    let mut cargo = Command::new(env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    cargo.current_dir(root).args([
        "build",
        "--locked",
        "--profile",
        "policy",
        "--target",
        TARGET,
        "--target-dir",
    ]);
    cargo.arg(target_dir);
    for (family, name) in found {
        cargo.args(["-p", &format!("{family}-{name}")]);
    }
    for name in CLEARED {
        cargo.env_remove(name);
    }
    // SIMD brings scans to native speed; paths of this machine stay out of the components.
    let remap = |path: &Path, name: &str| format!("--remap-path-prefix={}={name}", path.display());
    let mut flags = vec!["-Ctarget-feature=+simd128".to_owned(), remap(root, "pilothouse")];
    if let Some(home) = env::var_os("CARGO_HOME").map(PathBuf::from) {
        flags.push(remap(&home, "cargo"));
    }
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    let status = cargo.status()?;
    if status.success() {
        Ok(())
    } else {
        Err("a default policy does not compile; see the messages above".into())
    }
}

fn componentize(module: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    let bytes = fs::read(module).map_err(|error| format!("cannot read {}: {error}", module.display()))?;
    let component = wit_component::ComponentEncoder::default().module(&bytes)?.validate(true).encode()?;
    Ok(component)
}
