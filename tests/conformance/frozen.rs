//! Components built against the first version of the contract still run. See `tests/fixtures/frozen/README.md`.

use std::path::Path;

use pilothouse_engine::precheck;

use super::{conform, failed, runtime};

const FROZEN: [(&str, &str); 4] = [
    ("balancing-round-robin.wasm", "2077f5c007351fa0ec4059a9a040f873ffc94976159d0ed4836f897bdb53acb5"),
    ("placement-bin-pack.wasm", "1a1bb6b8d0213d1df978f3bf04de51b494560051b921e6241972c970c723baa4"),
    ("routing-latency.wasm", "af489059f290401987b350e269f6e3657ad832e4e943a3f1b6ab0a22383b6618"),
    ("scaling-predictive.wasm", "4e519a8af9ed5c52e41eb921e13edbe2cdfc6e12ad7d812d00be96ff70f697b1"),
];

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/frozen").join(name)).unwrap()
}

#[test]
fn frozen_components_are_the_ones_that_were_frozen() {
    for (name, digest) in FROZEN {
        assert_eq!(pilothouse_engine::digest(&bytes(name)).to_string(), format!("sha256:{digest}"), "{name}");
    }
}

#[test]
fn a_component_of_each_family_built_against_0_1_0_still_loads_decides_and_passes_the_kit() {
    let runtime = runtime();
    for (name, _) in FROZEN {
        let bytes = bytes(name);
        let interface = precheck_interface(&runtime, &bytes);
        assert!(interface.ends_with("@0.1.0"), "{name} exports {interface}");
        let report = conform(&runtime, name, &bytes);
        assert_eq!(failed(&report), Vec::<&str>::new(), "{}", report.text(false));
        assert!(report.inputs() > 1_000, "{name} was asked {} times", report.inputs());
    }
}

fn precheck_interface(runtime: &pilothouse_engine::Runtime, bytes: &[u8]) -> String {
    runtime.load(bytes).unwrap().outline.interface
}

#[test]
fn a_component_for_an_unknown_major_is_refused_with_what_to_do() {
    let runtime = runtime();
    for (name, _) in FROZEN {
        let family = name.split('-').next().unwrap();
        let mut newer = bytes(name);
        // The version stands in names of imports and exports; the same length keeps the file whole.
        let (from, to) =
            (format!("pilothouse:{family}/{family}@0.1.0"), format!("pilothouse:{family}/{family}@9.0.0"));
        let places: Vec<usize> =
            (0..newer.len() - from.len()).filter(|&at| newer[at..].starts_with(from.as_bytes())).collect();
        for at in places {
            newer[at..at + from.len()].copy_from_slice(to.as_bytes());
        }
        let Err(error) = runtime.load(&newer) else { panic!("{name} was accepted") };
        assert!(matches!(error, precheck::LoadError::Version { .. }), "{name}: {error}");
        let told = error.to_string();
        for part in [
            format!("pilothouse:{family}/{family}@9.0.0"),
            "has version 0.1".to_owned(),
            "rebuild".to_owned(),
        ] {
            assert!(told.contains(&part), "{name}: {told}");
        }
    }
}
