//! `keys`: whose signatures a server believes.

use anyhow::Context as _;
use pilothouse_trust::PublicKey;
use serde_json::{Value, json};

use super::read;
use crate::args::trust::KeysCommand;
use crate::client::Client;
use crate::output::{Report, text};

const KEYS: &[(&str, &str)] = &[
    ("NAME", "name"),
    ("KEY", "id"),
    ("ADDED", "added_at"),
    ("BY", "added_by"),
    ("REVOKED", "revoked.at"),
    ("BY", "revoked.by"),
    ("REASON", "revoked.reason"),
];

pub(in crate::commands) fn run(client: &Client, command: KeysCommand) -> anyhow::Result<Report> {
    Ok(match command {
        KeysCommand::List => Report::list(client.get("/api/v1/keys")?, "keys", KEYS),
        KeysCommand::Add { name, file } => {
            let key = String::from_utf8(read(&file, 4_096)?).context("that is no public key")?;
            let key = PublicKey::parse(&key).with_context(|| format!("cannot use {}", file.display()))?;
            let body = json!({ "name": name, "public_key": key.as_str(), "by": me() });
            let answer = client.post("/api/v1/keys", &body)?;
            let line = format!("key `{name}` ({}) is trusted", text(&answer, "id"));
            Report::new(answer, line)
        }
        KeysCommand::Revoke { name, reason } => {
            let body = json!({ "reason": reason, "by": me() });
            let answer = client.post(&format!("/api/v1/keys/{name}/revoke"), &body)?;
            let line = format!(
                "key `{name}` ({}) is trusted no more; `pilothouse slot list` shows what still stands on it",
                text(&answer, "id")
            );
            Report::new(answer, line)
        }
    })
}

/// Who says that they ask; the server notes it as said, not as proved.
fn me() -> Value {
    let name = std::env::var("USER").ok();
    let is_plain = |name: &String| {
        !name.is_empty()
            && name.len() <= 64
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    name.filter(is_plain).map_or(Value::Null, Value::String)
}
