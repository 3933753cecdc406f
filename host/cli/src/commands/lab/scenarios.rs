//! Scenarios by name or file, and their data.

use std::path::Path;

use anyhow::Context as _;
use pilothouse_lab::judge::{Data, NoData};
use pilothouse_lab::scenario::{Prepared, Scenario, builtin};
use serde_json::json;

use super::NotFound;
use super::data::Folder;
use crate::output::Report;

/// Largest scenario file, bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The text of a built-in scenario.
pub(super) fn text(name: &str) -> anyhow::Result<&'static str> {
    let found = builtin().iter().find(|(known, _)| *known == name);
    let hint = "`pilothouse lab scenarios` lists them";
    Ok(found.map(|(_, text)| *text).ok_or_else(|| not_found(name, hint))?)
}

fn not_found(name: &str, hint: &str) -> NotFound {
    NotFound { what: "scenario", name: name.to_owned(), hint: hint.to_owned() }
}

/// A built-in scenario, or one from a file.
pub(super) fn load(name: &str) -> anyhow::Result<Scenario> {
    if let Some((_, text)) = builtin().iter().find(|(known, _)| *known == name) {
        return Ok(Scenario::parse(text)?);
    }
    let path = Path::new(name);
    let size = match std::fs::metadata(path) {
        Ok(found) => found.len(),
        Err(_) => {
            let hint = "give a file, or a name from `pilothouse lab scenarios`";
            return Err(not_found(name, hint).into());
        }
    };
    anyhow::ensure!(
        size <= FILE_BYTES_MAX,
        "{name} is larger than {FILE_BYTES_MAX} bytes; it is no scenario"
    );
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    Scenario::parse(&text).with_context(|| format!("{name} is no scenario"))
}

/// The families that scenarios judge, in the order of reports.
pub(super) fn families() -> Vec<&'static str> {
    let mut families = Vec::new();
    for family in
        builtin().iter().filter_map(|(_, text)| Scenario::parse(text).ok()).map(|found| found.family().name())
    {
        if !families.contains(&family) {
            families.push(family);
        }
    }
    families
}

/// The built-in scenarios of some families.
pub(super) fn of_families(families: &[&str], with_long: bool) -> anyhow::Result<Vec<Scenario>> {
    let all = builtin().iter().map(|(_, text)| Scenario::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let wanted = |scenario: &Scenario| {
        families.contains(&scenario.family().name()) && (with_long || !scenario.is_long)
    };
    Ok(all.into_iter().filter(wanted).collect())
}

/// Reads the data of scenarios.
pub(super) fn prepare(scenarios: Vec<Scenario>, data: Option<&Path>) -> anyhow::Result<Vec<Prepared>> {
    let data: Box<dyn Data> = match data {
        Some(path) => {
            anyhow::ensure!(path.is_dir(), "--data: {} is no folder", path.display());
            Box::new(Folder(path.to_owned()))
        }
        None => Box::new(NoData),
    };
    let prepare = |scenario: Scenario| {
        let name = scenario.name.clone();
        scenario.prepare(data.as_ref()).with_context(|| format!("the data of scenario {name} cannot be used"))
    };
    scenarios.into_iter().map(prepare).collect()
}

/// All built-in scenarios.
pub(super) fn list() -> anyhow::Result<Report> {
    let all = builtin().iter().map(|(_, text)| Scenario::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let row = |scenario: &Scenario| {
        let first = scenario.models.trim().split_inclusive(". ").next().unwrap_or_default().trim();
        json!({
            "name": scenario.name,
            "family": scenario.family().name(),
            "seeds": scenario.seeds,
            "long": if scenario.is_long { "--full" } else { "" },
            "models": first,
        })
    };
    let json = json!({ "scenarios": all.iter().map(row).collect::<Vec<_>>() });
    let columns = [
        ("SCENARIO", "name"),
        ("FAMILY", "family"),
        ("SEEDS", "seeds"),
        ("ONLY WITH", "long"),
        ("MODELS", "models"),
    ];
    Ok(Report::list(json, "scenarios", &columns))
}
