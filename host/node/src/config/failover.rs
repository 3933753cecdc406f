//! `[failover]`, `[failback]` and `[chaos]`: when a member counts as dead, where its work goes, and how it comes home.
//!
//! Invariant: every number is checked by the machine that uses it; defaults are the machines' own.

use pilothouse_core::id::Label;
use pilothouse_core::{failback, failover};
use pilothouse_state::detection;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::load::{bad, out_of_range};

/// Failover: when members are dead, and how their work goes elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct FailoverConfig {
    /// Whether it starts without an operator. Otherwise it waits: `pilothouse failover confirm ID`.
    pub auto_failover: bool,
    /// Health of a region, percent of its members that are there, below which not single members are lost but the region: they
    /// wait until other observers agree that it is down, or an operator confirms it.
    pub failover_threshold: f32,
    /// A failover that takes longer than this is reported as overdue, ms. It goes on all the same.
    pub max_failover_time_ms: u64,
    /// How long a detected death waits for the member's return, ms.
    pub confirm_ms: u64,
    /// The same after a restart of this host, when nobody has been heard yet, ms.
    pub reconfirm_ms: u64,
    /// Share of every survivor that stays free, 0..1.
    pub headroom_share: f32,
    /// Most questions to the placement slot at a time.
    pub asks_max: usize,
    /// Most workloads that one survivor takes over at a time.
    pub starts_per_member: usize,
    /// Survivors begin within this time of each other, not all at once, ms.
    pub jitter_ms: u64,
    /// How long a start may take, ms.
    pub start_timeout_ms: u64,
    /// Targets that may fail before a workload is left where it was.
    pub targets_max: u32,
    /// How the silence of a member is judged.
    pub detection: DetectionConfig,
}

/// How the silence of a member is judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct DetectionConfig {
    /// Time between looks at all members, ms.
    pub tick_ms: u64,
    /// If nothing was looked at for longer than this, it was this host that stood still, ms.
    pub lag_max_ms: u64,
    /// How long a new member may take until its first heartbeat, ms.
    pub grace_ms: u64,
    /// Phi from which a member is suspected: that is wrong once in 10^phi, if heartbeats come as they came.
    pub phi_suspect: f32,
    /// Phi below which no member is dead.
    pub phi_dead: f32,
    /// How long a suspicion lasts at least before it is a death, ms.
    pub suspicion_ms: u64,
    /// Whether suspects are asked for a sign of life at their endpoint, beside waiting for heartbeats.
    pub probe: bool,
    /// Time between probes of a suspect, ms.
    pub probe_every_ms: u64,
    /// Probes that must have stayed without an answer.
    pub probes_min: u32,
    /// Brake: if more than this share of the fleet is lost at once, nobody is declared dead, 0..1.
    pub fleet_share: f32,
    /// Brake: fewer lost members than this are no mass failure.
    pub lost_min: usize,
    /// Brake: deaths within this time are "at once", ms.
    pub lost_window_ms: u64,
    /// Region of this host; opinions of observers in other places are worth more.
    pub place: Option<String>,
    /// Observers in different places that must agree before a region is dead, this host included. 1 = this host alone decides.
    pub observers_min: usize,
    /// How long the opinion of another observer counts, ms.
    pub opinion_ms: u64,
    /// How long a member that came back gets no work after its first death, ms; doubles with each.
    pub hold_ms: u64,
    /// Longest such time, ms.
    pub hold_max_ms: u64,
    /// Time without a death after which one is forgotten, ms.
    pub forgive_ms: u64,
}

/// Who decides that a workload goes home.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FailbackMode {
    /// Nobody: nothing is remembered.
    Off,
    /// An operator, home by home: `pilothouse failback approve HOME`.
    #[default]
    Manual,
    /// The home, by staying well for its hold-down.
    Automatic,
}

/// Failback: whether and how fast work goes home.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct FailbackConfig {
    /// off, manual or automatic.
    pub mode: FailbackMode,
    /// Most moves in any minute.
    pub per_minute: usize,
    /// Most moves at a time.
    pub parallel_max: usize,
}

/// Chaos: faults on purpose.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ChaosConfig {
    /// Whether members and regions may be put under faults (`pilothouse chaos`). For tests, never by accident.
    pub enabled: bool,
}

