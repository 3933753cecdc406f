//! Commands that ask a server one thing.

use serde_json::{Value, json};

use super::trust::{bring, keys};
use super::{failover, grammar, inspect, orchestrator, place, region};
use crate::args::{
    ClusterCommand, Command, GroupCommand, NodeCommand, PolicyCommand, ScaleCommand, SlotCommand,
};
use crate::client::Client;
use crate::output::{Report, text};

const CLUSTERS: &[(&str, &str)] = &[
    ("ID", "id"),
    ("REGION", "region"),
    ("STATUS", "status"),
    ("HEALTH", "health"),
    ("AGENTS", "active_agents"),
    ("MAX", "max_agents"),
    ("COST/H", "cost_per_hour"),
    ("gCO2/kWh", "carbon_g_per_kwh"),
    ("CAPABILITIES", "capabilities"),
];
const NODES: &[(&str, &str)] = &[
    ("ID", "id"),
    ("ADDRESS", "address"),
    ("ROLE", "role"),
    ("STATUS", "status"),
    ("HEALTHY", "healthy"),
    ("AGENTS", "active_agents"),
    ("MAX", "max_agents"),
    ("LOAD", "load"),
    ("SERVICES", "services"),
];
const POLICIES: &[(&str, &str)] = &[
    ("FAMILY", "family"),
    ("NAME", "name"),
    ("VERSION", "version"),
    ("SIZE", "size_bytes"),
    ("ORIGIN", "origin"),
    ("TRUST", "trust.standing"),
    ("KEYS", "trust.keys"),
    ("SUMMARY", "summary"),
];
const SLOTS: &[(&str, &str)] = &[
    ("SLOT", "id"),
    ("ACTIVE", "active.policy"),
    ("VERSION", "active.version"),
    ("TRUST", "trust.standing"),
    ("PREVIOUS", "previous.policy"),
    ("GENERATION", "generation"),
    ("SERVING", "serving.workers"),
    ("OF", "serving.of"),
];
const HISTORY: &[(&str, &str)] = &[
    ("AT", "at"),
    ("WHAT", "what"),
    ("POLICY", "revision.policy"),
    ("REVISION", "revision.id"),
    ("BY", "by"),
    ("DETAIL", "detail"),
];
const GROUPS: &[(&str, &str)] = &[
    ("GROUP", "name"),
    ("REPLICAS", "replicas"),
    ("MIN", "min_replicas"),
    ("MAX", "max_replicas"),
    ("UNPLACED", "unplaced"),
    ("SAMPLES", "samples"),
    ("LAST", "last"),
];
const ASSIGNMENTS: &[(&str, &str)] =
    &[("AGENT", "agent_name"), ("NODE", "node_id"), ("STATUS", "status"), ("ASSIGNED", "assigned_at")];

pub(super) fn run(client: &Client, command: Command) -> anyhow::Result<Report> {
    Ok(match command {
        Command::Status => Report::fields(client.get("/api/v1/status")?),
        Command::Cluster(command) => cluster(client, command)?,
        Command::Node(command) => node(client, command)?,
        Command::Route(args) => {
            let body = json!({
                "strategy": args.strategy,
                "session": args.session,
                "alternatives": args.alternatives,
                "requirement": { "preferred_region": args.region, "required_capabilities": args.capabilities },
            });
            decision(client.post("/api/v1/route", &body)?)
        }
        Command::Flow(args) => {
            let body = json!({
                "strategy": args.strategy,
                "traffic_class": args.class,
                "latency_goal_ms": args.latency_goal_ms,
                "requirement": { "preferred_region": args.from, "source_zone": args.zone },
            });
            flow(client.post("/api/v1/flows", &body)?)
        }
        Command::Place(args) => place::run(client, &args)?,
        Command::Rebalance(command) => place::rebalance(client, command)?,
        Command::Failover(args) => failover::run(client, &args)?,
        Command::Failback(command) => failover::failback(client, &command)?,
        Command::Chaos(command) => failover::chaos(client, command)?,
        Command::Reservation(command) => place::reservation(client, &command)?,
        Command::Orchestrator(command) => orchestrator::run(client, &command)?,
        Command::Assign(args) => {
            let body =
                json!({ "agent_name": args.agent, "services": args.services, "strategy": args.strategy });
            let answer = client.post("/api/cluster/assignments", &body)?;
            let line = format!("{} runs on {}", args.agent, text(&answer, "assignment.node_id"));
            Report::new(answer, line)
        }
        Command::Unassign { agent } => {
            let answer = client.delete(&format!("/api/cluster/assignments/{agent}"))?;
            Report::new(answer, format!("{agent} is unassigned"))
        }
        Command::Assignments => {
            Report::list(client.get("/api/cluster/assignments")?, "assignments", ASSIGNMENTS)
        }
        Command::Scale(command) => scale(client, command)?,
        Command::Region(command) => region::region(client, command)?,
        Command::Rtt(command) => region::rtt(client, command)?,
        Command::Policy(command) => policy(client, command)?,
        Command::Keys(command) => keys::run(client, command)?,
        Command::Slot(SlotCommand::List) => Report::list(client.get("/api/v1/slots")?, "slots", SLOTS),
        Command::Slot(SlotCommand::Get { slot }) => {
            Report::fields(client.get(&format!("/api/v1/slots/{slot}"))?)
        }
        other => anyhow::bail!("{other:?} is not a question to a server"),
    })
}

