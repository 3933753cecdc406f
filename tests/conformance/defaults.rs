//! Every default policy passes the kit, but for findings that are listed and wait for their repair.

use super::{conform, each, failed, runtime};

/// Findings that are real and not repaired yet: the policy, the check, and why. Nothing else may fail.
const OPEN: &[(&str, &str, &str)] = &[
    ("balancing/random", "bounds/fuel", "the alias table of 10,000 members costs more than one decision may"),
    (
        "balancing/capability-match",
        "bounds/fuel",
        "rarity over 10,000 members costs more than one decision may",
    ),
    (
        "balancing/session-affinity",
        "bounds/fuel",
        "sorting a ring of 10,000 members costs more than one decision may",
    ),
    ("balancing/regional", "bounds/fuel", "a scan of all members per group of equal distance"),
    ("balancing/weighted", "bounds/headroom", "cumulated weights of 10,000 members"),
    ("routing/hybrid", "bounds/fuel", "a host call per member and term"),
    ("routing/hybrid", "determinism/instances", "smoothed utilisation and last shares live in the instance"),
    ("routing/load-balanced", "determinism/instances", "last shares live in the instance"),
    ("routing/load-balanced", "bounds/headroom", "all members are sorted"),
    ("routing/cost", "bounds/headroom", "all members are sorted"),
    ("routing/geo-proximity", "bounds/headroom", "all members are sorted"),
    ("routing/latency", "bounds/headroom", "all members are sorted"),
];

#[test]
fn every_default_policy_conforms_but_for_open_findings() {
    let runtime = runtime();
    let complaints = each(pilothouse_policies::ALL, |policy| {
        let report = conform(&runtime, policy.name, policy.bytes);
        println!("{:32} {:6.2} s  {}", report.title(), report.took.as_secs_f64(), report.badge());
        let full = format!("{}/{}", policy.family, policy.name);
        let is_open = |id: &&str| OPEN.iter().any(|(policy, check, _)| *policy == full && check == id);
        let is_clean = failed(&report).iter().all(is_open);
        (!is_clean).then(|| report.text(false))
    });
    assert!(complaints.is_empty(), "{}", complaints.join("\n\n"));
}

#[test]
fn every_property_is_declared_by_a_default_policy_and_checked() {
    let runtime = runtime();
    for (family, name, property) in [
        ("balancing", "round-robin", "fair"),
        ("balancing", "weighted", "proportional"),
        ("balancing", "session-affinity", "sticky"),
        ("balancing", "least-loaded", "prefers-less-loaded"),
        ("placement", "cost-aware", "prefers-cheaper"),
        ("placement", "bin-pack", "prefers-fuller"),
        ("placement", "spread", "prefers-emptier"),
        ("routing", "latency", "prefers-nearer"),
        ("scaling", "queue-depth", "limits"),
        ("scaling", "queue-depth", "cooldown"),
    ] {
        let policy = pilothouse_policies::find(family, name).unwrap();
        let id = format!("property/{property}");
        let options = pilothouse_conformance::Options { only: vec![id.clone()], ..super::quick() };
        let report = pilothouse_node::conform::conform(&runtime, name, policy.bytes, &options).unwrap();
        assert_eq!(report.counts().passed, 1, "{family}/{name}: {}", report.text(false));
    }
}
