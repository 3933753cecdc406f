//! `region …` and `rtt …`: regions, and how far everything is.

use comfy_table::{Cell, Table, presets};
use serde_json::{Value, json};

use crate::args::{RegionCommand, RttCommand};
use crate::client::Client;
use crate::output::{Report, text};

const REGIONS: &[(&str, &str)] = &[
    ("REGION", "id"),
    ("MEMBERS", "members"),
    ("CLUSTERS", "clusters"),
    ("NODES", "nodes"),
    ("HEALTH", "health_score"),
    ("AGENTS", "agents.active"),
    ("MAX", "agents.max"),
    ("COST/H", "cost_per_hour"),
    ("gCO2/kWh", "carbon_g_per_kwh"),
];
const STATUS: &[(&str, &str)] = &[
    ("REGION", "id"),
    ("HEALTH", "health_score"),
    ("ONLINE", "online"),
    ("HEALTHY", "healthy"),
    ("DEGRADED", "degraded"),
    ("UNHEALTHY", "unhealthy"),
    ("UNKNOWN", "unknown"),
    ("CPU", "load.cpu"),
    ("MEMORY", "load.memory"),
    ("QUEUE", "load.queue_depth"),
];
const CAPACITY: &[(&str, &str)] = &[
    ("REGION", "id"),
    ("CPU FREE", "capacity.free_cpu"),
    ("OF", "capacity.total_cpu"),
    ("MIB FREE", "capacity.free_memory"),
    ("OF", "capacity.total_memory"),
    ("STORAGE FREE", "capacity.free_storage"),
    ("OF", "capacity.total_storage"),
    ("GPU FREE", "capacity.free_accelerators"),
    ("OF", "capacity.total_accelerators"),
    ("AGENTS FREE", "agents.available"),
    ("LARGEST CPU", "capacity.largest_free.cpu"),
    ("LARGEST MIB", "capacity.largest_free.memory"),
];
const ROUND_TRIPS: &[(&str, &str)] = &[
    ("FROM", "source"),
    ("TO", "target"),
    ("REGION", "region"),
    ("LAST MS", "last_ms"),
    ("EXPECTED", "expected_ms"),
    ("JITTER", "jitter_ms"),
    ("LOSS", "loss"),
    ("AGE MS", "age_ms"),
    ("PROBES", "probes"),
    ("FRESH", "fresh"),
];

pub(super) fn region(client: &Client, command: RegionCommand) -> anyhow::Result<Report> {
    let all = || client.get("/api/v1/regions");
    let one = |region: &str| client.get(&format!("/api/v1/regions/{region}"));
    Ok(match command {
        RegionCommand::List => Report::list(all()?, "regions", REGIONS),
        RegionCommand::Status { region, verbose } => match region.id() {
            None => Report::list(all()?, "regions", STATUS),
            Some(region) => status(one(&region)?, verbose),
        },
        RegionCommand::Capacity { region } => match region.id() {
            None => Report::list(all()?, "regions", CAPACITY),
            Some(region) => capacity(&one(&region)?),
        },
        RegionCommand::Lag => lag_matrix(client.get("/api/v1/lag-matrix")?),
    })
}

pub(super) fn rtt(client: &Client, command: RttCommand) -> anyhow::Result<Report> {
    Ok(match command {
        RttCommand::List { from, to, limit } => {
            let from = from.map(|from| format!("&source={from}")).unwrap_or_default();
            let to = to.map(|to| format!("&target={to}")).unwrap_or_default();
            let answer = client.get(&format!("/api/v1/rtt?limit={limit}{from}{to}"))?;
            Report::list(answer, "round_trips", ROUND_TRIPS)
        }
        RttCommand::Sample { from, to, rtt_ms } => {
            let body = json!({ "source": from, "target": to, "rtt_ms": rtt_ms });
            let line = format!("noted for the way from {from} to {to}");
            Report::new(client.post("/api/v1/rtt", &body)?, line)
        }
    })
}

/// Numbers of a region, a line each, and, if wanted, a line for each other region.
fn status(answer: Value, verbose: bool) -> Report {
    let mut numbers = answer.clone();
    if let Some(fields) = numbers.as_object_mut() {
        fields.remove("lags");
    }
    let mut lines = vec![Report::fields(numbers).into_text()];
    let lags = answer.get("lags").filter(|_| verbose).and_then(Value::as_array);
    for lag in lags.into_iter().flatten() {
        lines.push(format!("to {}: {} ms, {}", text(lag, "to"), text(lag, "rtt_ms"), text(lag, "known")));
    }
    Report::new(answer, lines.join("\n"))
}

fn capacity(answer: &Value) -> Report {
    let part = |name: &str| answer.get(name).cloned().unwrap_or_default();
    Report::fields(json!({ "id": part("id"), "capacity": part("capacity"), "agents": part("agents") }))
}

/// From the left, to the top; times that nobody measured are marked.
fn lag_matrix(answer: Value) -> Report {
    let names: Vec<String> = answer
        .get("regions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|name| Some(name.as_str()?.to_owned()))
        .collect();
    let lags = || answer.get("lags").and_then(Value::as_array).into_iter().flatten();
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(std::iter::once("MS").chain(names.iter().map(String::as_str)).map(Cell::new));
    for from in &names {
        let to = |to: &String| {
            let found = lags().find(|lag| text(lag, "from") == *from && text(lag, "to") == *to);
            let mark = |known: &str| if known == "measured" { "" } else { "*" };
            found.map_or_else(String::new, |lag| {
                format!("{}{}", text(lag, "rtt_ms"), mark(&text(lag, "known")))
            })
        };
        table.add_row(std::iter::once(from.clone()).chain(names.iter().map(to)).map(Cell::new));
    }
    let text = format!("{table}\n* configured or estimated, not measured");
    Report::new(answer, text)
}
