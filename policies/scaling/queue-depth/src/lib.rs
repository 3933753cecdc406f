//! Scales by the work that waits, with the documented thresholds.
//!
//! Rule (the queue scaler of Godel, phase 4): 200 waiting adds 15 replicas, 50 adds 5; a queue that grows faster than work is
//! finished adds 5; a regression over 5 minutes that foresees 50 waiting by the time a replica is ready adds 5, if it explains
//! most of what it saw. 10 waiting or fewer, and not growing, takes 3 away. After every change the size stays for
//! 120 s. Always between 5 and 100 and within the group's own limits. Missing or absurd samples never scale down.

use pilothouse_sdk::scaling::{Line, Reading, Readings, Request, Scaling, Target, limited};
use pilothouse_sdk::{About, Refusal, Settings, export_scaling};

/// Samples that a decision looks at: the documented 5 minutes.
const WINDOW_S: f64 = 300.0;
/// Over so long the growth of the queue is measured.
const GROWTH_S: f64 = 60.0;
/// How much of the queue's history a regression must explain to count.
const CONFIDENCE_MIN: f64 = 0.7;

const STEADY: u32 = 0;
const COOLING: u32 = 1;
const AGGRESSIVE: u32 = 2;
const DEEP: u32 = 3;
const GROWING: u32 = 4;
const FORESEEN: u32 = 5;
const SHALLOW: u32 = 6;
const UNKNOWN: u32 = 7;
const LIMITED: u32 = 8;

/// The policy.
#[derive(Debug)]
pub struct QueueDepth {
    min_agents: u32,
    max_agents: u32,
    increment: u32,
    aggressive_increment: u32,
    decrement: u32,
    cooldown_ms: u32,
    predict: bool,
    deep: f64,
    aggressive: f64,
    shallow: f64,
}
export_scaling!(QueueDepth);

impl Scaling for QueueDepth {
    const ABOUT: About = About {
        settings_schema: r#"{"type":"object","additionalProperties":false,"properties":{
"min-agents":{"type":"integer","minimum":0,"maximum":1000000,"default":5,"description":"Never fewer."},
"max-agents":{"type":"integer","minimum":0,"maximum":1000000,"default":100,"description":"Never more."},
"scale-up-increment":{"type":"integer","minimum":1,"maximum":10000,"default":5,"description":"Added when the queue is deep or grows."},
"scale-up-aggressive-increment":{"type":"integer","minimum":1,"maximum":10000,"default":15,"description":"Added when the queue is very deep."},
"scale-down-increment":{"type":"integer","minimum":1,"maximum":10000,"default":3,"description":"Taken away when the queue is shallow."},
"cooldown-ms":{"type":"integer","minimum":0,"maximum":86400000,"default":120000,"description":"How long a size stays."},
"enable-predictive-scaling":{"type":"boolean","default":true,"description":"Scale up for a queue that a regression foresees."},
"thresholds":{"type":"object","additionalProperties":false,"description":"Waiting work.","properties":{
"scale-up-queue-depth":{"type":"number","minimum":0,"maximum":1000000000,"default":50,"description":"Deep from here on."},
"scale-up-aggressive-queue-depth":{"type":"number","minimum":0,"maximum":1000000000,"default":200,"description":"Very deep from here on."},
"scale-down-queue-depth":{"type":"number","minimum":0,"maximum":1000000000,"default":10,"description":"Shallow up to here."}}}}}"#,
        reasons: &[
            "the queue is neither deep nor shallow",
            "cooling down after the last change",
            "the queue is very deep",
            "the queue is deep",
            "the queue grows faster than work is finished",
            "a deep queue is foreseen",
            "the queue is shallow",
            "samples are missing or absurd",
            "outside of the limits",
        ],
        properties: &["limits", "cooldown"],
        ..About::new("queue-depth", "1.0.0", "By waiting work, in steps, with a cooldown.")
    };

    fn new(settings: &mut Settings) -> Self {
        let mut depth =
            |name: &str, default| settings.number(&format!("thresholds.{name}"), default, 0.0..=1e9);
        let (deep, aggressive) =
            (depth("scale-up-queue-depth", 50.0), depth("scale-up-aggressive-queue-depth", 200.0));
        let shallow = depth("scale-down-queue-depth", 10.0);
        if shallow >= deep {
            settings.problem("thresholds.scale-down-queue-depth", "use less than scale-up-queue-depth");
        }
        let policy = Self {
            min_agents: settings.integer("min-agents", 5, 0..=1_000_000),
            max_agents: settings.integer("max-agents", 100, 0..=1_000_000),
            increment: settings.integer("scale-up-increment", 5, 1..=10_000),
            aggressive_increment: settings.integer("scale-up-aggressive-increment", 15, 1..=10_000),
            decrement: settings.integer("scale-down-increment", 3, 1..=10_000),
            cooldown_ms: settings.integer("cooldown-ms", 120_000, 0..=86_400_000),
            predict: settings.flag("enable-predictive-scaling", true),
            deep,
            aggressive,
            shallow,
        };
        if policy.min_agents > policy.max_agents {
            settings.problem("min-agents", "use at most max-agents");
        }
        policy
    }

    fn scale(&mut self, request: &Request) -> Result<Target, Refusal> {
        let readings = Readings::of(request);
        let (wanted, confidence, reason) = match readings.last(WINDOW_S).last() {
            Some(newest) => self.decide(request, &readings, newest),
            None => (request.replicas, 0.0, UNKNOWN),
        };
        let floor = if self.min_agents > wanted { self.min_agents } else { wanted };
        let replicas = limited(f64::from(floor.min(self.max_agents.max(request.min_replicas))), request);
        let reason = if replicas == wanted { reason } else { LIMITED };
        Ok(Target { replicas, confidence: confidence as f32, forecast_per_s: f32::NAN, reason })
    }
}

