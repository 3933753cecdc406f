//! Faulty policies: each fails the check that names its fault, and no other.
//!
//! A component of the zoo (`policies/faulty/zoo-FAMILY`) is honest as built. A case is a copy with some bytes replaced: the mark
//! of its fault, a declared property, or a text of its description.

use super::{conform, each, failed, runtime};

/// What is replaced, by something of the same length or shorter (filled with spaces).
type Patch = (&'static str, &'static str);

struct Case {
    family: &'static str,
    fault: &'static str,
    patches: &'static [Patch],
    check: &'static str,
}

const fn case(family: &'static str, fault: &'static str, check: &'static str) -> Case {
    Case { family, fault, patches: &[], check }
}

const fn patched(
    family: &'static str,
    fault: &'static str,
    patches: &'static [Patch],
    check: &'static str,
) -> Case {
    Case { family, fault, patches, check }
}

/// The list of properties, empty as built.
const PROPERTIES: &str = "[                          ]";

const CASES: &[Case] = &[
    case("balancing", "defaults", "contract/start"),
    patched("balancing", "none", &[("1.0.0", "1.0.x")], "contract/semver"),
    patched("balancing", "none", &[("Any member, or a fault.", "")], "contract/summary"),
    patched("balancing", "none", &[("latency-ms", "latency-xx")], "contract/columns"),
    patched("balancing", "none", &[(r#"{"type":"object""#, r#"{"type":"objekt""#)], "contract/schema"),
    patched("balancing", "none", &[(PROPERTIES, r#"["made-up"]"#)], "contract/properties"),
    patched("balancing", "none", &[(PROPERTIES, r#"["cooldown"]"#)], "contract/properties"),
    case("balancing", "trap", "correctness/no-trap"),
    case("balancing", "trap-late", "correctness/no-trap"),
    case("balancing", "recurse", "correctness/no-trap"),
    case("balancing", "other", "correctness/no-failure"),
    case("balancing", "ineligible", "correctness/eligible"),
    case("balancing", "nan-score", "correctness/score"),
    case("balancing", "refuses", "correctness/decides"),
    case("balancing", "rank-more", "correctness/rank-limit"),
    case("balancing", "rank-twice", "correctness/rank-distinct"),
    case("balancing", "rank-ascending", "correctness/rank-order"),
    case("balancing", "rank-other", "correctness/rank-first"),
    case("balancing", "batch-short", "correctness/batch-count"),
    case("balancing", "batch-turned", "correctness/batch-same"),
    case("balancing", "reason", "correctness/reason"),
    case("balancing", "factors", "correctness/factors"),
    case("balancing", "edge-trap", "settings/edges"),
    case("balancing", "no-path", "settings/path"),
    patched(
        "balancing",
        "takes-all",
        &[(r#""additionalProperties":false"#, r#""additionalProperties":true"#)],
        "settings/unknown",
    ),
    case("balancing", "spin", "bounds/fuel"),
    case("balancing", "square", "bounds/fuel"),
    case("balancing", "near-limit", "bounds/headroom"),
    case("balancing", "allocate", "bounds/memory"),
    case("balancing", "huge-text", "bounds/output"),
    case("balancing", "log", "bounds/log"),
    case("balancing", "named-state", "bounds/state"),
    case("balancing", "quota", "bounds/state"),
    case("balancing", "memory", "determinism/instances"),
    case("balancing", "nan-bits", "determinism/nan"),
    case("balancing", "trap-zero", "robustness/zero"),
    case("balancing", "trap-nan", "robustness/nan"),
    case("balancing", "trap-infinite", "robustness/infinite"),
    case("balancing", "trap-huge", "robustness/huge"),
    case("balancing", "trap-tiny", "robustness/tiny"),
    case("balancing", "trap-equal", "robustness/duplicates"),
    case("balancing", "trap-single", "robustness/single"),
    case("balancing", "stale-rows", "robustness/change"),
    case("balancing", "stale-class", "robustness/classes"),
    case("balancing", "reset", "state/hand-over"),
    case("balancing", "trap-foreign", "state/foreign"),
    case("balancing", "leak", "leak/memory"),
    patched("balancing", "none", &[(PROPERTIES, r#"["fair"]"#)], "property/fair"),
    patched("balancing", "none", &[(PROPERTIES, r#"["proportional"]"#)], "property/proportional"),
    patched("balancing", "sticky-row", &[(PROPERTIES, r#"["sticky"]"#)], "property/sticky"),
    patched(
        "balancing",
        "more-loaded",
        &[(PROPERTIES, r#"["prefers-less-loaded"]"#)],
        "property/prefers-less-loaded",
    ),
    case("placement", "ineligible", "correctness/eligible"),
    case("placement", "nan-score", "correctness/score"),
    case("placement", "moves-many", "correctness/moves"),
    case("placement", "moves-unknown", "correctness/moves"),
    case("placement", "victims-equal", "correctness/victims"),
    case("placement", "overflow", "robustness/huge"),
    patched("placement", "dearest", &[(PROPERTIES, r#"["prefers-cheaper"]"#)], "property/prefers-cheaper"),
    patched("placement", "none", &[(PROPERTIES, r#"["prefers-fuller"]"#)], "property/prefers-fuller"),
    patched("placement", "fullest", &[(PROPERTIES, r#"["prefers-emptier"]"#)], "property/prefers-emptier"),
    case("routing", "no-weight", "correctness/route-shape"),
    case("routing", "many-targets", "correctness/route-shape"),
    case("routing", "twice", "correctness/route-distinct"),
    case("routing", "reason", "correctness/reason"),
    case("routing", "overflow", "robustness/infinite"),
    patched("routing", "farthest", &[(PROPERTIES, r#"["prefers-nearer"]"#)], "property/prefers-nearer"),
    case("scaling", "no-sample", "robustness/none"),
    case("scaling", "nan-confidence", "correctness/score"),
    case("scaling", "memory", "determinism/instances"),
    case("scaling", "trap-infinite", "robustness/infinite"),
    patched("scaling", "no-limits", &[(PROPERTIES, r#"["limits"]"#)], "property/limits"),
    patched("scaling", "hasty", &[(PROPERTIES, r#"["cooldown"]"#)], "property/cooldown"),
];

/// Replaces every place of a text; there must be one.
fn replace(bytes: &mut [u8], (from, to): Patch) {
    assert!(to.len() <= from.len(), "{to} is longer than {from}");
    let filled = format!("{to:width$}", width = from.len());
    let places: Vec<usize> =
        (0..=bytes.len() - from.len()).filter(|&at| bytes[at..].starts_with(from.as_bytes())).collect();
    assert!(!places.is_empty(), "`{from}` is not in the component");
    for at in places {
        bytes[at..at + from.len()].copy_from_slice(filled.as_bytes());
    }
}

fn component(case: &Case) -> Vec<u8> {
    let name = format!("zoo-{}", case.family);
    let mut bytes =
        pilothouse_policies::ZOO.iter().find(|policy| policy.name == name).unwrap().bytes.to_vec();
    let mark = format!("{:23}", case.fault);
    let at = (0..bytes.len()).find(|&at| bytes[at..].starts_with(b"pilothouse-fault:none ")).expect("a mark");
    bytes[at + 17..at + 40].copy_from_slice(mark.as_bytes());
    case.patches.iter().for_each(|&patch| replace(&mut bytes, patch));
    bytes
}

#[test]
fn as_built_the_zoo_is_honest() {
    let runtime = runtime();
    for policy in pilothouse_policies::ZOO {
        let report = conform(&runtime, policy.name, policy.bytes);
        assert_eq!(failed(&report), Vec::<&str>::new(), "{}", report.text(false));
    }
}

#[test]
fn every_faulty_policy_fails_the_check_that_names_its_fault_and_no_other() {
    let runtime = runtime();
    let complaints = each(CASES, |case| {
        let report = conform(&runtime, case.fault, &component(case));
        let found = failed(&report);
        (found != [case.check]).then(|| {
            format!("{} {}: {found:?}, not {}\n{}", case.family, case.fault, case.check, report.text(false))
        })
    });
    assert!(complaints.is_empty(), "{} of {}\n{}", complaints.len(), CASES.len(), complaints.join("\n\n"));
}

#[test]
fn what_cannot_be_loaded_fails_the_check_that_names_why() {
    let runtime = runtime();
    let component = |text: &str| wat::parse_str(format!("(component {text})")).unwrap();
    for (bytes, check, told) in [
        (component(r#"(import "evil:host/fs@1.0.0" (instance))"#), "contract/imports", "evil:host/fs"),
        (component(r#"(import "pilothouse:host/secrets@0.1.0" (instance))"#), "contract/imports", "secrets"),
        (
            component(r#"(instance $i) (export "pilothouse:scaling/scaling@1.0.0" (instance $i))"#),
            "contract/version",
            "rebuild the policy against wit/ 0.1, or use a host that has 1.0.0",
        ),
        (component(""), "contract/exports", "exports no policy interface"),
        (
            component(r#"(instance $i) (export "pilothouse:scaling/scaling@0.1.0" (instance $i))"#),
            "contract/exports",
            "does not fit",
        ),
        (b"#!/bin/sh".to_vec(), "contract/component", "a text file"),
    ] {
        let report = conform(&runtime, "mine.wasm", &bytes);
        assert_eq!(failed(&report), [check], "{}", report.text(false));
        assert!(report.text(false).contains(told), "{}", report.text(false));
    }
}

#[test]
fn every_check_that_a_guest_can_break_has_a_faulty_policy() {
    // What wasm or the host makes impossible to break, and what needs another toolchain.
    const NONE_POSSIBLE: &[&str] = &[
        "contract/imports",
        "contract/no-wasi",
        "contract/version",
        "contract/exports",
        "contract/component",
        "contract/constant",
        "correctness/answer",
        "determinism/repeat",
        "determinism/reload",
    ];
    for check in pilothouse_conformance::CHECKS {
        let broken = CASES.iter().any(|case| case.check == check.id);
        assert!(broken != NONE_POSSIBLE.contains(&check.id), "{}", check.id);
    }
}