fn cluster(client: &Client, command: ClusterCommand) -> anyhow::Result<Report> {
    Ok(match command {
        ClusterCommand::List => Report::list(client.get("/api/v1/clusters")?, "clusters", CLUSTERS),
        ClusterCommand::Get { id } => Report::fields(client.get(&format!("/api/v1/clusters/{id}"))?),
        ClusterCommand::Register(args) => {
            let body = json!({
                "id": args.id,
                "endpoint": args.endpoint,
                "region": args.region,
                "zone": args.zone,
                "max_agents": args.max_agents,
                "weight": args.weight,
                "capabilities": args.capabilities,
                "compliance": args.compliance,
                "accelerator_model": args.accelerator_model,
                "resources": grammar::spec(&args.resources)?,
                "cost_per_hour": args.cost_per_hour,
                "carbon_g_per_kwh": args.carbon_g_per_kwh,
            });
            let answer = client.post("/api/v1/clusters", &body)?;
            let line = format!("registered {}", text(&answer, "id"));
            Report::new(answer, line)
        }
        ClusterCommand::Unregister { id } => {
            Report::new(client.delete(&format!("/api/v1/clusters/{id}"))?, format!("unregistered {id}"))
        }
    })
}

fn node(client: &Client, command: NodeCommand) -> anyhow::Result<Report> {
    let one = |id: &str| format!("/api/cluster/nodes/{id}");
    Ok(match command {
        NodeCommand::List => Report::list(client.get("/api/cluster/nodes")?, "nodes", NODES),
        NodeCommand::Get { id } => Report::fields(client.get(&one(&id))?),
        NodeCommand::Register(args) => {
            let (host, port) = args
                .address
                .rsplit_once(':')
                .and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)))
                .ok_or_else(|| anyhow::anyhow!("`{}` is not HOST:PORT", args.address))?;
            let body = json!({
                "id": args.id,
                "hostname": host,
                "ip_address": host,
                "port": port,
                "role": args.role,
                "max_agents": args.max_agents,
                "services": args.services,
                "capabilities": args.capabilities,
                "region": args.region,
                "zone": args.zone,
                "compliance": args.compliance,
                "accelerator_model": args.accelerator_model,
                "resources": grammar::spec(&args.resources)?,
            });
            let line = format!("registered {}", args.id);
            Report::new(client.post("/api/cluster/nodes", &body)?, line)
        }
        NodeCommand::Unregister { id } => {
            Report::new(client.delete(&one(&id))?, format!("unregistered {id}"))
        }
        NodeCommand::Drain { id } => Report::new(
            client.post(&format!("{}/drain", one(&id)), &Value::Null)?,
            format!("{id} gets no new work"),
        ),
        NodeCommand::Undrain { id } => {
            Report::new(client.delete(&format!("{}/drain", one(&id)))?, format!("{id} gets work again"))
        }
    })
}

fn scale(client: &Client, command: ScaleCommand) -> anyhow::Result<Report> {
    let by_hand = |group: &str, body: Value| -> anyhow::Result<Report> {
        let answer = client.post(&format!("/api/v1/groups/{group}/scale"), &body)?;
        let line = format!("{group} has {} replicas", text(&answer, "replicas"));
        Ok(Report::new(answer, line))
    };
    match command {
        ScaleCommand::Group(command) => group(client, command),
        ScaleCommand::To { group, replicas } => by_hand(&group, json!({ "replicas": replicas })),
        ScaleCommand::Up { group, by } => by_hand(&group, json!({ "by": by })),
        ScaleCommand::Down { group, by } => by_hand(&group, json!({ "by": -i64::from(by) })),
    }
}

fn group(client: &Client, command: GroupCommand) -> anyhow::Result<Report> {
    let one = |name: &str| format!("/api/v1/groups/{name}");
    Ok(match command {
        GroupCommand::List => Report::list(client.get("/api/v1/groups")?, "groups", GROUPS),
        GroupCommand::Get { name } => Report::fields(client.get(&one(&name))?),
        GroupCommand::Set(args) => {
            let body = json!({
                "name": args.name,
                "min_replicas": args.min,
                "max_replicas": args.max,
                "replicas": args.replicas,
                "period_ms": args.period_ms,
                "start_ms": args.start_ms,
                "cooldown_ms": args.cooldown_ms,
                "strategy": args.strategy,
                "region": args.region,
                "service": args.service,
            });
            let answer = client.post("/api/v1/groups", &body)?;
            let line = format!("{} has {} replicas", args.name, text(&answer, "replicas"));
            Report::new(answer, line)
        }
        GroupCommand::Remove { name } => Report::new(client.delete(&one(&name))?, format!("removed {name}")),
        GroupCommand::Sample(args) => {
            let body = json!({
                "queue_depth": args.queue_depth,
                "arrivals_per_s": args.arrivals_per_s,
                "completions_per_s": args.completions_per_s,
                "utilisation": args.utilisation,
                "service_ms": args.service_ms,
            });
            let answer = client.post(&format!("{}/samples", one(&args.name)), &body)?;
            Report::new(answer, format!("{} has one more sample", args.name))
        }
    })
}