impl QueueDepth {
    /// The wanted size, how sure that is, and why.
    fn decide(&self, request: &Request, readings: &Readings, newest: &Reading) -> (u32, f64, u32) {
        let now = request.replicas;
        let cooling = request.last_change_ms > 0
            && request.now_ms.saturating_sub(request.last_change_ms) < u64::from(self.cooldown_ms);
        let growth = depths(readings.last(GROWTH_S)).map_or(0.0, |line| line.slope);
        let (more, much_more) =
            (now.saturating_add(self.increment), now.saturating_add(self.aggressive_increment));
        if cooling {
            (now, 1.0, COOLING)
        } else if newest.queue >= self.aggressive {
            (much_more, 1.0, AGGRESSIVE)
        } else if newest.queue >= self.deep {
            (more, 1.0, DEEP)
        } else if growth > newest.completions && growth > 0.0 {
            (more, 1.0, GROWING)
        } else if let Some(confidence) = self.foreseen(request, readings, newest) {
            (more, confidence, FORESEEN)
        } else if !readings.trusted_for(GROWTH_S) {
            (now, 0.0, UNKNOWN)
        } else if newest.queue <= self.shallow && growth <= 0.0 {
            (now.saturating_sub(self.decrement), 1.0, SHALLOW)
        } else {
            (now, 1.0, STEADY)
        }
    }

    /// How sure it is that the queue will be deep when a new replica is ready; `None` if it is not.
    fn foreseen(&self, request: &Request, readings: &Readings, newest: &Reading) -> Option<f64> {
        let lead_s = (f64::from(request.start_ms) + f64::from(request.period_ms)) / 1_000.0;
        let line = depths(readings.last(WINDOW_S)).filter(|_| self.predict)?;
        let deep = line.at(newest.at_s + lead_s.min(WINDOW_S / 2.0)) >= self.deep;
        (deep && line.slope > 0.0 && line.r_squared >= CONFIDENCE_MIN).then_some(line.r_squared)
    }
}

