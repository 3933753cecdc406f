//! Keeps so many replicas that each is busy for a share of its time.

use pilothouse_sdk::scaling::{Request, Scaling, Target, limited};
use pilothouse_sdk::{About, Refusal, Settings, export_scaling};

const STEADY: u32 = 0;
const UNKNOWN: u32 = 1;

/// The policy.
#[derive(Debug)]
pub struct Utilisation {
    target: f64,
}
export_scaling!(Utilisation);

impl Scaling for Utilisation {
    const ABOUT: About = About {
        settings_schema: r#"{"type":"object","additionalProperties":false,"properties":{
"target":{"type":"number","minimum":0.1,"maximum":1,"default":0.7,"description":"Share of its time that a replica is busy."}}}"#,
        reasons: &["by utilisation", "utilisation is not known"],
        ..About::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), "A share of busy time for each replica.")
    };

    fn new(settings: &mut Settings) -> Self {
        Self { target: settings.number("target", 0.7, 0.1..=1.0) }
    }

    fn scale(&mut self, request: &Request) -> Result<Target, Refusal> {
        let stay = |reason| Target { replicas: request.replicas, confidence: 0.0, forecast_per_s: f32::NAN, reason };
        let Some(last) = request.samples.last().filter(|last| (0.0..=1.0).contains(&last.utilisation)) else {
            return Ok(stay(UNKNOWN));
        };
        let busy = f64::from(last.utilisation) * f64::from(last.ready_replicas);
        let replicas = limited((busy / self.target).ceil(), request);
        Ok(Target { replicas, confidence: 1.0, forecast_per_s: last.arrivals_per_s, reason: STEADY })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::testing::scaling::{answer, load};

    #[test]
    fn replicas_follow_the_work() {
        // Four replicas serve 50 a second each: 140 a second keep 2.8 of them busy, which is 70 % of 4.
        assert_eq!(answer::<Utilisation>(&load(&[140.0], 4)).replicas, 4);
        assert_eq!(answer::<Utilisation>(&load(&[350.0], 10)).replicas, 10);
        assert_eq!(answer::<Utilisation>(&load(&[30.0], 10)).replicas, 1);
    }

    #[test]
    fn without_samples_the_count_stays() {
        let target = answer::<Utilisation>(&load(&[], 4));
        assert_eq!((target.replicas, target.reason), (4, UNKNOWN));
    }
}