#[expect(clippy::cast_possible_truncation, reason = "settings are written with few digits")]
impl Default for FailoverConfig {
    fn default() -> Self {
        let rules = failover::Rules::default();
        Self {
            auto_failover: rules.automatic,
            failover_threshold: (100.0 - 100.0 * detection::Rules::default().region_share) as f32,
            max_failover_time_ms: 30_000,
            confirm_ms: rules.confirm_ms,
            reconfirm_ms: rules.reconfirm_ms,
            headroom_share: rules.headroom_share,
            asks_max: rules.asks_max,
            starts_per_member: rules.starts_per_member,
            jitter_ms: rules.jitter_ms,
            start_timeout_ms: rules.start_timeout_ms,
            targets_max: rules.targets_max,
            detection: DetectionConfig::default(),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "settings are written with few digits")]
impl Default for DetectionConfig {
    fn default() -> Self {
        let rules = detection::Rules::default();
        Self {
            tick_ms: rules.tick_ms,
            lag_max_ms: rules.lag_max_ms,
            grace_ms: rules.grace_ms,
            phi_suspect: rules.phi_suspect as f32,
            phi_dead: rules.phi_dead as f32,
            suspicion_ms: rules.suspicion_ms,
            probe: true,
            probe_every_ms: rules.probe_every_ms,
            probes_min: rules.probes_min,
            fleet_share: rules.fleet_share as f32,
            lost_min: rules.lost_min,
            lost_window_ms: rules.lost_window_ms,
            place: None,
            observers_min: rules.observers_min,
            opinion_ms: rules.opinion_ms,
            hold_ms: rules.hold_ms,
            hold_max_ms: rules.hold_max_ms,
            forgive_ms: rules.forgive_ms,
        }
    }
}

impl Default for FailbackConfig {
    fn default() -> Self {
        let failback::Rules { per_minute, parallel_max, .. } = failback::Rules::default();
        Self { mode: FailbackMode::default(), per_minute, parallel_max }
    }
}

impl FailoverConfig {
    /// The rules of failovers.
    #[must_use]
    pub fn rules(&self) -> failover::Rules {
        failover::Rules {
            automatic: self.auto_failover,
            confirm_ms: self.confirm_ms,
            reconfirm_ms: self.reconfirm_ms,
            headroom_share: self.headroom_share,
            asks_max: self.asks_max,
            starts_per_member: self.starts_per_member,
            jitter_ms: self.jitter_ms,
            start_timeout_ms: self.start_timeout_ms,
            targets_max: self.targets_max,
        }
    }

    /// The rules of detection, on a clock that runs so many times as fast as the world's: how punctual this host is stays a
    /// matter of the world.
    #[must_use]
    pub fn detection_rules(&self, time_factor: u32) -> detection::Rules {
        let set = &self.detection;
        let factor = u64::from(time_factor.max(1));
        detection::Rules {
            tick_ms: set.tick_ms.saturating_mul(factor),
            lag_max_ms: set.lag_max_ms.saturating_mul(factor),
            grace_ms: set.grace_ms,
            phi_suspect: set.phi_suspect.into(),
            phi_dead: set.phi_dead.into(),
            suspicion_ms: set.suspicion_ms,
            probe_every_ms: set.probe_every_ms,
            probes_min: set.probes_min,
            fleet_share: set.fleet_share.into(),
            region_share: 1.0 - f64::from(self.failover_threshold) / 100.0,
            lost_min: set.lost_min,
            lost_window_ms: set.lost_window_ms,
            observers_min: set.observers_min,
            opinion_ms: set.opinion_ms,
            hold_ms: set.hold_ms,
            hold_max_ms: set.hold_max_ms,
            forgive_ms: set.forgive_ms,
        }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if !(0.0..=100.0).contains(&self.failover_threshold) {
            return Err(bad("failover.failover-threshold", self.failover_threshold, "use 0 to 100"));
        }
        if let Some(place) = &self.detection.place {
            Label::parse(place)
                .map_err(|error| bad("failover.detection.place", place, &error.to_string()))?;
        }
        self.rules().check().map_err(|error| out_of_range("failover", &error))?;
        self.detection_rules(1).check().map_err(|error| out_of_range("failover.detection", &error))
    }
}

impl FailbackConfig {
    /// The rules.
    #[must_use]
    pub fn rules(&self) -> failback::Rules {
        let mode = match self.mode {
            FailbackMode::Off => failback::Mode::Off,
            FailbackMode::Manual => failback::Mode::Manual,
            FailbackMode::Automatic => failback::Mode::Automatic,
        };
        failback::Rules { mode, per_minute: self.per_minute, parallel_max: self.parallel_max }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.rules().check().map_err(|error| out_of_range("failback", &error))
    }
}
