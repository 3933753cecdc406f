//! The author guides, run as they stand: from `policy new` to a decision by that policy in a running server.
//!
//! host/docs/authors/LANG.md -> its `sh` blocks in one shell, its `toml` block as the server's configuration
//!
//! Toolchains come from `make deps` (`target/tools`). A missing one is said on stderr, and is a failure where `CI=true`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pilothouse_tests::{Server, binary};

/// A tool is not installed.
const MISSING: i32 = 5;
/// What another cargo around this test must not leak into it.
const CLEARED: [&str; 6] = [
    "CARGO_TARGET_DIR",
    "RUSTUP_TOOLCHAIN",
    "RUSTFLAGS",
    "RUSTC_WRAPPER",
    "CARGO_BUILD_TARGET",
    "VIRTUAL_ENV",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// The text of all fenced blocks with a mark.
fn blocks(page: &str, mark: &str) -> String {
    let mut inside = false;
    let mut text = String::new();
    for line in page.lines() {
        match line.strip_prefix("```") {
            Some(found) if !inside => inside = found == mark,
            Some(_) => inside = false,
            None if inside => text.extend([line, "\n"]),
            None => {}
        }
    }
    text
}

fn shell(script: &str, dir: &Path, server: &str) -> Output {
    let bin = dir.join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::os::unix::fs::symlink(binary().unwrap().canonicalize().unwrap(), bin.join("pilothouse")).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut bash = Command::new("bash");
    for name in CLEARED {
        bash.env_remove(name);
    }
    bash.args(["-euo", "pipefail", "-c", script]).current_dir(dir).env("PATH", path);
    bash.env("PILOTHOUSE_SERVER", format!("http://{server}"));
    bash.env("PILOTHOUSE_TOOLS", root().join("target/tools")).output().unwrap()
}

fn follow(language: &str) {
    let page = std::fs::read_to_string(root().join(format!("host/docs/authors/{language}.md"))).unwrap();
    let server = Server::start_with(&blocks(&page, "toml")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let script = blocks(&page, "sh");
    assert!(script.contains("policy new") && script.contains("pilothouse route"), "{script}");
    let done = shell(&script, dir.path(), &server.address);
    let (said, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    let is_missing = done.status.code() == Some(MISSING);
    if is_missing && std::env::var_os("CI").is_none() {
        println!("SKIPPED {language}: {errors}");
        return;
    }
    assert!(done.status.success(), "{}\n{said}\n{errors}", done.status);
    assert!(said.trim_end().lines().any(|line| line.contains("by least-busy 0.1.0")), "{said}");
}

#[test]
fn a_policy_in_rust_decides_after_the_commands_of_its_guide() {
    follow("rust");
}

#[test]
fn a_policy_in_c_decides_after_the_commands_of_its_guide() {
    follow("c");
}

#[test]
fn a_policy_in_typescript_decides_after_the_commands_of_its_guide() {
    follow("typescript");
}

#[test]
fn a_policy_in_python_decides_after_the_commands_of_its_guide() {
    follow("python");
}

#[test]
fn a_missing_tool_is_named_with_the_command_that_installs_it() {
    let dir = tempfile::tempdir().unwrap();
    let script = "pilothouse policy new mine --kind scaling --lang typescript && PILOTHOUSE_TOOLS= pilothouse policy build mine";
    let done = shell(script, dir.path(), "127.0.0.1:1");
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.code() == Some(MISSING) && errors.contains("npm --prefix"), "{errors}");
}
