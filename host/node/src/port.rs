//! What the configuration says of the port: who may use it, and its bounds.
//!
//! Invariant: a port that others can reach has a token or TLS.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use pilothouse_transport::server::{Limits, Protection, bind_allowed};
use pilothouse_transport::tls;

use crate::config::{Config, ServerConfig, TlsConfig};

/// Shortest token, characters.
const TOKEN_LENGTH_MIN: usize = 16;

/// Reads token, certificate and key.
///
/// # Errors
/// The file that cannot be used, or an address that needs one.
pub(crate) fn protection(server: &ServerConfig) -> anyhow::Result<Protection> {
    let token = server.token_file.as_deref().map(read_token).transpose()?;
    bind_allowed(server.listen, token.is_some(), server.tls.is_some())?;
    let acceptor = |TlsConfig { cert_file, key_file }: &TlsConfig| tls::acceptor(cert_file, key_file);
    let tls = server.tls.as_ref().map(acceptor).transpose()?;
    Ok(Protection { token, tls, allowed_hosts: server.allowed_hosts.clone() })
}

fn read_token(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read token file {}", path.display()))?;
    let token = text.trim().to_owned();
    anyhow::ensure!(
        token.len() >= TOKEN_LENGTH_MIN,
        "the token in {} is shorter than {TOKEN_LENGTH_MIN} characters",
        path.display()
    );
    Ok(token)
}

/// The bounds of the port.
pub(crate) fn limits(config: &Config) -> Limits {
    let server = &config.server;
    Limits {
        component_bytes_max: config.policies.bounds().component_bytes,
        connections_max: server.connections_max,
        connections_per_address: server.connections_per_address,
        header_timeout: Duration::from_millis(server.header_timeout_ms),
        idle_timeout: Duration::from_millis(server.idle_timeout_ms),
        request_timeout: Duration::from_millis(server.request_timeout_ms),
        drain: Duration::from_millis(server.drain_ms),
        ..Limits::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bound_of_the_port_is_the_configured_one() {
        let server = ServerConfig {
            connections_max: 1,
            connections_per_address: 2,
            header_timeout_ms: 3,
            idle_timeout_ms: 4,
            request_timeout_ms: 5,
            drain_ms: 6,
            ..ServerConfig::default()
        };
        let config = Config { server, ..Config::default() };
        let Limits { connections_max, connections_per_address, component_bytes_max, .. } = limits(&config);
        let Limits { header_timeout, idle_timeout, request_timeout, drain, .. } = limits(&config);
        assert_eq!((connections_max, connections_per_address, component_bytes_max), (1, 2, 4 << 20));
        let times = [header_timeout, idle_timeout, request_timeout, drain];
        assert_eq!(times, [3, 4, 5, 6].map(Duration::from_millis));
    }
}
