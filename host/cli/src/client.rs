//! Talks to a server's REST API.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// Time for a request; loading a policy may compile for 15 s.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// Nobody answers.
    #[error("no server at {server} ({reason}); start one with `pilothouse serve`, or name it with --server")]
    Unreachable {
        /// The address.
        server: String,
        /// The system's reason.
        reason: String,
    },
    /// The server said no.
    #[error("{detail}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The server's words.
        detail: String,
    },
}

fn certificates(path: &Path) -> anyhow::Result<Vec<Certificate<'static>>> {
    let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let items: Result<Vec<_>, _> = parse_pem(&pem).collect();
    let items = items.with_context(|| format!("{} is not a PEM file", path.display()))?;
    let certificates: Vec<_> = items
        .into_iter()
        .filter_map(|item| match item {
            PemItem::Certificate(certificate) => Some(certificate),
            _ => None,
        })
        .collect();
    anyhow::ensure!(!certificates.is_empty(), "{} has no certificate", path.display());
    Ok(certificates)
}

/// A connection to one server.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    agent: ureq::Agent,
    server: String,
    token: Option<String>,
}

impl Client {
    /// A client; `ca_file` has the certificates to trust instead of the public ones.
    pub(crate) fn new(server: &str, token: Option<String>, ca_file: Option<&Path>) -> anyhow::Result<Self> {
        let roots = match ca_file {
            Some(path) => RootCerts::new_with_certs(&certificates(path)?),
            None => RootCerts::WebPki,
        };
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .build();
        Ok(Self { agent: config.into(), server: server.trim_end_matches('/').to_owned(), token })
    }

    pub(crate) fn get(&self, path: &str) -> Result<Value, ClientError> {
        self.finish(self.authorised(self.agent.get(self.url(path))).call())
    }

    pub(crate) fn delete(&self, path: &str) -> Result<Value, ClientError> {
        self.finish(self.authorised(self.agent.delete(self.url(path))).call())
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        self.finish(self.authorised(self.agent.post(self.url(path))).send_json(body))
    }

    /// Sends a component, with the signature file that vouches for it.
    pub(crate) fn upload(
        &self,
        path: &str,
        bytes: &[u8],
        signature: Option<&[u8]>,
    ) -> Result<Value, ClientError> {
        let request = self.authorised(self.agent.post(self.url(path))).content_type("application/wasm");
        let request = match signature {
            Some(signature) => request.header("Pilothouse-Signature", BASE64_STANDARD.encode(signature)),
            None => request,
        };
        self.finish(request.send(bytes))
    }

    /// An answer that does not end, as lines.
    pub(crate) fn stream(&self, path: &str) -> Result<impl std::io::Read + use<>, ClientError> {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let response =
            self.authorised(agent.get(self.url(path))).call().map_err(|error| self.unreachable(&error))?;
        Ok(response.into_body().into_reader())
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server)
    }

    fn authorised<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.token {
            Some(token) => request.header("Authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    fn unreachable(&self, error: &ureq::Error) -> ClientError {
        ClientError::Unreachable { server: self.server.clone(), reason: error.to_string() }
    }

    fn finish(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Value, ClientError> {
        let mut response = answer.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let text = response.body_mut().read_to_string().map_err(|error| self.unreachable(&error))?;
        let value: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(value);
        }
        let said = value.get("detail").or_else(|| value.get("error")).and_then(Value::as_str);
        let detail = said.map_or_else(|| format!("the server answered {status}"), str::to_owned);
        Err(ClientError::Refused { status: status.as_u16(), detail })
    }
}
