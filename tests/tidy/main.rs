//! The rules of the code as tests: who may depend on whom, and what a file must have.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking, and figures are printed"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// What a crate of ours may depend on, of ours; dev-dependencies are free.
const OURS: &[(&str, &[&str])] = &[
    ("pilothouse-core", &[]),
    ("pilothouse-state", &["pilothouse-core"]),
    ("pilothouse-migration", &["pilothouse-core"]),
    ("pilothouse-engine", &["pilothouse-core"]),
    ("pilothouse-store", &[]),
    ("pilothouse-trust", &["pilothouse-core"]),
    ("pilothouse-transport", &["pilothouse-core", "pilothouse-proto"]),
    ("pilothouse-member", &["pilothouse-core"]),
    ("pilothouse-conformance", &["pilothouse-core"]),
    ("pilothouse-lab", &["pilothouse-core"]),
    ("pilothouse-proto", &[]),
    ("pilothouse-sdk", &[]),
    ("pilothouse-policies", &[]),
    (
        "pilothouse-node",
        &[
            "pilothouse-core",
            "pilothouse-engine",
            "pilothouse-state",
            "pilothouse-store",
            "pilothouse-trust",
            "pilothouse-transport",
            "pilothouse-member",
            "pilothouse-conformance",
            "pilothouse-policies",
        ],
    ),
    (
        "pilothouse-cli",
        &[
            "pilothouse-core",
            "pilothouse-node",
            "pilothouse-engine",
            "pilothouse-conformance",
            "pilothouse-lab",
            "pilothouse-policies",
            "pilothouse-transport",
            "pilothouse-trust",
        ],
    ),
    ("pilothouse-tests", &[]),
    (
        "pilothouse-simulation",
        &["pilothouse-core", "pilothouse-state", "pilothouse-migration", "pilothouse-store"],
    ),
];

/// Crates of others that only some of ours may name.
const THEIRS: &[(&str, &[&str])] = &[
    ("wasmtime", &["pilothouse-engine"]),
    ("tonic", &["pilothouse-transport", "pilothouse-proto"]),
    ("axum", &["pilothouse-transport"]),
    ("redb", &["pilothouse-store"]),
    ("notify", &["pilothouse-node"]),
    ("clap", &["pilothouse-cli"]),
    ("anyhow", &["pilothouse-cli", "pilothouse-node", "pilothouse-tests"]),
];

/// Crates of others that core may use at all.
const CORE_MAY_USE: &[&str] = &["thiserror"];

/// What may stand at the top of the repository, dotfiles aside.
const TOP_LEVEL: &[&str] = &[
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "Makefile",
    "README.md",
    "examples",
    "host",
    "policies",
    "proto",
    "rust-toolchain.toml",
    "target",
    "tests",
    "wit",
];

type Edges = BTreeMap<String, Vec<String>>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn edges(metadata: &Metadata) -> Edges {
    let normal = |package: &cargo_metadata::Package| {
        let dependencies =
            package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
        dependencies.map(|dependency| dependency.name.clone()).collect()
    };
    metadata.workspace_packages().iter().map(|package| (package.name.to_string(), normal(package))).collect()
}

fn violations(edges: &Edges) -> Vec<String> {
    let mut found = Vec::new();
    for (package, dependencies) in edges {
        let is_policy = !package.starts_with("pilothouse-");
        let allowed: &[&str] = match OURS.iter().find(|(name, _)| name == package) {
            Some((_, allowed)) => allowed,
            None if is_policy => &["pilothouse-sdk"],
            None => {
                found.push(format!("`{package}` has no rule; add it to OURS"));
                continue;
            }
        };
        for dependency in dependencies {
            if dependency.starts_with("pilothouse-") && !allowed.contains(&dependency.as_str()) {
                found.push(format!("`{package}` must not depend on `{dependency}`"));
            }
            let owners = THEIRS.iter().find(|(name, _)| name == dependency).map(|(_, owners)| *owners);
            if owners.is_some_and(|owners| !owners.contains(&package.as_str())) {
                found.push(format!("`{package}` must not name `{dependency}`"));
            }
            let beyond_core = package == "pilothouse-core" && !CORE_MAY_USE.contains(&dependency.as_str());
            let beyond_sdk = is_policy && dependency != "pilothouse-sdk";
            if beyond_core || beyond_sdk {
                found.push(format!("`{package}` must not use `{dependency}`"));
            }
        }
    }
    found
}

