//! `policy inspect`: what a policy is, told by a server or read from a file without one.
//!
//! Invariant: the file goes through the same checks and the same bounded compile as on a server, so what is accepted
//! here is accepted there.

use std::path::Path;

use anyhow::Context as _;
use pilothouse_core::slot::SlotId;
use pilothouse_engine::{Budget, Cache, Compiler, LoadedPolicy, Runtime};
use serde_json::{Value, json};

use super::trust::verify;
use crate::output::Report;

/// Whether the argument means a file and not `NAME` or `FAMILY/NAME`.
pub(super) fn is_file(policy: &str) -> bool {
    let is_of_family = || SlotId::parse(policy).is_ok();
    policy.ends_with(".wasm") || (policy.contains(std::path::MAIN_SEPARATOR) && !is_of_family())
}

pub(super) fn run(path: &str) -> anyhow::Result<Report> {
    let bytes = std::fs::read(Path::new(path)).with_context(|| format!("cannot read {path}"))?;
    let mut about = view(&load(path, &bytes)?);
    if let Some(fields) = about.as_object_mut() {
        fields.insert("signature".to_owned(), verify::beside(Path::new(path)));
    }
    Ok(report(about))
}

/// A component as a server would load it; `path` is for messages.
pub(super) fn load(path: &str, bytes: &[u8]) -> anyhow::Result<LoadedPolicy> {
    let program = std::env::current_exe().context("cannot find this program for the compiler's process")?;
    let compiler = Compiler::child(program, vec!["compile".to_owned()]);
    let runtime = Runtime::start(compiler, Cache::none())?;
    runtime.load(bytes).with_context(|| format!("{path} would be refused"))
}

const SETTINGS: &[(&str, &str)] = &[
    ("SETTING", "name"),
    ("TYPE", "type"),
    ("DEFAULT", "default"),
    ("FROM", "minimum"),
    ("TO", "maximum"),
    ("MEANING", "description"),
];

/// What a policy is, a line each, and its settings as a table.
pub(super) fn report(policy: Value) -> Report {
    let mut about = policy.clone();
    let schema = about.as_object_mut().and_then(|fields| fields.remove("settings_schema"));
    let mut settings = Vec::new();
    collect("", &schema.unwrap_or_default(), &mut settings);
    let about = Report::fields(about).into_text();
    let settings = match settings.as_slice() {
        [] => "It has no settings.".to_owned(),
        _ => Report::list(json!({ "settings": settings }), "settings", SETTINGS).into_text(),
    };
    Report::new(policy, format!("{about}\n{settings}"))
}

/// The settings of a JSON Schema, nested ones with their path.
fn collect(path: &str, schema: &Value, settings: &mut Vec<Value>) {
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let name = format!("{path}{name}");
        if property.get("properties").is_some() {
            collect(&format!("{name}."), property, settings);
        } else if let Value::Object(mut about) = property.clone() {
            about.insert("name".to_owned(), name.into());
            settings.push(about.into());
        }
    }
}

fn view(policy: &LoadedPolicy) -> Value {
    let about = &policy.description;
    let budget = Budget::of(policy.family());
    json!({
        "name": about.name,
        "family": policy.family().name(),
        "version": about.version,
        "summary": about.summary,
        "digest": policy.digest.to_string(),
        "size_bytes": policy.size_bytes,
        "imports": policy.outline.imports,
        "exports": policy.outline.exports,
        "columns": about.columns,
        "reasons": about.reasons,
        "factors": about.factors,
        "settings_schema": serde_json::from_str::<Value>(&about.settings_schema).ok(),
        "limits": {
            "fuel": budget.fuel,
            "deadline_ms": budget.deadline_ms,
            "memory_bytes": budget.memory_bytes,
            "host_calls": budget.host_calls,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_a_table_of_their_schema() {
        let depth = json!({ "type": "number", "default": 50, "description": "Deep from here on." });
        let schema = json!({ "properties": { "thresholds": { "properties": { "depth": depth } } } });
        let text = report(json!({ "name": "a", "settings_schema": schema })).into_text();
        for wanted in ["SETTING", "thresholds.depth", "50", "Deep from here on."] {
            assert!(text.contains(wanted), "{text}");
        }
        let none = report(json!({ "name": "a", "settings_schema": null })).into_text();
        assert!(none.contains("no settings"), "{none}");
    }

    #[test]
    fn a_family_and_a_name_are_no_file() {
        for (policy, file) in [
            ("hybrid", false),
            ("scaling/hybrid", false),
            ("routing/mine.wasm", true),
            ("./hybrid", true),
            ("other/hybrid", true),
            ("scaling/a/hybrid", true),
        ] {
            assert_eq!(is_file(policy), file, "{policy}");
        }
    }
}
