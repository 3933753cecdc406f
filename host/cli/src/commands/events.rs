//! `events`: prints what happens, and comes back when the connection breaks.

use std::io::BufReader;

use serde_json::Value;

use crate::client::Client;
use crate::output::{self, Output, data, note, text};

/// Tries to come back before giving up.
const RECONNECTS_MAX: u32 = 10;

pub(super) fn run(
    client: &Client,
    since: Option<u64>,
    no_follow: bool,
    output: Output,
) -> anyhow::Result<()> {
    if no_follow {
        let answer = client.get(&format!("/api/v1/events?format=json&since={}", since.unwrap_or(0)))?;
        let events = answer.get("events").and_then(Value::as_array).cloned().unwrap_or_default();
        return events.iter().try_for_each(|event| print(event, output));
    }
    let (mut last, mut failures) = (since, 0);
    loop {
        let query = last.map(|last| format!("?since={last}")).unwrap_or_default();
        match client.stream(&format!("/api/v1/events{query}")) {
            Ok(stream) => {
                failures = 0;
                follow(BufReader::new(stream), output, &mut last)?;
                note("the connection ended; coming back");
            }
            Err(error) if failures >= RECONNECTS_MAX => return Err(error.into()),
            Err(_) => failures += 1,
        }
        std::thread::park_timeout(std::time::Duration::from_millis(500));
    }
}

fn follow(stream: impl std::io::BufRead, output: Output, last: &mut Option<u64>) -> anyhow::Result<()> {
    for line in stream.lines() {
        let Ok(line) = line else { break };
        let Some(event) =
            line.strip_prefix("data: ").and_then(|json| serde_json::from_str::<Value>(json).ok())
        else {
            continue;
        };
        *last = event.get("sequence").and_then(Value::as_u64).or(*last);
        print(&event, output)?;
    }
    Ok(())
}

fn print(event: &Value, output: Output) -> anyhow::Result<()> {
    match output {
        Output::Json => data(&event.to_string()),
        Output::Table => data(&format!(
            "{}  {:<20}  {:<28}  {}",
            text(event, "at"),
            text(event, "type"),
            text(event, "subject"),
            summary(event.get("detail").unwrap_or(&Value::Null))
        )),
    }
}

fn summary(detail: &Value) -> String {
    let fields = [
        "from",
        "to",
        "member",
        "task",
        "status",
        "progress",
        "topic",
        "why",
        "revision.policy",
        "by",
        "detail",
        "lost",
        "of",
    ];
    let known = fields.iter().map(|field| (*field, output::text(detail, field)));
    let given = known.filter(|(_, value)| value != "-" && !value.is_empty());
    given.map(|(field, value)| format!("{field}={value}")).collect::<Vec<_>>().join(" ")
}
