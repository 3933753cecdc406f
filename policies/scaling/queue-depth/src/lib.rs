//! Scales a group by the depth of its queue, in documented steps.
//!
//! Rule: above `scale-up-aggressive-queue-depth` add `scale-up-aggressive-increment`; above `scale-up-queue-depth`, or when the
//! queue grows faster than work is finished, or when the line through the last five minutes says that it will be above in
//! five more (confidence `predictive-confidence` at least), add `scale-up-increment`; below `scale-down-queue-depth`, and not
//! growing, take off `scale-down-increment`. Nothing changes within `cooldown-ms` of the last change.
//! Source: the queue scaler of the Godel federation (its `QueueScaler`), with its names and defaults. That document gives no
//! depth for scaling down; ours is 10.
//!
//! Without a fresh, known depth the count stays: unreachable is not empty.

use pilothouse_sdk::scaling::{Line, Request, Scaling, Target, fresh, known};
use pilothouse_sdk::{About, Refusal, Settings, export_scaling};

/// Window of the regression and how far it looks ahead.
const WINDOW_MS: u64 = 300_000;
/// Window of the growth rate.
const GROWTH_WINDOW_MS: u64 = 60_000;

const HELD: u32 = 0;
const STEADY: u32 = 1;
const DEEP: u32 = 2;
const VERY_DEEP: u32 = 3;
const GROWING: u32 = 4;
const PREDICTED: u32 = 5;
const SHALLOW: u32 = 6;
const COOLING: u32 = 7;

/// The policy.
#[derive(Debug)]
pub struct QueueDepth {
    up_depth: f64,
    aggressive_depth: f64,
    down_depth: f64,
    up: u32,
    aggressive: u32,
    down: u32,
    cooldown_ms: u64,
    predictive: bool,
    predictive_confidence: f64,
}
export_scaling!(QueueDepth);

impl Scaling for QueueDepth {
    const ABOUT: About = About {
        settings_schema: r#"{"type":"object","additionalProperties":false,"properties":{
"scale-up-queue-depth":{"type":"integer","minimum":1,"maximum":1000000,"default":50,"description":"Add replicas above this depth."},
"scale-up-aggressive-queue-depth":{"type":"integer","minimum":1,"maximum":1000000,"default":200,"description":"Add many above this depth."},
"scale-down-queue-depth":{"type":"integer","minimum":0,"maximum":1000000,"default":10,"description":"Take replicas off below this depth."},
"scale-up-increment":{"type":"integer","minimum":1,"maximum":10000,"default":5},
"scale-up-aggressive-increment":{"type":"integer","minimum":1,"maximum":10000,"default":15},
"scale-down-increment":{"type":"integer","minimum":1,"maximum":10000,"default":3},
"cooldown-ms":{"type":"integer","minimum":0,"maximum":86400000,"default":120000,"description":"Time after a change in which nothing changes."},
"enable-predictive-scaling":{"type":"boolean","default":true,"description":"Act on the line through the last five minutes."},
"predictive-confidence":{"type":"number","minimum":0,"maximum":1,"default":0.7,"description":"How well that line must fit (R squared)."}}}"#,
        reasons: &[
            "no fresh queue depth",
            "the queue is as it should be",
            "the queue is deep",
            "the queue is very deep",
            "the queue grows faster than work is finished",
            "the queue will be deep in five minutes",
            "the queue is shallow",
            "the last change is too recent",
        ],
        ..About::new("queue-depth", "1.0.0", "Steps by the depth, growth and trend of the queue.")
    };

    fn new(settings: &mut Settings) -> Self {
        let policy = Self {
            up_depth: settings.integer("scale-up-queue-depth", 50, 1..=1_000_000).into(),
            aggressive_depth: settings.integer("scale-up-aggressive-queue-depth", 200, 1..=1_000_000).into(),
            down_depth: settings.integer("scale-down-queue-depth", 10, 0..=1_000_000).into(),
            up: settings.integer("scale-up-increment", 5, 1..=10_000),
            aggressive: settings.integer("scale-up-aggressive-increment", 15, 1..=10_000),
            down: settings.integer("scale-down-increment", 3, 1..=10_000),
            cooldown_ms: settings.integer("cooldown-ms", 120_000, 0..=86_400_000).into(),
            predictive: settings.flag("enable-predictive-scaling", true),
            predictive_confidence: settings.number("predictive-confidence", 0.7, 0.0..=1.0),
        };
        if policy.down_depth >= policy.up_depth {
            settings
                .problem("scale-down-queue-depth", "must be below scale-up-queue-depth, or the count swings");
        }
        if policy.aggressive_depth < policy.up_depth {
            settings.problem("scale-up-aggressive-queue-depth", "must not be below scale-up-queue-depth");
        }
        policy
    }

    fn scale(&mut self, request: &Request) -> Result<Target, Refusal> {
        let trend = Line::through(request, WINDOW_MS, |sample| sample.queue_depth);
        let (change, reason) = self.change(request, trend);
        let wanted = i64::from(request.replicas).saturating_add(change);
        let cooling = request.last_change_ms > 0
            && request.now_ms.saturating_sub(request.last_change_ms) < self.cooldown_ms;
        let (wanted, reason) =
            if cooling && change != 0 { (i64::from(request.replicas), COOLING) } else { (wanted, reason) };
        let limits =
            i64::from(request.min_replicas)..=i64::from(request.max_replicas.max(request.min_replicas));
        let replicas = wanted.clamp(*limits.start(), *limits.end());
        // What was measured is sure; what was predicted is as sure as the line fits.
        let confidence = match (reason, trend) {
            (HELD, _) => 0.0,
            (PREDICTED, Some(line)) => line.fit as f32,
            _ => 1.0,
        };
        Ok(Target {
            replicas: u32::try_from(replicas).unwrap_or(request.replicas),
            confidence,
            forecast_per_s: f32::NAN,
            reason,
        })
    }
}