fn policy(client: &Client, command: PolicyCommand) -> anyhow::Result<Report> {
    Ok(match command {
        PolicyCommand::List => Report::list(client.get("/api/v1/policies")?, "policies", POLICIES),
        PolicyCommand::Inspect { policy } => {
            inspect::report(client.get(&format!("/api/v1/policies/{policy}"))?)
        }
        PolicyCommand::Load { file, activate, bring } => {
            let file = file.to_string_lossy();
            let answer = bring::run(client, &file, activate.as_deref(), None, &bring)?;
            let loaded = answer.get("policy").unwrap_or(&answer);
            let name = format!("{} {}", text(loaded, "name"), text(loaded, "version"));
            let line = match activate {
                Some(slot) => format!("{name} is active in {slot}"),
                None => format!(
                    "{name} is loaded; activate it with `pilothouse policy activate SLOT {}`",
                    text(loaded, "name")
                ),
            };
            Report::new(answer, line)
        }
        PolicyCommand::Activate { slot, policy, settings, force, bring } if bring::is_upload(&policy) => {
            anyhow::ensure!(!force, "--force is for a policy that the server knows; name it by its digest");
            let answer = bring::run(client, &policy, Some(&slot), settings.as_deref(), &bring)?;
            let name = format!("{} {}", text(&answer, "policy.name"), text(&answer, "policy.version"));
            let line = format!(
                "{name} ({}) is active in {slot}: {}",
                text(&answer, "policy.digest"),
                workers(answer.get("slot"))
            );
            Report::new(answer, line)
        }
        PolicyCommand::Activate { slot, policy, settings, force, bring } => {
            let signature = bring.signature.as_deref().map(std::fs::read_to_string).transpose()?;
            let settings: Value =
                settings.as_deref().map(serde_json::from_str).transpose()?.unwrap_or(Value::Null);
            let body = json!({
                "policy": policy,
                "settings": settings,
                "force": force,
                "signature": signature,
                "allow_downgrade": bring.allow_downgrade,
            });
            let answer = client.post(&format!("/api/v1/slots/{slot}/activate"), &body)?;
            let line = format!("{policy} is active in {slot}: {}", workers(Some(&answer)));
            Report::new(answer, line)
        }
        PolicyCommand::Rollback { slot } => {
            let answer = client.post(&format!("/api/v1/slots/{slot}/rollback"), &Value::Null)?;
            let line = format!("{} is active in {slot} again", text(&answer, "active.policy"));
            Report::new(answer, line)
        }
        PolicyCommand::History { slot } => {
            Report::list(client.get(&format!("/api/v1/slots/{slot}/history"))?, "history", HISTORY)
        }
        other => anyhow::bail!("{other:?} is not a question to a server"),
    })
}

fn workers(slot: Option<&Value>) -> String {
    let text = |path| slot.map(|slot| text(slot, path)).unwrap_or_default();
    format!("served by {} of {} workers", text("serving.workers"), text("serving.of"))
}

fn flow(answer: Value) -> Report {
    let mut lines = vec![format!(
        "{} by {}, one of {} eligible; valid for {} ms",
        text(&answer, "reason"),
        text(&answer, "policy"),
        text(&answer, "eligible"),
        text(&answer, "ttl_ms"),
    )];
    for (list, word) in [("targets", "to"), ("fallbacks", "else")] {
        for target in answer.get(list).and_then(Value::as_array).into_iter().flatten() {
            let share = target.get("share").and_then(Value::as_f64).unwrap_or_default() * 100.0;
            let (member, region) = (text(target, "member"), text(target, "region"));
            lines.push(format!(
                "  {word} {member} ({region}): {share:.0} %, {} ms away",
                text(target, "rtt_ms")
            ));
        }
    }
    Report::new(answer, lines.join("\n"))
}

fn decision(answer: Value) -> Report {
    let mut lines = vec![
        format!("{} ({})", text(&answer, "member"), text(&answer, "region")),
        format!(
            "  {} by {} {}, score {}, one of {} eligible, {} µs, {}",
            text(&answer, "reason"),
            text(&answer, "policy"),
            text(&answer, "version"),
            text(&answer, "score"),
            text(&answer, "eligible"),
            text(&answer, "took_us"),
            text(&answer, "id"),
        ),
    ];
    for alternative in answer.get("alternatives").and_then(Value::as_array).into_iter().flatten() {
        let factors: Vec<String> = alternative
            .get("factors")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(name, _)| format!("{name} {}", text(alternative, &format!("factors.{name}"))))
            .collect();
        lines.push(format!(
            "  or {}: score {}; {}",
            text(alternative, "member"),
            text(alternative, "score"),
            factors.join(", ")
        ));
    }
    Report::new(answer, lines.join("\n"))
}
