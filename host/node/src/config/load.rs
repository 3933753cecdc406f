//! Reads and checks configuration text; says what is wrong, where, and what would be right.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use pilothouse_core::id::{Label, MemberId};
use pilothouse_core::setting::SettingError;

use super::Config;

/// Largest configuration file, bytes.
const CONFIG_BYTES_MAX: u64 = 1 << 20;
/// Fastest clock of a rehearsal: beyond it a loop's shortest wait is longer than what it waits for.
const TIME_FACTOR_MAX: u64 = 3_600;

/// Why a configuration is no good.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read configuration file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The file is too large to be a configuration.
    #[error("configuration file {} has {bytes} bytes, at most {CONFIG_BYTES_MAX} are read", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// Not TOML, an unknown key, or a value of the wrong type. The text has line, column and key.
    #[error("configuration is not valid:\n{0}")]
    Syntax(Box<toml::de::Error>),
    /// A value that its type allows and its meaning does not.
    #[error("`{key}` is {value}: {problem}")]
    Value {
        /// Path of the key.
        key: String,
        /// The value given.
        value: String,
        /// What is wrong and what would be right.
        problem: String,
    },
}

/// Reads a file; no file means the defaults.
///
/// # Errors
/// [`ConfigError`] with the place.
pub fn load(path: Option<&Path>) -> Result<Config, ConfigError> {
    let Some(path) = path else { return Ok(Config::default()) };
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
    if bytes > CONFIG_BYTES_MAX {
        return Err(ConfigError::TooLarge { path: path.to_owned(), bytes });
    }
    parse(&std::fs::read_to_string(path).map_err(unreadable)?)
}

/// Reads text.
///
/// # Errors
/// [`ConfigError`] with the place.
pub fn parse(text: &str) -> Result<Config, ConfigError> {
    let config: Config = toml::from_str(text).map_err(|error| ConfigError::Syntax(Box::new(error)))?;
    check(&config)?;
    Ok(config)
}

/// Checks values against their meaning.
///
/// # Errors
/// [`ConfigError::Value`] for the first bad one.
pub fn check(config: &Config) -> Result<(), ConfigError> {
    let Config { server, registry, policies, scaling, rebalance, failover, failback, regions, rtt, .. } =
        config;
    rebalance.rules().check().map_err(|error| out_of_range("rebalance", &error))?;
    failover.check()?;
    failback.check()?;
    if let Some(url) = &scaling.webhook
        && !(url.starts_with("http://") || url.starts_with("https://"))
    {
        return Err(bad("scaling.webhook", url, "use http://HOST:PORT/PATH"));
    }
    name("server.node-id", &server.node_id, |text| MemberId::parse(text).map(drop))?;
    at_least("server.connections-max", server.connections_max as u64, 1)?;
    at_least("server.connections-per-address", server.connections_per_address as u64, 1)?;
    for (index, host) in server.allowed_hosts.iter().enumerate() {
        host_name(&format!("server.allowed-hosts.{index}"), host)?;
    }
    at_least("server.time-factor", server.time_factor.into(), 1)?;
    at_most("server.time-factor", server.time_factor.into(), TIME_FACTOR_MAX)?;
    if server.time_factor > 1 && !server.listen.ip().is_loopback() {
        let problem = "a rehearsal listens on loopback only; use 1, or set server.listen to 127.0.0.1:PORT";
        return Err(bad("server.time-factor", server.time_factor, problem));
    }
    at_least("server.header-timeout-ms", server.header_timeout_ms, 10)?;
    at_least("server.idle-timeout-ms", server.idle_timeout_ms, 10)?;
    at_least("server.request-timeout-ms", server.request_timeout_ms, 10)?;
    at_least("registry.publish-interval-ms", registry.publish_interval_ms, 1)?;
    at_least("registry.probe-interval-ms", registry.probe_interval_ms, 100)?;
    at_least("registry.offline-after-ms", registry.offline_after_ms, registry.heartbeat_interval_ms)?;
    at_least("registry.remove-after-ms", registry.remove_after_ms, registry.offline_after_ms)?;
    share("registry.mass-loss-share", registry.mass_loss_share)?;
    for (place, set) in [("degraded", &registry.health.degraded), ("unhealthy", &registry.health.unhealthy)] {
        for (key, value) in
            [("cpu", set.cpu), ("memory", set.memory), ("disk", set.disk), ("error-rate", set.error_rate)]
        {
            share(&format!("registry.health.{place}.{key}"), value)?;
        }
    }
    at_least("policies.poll-interval-ms", policies.poll_interval_ms, 50)?;
    at_least("policies.state-flush-ms", policies.state_flush_ms, 10)?;
    at_least("policies.decisions-kept", policies.decisions_kept as u64, 1)?;
    for (key, budget) in [
        ("balancing-budget", &policies.balancing_budget),
        ("placement-budget", &policies.placement_budget),
        ("routing-budget", &policies.routing_budget),
        ("scaling-budget", &policies.scaling_budget),
    ] {
        at_least(&format!("policies.{key}.fuel"), budget.fuel, 1_000)?;
        at_least(&format!("policies.{key}.deadline-ms"), budget.deadline_ms, 1)?;
        at_least(&format!("policies.{key}.memory-mib"), budget.memory_mib.into(), 1)?;
        at_most(&format!("policies.{key}.memory-mib"), budget.memory_mib.into(), 64)?;
    }
    for (region, place) in regions {
        name(&format!("regions.{region}"), region, |text| Label::parse(text).map(drop))?;
        within(&format!("regions.{region}.latitude"), place.latitude, 90.0)?;
        within(&format!("regions.{region}.longitude"), place.longitude, 180.0)?;
    }
    for (index, pair) in rtt.iter().enumerate() {
        name(&format!("rtt.{index}.from"), &pair.from, |text| Label::parse(text).map(drop))?;
        name(&format!("rtt.{index}.to"), &pair.to, |text| Label::parse(text).map(drop))?;
        if !(pair.ms.is_finite() && pair.ms >= 0.0) {
            return Err(bad(&format!("rtt.{index}.ms"), pair.ms, "use a number of ms from 0"));
        }
    }
    Ok(())
}

