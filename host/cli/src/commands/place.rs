//! `place`, `reservation` and `rebalance`: where workloads live.
//!
//! arguments or a file -> [`super::grammar`] -> `/api/v1/place`, `/api/v1/place/bulk`, `/api/v1/reservations`
//!
//! Invariant: a text that is not understood is refused here, with its place, before anything is asked.

use std::path::Path;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use super::grammar;
use crate::args::{PlaceArgs, RebalanceCommand, ReservationCommand};
use crate::client::Client;
use crate::files;
use crate::output::{Report, text};

const RESERVATIONS: &[(&str, &str)] = &[
    ("ID", "id"),
    ("MEMBER", "member"),
    ("LEFT MS", "left_ms"),
    ("MCPU", "cpu_millis"),
    ("MEMORY MIB", "memory_mib"),
    ("STORAGE MIB", "storage_mib"),
    ("GPU MILLIS", "accelerator_millis"),
];

const BULK: &[(&str, &str)] = &[
    ("WORKLOAD", "workload"),
    ("PLACE", "place.member"),
    ("REGION", "place.region"),
    ("SCORE", "place.score"),
    ("EVICTED", "place.evicted"),
    ("PROBLEM", "problem"),
];

const PLANS: &[(&str, &str)] =
    &[("PLAN", "id"), ("CAUSE", "cause"), ("BEFORE", "imbalance_before"), ("AFTER", "imbalance_after")];

/// One workload of a file, or of the arguments.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Wish {
    name: Option<String>,
    spec: Option<String>,
    constraints: String,
    prefer: String,
    region: Option<String>,
    strategy: Option<String>,
    group: Option<String>,
    priority: i32,
    count: Option<u32>,
    alternatives: u32,
    preempt: bool,
    reserve_ms: Option<u64>,
}

/// A file of workloads.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WishFile {
    workloads: Vec<Wish>,
}

impl Wish {
    fn of(args: &PlaceArgs) -> Self {
        Self {
            name: args.workload.clone(),
            spec: args.spec.clone(),
            constraints: args.constraints.clone(),
            prefer: args.prefer.clone(),
            region: args.region.clone(),
            strategy: args.strategy.clone(),
            group: args.group.clone(),
            priority: args.priority,
            count: args.count,
            alternatives: args.alternatives,
            preempt: args.preempt,
            reserve_ms: args.reserve_ms,
        }
    }

    fn body(&self, capabilities: &[String]) -> anyhow::Result<Value> {
        let mut constraints = grammar::constraints(&self.constraints).context("in --constraints")?;
        grammar::prefer(&self.prefer, &mut constraints).context("in --prefer")?;
        let grammar::Constraints { mut requirement, relations } = constraints;
        if let Some(region) = &self.region {
            requirement.insert("preferred_region".to_owned(), json!(region));
        }
        if !capabilities.is_empty() {
            let all = requirement.entry("required_capabilities").or_insert_with(|| json!([]));
            all.as_array_mut()
                .into_iter()
                .for_each(|all| all.extend(capabilities.iter().map(|one| json!(one))));
        }
        Ok(json!({
            "workload": self.name,
            "reserve_ms": self.reserve_ms,
            "preempt": self.preempt,
            "strategy": self.strategy,
            "needs": self.spec.as_deref().map_or_else(|| Ok(json!({})), grammar::needs).context("in --spec")?,
            "priority": self.priority,
            "group": self.group,
            "relations": relations,
            "alternatives": self.alternatives,
            "count": self.count,
            "requirement": requirement,
        }))
    }
}

/// Places what the arguments or the file say.
pub(super) fn run(client: &Client, args: &PlaceArgs) -> anyhow::Result<Report> {
    let wishes = match &args.file {
        Some(file) => read(file)?,
        None if args.count.is_some() || args.whole => vec![Wish::of(args)],
        None => {
            let answer = client.post("/api/v1/place", &Wish::of(args).body(&args.capabilities)?)?;
            return Ok(one(answer));
        }
    };
    let bodies = wishes.iter().enumerate().map(|(index, wish)| {
        let name = wish.name.as_deref().unwrap_or("unnamed");
        wish.body(&args.capabilities).with_context(|| format!("workload {} (`{name}`)", index + 1))
    });
    let workloads: Vec<Value> = bodies.collect::<anyhow::Result<_>>()?;
    let answer =
        client.post("/api/v1/place/bulk", &json!({ "workloads": workloads, "whole": args.whole }))?;
    let sum = format!("{} placed, {} refused", text(&answer, "placed"), text(&answer, "refused"));
    crate::output::note(&sum);
    Ok(Report::list(answer, "answers", BULK))
}

