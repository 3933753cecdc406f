//! The distribution protocol, as much of it as one component needs.
//!
//! Invariant: answers are bounded, requests have a deadline, credentials go to the registry's own host only, and what was
//! asked by digest has it. Plain HTTP is for loopback, or if somebody said so. `host/docs/decisions/0022` says why this is
//! not a library.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use pilothouse_core::id::Digest;
use pilothouse_engine::digest;
use serde::Deserialize;
use ureq::config::RedirectAuthHeaders;
use ureq::http::{Response, StatusCode, header};
use ureq::{Body, RequestBuilder};

use super::artifact::{self, Artifact, MANIFEST, MANIFEST_BYTES_MAX};
use super::auth::{self, Demand};
use super::reference::Reference;
use crate::args::trust::RegistryArgs;

/// Time to reach the registry.
const CONNECT: Duration = Duration::from_secs(10);
/// Most redirects followed: registries keep layers elsewhere.
const REDIRECTS_MAX: u32 = 5;
/// Largest text of an error or a token that is read, bytes.
const TEXT_BYTES_MAX: u64 = 64 << 10;

/// A registry.
pub(in crate::commands) struct Registry {
    agent: ureq::Agent,
    scheme: &'static str,
    host: String,
    credentials: Option<(String, String)>,
    authorization: Option<String>,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Registry {
    pub(in crate::commands) fn connect(reference: &Reference, args: &RegistryArgs) -> anyhow::Result<Self> {
        let plain = args.insecure || is_loopback(reference.host());
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_millis(args.timeout_ms)))
            .timeout_connect(Some(CONNECT))
            .max_redirects(REDIRECTS_MAX)
            .redirect_auth_headers(RedirectAuthHeaders::Never)
            .https_only(!plain)
            .http_status_as_error(false)
            .build();
        let credentials = match (&args.username, &args.password) {
            (Some(username), Some(password)) => Some((username.clone(), password.clone())),
            (None, None) => None,
            _ => bail!("give --username and --password, or neither"),
        };
        let scheme = if plain { "http" } else { "https" };
        let host = reference.host().to_owned();
        Ok(Self { agent: agent.into(), scheme, host, credentials, authorization: None })
    }

    /// Puts an artifact under the reference's tag; gives the manifest's digest.
    pub(in crate::commands) fn push(
        &mut self,
        reference: &Reference,
        artifact: &Artifact,
    ) -> anyhow::Result<Digest> {
        self.push_blob(reference, &artifact.config)?;
        self.push_blob(reference, &artifact.component)?;
        let tag = reference.tag().context("a push needs a tag")?;
        let url = self.url(reference, &format!("manifests/{tag}"));
        let answer = self.ask("push the manifest", |registry| {
            let request = registry.authorised(registry.agent.put(&url)).content_type(MANIFEST);
            request.send(artifact.manifest.as_slice())
        })?;
        expect(answer, &[StatusCode::CREATED], "push the manifest")?;
        Ok(digest(&artifact.manifest))
    }

    fn push_blob(&mut self, reference: &Reference, bytes: &[u8]) -> anyhow::Result<()> {
        let digest = digest(bytes);
        let url = self.url(reference, &format!("blobs/{digest}"));
        let answer =
            self.ask("look for a layer", |registry| registry.authorised(registry.agent.head(&url)).call())?;
        if answer.status() == StatusCode::OK {
            return Ok(());
        }
        let url = self.url(reference, "blobs/uploads/");
        let answer = self
            .ask("begin an upload", |registry| registry.authorised(registry.agent.post(&url)).send_empty())?;
        let answer = expect(answer, &[StatusCode::ACCEPTED], "begin an upload")?;
        let location = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
        let location = self.own(location.context("the registry does not say where to upload")?)?;
        let joint = if location.contains('?') { '&' } else { '?' };
        let url = format!("{location}{joint}digest={digest}");
        let answer = self.ask("upload a layer", |registry| {
            let request = registry.authorised(registry.agent.put(&url));
            request.content_type("application/octet-stream").send(bytes)
        })?;
        expect(answer, &[StatusCode::CREATED], "upload a layer").map(drop)
    }

    /// Gets an artifact and the digest of its manifest.
    pub(in crate::commands) fn pull(&mut self, reference: &Reference) -> anyhow::Result<(Digest, Artifact)> {
        let by = match (reference.digest(), reference.tag()) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.to_owned(),
            (None, None) => bail!("name a tag or a digest: {reference}:TAG or {reference}@sha256:…"),
        };
        let url = self.url(reference, &format!("manifests/{by}"));
        let what = "get the manifest";
        let answer = self.ask(what, |registry| {
            registry.authorised(registry.agent.get(&url)).header(header::ACCEPT, MANIFEST).call()
        })?;
        let manifest = self.body(expect(answer, &[StatusCode::OK], what)?, MANIFEST_BYTES_MAX, what)?;
        let found = digest(&manifest);
        if let Some(wanted) = reference.digest() {
            ensure!(
                found == wanted,
                "the registry's manifest has the digest {found}, not {wanted}; do not use it"
            );
        }
        let described = artifact::describe(&manifest)?;
        let url = self.url(reference, &format!("blobs/{}", described.digest));
        let what = "get the component";
        let answer = self.ask(what, |registry| registry.authorised(registry.agent.get(&url)).call())?;
        let component = self.body(expect(answer, &[StatusCode::OK], what)?, described.size, what)?;
        let found_layer = digest(&component);
        ensure!(
            found_layer == described.digest,
            "the registry's component has the digest {found_layer}, its manifest says {}; do not use it",
            described.digest
        );
        Ok((found, Artifact::of(manifest, described, component)))
    }

    fn url(&self, reference: &Reference, path: &str) -> String {
        format!("{}://{}/v2/{}/{path}", self.scheme, self.host, reference.name())
    }

    /// A place for an upload; elsewhere than in the registry is not gone to.
    fn own(&self, location: &str) -> anyhow::Result<String> {
        let base = format!("{}://{}", self.scheme, self.host);
        match location.strip_prefix(&base) {
            Some(rest) if rest.starts_with('/') => Ok(location.to_owned()),
            _ if location.starts_with('/') => Ok(format!("{base}{location}")),
            _ => bail!("the registry wants the upload at another host; that is not done"),
        }
    }

    /// Asks; what the registry demands to be shown is got once and shown from then on.
    fn ask(
        &mut self,
        what: &str,
        request: impl Fn(&Self) -> Result<Response<Body>, ureq::Error>,
    ) -> anyhow::Result<Response<Body>> {
        let failed = |host: &str, error: ureq::Error| {
            anyhow::anyhow!("cannot {what}: the registry {host} does not answer as it should ({error})")
        };
        let answer = request(self).map_err(|error| failed(&self.host, error))?;
        if answer.status() != StatusCode::UNAUTHORIZED || self.authorization.is_some() {
            return Ok(answer);
        }
        let header = answer.headers().get(header::WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
        let credentials = self.credentials.clone();
        let own = credentials.map(|(username, password)| auth::basic(&username, &password));
        self.authorization = match auth::demand(header.unwrap_or_default())? {
            Demand::Basic => Some(own.context("the registry wants --username and --password")?),
            Demand::Token(url) => Some(self.token(&url, own.as_deref())?),
        };
        request(self).map_err(|error| failed(&self.host, error))
    }

    fn token(&self, url: &str, own: Option<&str>) -> anyhow::Result<String> {
        let request = self.agent.get(url);
        let request = match own {
            Some(own) => request.header(header::AUTHORIZATION, own),
            None => request,
        };
        let answer = request.call().context("cannot get a token for the registry")?;
        let mut answer = expect(answer, &[StatusCode::OK], "get a token")?;
        let text = answer.body_mut().with_config().limit(TEXT_BYTES_MAX).read_to_vec()?;
        let token: Token = serde_json::from_slice(&text).context("the registry's token is none")?;
        let token = token.token.or(token.access_token).context("the registry's answer has no token")?;
        Ok(format!("Bearer {token}"))
    }

    fn authorised<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match &self.authorization {
            Some(authorization) => request.header(header::AUTHORIZATION, authorization),
            None => request,
        }
    }

    fn body(&self, mut answer: Response<Body>, limit: usize, what: &str) -> anyhow::Result<Vec<u8>> {
        // The reader fails at its limit, even if nothing more would come.
        let read = answer.body_mut().with_config().limit(limit as u64 + 1).read_to_vec();
        read.map_err(|error| match error {
            ureq::Error::BodyExceedsLimit(_) => {
                anyhow::anyhow!("cannot {what}: {} sends more than {limit} bytes", self.host)
            }
            error => anyhow::anyhow!("cannot {what}: {} broke off ({error})", self.host),
        })
    }
}

