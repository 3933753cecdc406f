//! The names by which a request calls this server.
//!
//! Invariant: a server that trusts everybody on loopback answers only to names that cannot have been made to point here
//! (DNS rebinding): those of loopback, and those that its operator listed. Ports do not matter.

use std::net::IpAddr;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header;
use axum::http::uri::Authority;

/// Names that are answered.
pub(super) struct Names {
    allowed: Vec<String>,
}

impl Names {
    /// Names of loopback, and these.
    pub(super) fn new(allowed: &[String]) -> Self {
        Self { allowed: allowed.to_vec() }
    }

    /// Whether a request calls this server only by names that are answered, and by one at least.
    ///
    /// # Errors
    /// The name that is not.
    pub(super) fn check(&self, request: &Request<Body>) -> Result<(), String> {
        let mut names = called(request).peekable();
        if names.peek().is_none() {
            return Err(String::new());
        }
        match names.find(|name| !self.allows(name)) {
            None => Ok(()),
            Some(name) => Err(name.to_owned()),
        }
    }

    fn allows(&self, authority: &str) -> bool {
        let Ok(authority) = authority.parse::<Authority>() else { return false };
        let name = authority.host().trim_start_matches('[').trim_end_matches(']');
        let is_loopback = name.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
        let is_listed = || self.allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(name));
        is_loopback || name.eq_ignore_ascii_case("localhost") || is_listed()
    }
}

/// Every name in a request: of its target (HTTP/2's `:authority` is there) and its `Host` headers.
fn called(request: &Request<Body>) -> impl Iterator<Item = &str> {
    let hosts = request.headers().get_all(header::HOST).iter();
    // A name that is no text is no name that is answered.
    let hosts = hosts.map(|value| value.to_str().unwrap_or_default());
    request.uri().authority().map(Authority::as_str).into_iter().chain(hosts)
}

/// Whether a page of another site sent this: its origin is not what it calls us.
pub(super) fn is_foreign_page(request: &Request<Body>) -> bool {
    let Some(origin) = request.headers().get(header::ORIGIN) else { return false };
    let site = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, site)| site);
    site.is_none() || site != called(request).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request as HTTP/1 (`/`) or HTTP/2 (with an authority) has it.
    fn request(target: &str, headers: &[(&str, &str)]) -> Request<Body> {
        let request = Request::builder().uri(target);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(Body::empty()).unwrap()
    }

    #[test]
    fn only_names_of_loopback_and_listed_ones_are_answered() {
        let names = Names::new(&["leader".to_owned(), "10.0.0.7".to_owned()]);
        for (name, answered) in [
            ("localhost:8151", true),
            ("LOCALHOST", true),
            ("127.0.0.1:8151", true),
            ("127.9.9.9", true),
            ("[::1]:8151", true),
            ("leader:8151", true),
            ("Leader", true),
            ("10.0.0.7:80", true),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example", false),
            ("evil.example:8151", false),
            ("leader.evil.example", false),
            ("10.0.0.1", false),
            ("[::2]", false),
            ("a b", false),
            ("", false),
        ] {
            assert_eq!(names.check(&request("/", &[("host", name)])).is_ok(), answered, "Host {name}");
            if let Ok(both) = format!("http://{name}/").parse::<axum::http::Uri>() {
                let request = request(&both.to_string(), &[]);
                assert_eq!(names.check(&request).is_ok(), answered, ":authority {name}");
            }
        }
    }

    #[test]
    fn every_name_of_a_request_counts_and_one_is_needed() {
        let names = Names::new(&[]);
        let good = ("host", "localhost");
        for (target, headers, answered) in [
            ("/", vec![], false),
            ("/", vec![good, ("host", "evil.example")], false),
            ("http://evil.example/", vec![good], false),
            ("http://localhost/", vec![("host", "evil.example")], false),
            ("http://localhost/", vec![good], true),
        ] {
            assert_eq!(names.check(&request(target, &headers)).is_ok(), answered, "{target} {headers:?}");
        }
    }

    #[test]
    fn only_pages_of_this_host_may_change_things() {
        for (origin, foreign) in [
            (None, false),
            (Some("http://127.0.0.1:8151"), false),
            (Some("http://evil.example"), true),
            (Some("null"), true),
        ] {
            let headers: Vec<_> = origin.map(|origin| ("origin", origin)).into_iter().collect();
            let http1 = request("/", &[headers.as_slice(), &[("host", "127.0.0.1:8151")]].concat());
            let http2 = request("http://127.0.0.1:8151/", &headers);
            let nameless = request("/", &headers);
            assert_eq!(is_foreign_page(&http1), foreign, "HTTP/1 {origin:?}");
            assert_eq!(is_foreign_page(&http2), foreign, "HTTP/2 {origin:?}");
            assert_eq!(is_foreign_page(&nameless), origin.is_some(), "{origin:?}");
        }
    }
}
