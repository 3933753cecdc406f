//! Where a component is: `REGISTRY/NAME`, `:TAG`, `@sha256:DIGEST`.
//!
//! Invariant: a reference that exists has only characters that can stand in a URL's path as they are.

use std::fmt;

use pilothouse_core::id::Digest;

/// Longest reference, bytes.
const REFERENCE_BYTES_MAX: usize = 512;
/// Longest tag, by the specification.
const TAG_BYTES_MAX: usize = 128;

/// Why a text is not a reference.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not REGISTRY/NAME:TAG or REGISTRY/NAME@sha256:DIGEST: {problem}")]
pub(in crate::commands) struct ReferenceError {
    text: String,
    problem: &'static str,
}

/// A place in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::commands) struct Reference {
    host: String,
    name: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// A place that cannot mean anything else tomorrow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::commands) struct Pinned {
    host: String,
    name: String,
    digest: Digest,
}

impl Reference {
    /// Reads a reference, with or without `oci://` before it.
    pub(in crate::commands) fn parse(text: &str) -> Result<Self, ReferenceError> {
        let wrong = |problem| ReferenceError { text: text.escape_debug().to_string(), problem };
        if text.len() > REFERENCE_BYTES_MAX {
            return Err(ReferenceError { text: "…".to_owned(), problem: "it is too long" });
        }
        let rest = text.strip_prefix("oci://").unwrap_or(text);
        let (rest, digest) = match rest.split_once('@') {
            None => (rest, None),
            Some((rest, digest)) => {
                let digest =
                    Some(digest).filter(|digest| digest.starts_with("sha256:")).and_then(Digest::parse);
                (rest, Some(digest.ok_or_else(|| wrong("after @ stands sha256: and 64 hex digits"))?))
            }
        };
        let (host, rest) = rest.split_once('/').ok_or_else(|| wrong("the registry comes first, then /"))?;
        if !is_host(host) {
            return Err(wrong("the registry is HOST or HOST:PORT, with a dot, a port, or `localhost`"));
        }
        let (name, tag) = match rest.split_once(':') {
            None => (rest, None),
            Some((name, tag)) => (name, Some(tag.to_owned())),
        };
        if !name.split('/').all(is_part) {
            return Err(wrong(
                "NAME is lower case letters, digits and single . _ - between them, parted by /",
            ));
        }
        if tag.as_deref().is_some_and(|tag| !is_tag(tag)) {
            return Err(wrong(
                "a tag is letters, digits, . _ -, at most 128, and does not begin with . or -",
            ));
        }
        Ok(Self { host: host.to_owned(), name: name.to_owned(), tag, digest })
    }

    /// The registry, with its port.
    pub(in crate::commands) fn host(&self) -> &str {
        &self.host
    }

    /// The name within the registry.
    pub(in crate::commands) fn name(&self) -> &str {
        &self.name
    }

    /// The tag.
    pub(in crate::commands) fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest.
    pub(in crate::commands) fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// Whether it has neither tag nor digest.
    pub(in crate::commands) fn is_bare(&self) -> bool {
        self.tag.is_none() && self.digest.is_none()
    }

    /// The same with a tag.
    pub(in crate::commands) fn with_tag(&self, tag: &str) -> Result<Self, ReferenceError> {
        Self::parse(&format!("{}/{}:{tag}", self.host, self.name))
    }

    /// The same by digest.
    pub(in crate::commands) fn pinned(&self, digest: Digest) -> Pinned {
        Pinned { host: self.host.clone(), name: self.name.clone(), digest }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.name)?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

impl Pinned {
    /// Last part of the name.
    pub(in crate::commands) fn last(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }
}

impl fmt::Display for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.host, self.name, self.digest)
    }
}

fn is_host(text: &str) -> bool {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (text, None),
    };
    let is_plain = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
    };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let is_name = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => is_plain(name),
    };
    is_name
        && port.is_none_or(|port| port.parse::<u16>().is_ok())
        && (port.is_some() || name.contains(['.', ':']) || name == "localhost")
}

fn is_part(part: &str) -> bool {
    let is_word = |word: &str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let edges = [part.chars().next(), part.chars().next_back()];
    edges.iter().all(|edge| edge.is_some_and(|edge| edge.is_ascii_alphanumeric()))
        && part.split(['.', '_', '-']).all(is_word)
        && !part.contains("..")
}

fn is_tag(tag: &str) -> bool {
    tag.len() <= TAG_BYTES_MAX
        && tag.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric() || first == b'_')
        && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_round_trip() {
        let digest = format!("@{}", Digest([3; 32]));
        for text in ["localhost/a", "127.0.0.1:5000/a/b-c_d:1.0.0", "ghcr.io/me/mine", "[::1]:5000/a:_x"] {
            for text in [text.to_owned(), format!("{text}{digest}")] {
                assert_eq!(Reference::parse(&text).unwrap().to_string(), text);
                assert_eq!(Reference::parse(&format!("oci://{text}")).unwrap().to_string(), text);
            }
        }
    }

    #[test]
    fn garbage_is_refused_with_the_reason() {
        for (text, wanted) in [
            ("", "comes first"),
            ("mine:1.0.0", "comes first"),
            ("mine/mine", "HOST"),
            ("http://localhost:5000/a", "HOST"),
            ("localhost:99999/a", "HOST"),
            ("localhost:5000/", "NAME"),
            ("localhost:5000/A", "NAME"),
            ("localhost:5000/../v2/a", "NAME"),
            ("localhost:5000/a//b", "NAME"),
            ("localhost:5000/a?x=1", "NAME"),
            ("localhost:5000/a%2e", "NAME"),
            ("localhost:5000/a\n", "NAME"),
            ("localhost:5000/a:", "tag"),
            ("localhost:5000/a:-x", "tag"),
            ("localhost:5000/a:x y", "tag"),
            ("localhost:5000/a@sha256:12", "64 hex"),
            ("localhost:5000/a@md5:12", "64 hex"),
            (&format!("localhost:5000/a:{}", "x".repeat(129)), "tag"),
            (&format!("localhost:5000/{}", "x".repeat(600)), "too long"),
        ] {
            let said = Reference::parse(text).unwrap_err().to_string();
            assert!(said.contains(wanted), "{text} said {said}");
        }
    }
}
