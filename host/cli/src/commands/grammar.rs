//! The texts in which workloads are asked for: `cpu:4,memory:8192` and `max-latency:50,region:a|b,apart:web@zone`.
//!
//! Invariant: every item is `name:value`; an unknown name or a value that does not parse is an error that lists what is known.

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};

/// Names in a spec.
const SPEC: &str = "cpu (cores), memory (MiB), storage (GiB), gpu (devices)";
/// Names in constraints.
const CONSTRAINTS: &str = "max-latency (ms), min-health (percent), region, deny-region, zone, deny-zone, capability, service, \
compliance, gpu-model, kind, cluster, exclude (several joined by |), together:GROUP@SCOPE, apart:GROUP@SCOPE, spread:SKEW@SCOPE \
(SCOPE is member, zone or region)";

/// Demands and rules about other workloads.
#[derive(Debug, Default)]
pub(super) struct Constraints {
    pub(super) requirement: Map<String, Value>,
    pub(super) relations: Vec<Value>,
}

/// Resources, as the API takes them.
pub(super) fn spec(text: &str) -> anyhow::Result<Value> {
    let mut needs = Map::new();
    for (name, value) in items(text)? {
        let (field, per_unit) = match name {
            "cpu" => ("cpu_millis", 1_000.0),
            "memory" => ("memory_mib", 1.0),
            "storage" => ("storage_mib", 1_024.0),
            "gpu" => ("accelerator_millis", 1_000.0),
            other => bail!("`{other}` is not a resource; known are {SPEC}"),
        };
        let amount: f64 = value.parse().with_context(|| format!("`{name}:{value}`: not a number"))?;
        let amount = (amount * per_unit).round();
        if !(0.0..=f64::from(u32::MAX)).contains(&amount) {
            bail!("`{name}:{value}` is out of range");
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was checked")]
        if needs.insert(field.to_owned(), json!(amount as u32)).is_some() {
            bail!("`{name}` is given twice");
        }
    }
    Ok(Value::Object(needs))
}

/// Resources of a workload, which takes something if it says so at all.
pub(super) fn needs(text: &str) -> anyhow::Result<Value> {
    let needs = spec(text)?;
    if needs.as_object().is_none_or(Map::is_empty) {
        bail!("it asks for nothing; write for example cpu:4,memory:8192,storage:100, or leave it out");
    }
    Ok(needs)
}

/// Hard constraints.
pub(super) fn constraints(text: &str) -> anyhow::Result<Constraints> {
    let mut all = Constraints::default();
    for (name, value) in items(text)? {
        let field = match name {
            "max-latency" | "min-health" => {
                let number: u32 =
                    value.parse().with_context(|| format!("`{name}:{value}`: not a whole number"))?;
                let field = if name == "max-latency" { "max_latency_ms" } else { "min_health" };
                all.requirement.insert(field.to_owned(), json!(number));
                continue;
            }
            "kind" | "cluster" => {
                all.requirement.insert(name.to_owned(), json!(value));
                continue;
            }
            "together" | "apart" | "spread" => {
                all.relations.push(relation(name, value, true)?);
                continue;
            }
            "region" => "allowed_regions",
            "deny-region" => "denied_regions",
            "zone" => "allowed_zones",
            "deny-zone" => "denied_zones",
            "capability" => "required_capabilities",
            "service" => "services",
            "compliance" => "compliance",
            "gpu-model" => "accelerator_models",
            "exclude" => "excluded",
            other => bail!("`{other}` is not a constraint; known are {CONSTRAINTS}"),
        };
        add(&mut all.requirement, field, value);
    }
    Ok(all)
}

/// What would be nice: rules about other workloads, and capabilities.
pub(super) fn prefer(text: &str, all: &mut Constraints) -> anyhow::Result<()> {
    for (name, value) in items(text)? {
        match name {
            "capability" => add(&mut all.requirement, "preferred_capabilities", value),
            "together" | "apart" | "spread" => all.relations.push(relation(name, value, false)?),
            other => bail!("`{other}` is not a preference; known are capability, together, apart and spread"),
        }
    }
    Ok(())
}

fn items(text: &str) -> anyhow::Result<Vec<(&str, &str)>> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) =
                part.split_once(':').with_context(|| format!("`{part}` is not NAME:VALUE"))?;
            Ok((name.trim(), value.trim()))
        })
        .collect()
}

fn add(requirement: &mut Map<String, Value>, field: &str, names: &str) {
    let list = requirement.entry(field).or_insert_with(|| json!([]));
    if let Some(list) = list.as_array_mut() {
        list.extend(names.split('|').map(|name| json!(name.trim())));
    }
}

fn relation(rule: &str, value: &str, hard: bool) -> anyhow::Result<Value> {
    let (about, scope) = value.rsplit_once('@').with_context(|| format!("`{rule}:{value}` lacks @SCOPE"))?;
    if !["member", "zone", "region"].contains(&scope) {
        bail!("`{scope}` is not a scope; use member, zone or region");
    }
    if rule == "spread" {
        let max_skew: u32 = about.parse().with_context(|| format!("`{about}` is not a whole number"))?;
        return Ok(json!({ "rule": rule, "max_skew": max_skew, "scope": scope, "hard": hard }));
    }
    Ok(json!({ "rule": rule, "group": about, "scope": scope, "hard": hard }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_texts_are_understood() {
        let needs = spec("cpu:4,memory:8192,storage:100").unwrap();
        assert_eq!(needs, json!({ "cpu_millis": 4_000, "memory_mib": 8_192, "storage_mib": 102_400 }));
        let all = constraints("max-latency:50,min-health:80").unwrap();
        assert_eq!(Value::Object(all.requirement), json!({ "max_latency_ms": 50, "min_health": 80 }));
    }

    #[test]
    fn lists_relations_and_preferences_are_understood() {
        let mut all = constraints("region:eu|us, zone:a,zone:b, apart:web@zone, spread:1@region").unwrap();
        prefer("together:db@region,capability:ssd", &mut all).unwrap();
        assert_eq!(
            Value::Object(all.requirement),
            json!({ "allowed_regions": ["eu", "us"], "allowed_zones": ["a", "b"], "preferred_capabilities": ["ssd"] })
        );
        assert_eq!(
            Value::Array(all.relations),
            json!([
                { "rule": "apart", "group": "web", "scope": "zone", "hard": true },
                { "rule": "spread", "max_skew": 1, "scope": "region", "hard": true },
                { "rule": "together", "group": "db", "scope": "region", "hard": false },
            ])
        );
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (text, told) in [
            ("cpu", "not NAME:VALUE"),
            ("cpu:x", "not a number"),
            ("cpu:-1", "out of range"),
            ("cpu:nan", "out of range"),
            ("cpu:1,cpu:2", "given twice"),
            ("disk:1", "known are cpu"),
        ] {
            assert!(format!("{:#}", spec(text).unwrap_err()).contains(told), "{text}");
        }
        for nothing in ["", " , "] {
            assert!(needs(nothing).unwrap_err().to_string().contains("for example cpu:4"), "{nothing:?}");
        }
        for (text, told) in [
            ("max-latency:fast", "not a whole number"),
            ("colour:blue", "known are max-latency"),
            ("apart:web", "lacks @SCOPE"),
            ("apart:web@moon", "not a scope"),
            ("spread:x@zone", "not a whole number"),
        ] {
            assert!(format!("{:#}", constraints(text).unwrap_err()).contains(told), "{text}");
        }
    }
}
