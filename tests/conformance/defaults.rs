//! Every default policy passes the kit.

use super::{conform, each, runtime};

#[test]
fn every_default_policy_conforms_without_a_warning() {
    let runtime = runtime();
    let complaints = each(pilothouse_policies::ALL, |policy| {
        let report = conform(&runtime, policy.name, policy.bytes);
        println!("{:32} {:6.2} s  {}", report.title(), report.took.as_secs_f64(), report.badge());
        let is_clean = report.counts().failed + report.counts().warnings == 0;
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
