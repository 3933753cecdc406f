//! What a policy is compared with, and how a policy is asked.

use std::collections::VecDeque;

use pilothouse_core::fleet::Fleet;
use pilothouse_core::fleet::builder::FleetBuilder;
use pilothouse_core::fleet::facts::mix;
use pilothouse_core::fleet::geography::Geography;
use pilothouse_core::policy::Scaling;
use pilothouse_core::policy::request::{ScalingRequest, ScalingTarget};

use super::Strategy;
use crate::faults::{Answer, Faults};

/// A policy behind the host's port. What it refuses or breaks leaves the group as it is.
#[derive(Debug)]
pub struct HostedPolicy<'a> {
    port: &'a dyn Scaling,
    fleet: Fleet,
    /// What it broke so far.
    pub faults: Faults,
}

impl<'a> HostedPolicy<'a> {
    /// Asks this policy, with an empty fleet: no column of it bears on the size of a group.
    #[must_use]
    pub fn new(port: &'a dyn Scaling) -> Self {
        let fleet = FleetBuilder::new(Geography::default()).published().clone();
        Self { port, fleet, faults: Faults::default() }
    }
}

impl Strategy for HostedPolicy<'_> {
    fn decide(&mut self, request: &ScalingRequest) -> Option<ScalingTarget> {
        if self.faults.is_exhausted() {
            return None;
        }
        match self.faults.judge(self.port.scale(&self.fleet, request)) {
            Answer::Given(target) => Some(target),
            Answer::Refused | Answer::Broke => None,
        }
    }
}

/// Always the same size.
#[derive(Debug, Clone, Copy)]
pub struct Fixed(pub u32);

impl Strategy for Fixed {
    fn decide(&mut self, _request: &ScalingRequest) -> Option<ScalingTarget> {
        Some(sure(self.0))
    }
}

/// Any size up to a limit, drawn anew every time.
#[derive(Debug, Clone, Copy)]
pub struct Drawn {
    /// The limit.
    pub most: u32,
    /// The draws follow from it.
    pub seed: u64,
}

impl Strategy for Drawn {
    fn decide(&mut self, request: &ScalingRequest) -> Option<ScalingTarget> {
        let drawn = mix(self.seed ^ mix(request.now_ms)) % u64::from(self.most.max(1));
        Some(sure(u32::try_from(drawn).unwrap_or(self.most) + 1))
    }
}

/// Size by utilisation as Kubernetes' `HorizontalPodAutoscaler` does: `ceil(replicas * utilisation / target)` with a
/// tolerance of 0.1, starting replicas counted as idle, at most double (or 4 more) at once, down only to the largest
/// recommendation of a while.
#[derive(Debug, Clone)]
pub struct Utilisation {
    target: f64,
    recent: Recent,
}

impl Utilisation {
    /// Keeps utilisation at `target`, scales down after `stable_s`.
    #[must_use]
    pub fn new(target: f64, stable_s: u32) -> Self {
        Self { target, recent: Recent::over(stable_s) }
    }
}

impl Strategy for Utilisation {
    fn decide(&mut self, request: &ScalingRequest) -> Option<ScalingTarget> {
        let last = request.samples.last()?;
        let busy = f64::from(last.utilisation) * f64::from(last.ready_replicas);
        let ready = busy / f64::from(last.ready_replicas) / self.target;
        let all = busy / f64::from(request.replicas) / self.target;
        // Starting replicas are idle, so they can only turn "up" into "stay".
        let ratio = if ready > 1.0 { all.max(1.0) } else { ready };
        let wanted = if (ratio - 1.0).abs() <= 0.1 || ratio.is_nan() {
            request.replicas
        } else {
            up(ratio * f64::from(request.replicas))
                .min(request.replicas.saturating_mul(2).max(request.replicas + 4))
        };
        Some(sure(self.recent.stabilised(request, wanted)))
    }
}

/// Size by the rate of arrivals: `ceil((arrivals + waiting / drain) / (served * target))`, down only to the largest
/// recommendation of a while.
#[derive(Debug, Clone)]
pub struct HeadRoom {
    target: f64,
    drain_s: f64,
    recent: Recent,
}

impl HeadRoom {
    /// Keeps replicas at `target` of what they can serve, drains the queue in `drain_s` (infinite: leaves it), scales
    /// down after `stable_s`.
    #[must_use]
    pub fn new(target: f64, drain_s: f64, stable_s: u32) -> Self {
        Self { target, drain_s, recent: Recent::over(stable_s) }
    }
}

impl Strategy for HeadRoom {
    fn decide(&mut self, request: &ScalingRequest) -> Option<ScalingTarget> {
        let last = request.samples.last()?;
        let rate = f64::from(last.arrivals_per_s) + f64::from(last.queue_depth) / self.drain_s;
        let wanted = up(rate * f64::from(last.service_ms) / 1_000.0 / self.target);
        Some(sure(self.recent.stabilised(request, wanted)))
    }
}

/// Recommendations of the last while.
#[derive(Debug, Clone)]
struct Recent {
    over_ms: u64,
    wanted: VecDeque<(u64, u32)>,
}

impl Recent {
    fn over(seconds: u32) -> Self {
        Self { over_ms: u64::from(seconds) * 1_000, wanted: VecDeque::new() }
    }

    fn stabilised(&mut self, request: &ScalingRequest, wanted: u32) -> u32 {
        self.wanted.push_back((request.now_ms, wanted));
        self.wanted.retain(|(at_ms, _)| at_ms + self.over_ms >= request.now_ms);
        let largest = self.wanted.iter().map(|(_, wanted)| *wanted).max().unwrap_or(wanted);
        // Down only to the largest, up at once.
        largest.min(request.replicas.max(wanted))
    }
}

fn up(replicas: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates; NaN becomes 0")]
    let whole = replicas.ceil() as u32;
    whole
}

const fn sure(replicas: u32) -> ScalingTarget {
    ScalingTarget { replicas, confidence: 1.0, forecast_per_s: f32::NAN, reason: 0 }
}
