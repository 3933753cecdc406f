//! Scenarios by name or file, and their data.

use std::path::Path;

use anyhow::Context as _;
use pilothouse_lab::judge::{Data, DataError, NoData};
use pilothouse_lab::scenario::{Prepared, Scenario, Skipped, builtin};
use serde_json::json;

use super::NotFound;
use super::data::Folder;
use crate::files;
use crate::output::Report;

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
    if !path.exists() {
        let hint = "give a file, or a name from `pilothouse lab scenarios`";
        return Err(not_found(name, hint).into());
    }
    let text = files::text(path, "a scenario")?;
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

/// The scenarios of these names or files.
pub(super) fn named(names: &[String]) -> anyhow::Result<Vec<Scenario>> {
    names.iter().map(|name| load(name)).collect()
}

fn all() -> anyhow::Result<Vec<Scenario>> {
    Ok(builtin().iter().map(|(_, text)| Scenario::parse(text)).collect::<Result<_, _>>()?)
}

/// The built-in scenarios of some families.
pub(super) fn of_families(families: &[&str]) -> anyhow::Result<Vec<Scenario>> {
    let mut all = all()?;
    all.retain(|scenario| families.contains(&scenario.family().name()));
    Ok(all)
}

fn folder(data: Option<&Path>) -> anyhow::Result<Box<dyn Data>> {
    let Some(path) = data else { return Ok(Box::new(NoData)) };
    anyhow::ensure!(path.is_dir(), "--data: {} is no folder", path.display());
    Ok(Box::new(Folder(path.to_owned())))
}

/// Reads the data of scenarios; those without are left out.
pub(super) fn prepare(
    scenarios: &[Scenario],
    data: Option<&Path>,
) -> anyhow::Result<(Vec<Prepared>, Vec<Skipped>)> {
    let data = folder(data)?;
    let (mut prepared, mut skipped) = (Vec::new(), Vec::new());
    for scenario in scenarios {
        match scenario.prepare(data.as_ref()) {
            Ok(ready) => prepared.push(ready),
            Err(DataError::Missing { path }) => skipped.push(Skipped {
                scenario: scenario.name.clone(),
                missing: path,
                data_from: scenario.data_from.clone(),
            }),
            Err(unusable) => {
                return Err(unusable)
                    .with_context(|| format!("the data of scenario {} cannot be used", scenario.name));
            }
        }
    }
    Ok((prepared, skipped))
}

/// All built-in scenarios, and what those on recordings lack.
pub(super) fn list(data: Option<&Path>) -> anyhow::Result<Report> {
    let all = all()?;
    let (_, skipped) = prepare(&all, data)?;
    let row = |scenario: &Scenario| {
        let first = scenario.models.trim().split_inclusive(". ").next().unwrap_or_default().trim();
        let lacking = skipped.iter().find(|skipped| skipped.scenario == scenario.name);
        let data = match (lacking, &scenario.data_from) {
            (Some(_), _) => "missing",
            (None, Some(_)) => "recorded",
            (None, None) => "made up",
        };
        json!({
            "name": scenario.name,
            "family": scenario.family().name(),
            "seeds": scenario.seeds,
            "data": data,
            "skipped": lacking.map(Skipped::remedy),
            "models": first,
        })
    };
    let json = json!({ "scenarios": all.iter().map(row).collect::<Vec<_>>() });
    let columns = [
        ("SCENARIO", "name"),
        ("FAMILY", "family"),
        ("SEEDS", "seeds"),
        ("DATA", "data"),
        ("MODELS", "models"),
    ];
    let missing: String = skipped
        .iter()
        .map(|skipped| format!("\nSKIPPED {}: {}", skipped.scenario, skipped.remedy()))
        .collect();
    Ok(Report::list(json, "scenarios", &columns).followed_by(&missing))
}