pub(super) fn out_of_range(section: &str, error: &SettingError) -> ConfigError {
    let key = format!("{section}.{}", error.field.replace('_', "-"));
    bad(&key, error.value, &format!("use {} to {}", error.low, error.high))
}

pub(super) fn bad(key: &str, value: impl ToString, problem: &str) -> ConfigError {
    ConfigError::Value { key: key.to_owned(), value: value.to_string(), problem: problem.to_owned() }
}

fn name<E: ToString>(
    key: &str,
    text: &str,
    parse: impl Fn(&str) -> Result<(), E>,
) -> Result<(), ConfigError> {
    parse(text).map_err(|error| bad(key, text, &error.to_string()))
}

/// A name as in a URL, or an address; ports and patterns are not part of it.
fn host_name(key: &str, text: &str) -> Result<(), ConfigError> {
    let is_name = || text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    if text.parse::<IpAddr>().is_ok() || (!text.is_empty() && is_name()) {
        return Ok(());
    }
    Err(bad(key, text, "use a name such as leader.example, or an address; without port"))
}

fn at_least(key: &str, value: u64, least: u64) -> Result<(), ConfigError> {
    if value < least { Err(bad(key, value, &format!("use at least {least}"))) } else { Ok(()) }
}

fn at_most(key: &str, value: u64, most: u64) -> Result<(), ConfigError> {
    if value > most { Err(bad(key, value, &format!("use at most {most}"))) } else { Ok(()) }
}

fn share(key: &str, value: f32) -> Result<(), ConfigError> {
    if (0.0..=1.0).contains(&value) { Ok(()) } else { Err(bad(key, value, "use a share from 0 to 1")) }
}

fn within(key: &str, value: f64, limit: f64) -> Result<(), ConfigError> {
    if value.abs() <= limit { Ok(()) } else { Err(bad(key, value, &format!("use -{limit} to {limit}"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn the_default_is_valid_and_empty_text_is_the_default() {
        assert_eq!(parse("").unwrap(), Config::default());
        check(&Config::default()).unwrap();
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        for (text, wanted) in [
            ("[server]\nlistenn = \"x\"", "unknown field `listenn`"),
            ("[server]\nlisten = \"nonsense\"", "line 2"),
            ("[server]\nnode-id = \"a b\"", "server.node-id"),
            (
                "[server]\nallowed-hosts = [\"leader\", \"a:80\"]",
                "server.allowed-hosts.1` is a:80: use a name",
            ),
            ("[server]\nallowed-hosts = [\"*.example\"]", "server.allowed-hosts.0"),
            ("[server]\nconnections-per-address = 0", "server.connections-per-address"),
            ("[server]\ntime-factor = 0", "server.time-factor` is 0: use at least 1"),
            ("[server]\ntime-factor = 3601", "server.time-factor` is 3601: use at most 3600"),
            ("[server]\ntime-factor = 2\nlisten = \"0.0.0.0:8151\"", "a rehearsal listens on loopback only"),
            ("[server]\nidle-timeout-ms = 0", "server.idle-timeout-ms"),
            ("[failover]\nheadroom-share = 1.5", "failover.headroom-share` is 1.5: use 0 to 1"),
            ("[failover]\nfailover-threshold = 101.0", "failover.failover-threshold` is 101: use 0 to 100"),
            ("[failover.detection]\nphi-dead = 2.0", "failover.detection.phi-dead` is 2: use 5 to 20"),
            ("[failback]\nper-minute = 0", "failback.per-minute` is 0: use 1 to 10000"),
            ("[chaos]\nenable = true", "unknown field `enable`"),
            ("[registry]\noffline-after-ms = 1", "registry.offline-after-ms` is 1: use at least 30000"),
            ("[registry]\nmass-loss-share = nan", "registry.mass-loss-share"),
            ("[regions.x]\nlatitude = 91.0\nlongitude = 0.0", "regions.x.latitude"),
            ("[[rtt]]\nfrom = \"a\"\nto = \"b\"\nms = -1.0", "rtt.0.ms"),
        ] {
            let error = refused(text);
            assert!(error.contains(wanted), "{text:?} gave {error:?}");
        }
    }
}
