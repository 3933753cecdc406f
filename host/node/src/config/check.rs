//! What values mean: the first one that its type allows and its meaning does not is named with what would be right.
//!
//! Invariant: a configuration that passes here starts a server; nothing is corrected silently.

use std::net::IpAddr;

use pilothouse_core::id::{Label, MemberId};
use pilothouse_core::policy::Family;
use pilothouse_core::scaling::REPLICAS_MAX;
use pilothouse_core::setting::SettingError;

use super::{
    Config, ConfigError, PlacementConfig, PoliciesConfig, RegistryConfig, RoutingConfig, ScalingConfig,
    ServerConfig,
};

/// Most probes in a period: as many members as are remembered of a region.
const PROBES_MAX: u64 = 1_024;
/// Fastest clock of a rehearsal: beyond it a loop's shortest wait is longer than what it waits for.
const TIME_FACTOR_MAX: u64 = 3_600;
/// Longest cooldown, ms: a day.
const COOLDOWN_MS_MAX: u64 = 86_400_000;
/// Largest step of queue-depth, as its settings say.
const INCREMENT_MAX: f64 = 10_000.0;
/// Largest threshold of queue-depth, as its settings say.
const DEPTH_MAX: f64 = 1e9;

/// Checks values against their meaning.
///
/// # Errors
/// [`ConfigError::Value`] for the first bad one.
pub fn check(config: &Config) -> Result<(), ConfigError> {
    let Config {
        server,
        registry,
        policies,
        balancing,
        placement,
        routing,
        scaling,
        rebalance,
        failover,
        failback,
        chaos: _,
        federation,
        regions,
        rtt,
    } = config;
    algorithm(Family::Balancing, &balancing.algorithm)?;
    check_placement(placement)?;
    check_routing(routing)?;
    check_scaling(scaling)?;
    let rules = rebalance.rules(placement.max_concurrent_migrations);
    rules.check().map_err(|error| out_of_range("rebalance", &error))?;
    failover.check()?;
    failback.check()?;
    super::federation::check(federation)?;
    check_server(server)?;
    check_registry(registry)?;
    check_policies(policies)?;
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

fn check_server(server: &ServerConfig) -> Result<(), ConfigError> {
    name("server.node-id", &server.node_id, |text| MemberId::parse(text).map(drop))?;
    for (key, text) in [("server.region", &server.region), ("server.zone", &server.zone)] {
        name(key, text.as_deref().unwrap_or("none"), |text| Label::parse(text).map(drop))?;
    }
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
    Ok(())
}

fn check_registry(registry: &RegistryConfig) -> Result<(), ConfigError> {
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
    Ok(())
}

fn check_policies(policies: &PoliciesConfig) -> Result<(), ConfigError> {
    at_least("policies.poll-interval-ms", policies.poll_interval_ms, 50)?;
    at_least("policies.state-flush-ms", policies.state_flush_ms, 10)?;
    at_least("policies.decisions-kept", policies.decisions_kept as u64, 1)?;
    policies.trust.rules()?;
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
    Ok(())
}

/// A policy that the host ships with.
fn algorithm(family: Family, name: &str) -> Result<(), ConfigError> {
    let known = || pilothouse_policies::ALL.iter().filter(|policy| policy.family == family.name());
    let name = name.replace('_', "-");
    if known().any(|policy| policy.name == name) {
        return Ok(());
    }
    let names: Vec<&str> = known().map(|policy| policy.name).collect();
    let problem = format!(
        "there is no such default policy; use one of {} (others are activated later)",
        names.join(", ")
    );
    Err(bad(&format!("{}.algorithm", family.name()), name, &problem))
}

fn check_placement(placement: &PlacementConfig) -> Result<(), ConfigError> {
    algorithm(Family::Placement, &placement.algorithm)?;
    at_least("placement.max-concurrent-migrations", placement.max_concurrent_migrations as u64, 1)?;
    at_most("placement.max-concurrent-migrations", placement.max_concurrent_migrations as u64, 1_000)
}

fn check_scaling(scaling: &ScalingConfig) -> Result<(), ConfigError> {
    algorithm(Family::Scaling, &scaling.algorithm)?;
    at_least("scaling.max-agents", scaling.max_agents.into(), scaling.min_agents.max(1).into())?;
    at_most("scaling.max-agents", scaling.max_agents.into(), REPLICAS_MAX.into())?;
    at_most("scaling.cooldown-ms", scaling.cooldown_ms.into(), COOLDOWN_MS_MAX)?;
    let own = scaling.own_settings();
    if let Some((key, value)) = own.first().filter(|_| !scaling.is_documented()) {
        let problem = "only the policy queue-depth has this setting; leave it out, or choose queue-depth as \
                       `scaling.algorithm`";
        return Err(bad(&format!("scaling.{key}"), value, problem));
    }
    for (key, value) in &own {
        let highest = if key.starts_with("thresholds.") { DEPTH_MAX } else { INCREMENT_MAX };
        let lowest = if key.starts_with("thresholds.") { 0.0 } else { 1.0 };
        if value.as_f64().is_some_and(|value| !(lowest..=highest).contains(&value)) || value.is_null() {
            return Err(bad(&format!("scaling.{key}"), value, &format!("use {lowest} to {highest}")));
        }
    }
    let depth = |set: Option<f32>, default: f32| set.unwrap_or(default);
    let deep = depth(scaling.thresholds.scale_up_queue_depth, 50.0);
    let shallow = depth(scaling.thresholds.scale_down_queue_depth, 10.0);
    if shallow >= deep {
        let problem = format!("use less than scale-up-queue-depth ({deep})");
        return Err(bad("scaling.thresholds.scale-down-queue-depth", shallow, &problem));
    }
    match &scaling.webhook {
        Some(url) if !(url.starts_with("http://") || url.starts_with("https://")) => {
            Err(bad("scaling.webhook", url, "use http://HOST:PORT/PATH"))
        }
        _ => Ok(()),
    }
}

fn check_routing(routing: &RoutingConfig) -> Result<(), ConfigError> {
    algorithm(Family::Routing, &routing.algorithm)?;
    at_most("routing.probes-per-period", routing.probes_per_period as u64, PROBES_MAX)?;
    at_least("routing.probe-period-ms", routing.probe_period_ms, 10)?;
    at_least("routing.probe-timeout-ms", routing.probe_timeout_ms, 1)?;
    at_most("routing.probe-timeout-ms", routing.probe_timeout_ms, 60_000)?;
    at_least("routing.probes-in-flight", routing.probes_in_flight as u64, 1)?;
    at_most("routing.probes-in-flight", routing.probes_in_flight as u64, 64)?;
    match &routing.probe_path {
        Some(path) if !path.starts_with('/') => Err(bad("routing.probe-path", path, "begin it with `/`")),
        _ => Ok(()),
    }
}

pub(super) fn out_of_range(section: &str, error: &SettingError) -> ConfigError {
    let key = format!("{section}.{}", error.field.replace('_', "-"));
    bad(&key, error.value, &format!("use {} to {}", error.low, error.high))
}

pub(super) fn bad(key: &str, value: impl ToString, problem: &str) -> ConfigError {
    ConfigError::Value { key: key.to_owned(), value: value.to_string(), problem: problem.to_owned() }
}

pub(super) fn name<E: ToString>(
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

pub(super) fn at_least(key: &str, value: u64, least: u64) -> Result<(), ConfigError> {
    if value < least { Err(bad(key, value, &format!("use at least {least}"))) } else { Ok(()) }
}

pub(super) fn at_most(key: &str, value: u64, most: u64) -> Result<(), ConfigError> {
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

    use super::super::parse;

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
            ("[registry]\noffline-after-ms = 1", "registry.offline-after-ms` is 1: use at least 30000"),
            ("[registry]\nmass-loss-share = nan", "registry.mass-loss-share"),
            ("[server]\nregion = \"a b\"", "server.region"),
            ("[routing]\nprobe-path = \"healthz\"", "begin it with `/`"),
            ("[routing]\nprobes-in-flight = 0", "routing.probes-in-flight` is 0: use at least 1"),
            ("[routing]\nalgorithm = \"hybird\"", "geo-proximity, hybrid"),
            ("[placement]\nalgorithm = \"hybrid\"", "placement.algorithm` is hybrid"),
            ("[placement]\nmax_concurrent_migrations = 0", "placement.max-concurrent-migrations` is 0"),
            ("[scaling]\nmaxAgents = 2", "scaling.max-agents` is 2: use at least 5"),
            ("[scaling]\nscale-up-increment = 0", "scaling.scale-up-increment` is 0: use 1 to 10000"),
            ("[scaling]\nalgorithm = \"hybrid\"\nscaleDownIncrement = 3", "only the policy queue-depth"),
            ("[scaling.thresholds]\nscale-down-queue-depth = 60", "use less than scale-up-queue-depth (50)"),
            ("[scaling.thresholds]\nscale-up-queue-depth = nan", "thresholds.scale-up-queue-depth"),
            ("[regions.x]\nlatitude = 91.0\nlongitude = 0.0", "regions.x.latitude"),
            ("[[rtt]]\nfrom = \"a\"\nto = \"b\"\nms = -1.0", "rtt.0.ms"),
        ] {
            let error = refused(text);
            assert!(error.contains(wanted), "{text:?} gave {error:?}");
        }
    }

    #[test]
    fn the_documents_own_spelling_is_accepted() {
        let config = parse(
            "[placement]\nenable_preemption = false\nmax_concurrent_migrations = 3\n[scaling]\nminAgents = 1\n\
             maxAgents = 9\nscaleUpIncrement = 2\nscaleUpAggressiveIncrement = 4\nscaleDownIncrement = 1\n\
             cooldownMs = 5\nenablePredictiveScaling = false\nmultiClusterScaling = false\n\
             thresholds = { scaleUpQueueDepth = 40.0 }",
        );
        let Config { placement, scaling, .. } = config.unwrap();
        assert_eq!((placement.enable_preemption, placement.max_concurrent_migrations), (false, 3));
        assert_eq!((scaling.min_agents, scaling.max_agents, scaling.cooldown_ms), (1, 9, 5));
        assert_eq!(scaling.own_settings().len(), 5);
        assert!(!scaling.multi_cluster_scaling);
    }
}