#[test]
fn dependencies_follow_the_rules() {
    let metadata = MetadataCommand::new().current_dir(root()).no_deps().exec().unwrap();
    assert_eq!(violations(&edges(&metadata)), Vec::<String>::new());
}

#[test]
fn a_broken_rule_is_noticed() {
    let edge =
        |package: &str, dependency: &str| Edges::from([(package.to_owned(), vec![dependency.to_owned()])]);
    for (package, dependency) in [
        ("pilothouse-core", "tokio"),
        ("pilothouse-core", "pilothouse-state"),
        ("pilothouse-engine", "pilothouse-store"),
        ("pilothouse-transport", "wasmtime"),
        ("pilothouse-store", "anyhow"),
        ("balancing-random", "serde"),
        ("pilothouse-new", "serde"),
    ] {
        assert!(!violations(&edge(package, dependency)).is_empty(), "{package} -> {dependency}");
    }
}

fn files(dir: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
            files(&path, ending, found);
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
}

fn sources(ending: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    files(&root(), ending, &mut found);
    found.sort();
    assert!(!found.is_empty());
    found.into_iter().map(|path| (path.clone(), std::fs::read_to_string(&path).unwrap())).collect()
}

#[test]
fn every_source_file_says_what_it_is_and_fits_its_bounds() {
    // Put together, so that this file passes its own rule.
    let (unfinished, ignored) = (["TO", "DO"].concat(), ["#[", "ignore"].concat());
    for (path, text) in sources("rs") {
        assert!(text.starts_with("//! "), "{} has no header", path.display());
        assert!(text.lines().count() <= 620, "{} is too long", path.display());
        assert!(!text.contains(&unfinished), "{} has unfinished work without an issue", path.display());
        assert!(!text.contains(&ignored), "{} has an ignored test", path.display());
    }
}

#[test]
fn every_item_of_the_contract_is_documented() {
    for (path, text) in sources("wit") {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for (index, line) in lines.iter().enumerate() {
            let is_item = ["interface ", "world ", "resource "].iter().any(|word| line.starts_with(word))
                || line.contains(": func(")
                || line.contains(": static func(");
            let above = lines[..index].iter().rev().find(|above| !above.starts_with("@since"));
            assert!(
                !is_item || above.is_some_and(|above| above.starts_with("///")),
                "{}: {line}",
                path.display()
            );
        }
    }
}

#[test]
fn the_top_level_is_as_fixed() {
    for entry in std::fs::read_dir(root()).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(
            name.starts_with('.') || TOP_LEVEL.contains(&name.as_str()),
            "`{name}` does not belong at the top"
        );
    }
}

#[test]
fn every_policy_has_a_page_and_a_row_in_the_list() {
    let list = std::fs::read_to_string(root().join("policies/README.md")).unwrap();
    for family in ["balancing", "placement", "routing", "scaling"] {
        for entry in std::fs::read_dir(root().join("policies").join(family)).unwrap().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            assert!(entry.path().join("README.md").exists(), "policies/{family}/{name} has no README.md");
            assert!(list.contains(&format!("`{name}`")), "`{name}` is not in policies/README.md");
        }
    }
}

#[test]
fn crates_in_the_lock_file_have_a_licence_that_fits() {
    let allowed = [
        "MIT",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "ISC",
        "Zlib",
        "Unicode-3.0",
        "Unlicense",
        "CC0-1.0",
        "BSL-1.0",
        "0BSD",
        "MIT-0",
        "CDLA-Permissive-2.0",
    ];
    let metadata = MetadataCommand::new().current_dir(root()).exec().unwrap();
    for package in &metadata.packages {
        let licence = package.license.clone().unwrap_or_default().replace('/', " OR ");
        let fits = |text: &str| {
            let text = text.trim().trim_matches(['(', ')']);
            let text = text.strip_suffix(" WITH LLVM-exception").unwrap_or(text);
            allowed.contains(&text)
        };
        let parts: Vec<&str> = licence.split(" OR ").collect();
        let one_fits = parts.iter().any(|part| part.split(" AND ").all(fits));
        assert!(one_fits, "{} has the licence `{licence}`", package.name);
    }
}
