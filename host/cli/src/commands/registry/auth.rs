//! What a registry wants to be shown: nothing, a password, or a token that it names a place for.

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// A registry's demand, from `WWW-Authenticate`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// Name and password with every request.
    Basic,
    /// A token from this address.
    Token(String),
}

/// Reads the header of a 401.
pub(super) fn demand(header: &str) -> anyhow::Result<Demand> {
    let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return Ok(Demand::Basic);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        bail!("the registry wants `{}`, which is not known here", scheme.escape_debug());
    }
    let value = |name: &str| {
        let (_, after) = rest.split_once(&format!("{name}=\""))?;
        after.split_once('"').map(|(value, _)| value)
    };
    let realm = value("realm").context("the registry wants a token and does not say where to get it")?;
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    let mut url = realm.to_owned();
    for name in ["service", "scope"] {
        if let Some(value) = value(name) {
            let joint = if url.contains('?') { '&' } else { '?' };
            url = format!("{url}{joint}{name}={value}");
        }
    }
    ensure!(plain(&url), "the registry names a bad address for tokens");
    Ok(Demand::Token(url))
}

/// The value of an `Authorization` header.
pub(super) fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{password}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demands_are_read() {
        let token = |url: &str| Demand::Token(url.to_owned());
        for (header, expected) in [
            ("Basic realm=\"x\"", Demand::Basic),
            (
                "Bearer realm=\"https://auth.example/token\",service=\"r\",scope=\"repository:a/b:pull\"",
                token("https://auth.example/token?service=r&scope=repository:a/b:pull"),
            ),
            ("bearer realm=\"https://auth.example/token?x=1\"", token("https://auth.example/token?x=1")),
        ] {
            assert_eq!(demand(header).unwrap(), expected, "{header}");
        }
        for bad in ["", "Negotiate", "Bearer service=\"x\"", "Bearer realm=\"https://a b\""] {
            assert!(demand(bad).is_err(), "{bad}");
        }
    }
}