/// The line through the depths of the queue over time.
fn depths(readings: &[Reading]) -> Option<Line> {
    Line::through(readings.iter().map(|reading| (reading.at_s, reading.queue)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::testing::scaling::{answer, configured, load, spoiled};

    /// Ten replicas that finish 100 a second, and depths of the queue at the last samples.
    fn queue(depths: &[f32]) -> Request {
        let mut request = load(&[100.0; 30], 10);
        let from = 30 - depths.len();
        for (sample, &depth) in request.samples[from..].iter_mut().zip(depths) {
            sample.queue_depth = depth;
        }
        request
    }

    /// 46 waiting, two more every period.
    fn growing() -> Vec<f32> {
        (1..22_u8).map(|step| 2.2 * f32::from(step)).collect()
    }

    #[test]
    fn steps_are_those_documented() {
        for (depths, replicas, reason) in [
            (vec![0.0], 7, SHALLOW),
            (vec![10.0; 30], 7, SHALLOW),
            (vec![30.0; 30], 10, STEADY),
            (vec![50.0], 15, DEEP),
            (vec![199.0], 15, DEEP),
            (vec![200.0], 25, AGGRESSIVE),
            (growing(), 15, FORESEEN),
        ] {
            let target = answer::<QueueDepth>(&queue(&depths));
            assert_eq!((target.replicas, target.reason), (replicas, reason), "{depths:?}");
        }
    }

    #[test]
    fn growth_counts_against_the_rate_of_processing() {
        let mut request = queue(&[0.0, 10.0, 20.0, 30.0]);
        request.samples.iter_mut().for_each(|sample| sample.completions_per_s = 0.1);
        request.samples.iter_mut().for_each(|sample| sample.utilisation = f32::NAN);
        assert_eq!(answer::<QueueDepth>(&request).reason, GROWING);
    }

    #[test]
    fn a_size_stays_for_two_minutes() {
        let mut request = queue(&[500.0]);
        request.last_change_ms = request.now_ms - 119_999;
        assert_eq!(
            (answer::<QueueDepth>(&request).replicas, answer::<QueueDepth>(&request).reason),
            (10, COOLING)
        );
        request.last_change_ms -= 1;
        assert_eq!(answer::<QueueDepth>(&request).replicas, 25);
    }

    #[test]
    fn limits_are_those_of_the_settings_and_of_the_group() {
        for (replicas, depth, min_replicas, max_replicas, expected) in [
            (6, 0.0, 0, 1_000, 5),
            (95, 500.0, 0, 1_000, 100),
            (10, 500.0, 0, 20, 20),
            (10, 0.0, 9, 20, 9),
            (0, 0.0, 0, 3, 3),
        ] {
            let limits = Request { replicas, min_replicas, max_replicas, ..queue(&[depth]) };
            assert_eq!(answer::<QueueDepth>(&limits).replicas, expected);
        }
    }

    #[test]
    fn prediction_can_be_switched_off() {
        let off = [("enable-predictive-scaling", pilothouse_sdk::Value::Flag(false))];
        let mut policy = configured::<QueueDepth>(&off).unwrap();
        assert_eq!(policy.scale(&queue(&growing())).unwrap().reason, STEADY);
    }

    #[test]
    fn missing_or_absurd_samples_never_scale_down() {
        assert!(answer::<QueueDepth>(&load(&[40.0; 60], 10)).replicas < 10);
        for seed in 0..2_000 {
            assert!(answer::<QueueDepth>(&spoiled(seed)).replicas >= 10, "seed {seed}");
        }
    }

    #[test]
    fn contradictory_settings_are_refused() {
        use pilothouse_sdk::Value::Integer;
        for wrong in [("min-agents", 101), ("thresholds.scale-up-queue-depth", 10)] {
            assert!(configured::<QueueDepth>(&[(wrong.0, Integer(wrong.1))]).is_err(), "{wrong:?}");
        }
    }
}
