//! Where a member can be probed: taken from the endpoint that it registered, and from nothing else.

/// A place to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// `host:port`.
    pub(super) address: String,
    /// `http` or `https`.
    scheme: &'static str,
}

impl Endpoint {
    /// Reads `host:port`, `http://host[:port]` or `https://host[:port]`; `None` if there is nothing to connect to.
    pub(super) fn parse(endpoint: &str) -> Option<Self> {
        let (scheme, default_port, rest) = match endpoint.split_once("://") {
            None => ("http", None, endpoint),
            Some(("http", rest)) => ("http", Some(80), rest),
            Some(("https", rest)) => ("https", Some(443), rest),
            Some(_) => return None,
        };
        let authority: ureq::http::uri::Authority = rest.split(['/', '?', '#']).next()?.parse().ok()?;
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return None;
        }
        // What the authority does not know as a port is no reason to try another one.
        let port: u16 = match authority.as_str().strip_prefix(authority.host())? {
            "" => default_port?,
            port => port.strip_prefix(':')?.parse().ok()?,
        };
        Some(Self { address: format!("{}:{port}", authority.host()), scheme })
    }

    /// The address of a path there.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}://{}/{}", self.scheme, self.address, path.trim_start_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_an_address_or_nothing_to_probe() {
        for (endpoint, wanted) in [
            ("10.0.0.2:8151", Some("http://10.0.0.2:8151/healthz")),
            ("http://c1.example", Some("http://c1.example:80/healthz")),
            ("https://c1.example/base?x", Some("https://c1.example:443/healthz")),
            ("https://[::1]:9000", Some("https://[::1]:9000/healthz")),
            ("c1.example", None),
            ("ftp://c1.example:21", None),
            ("https://user:word@c1.example", None),
            ("http://c1.example:99999", None),
            ("http://:80", None),
            ("http://a b", None),
            ("", None),
        ] {
            let url = Endpoint::parse(endpoint).map(|endpoint| endpoint.url("/healthz"));
            assert_eq!(url.as_deref(), wanted, "{endpoint}");
        }
    }
}
