//! `failover`, `failback` and `chaos`: members that fail, and members that shall.
//!
//! arguments -> `/api/v1/failover`, `/api/v1/brakes`, `/api/v1/failback`, `/api/v1/chaos`
//!
//! Invariant: a dry run asks for a plan and nothing else.

use serde_json::{Value, json};

use crate::args::{ChaosCommand, FailbackCommand, FailoverArgs, FailoverCommand, VictimArgs};
use crate::client::Client;
use crate::output::{Report, text};

const FAILOVERS: &[(&str, &str)] = &[
    ("FAILOVER", "id"),
    ("PHASE", "phase"),
    ("BY", "by"),
    ("REGIONS", "from_regions"),
    ("RUNNING", "progress.running"),
    ("LEFT", "progress.left"),
    ("TOOK MS", "took_ms"),
    ("BEGAN", "began_at"),
];
const DISPLACED: &[(&str, &str)] =
    &[("WORKLOAD", "workload"), ("HOME", "home"), ("RUNS ON", "member"), ("ATTEMPTS", "attempts")];
const FAULTS: &[(&str, &str)] = &[
    ("FAULT", "id"),
    ("VICTIM", "victim"),
    ("KIND", "fault"),
    ("LATENCY MS", "latency_ms"),
    ("SHARE", "share"),
    ("LEFT MS", "left_ms"),
    ("FIRED", "fired"),
];

/// Fails over, or looks at failovers.
pub(super) fn run(client: &Client, args: &FailoverArgs) -> anyhow::Result<Report> {
    let one = |id: &str| format!("/api/v1/failover/{id}");
    Ok(match &args.command {
        None => by_hand(client, args)?,
        Some(FailoverCommand::List) => list(client.get("/api/v1/failover")?),
        Some(FailoverCommand::Status { id }) => failover(client.get(&one(id))?),
        Some(FailoverCommand::Confirm { id }) => {
            failover(client.post(&format!("{}/confirm", one(id)), &Value::Null)?)
        }
        Some(FailoverCommand::Cancel { id }) => failover(client.delete(&one(id))?),
        Some(FailoverCommand::LiftBrake { region }) => {
            let answer = client.post("/api/v1/brakes/lift", &json!({ "region": region }))?;
            Report::new(answer, "those who are missing now are confirmed to be gone".to_owned())
        }
    })
}

fn by_hand(client: &Client, args: &FailoverArgs) -> anyhow::Result<Report> {
    anyhow::ensure!(
        !args.from_regions.is_empty() || !args.from_members.is_empty(),
        "name what shall run elsewhere with --from-region or --from-member; see `pilothouse failover --help`"
    );
    let body = json!({
        "from_regions": args.from_regions,
        "from_members": args.from_members,
        "to_regions": args.to_regions,
    });
    let path = if args.dry_run { "/api/v1/failover/plan" } else { "/api/v1/failover" };
    Ok(failover(client.post(path, &body)?))
}

fn list(answer: Value) -> Report {
    for brake in answer.get("brakes").and_then(Value::as_array).into_iter().flatten() {
        let place = brake.get("region").and_then(Value::as_str).unwrap_or("the fleet");
        let (lost, of) = (text(brake, "lost"), text(brake, "of"));
        crate::output::note(&format!("the brake is on in {place}: {lost} of {of} members were missing"));
    }
    Report::list(answer, "failovers", FAILOVERS)
}

fn failover(answer: Value) -> Report {
    let count = |name: &str| text(&answer, &format!("progress.{name}"));
    let id = text(&answer, "id");
    let begun = answer.get("id").is_some_and(Value::is_string);
    let mut lines = vec![if begun {
        let (phase, running, left) = (text(&answer, "phase"), count("running"), count("left"));
        format!("{id} {phase}: {running} run elsewhere, {left} are left, {} ms", text(&answer, "took_ms"))
    } else {
        format!("would move {}, would leave {}", count("planned"), count("left"))
    }];
    for moved in answer.get("workloads").and_then(Value::as_array).into_iter().flatten() {
        let (workload, from) = (text(moved, "workload"), text(moved, "from"));
        lines.push(match moved.get("reason").and_then(Value::as_str) {
            Some(reason) => format!("  {workload}  stays on {from}: {reason}"),
            None => format!("  {workload}  {from} -> {}", text(moved, "to")),
        });
    }
    if begun && !answer.get("phase").is_some_and(is_over) {
        lines.push(format!("next: pilothouse failover status {id}"));
    }
    Report::new(answer, lines.join("\n"))
}

fn is_over(phase: &Value) -> bool {
    phase.as_str().is_some_and(|phase| ["done", "partial", "aborted"].contains(&phase))
}

/// Shows displaced work, and decides about it.
pub(super) fn failback(client: &Client, command: &FailbackCommand) -> anyhow::Result<Report> {
    Ok(match command {
        FailbackCommand::List => Report::list(client.get("/api/v1/failback")?, "displaced", DISPLACED),
        FailbackCommand::Approve { home } => {
            let answer = client.post(&format!("/api/v1/failback/{home}"), &Value::Null)?;
            let line = format!("{} workloads go home to {home} when it is well", text(&answer, "workloads"));
            Report::new(answer, line)
        }
        FailbackCommand::Forget { home } => {
            let answer = client.delete(&format!("/api/v1/failback/{home}"))?;
            let line = format!("{} workloads of {home} stay where they are", text(&answer, "workloads"));
            Report::new(answer, line)
        }
    })
}

/// Puts on faults, shows and ends them.
pub(super) fn chaos(client: &Client, command: ChaosCommand) -> anyhow::Result<Report> {
    let inject = |victim: &VictimArgs, latency_ms: Option<u64>, share: Option<f64>| {
        let VictimArgs { member, region, source, target, duration } = victim;
        let body = json!({
            "member": member,
            "region": region,
            "source": source,
            "target": target,
            "latency_ms": latency_ms,
            "share": share,
            "duration_ms": duration,
        });
        let answer = client.post("/api/v1/chaos", &body)?;
        let (id, left_ms) = (text(&answer, "id"), text(&answer, "left_ms"));
        let line = format!(
            "{id} is on {} for {left_ms} ms; end it: pilothouse chaos end {id}",
            text(&answer, "victim")
        );
        anyhow::Ok(Report::new(answer, line))
    };
    match command {
        ChaosCommand::InjectFailure(victim) => inject(&victim, None, None),
        ChaosCommand::InjectLatency { victim, latency } => inject(&victim, Some(latency), None),
        ChaosCommand::InjectLoss { victim, share } => inject(&victim, None, Some(share)),
        ChaosCommand::List => Ok(Report::list(client.get("/api/v1/chaos")?, "faults", FAULTS)),
        ChaosCommand::End { id } => {
            let answer = client.delete(&format!("/api/v1/chaos/{id}"))?;
            let line = format!("{id} is over; it hit {} messages", text(&answer, "fired"));
            Ok(Report::new(answer, line))
        }
    }
}
