//! Follows the queue within the limits, and in copies with another mark does one thing wrong. See `README.md`.

use pilothouse_sdk::scaling::{Request, Scaling, Target};
use pilothouse_sdk::{About, Refusal, Settings, export_scaling};

#[path = "../../zoo-balancing/src/mark.rs"]
mod mark;
use mark::fault;

/// The policy.
#[derive(Debug)]
pub struct Zoo {
    fault: &'static str,
    calls: u32,
}
export_scaling!(Zoo);

impl Scaling for Zoo {
    const ABOUT: About = About {
        settings_schema: r#"{"type":"object","additionalProperties":false,"x-pilothouse-properties":[                          ]}"#,
        reasons: &["the queue"],
        ..About::new("zoo-scaling", "1.0.0", "By the queue, or a fault.")
    };

    fn new(_settings: &mut Settings) -> Self {
        Self { fault: fault(), calls: 0 }
    }

    #[expect(clippy::indexing_slicing, reason = "breaking is its purpose")]
    fn scale(&mut self, request: &Request) -> Result<Target, Refusal> {
        self.calls += 1;
        let queue = match self.fault {
            "no-sample" => request.samples[0].queue_depth,
            _ => request.samples.last().map_or(0.0, |sample| sample.queue_depth),
        };
        assert!(self.fault != "trap-infinite" || !queue.is_infinite(), "broken on purpose");
        let grown = request.replicas.saturating_add(u32::from(queue > 50.0));
        let cooling =
            request.last_change_ms > 0 && request.now_ms.saturating_sub(request.last_change_ms) < 60_000;
        let wanted = if cooling && self.fault != "hasty" { request.replicas } else { grown };
        let replicas = match self.fault {
            "no-limits" => wanted.saturating_add(50),
            "memory" => self.calls.clamp(request.min_replicas, request.max_replicas),
            _ => wanted.min(request.max_replicas).max(request.min_replicas),
        };
        let confidence = if self.fault == "nan-confidence" { f32::NAN } else { 1.0 };
        Ok(Target { replicas, confidence, forecast_per_s: f32::NAN, reason: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::testing::scaling::{answer, load};

    #[test]
    fn as_built_it_stays_within_the_limits() {
        assert_eq!(answer::<Zoo>(&load(&[100.0; 30], 10)).replicas, 10);
    }
}