fn expect(mut answer: Response<Body>, expected: &[StatusCode], what: &str) -> anyhow::Result<Response<Body>> {
    let status = answer.status();
    if expected.contains(&status) {
        return Ok(answer);
    }
    let text = answer.body_mut().with_config().limit(TEXT_BYTES_MAX).read_to_string().unwrap_or_default();
    let said: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let message =
        said.pointer("/errors/0/message").and_then(serde_json::Value::as_str).unwrap_or("no reason given");
    let message: String = message.escape_debug().take(200).collect();
    bail!("cannot {what}: the registry answered {status} ({message})")
}

/// Whether a host with or without port is this machine.
fn is_loopback(host: &str) -> bool {
    if let Ok(address) = host.parse::<std::net::SocketAddr>() {
        return address.ip().is_loopback();
    }
    if let Ok(address) = host.parse::<std::net::IpAddr>() {
        return address.is_loopback();
    }
    host.split(':').next() == Some("localhost") || host == "[::1]"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback() {
        for (host, loopback) in [
            ("localhost", true),
            ("localhost:5000", true),
            ("127.0.0.1:5000", true),
            ("[::1]:5000", true),
            ("10.0.0.1:5000", false),
            ("localhost.example", false),
            ("127.0.0.1.example:80", false),
        ] {
            assert_eq!(is_loopback(host), loopback, "{host}");
        }
    }
}
