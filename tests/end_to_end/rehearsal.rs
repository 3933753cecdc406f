//! A running server as a strategy of the lab: the lab has the load, the queue and the replicas, the server decides.
//!
//! sample of a period -> `POST …/samples`, half a period before the server's beat -> its decision -> the count it announces
//!
//! Invariant: a sample is followed by a decision of the server's own loop before the lab goes on. A server that is late
//! decides nothing twice and skips nothing of the load: its clock has a hole then, which [`Rehearsal::beats_missed`] counts.

use std::time::Duration;

use pilothouse_core::policy::request::{ScalingRequest, ScalingSample, ScalingTarget};
use pilothouse_lab::scaling::{Setup, Strategy};
use pilothouse_tests::{Server, wait_for};
use serde_json::{Value, json};

const GROUP: &str = "/api/v1/groups/rehearsed";

/// A server whose clock runs fast, and one of its groups.
pub(crate) struct Rehearsal {
    server: Server,
    factor: u32,
    setup: Setup,
    decisions: u64,
    /// The server's time at the first decision and at the last, ms.
    decided_ms: (u64, u64),
}

impl Rehearsal {
    /// Starts a server that scales with a policy.
    pub(crate) fn start(policy: &str, factor: u32, setup: Setup) -> Self {
        // The deadline is in the world's time: other tests beside this one must not make it a fault.
        let config = format!(
            "[server]\ntime-factor = {factor}\n[scaling]\nalgorithm = \"{policy}\"\n[policies.scaling-budget]\n\
             fuel = 20000000\ndeadline-ms = 10000\nmemory-mib = 16\n"
        );
        let server = Server::start_with(&config).unwrap();
        Self { server, factor, setup, decisions: 0, decided_ms: (0, 0) }
    }

    /// Periods in which this machine was too slow to bring a sample in time.
    pub(crate) fn beats_missed(&self) -> u64 {
        let (first, last) = self.decided_ms;
        let period_ms = u64::from(self.setup.period_s) * 1_000;
        ((last - first + period_ms / 2) / period_ms).saturating_sub(self.decisions)
    }

    fn make_group(&mut self, replicas: u32) {
        let Setup { period_s, start_s, min_replicas, max_replicas, confidence_min, .. } = self.setup;
        // The lab's group has no cooldown and no largest step.
        let spec = json!({
            "name": "rehearsed", "replicas": replicas, "min_replicas": min_replicas, "max_replicas": max_replicas,
            "period_ms": period_s * 1_000, "start_ms": start_s * 1_000, "confidence_min": confidence_min,
            "cooldown_ms": 0, "step_up_max": max_replicas, "step_down_max": max_replicas,
        });
        self.server.ok("POST", "/api/v1/groups", Some(&spec.to_string())).unwrap();
        wait_for(|| self.group()["decided_ms_ago"].is_u64().then_some(())).expect("the beat begins");
        let now_ms = self.server_ms();
        self.decided_ms = (now_ms, now_ms);
    }

    fn group(&self) -> Value {
        self.server.ok("GET", GROUP, None).unwrap()
    }

    /// The server's clock.
    fn server_ms(&self) -> u64 {
        self.server.ok("GET", "/api/v1/status", None).unwrap()["uptime_ms"].as_u64().unwrap()
    }

    /// Lets the server's clock come to the middle between two of its beats.
    fn wait_for_the_middle(&self) {
        let past_ms = self.group()["decided_ms_ago"].as_u64().unwrap();
        let middle = Duration::from_secs(self.setup.period_s.into()) / 2;
        std::thread::park_timeout(middle.saturating_sub(Duration::from_millis(past_ms)) / self.factor);
    }

    fn send(&self, sample: &ScalingSample) {
        let known = |reading: f32| if reading.is_nan() { Value::Null } else { json!(reading) };
        let body = json!({
            "arrivals_per_s": known(sample.arrivals_per_s), "completions_per_s": known(sample.completions_per_s),
            "queue_depth": known(sample.queue_depth), "utilisation": known(sample.utilisation),
            "service_ms": known(sample.service_ms), "ready_replicas": sample.ready_replicas,
        });
        self.server.ok("POST", &format!("{GROUP}/samples"), Some(&body.to_string())).unwrap();
    }
}

impl Strategy for Rehearsal {
    fn decide(&mut self, request: &ScalingRequest) -> Option<ScalingTarget> {
        if self.decisions == 0 {
            self.make_group(request.replicas);
        }
        self.wait_for_the_middle();
        self.send(request.samples.last()?);
        let has_decided_on_it = |group: &Value| {
            let age_ms = |key: &str| group[key].as_u64().unwrap();
            age_ms("decided_ms_ago") < age_ms("sampled_ms_ago")
        };
        let group = wait_for(|| Some(self.group()).filter(has_decided_on_it)).expect("the server decides");
        assert_ne!(group["last"], "held: no policy answered");
        self.decisions += 1;
        self.decided_ms.1 = self.server_ms() - group["decided_ms_ago"].as_u64().unwrap();
        let replicas = u32::try_from(group["replicas"].as_u64().unwrap()).unwrap();
        // The server has held back what the policy was not sure of.
        Some(ScalingTarget { replicas, confidence: 1.0, forecast_per_s: f32::NAN, reason: 0 })
    }
}
