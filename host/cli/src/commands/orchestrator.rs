//! `orchestrator`: peers, delegated tasks and broadcasts.
//!
//! arguments -> `/api/v1/orchestrator/...` -> a table or a line
//!
//! Invariant: JSON of the arguments is checked here, so a typing error never leaves the machine.

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::args::orchestrator::{DelegateArgs, How, OrchestratorCommand, TaskArgs};
use crate::client::Client;
use crate::output::{Report, note, text};

const PEERS: &[(&str, &str)] = &[
    ("PEER", "id"),
    ("STATUS", "status"),
    ("URL", "url"),
    ("UPTIME MS", "uptime_ms"),
    ("SENT", "messages_sent"),
    ("RECEIVED", "messages_received"),
    ("ERRORS", "errors"),
    ("QUEUED", "queued"),
    ("TASKS", "outstanding"),
    ("CAPABILITIES", "capabilities"),
];
const TASKS: &[(&str, &str)] = &[
    ("TASK", "id"),
    ("ORIGIN", "origin"),
    ("PRIORITY", "priority"),
    ("STATUS", "status"),
    ("MEMBER", "member"),
    ("PEER", "orchestrator"),
    ("PERCENT", "progress"),
    ("REASON", "reason"),
    ("DEADLINE", "deadline"),
];

const ROOT: &str = "/api/v1/orchestrator";

pub(super) fn run(client: &Client, command: &OrchestratorCommand) -> anyhow::Result<Report> {
    Ok(match command {
        OrchestratorCommand::Peers => {
            let answer = client.get(&format!("{ROOT}/peers"))?;
            note(&format!("{} offers {}", text(&answer, "id"), text(&answer, "capabilities")));
            Report::list(answer, "peers", PEERS)
        }
        OrchestratorCommand::Delegate(args) => {
            let answer = client.post(&format!("{ROOT}/tasks"), &body(args)?)?;
            delegated(answer)
        }
        OrchestratorCommand::Tasks => Report::list(client.get(&format!("{ROOT}/tasks"))?, "tasks", TASKS),
        OrchestratorCommand::Status(task) => Report::fields(client.get(&path(task, ""))?),
        OrchestratorCommand::Report(args) => {
            let answer = client.post(&path(&args.task, "/progress"), &news(&args.how)?)?;
            let line = format!("{} is {}", text(&answer, "id"), text(&answer, "status"));
            Report::new(answer, line)
        }
        OrchestratorCommand::Broadcast { topic, data, ttl_ms } => {
            let body = json!({ "topic": topic, "data": parsed("the data", data)?, "ttl_ms": ttl_ms });
            Report::fields(client.post(&format!("{ROOT}/broadcasts"), &body)?)
        }
    })
}

fn parsed(what: &str, json: &str) -> anyhow::Result<Value> {
    serde_json::from_str(json).with_context(|| format!("{what} is not JSON; quote it as in '{{\"a\": 1}}'"))
}

fn body(args: &DelegateArgs) -> anyhow::Result<Value> {
    Ok(json!({
        "id": args.id,
        "type": args.kind,
        "description": args.description,
        "priority": args.priority,
        "capabilities": args.capabilities,
        "tokens": args.tokens,
        "to": args.to,
        "timeout_ms": args.timeout_ms,
        "context": parsed("--context", &args.context)?,
    }))
}

fn news(how: &How) -> anyhow::Result<Value> {
    Ok(match (how.progress, &how.result, &how.error) {
        (Some(percent), ..) => json!({ "status": "progress", "progress": percent }),
        (None, Some(result), _) => json!({ "status": "completed", "result": parsed("--result", result)? }),
        (None, None, error) => json!({ "status": "failed", "error": error }),
    })
}

fn delegated(answer: Value) -> Report {
    let (id, status) = (text(&answer, "id"), text(&answer, "status"));
    let whom = [text(&answer, "member"), text(&answer, "orchestrator")].into_iter().find(|name| name != "-");
    let line = match (status.as_str(), whom) {
        ("refused", _) => format!("{id} is refused: {}", text(&answer, "reason")),
        (_, Some(whom)) => format!("{id} is {status}: {whom}"),
        (_, None) => format!("{id} is {status}"),
    };
    Report::new(answer, line)
}

fn path(task: &TaskArgs, end: &str) -> String {
    let query = task.origin.as_deref().map(|origin| format!("?origin={}", escaped(origin)));
    format!("{ROOT}/tasks/{}{end}{}", escaped(&task.id), query.unwrap_or_default())
}

/// Ids may have marks that mean something in a URL (RFC 3986, 2.3 has those that do not).
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_keep_their_marks_in_a_url() {
        let task = TaskArgs { id: "repo/a#1@b".to_owned(), origin: Some("east:1".to_owned()) };
        let expected = "/api/v1/orchestrator/tasks/repo%2Fa%231%40b/progress?origin=east%3A1";
        assert_eq!(path(&task, "/progress"), expected);
    }
}