fn read(file: &Path) -> anyhow::Result<Vec<Wish>> {
    let name = file.display();
    let text = files::text(file, "a list of workloads")?;
    let (example, wishes): (_, anyhow::Result<WishFile>) =
        if file.extension().is_some_and(|extension| extension == "json") {
            (
                r#"{"workloads": [{"name": "web", "spec": "cpu:4"}]}"#,
                serde_json::from_str(&text).map_err(Into::into),
            )
        } else {
            ("[[workloads]]\nname = \"web\"\nspec = \"cpu:4\"", toml::from_str(&text).map_err(Into::into))
        };
    let WishFile { workloads } = wishes.with_context(|| format!("{name} is no list of workloads"))?;
    ensure!(!workloads.is_empty(), "{name} has no workloads; write for example\n{example}");
    Ok(workloads)
}

fn one(answer: Value) -> Report {
    let mut lines = vec![
        format!("{} in {}", text(&answer, "member"), text(&answer, "region")),
        format!("  because       {}", text(&answer, "reasoning")),
        format!(
            "  decided by    {} ({}) in {} us",
            text(&answer, "policy"),
            text(&answer, "answered_by"),
            text(&answer, "took_us")
        ),
    ];
    if let Some(workload) = answer.get("vmID").and_then(Value::as_str) {
        lines.push(format!(
            "  assigned      {workload}, ownership epoch {}",
            text(&answer, "ownership_epoch")
        ));
    }
    if answer.get("reservation").is_some_and(|held| !held.is_null()) {
        let (id, left_ms) = (text(&answer, "reservation.id"), text(&answer, "reservation.left_ms"));
        lines.push(format!(
            "  reserved      for {left_ms} ms; next: pilothouse reservation confirm {id} WORKLOAD"
        ));
    }
    for next in answer.get("alternatives").and_then(Value::as_array).into_iter().flatten() {
        lines.push(format!("  else          {} {}", text(next, "member"), text(next, "score")));
    }
    Report::new(answer, lines.join("\n"))
}

/// Shows, confirms and gives back reservations.
pub(super) fn reservation(client: &Client, command: &ReservationCommand) -> anyhow::Result<Report> {
    Ok(match command {
        ReservationCommand::List => {
            Report::list(client.get("/api/v1/reservations")?, "reservations", RESERVATIONS)
        }
        ReservationCommand::Confirm { id, workload } => {
            let path = format!("/api/v1/reservations/{id}/confirm");
            let answer = client.post(&path, &json!({ "workload": workload }))?;
            let line = format!("{workload} is assigned to {}", text(&answer, "node_id"));
            Report::new(answer, line)
        }
        ReservationCommand::Release { id } => {
            let answer = client.delete(&format!("/api/v1/reservations/{id}"))?;
            let line = format!("room on {} is free again", text(&answer, "member"));
            Report::new(answer, line)
        }
    })
}

/// Suggests, shows and executes plans.
pub(super) fn rebalance(client: &Client, command: RebalanceCommand) -> anyhow::Result<Report> {
    Ok(match command {
        RebalanceCommand::Suggest { kind } => {
            plan(client.post("/api/v1/rebalance", &json!({ "kind": kind }))?)
        }
        RebalanceCommand::List => Report::list(client.get("/api/v1/rebalance")?, "plans", PLANS),
        RebalanceCommand::Execute { id } => {
            let answer = client.post(&format!("/api/v1/rebalance/{id}/execute"), &Value::Null)?;
            let count = |list: &str| answer.get(list).and_then(Value::as_array).map_or(0, Vec::len);
            let (moved, failed, left) = (count("moved"), count("failed"), count("not_started"));
            Report::new(answer, format!("{moved} moved, {failed} failed, {left} not started"))
        }
    })
}

fn plan(answer: Value) -> Report {
    let id = text(&answer, "id");
    let (before, after) = (text(&answer, "imbalance_before"), text(&answer, "imbalance_after"));
    let mut lines = vec![format!("{id}: fullest member over the mean {before} -> {after}")];
    let list = |name: &str| answer.get(name).and_then(Value::as_array).into_iter().flatten();
    for planned in list("moves") {
        let (workload, from, to) = (text(planned, "workload"), text(planned, "from"), text(planned, "to"));
        lines.push(format!("  {workload}  {from} -> {to}  gain {}", text(planned, "gain")));
    }
    for refused in list("refused") {
        lines.push(format!("  not {}: {}", text(refused, "workload"), text(refused, "why")));
    }
    let next = if list("moves").next().is_some() {
        format!("next: pilothouse rebalance execute {id}")
    } else {
        "nothing is worth moving".to_owned()
    };
    lines.push(next);
    Report::new(answer, lines.join("\n"))
}
