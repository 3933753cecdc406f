//! For programs.

use serde_json::{Value, json};

use super::{Counts, Outcome, Report, Tested, Verdict};

impl Report {
    /// Everything, as one document.
    #[must_use]
    pub fn json(&self) -> Value {
        let Tested { name, version, family, digest, size_bytes } = &self.tested;
        let Counts { passed, failed, warnings, not_run } = self.counts();
        let measured: Vec<Value> =
            self.measured.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        json!({
            "policy": {
                "name": name,
                "version": version,
                "family": family.map(|family| family.name()),
                "digest": digest,
                "size_bytes": size_bytes,
            },
            "conforms": self.conforms(),
            "badge": self.badge(),
            "mode": self.mode.name(),
            "seed": self.seed,
            "took_ms": self.took.as_secs_f64() * 1_000.0,
            "inputs": self.inputs(),
            "counts": { "passed": passed, "failed": failed, "warnings": warnings, "not_run": not_run },
            "measured": measured,
            "checks": self.outcomes.iter().map(check).collect::<Vec<_>>(),
        })
    }
}

fn check(outcome: &Outcome) -> Value {
    let Outcome { check, verdict, inputs, took } = outcome;
    let mut value = json!({
        "id": check.id,
        "severity": check.severity.name(),
        "what": check.what,
        "verdict": verdict.name(),
        "inputs": inputs,
        "took_ms": took.as_secs_f64() * 1_000.0,
    });
    let more = match verdict {
        Verdict::Failed(failure) => json!({
            "input": failure.input,
            "expected": failure.expected,
            "got": failure.got,
            "why": check.why,
            "to_do": check.fix,
        }),
        other => other.why_not_run().map_or_else(|| json!({}), |why| json!({ "because": why })),
    };
    if let (Some(value), Value::Object(more)) = (value.as_object_mut(), more) {
        value.extend(more);
    }
    value
}
