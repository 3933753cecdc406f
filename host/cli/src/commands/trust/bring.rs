//! `policy activate` and `policy load`: a component from a file or a registry into a server, with its signature.

use std::path::Path;

use anyhow::ensure;
use serde_json::Value;

use super::{component, deliver, signature_of};
use crate::args::trust::BringArgs;
use crate::client::Client;
use crate::commands::inspect;

/// How a component from a registry is written where a name could stand.
const OCI: &str = "oci://";

/// Whether the argument means something to upload and not a policy that the server has.
pub(in crate::commands) fn is_upload(policy: &str) -> bool {
    policy.starts_with(OCI) || inspect::is_file(policy)
}

/// Uploads it and makes it active in a slot, if one is named; gives the server's answer.
pub(in crate::commands) fn run(
    client: &Client,
    policy: &str,
    slot: Option<&str>,
    settings: Option<&str>,
    args: &BringArgs,
) -> anyhow::Result<Value> {
    let mut query = vec![format!("allow_downgrade={}", args.allow_downgrade)];
    query.extend(slot.map(|slot| format!("activate={}", escaped(slot))));
    query.extend(settings.map(|settings| format!("settings={}", escaped(settings))));
    let (bytes, signature) = if policy.starts_with(OCI) {
        ensure!(
            args.signature.is_none(),
            "a component from a registry brings its own signature; leave --signature out"
        );
        let pulled = deliver::fetch(policy, args.offline, &args.registry)?;
        crate::output::note(&format!("pulled {}", pulled.pinned));
        query.push(format!("source={}", escaped(&pulled.pinned.to_string())));
        (pulled.component, pulled.signature)
    } else {
        let file = Path::new(policy);
        (component(file)?, signature_of(file, args.signature.as_deref())?)
    };
    Ok(client.upload(&format!("/api/v1/policies?{}", query.join("&")), &bytes, signature.as_deref())?)
}

/// A value as a query may have it.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:".contains(&byte);
    let escape = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped() {
        assert_eq!(escaped("balancing/default"), "balancing/default");
        assert_eq!(escaped("{\"a\": 1&2}ä"), "%7B%22a%22%3A%201%262%7D%C3%A4".replace("%3A", ":"));
    }

    #[test]
    fn names_are_told_from_what_is_uploaded() {
        for (policy, upload) in
            [("weighted", false), ("sha256:00", false), ("mine.wasm", true), ("oci://localhost:1/a:1", true)]
        {
            assert_eq!(is_upload(policy), upload, "{policy}");
        }
    }
}
