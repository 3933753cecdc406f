//! `policy test`: the author's own tests, then the component in the real engine on small fleets.

use std::sync::Arc;

use pilothouse_engine::Budget;
use serde_json::json;

use super::build;
use super::engine;
use super::project::Project;
use crate::output::{Report, note};

pub(super) fn run(project: &Project, release: bool) -> anyhow::Result<Report> {
    let said = build::native_tests(project)?;
    note(said.trim_end());
    let built = build::build(project, release)?;
    let loaded = Arc::new(built.loaded);
    // A machine that is busy with something else must not look like a slow policy; fuel bounds it as on a server. What needs the wider
    // bounds needs budgets of its own as well.
    let budget = match built.is_large {
        true => engine::generous(),
        false => Budget { deadline_ms: engine::PATIENT_MS, ..Budget::of(loaded.family()) },
    };
    let pool = engine::pool(&loaded, budget)?;
    let findings = pilothouse_conformance::smoke(&pool);
    let lines: Vec<String> =
        findings.iter().map(|finding| format!("{}: {}", finding.check, finding.detail)).collect();
    anyhow::ensure!(
        findings.is_empty(),
        "its own tests pass, but the component does not keep the contract:\n{}",
        lines.join("\n")
    );
    let text =
        format!("{} passes its own tests, and the contract's smoke checks as a component", project.name);
    let json = json!({ "name": project.name, "native": "passed", "component": "passed" });
    Ok(Report::new(json, text))
}