impl QueueDepth {
    /// How many more or fewer, and why.
    fn change(&self, request: &Request, trend: Option<Line>) -> (i64, u32) {
        let Some((depth, newest)) =
            fresh(request).and_then(|newest| Some((known(newest.queue_depth)?, newest)))
        else {
            return (0, HELD);
        };
        if depth > self.aggressive_depth {
            return (self.aggressive.into(), VERY_DEEP);
        }
        if depth > self.up_depth {
            return (self.up.into(), DEEP);
        }
        let growth = Line::through(request, GROWTH_WINDOW_MS, |sample| sample.queue_depth);
        let grows = growth.is_some_and(|line| line.per_s > 0.0);
        let outpaced =
            |line: Line| known(newest.completions_per_s).is_some_and(|finished| line.per_s > finished);
        if grows && growth.is_some_and(outpaced) {
            return (self.up.into(), GROWING);
        }
        let ahead_s = WINDOW_MS as f64 / 1_000.0;
        let rises = |line: Line| {
            line.fit >= self.predictive_confidence
                && line.per_s > 0.0
                && line.in_seconds(ahead_s) > self.up_depth
        };
        if self.predictive && trend.is_some_and(rises) {
            return (self.up.into(), PREDICTED);
        }
        if depth < self.down_depth && !grows {
            return (-i64::from(self.down), SHALLOW);
        }
        (0, STEADY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::scaling::Sample;
    use pilothouse_sdk::testing::scaling;

    const PERIOD_MS: u64 = 15_000;

    fn sample(index: usize, queue_depth: f32) -> Sample {
        Sample {
            at_ms: PERIOD_MS * (index as u64 + 1),
            arrivals_per_s: f32::NAN,
            completions_per_s: 10.0,
            queue_depth,
            utilisation: f32::NAN,
            service_ms: f32::NAN,
            ready_replicas: 20,
        }
    }

    /// Twenty replicas of 5 to 100, asked when the newest of these depths came in.
    fn request(depths: &[f32]) -> Request {
        Request {
            seed: 1,
            now_ms: PERIOD_MS * depths.len() as u64,
            replicas: 20,
            min_replicas: 5,
            max_replicas: 100,
            start_ms: 30_000,
            period_ms: PERIOD_MS as u32,
            last_change_ms: 0,
            samples: depths.iter().enumerate().map(|(index, &depth)| sample(index, depth)).collect(),
        }
    }

    fn answer(request: &Request) -> (u32, u32) {
        let target = scaling::<QueueDepth>(&[]).unwrap().scale(request).unwrap();
        (target.replicas, target.reason)
    }

    #[test]
    fn the_documented_steps() {
        for (depths, expected) in [
            (&[30.0][..], (20, STEADY)),
            (&[50.0], (20, STEADY)),
            (&[51.0], (25, DEEP)),
            (&[200.0], (25, DEEP)),
            (&[201.0], (35, VERY_DEEP)),
            (&[9.0], (17, SHALLOW)),
            (&[0.0], (17, SHALLOW)),
        ] {
            assert_eq!(answer(&request(depths)), expected, "{depths:?}");
        }
    }

    #[test]
    fn growth_beyond_the_processing_rate_and_a_clear_trend_scale_up_early() {
        let mut fast = request(&[0.0, 15.0, 30.0, 45.0]);
        for sample in &mut fast.samples {
            sample.completions_per_s = 0.9;
        }
        assert_eq!(answer(&fast), (25, GROWING));
        assert_eq!(answer(&request(&[12.0, 15.0, 18.0, 21.0, 24.0])), (25, PREDICTED));
        assert_eq!(answer(&request(&[30.0, 12.0, 31.0, 14.0, 32.0])).0, 20, "noise is no trend");
    }

    #[test]
    fn limits_and_cooldown_hold() {
        let at = |replicas, depth| answer(&Request { replicas, ..request(&[depth]) }).0;
        assert_eq!((at(98, 201.0), at(6, 0.0), at(5, 0.0)), (100, 5, 5));
        let changed = |ms_ago| {
            let mut request = request(&[60.0; 20]);
            request.last_change_ms = request.now_ms - ms_ago;
            answer(&request)
        };
        assert_eq!(changed(119_999), (20, COOLING));
        assert_eq!(changed(120_000), (25, DEEP));
    }

    #[test]
    fn what_is_missing_old_or_absurd_never_takes_replicas_off() {
        for depth in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1.0] {
            assert_eq!(answer(&request(&[0.0, depth])), (20, HELD), "{depth}");
        }
        assert_eq!(answer(&Request { samples: Vec::new(), ..request(&[]) }), (20, HELD));
        let mut old = request(&[0.0, 0.0]);
        old.now_ms += 2 * PERIOD_MS + 1;
        assert_eq!(answer(&old), (20, HELD));
        let mut back = request(&[0.0, 0.0]);
        back.now_ms = 0;
        assert_eq!(answer(&back), (20, HELD), "the clock went back");
    }

    #[test]
    fn settings_that_would_swing_are_refused() {
        use pilothouse_sdk::Value;
        let problems = scaling::<QueueDepth>(&[("scale-down-queue-depth", Value::Integer(50))]).unwrap_err();
        assert_eq!(problems[0].path, "scale-down-queue-depth");
    }
}
